"""deAPI, the paid transcription service, in its two versions.

v1 takes JSON (`vid2txt`), v2 takes forms (`audio/transcriptions`); both answer a submit with a
request id and are asked for the job until it is done. There is no idempotency key and no list of
jobs: a submit whose answer is lost cannot be looked up, so nothing here sends one twice.

Source: deAPI's SDK (v1), its web tester (v2) and documentation; every shape that any of them
knows is read.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Any, Final, Literal
from urllib.parse import quote, urlsplit

from bulk_transcribe.clients.deapi_errors import (
    expired_result,
    explain_refusal,
    job_not_found,
)
from bulk_transcribe.clients.http import Call, Explain, HttpClient, Reply
from bulk_transcribe.clients.safe_text import one_line, safe_text, short
from bulk_transcribe.core.job import JobState, JobStatus
from bulk_transcribe.core.request import RequestKind, Ticket
from bulk_transcribe.errors import (
    AuthError,
    BulkTranscribeError,
    ConfigError,
    CreditSpentError,
    NetworkError,
    RetryableError,
)

DEFAULT_BASE_URL: Final = "https://api.deapi.ai"
DEFAULT_MODEL: Final = "WhisperLargeV3"
#: Prefix of the keys of deAPI's OpenAI-compatible gateway; the native API refuses it (401).
GATEWAY_PREFIX: Final = "dpn-sk-"

ApiVersion = Literal["v1", "v2"]

_SERVICE: Final = "deAPI"
_DONE_WORDS: Final = frozenset({"done", "completed"})
_FAILED_WORDS: Final = frozenset({"error", "failed"})
_PAGE_SIZE: Final = 50  # the most that either version gives
_MOST_PAGES: Final = 100
_LONGEST_ID: Final = 200  # a UUID has 36 characters
_MOST_USD: Final = 1_000_000_000
_MOST_DIGITS: Final = 12  # behind the point
_NOT_FOUND: Final = 404
#: Causes of a 403 that say nothing about whether the key may transcribe.
_MAY_NOT_READ: Final = frozenset({"insufficient_permissions", "forbidden"})
#: An expired presigned address answers 403 (S3-style) or 404; 410 says it in so many words.
_EXPIRED: Final = frozenset({400, 401, 403, 404, 410})


@dataclass(frozen=True, kw_only=True)
class Model:
    """A model of the service. `limits` and `features` are as published; often empty."""

    slug: str
    name: str
    inference_types: tuple[str, ...] = ()
    limits: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    features: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def transcribes(self) -> bool:
        """Whether it turns speech into text (both spellings of the type are in use)."""
        return any(t.endswith(("2text", "2txt")) for t in self.inference_types)


@dataclass(frozen=True, kw_only=True)
class _Paths:
    """Where a version keeps its calls."""

    submit: str
    price: str
    job: str
    balance: str
    models: str
    page_size: str  # name of the query field


_PATHS: Final[Mapping[str, _Paths]] = {
    "v1": _Paths(
        submit="/api/v1/client/vid2txt",
        price="/api/v1/client/vid2txt/price-calculation",
        job="/api/v1/client/request-status/",
        balance="/api/v1/client/balance",
        models="/api/v1/client/models",
        page_size="per_page",
    ),
    "v2": _Paths(
        submit="/api/v2/audio/transcriptions",
        price="/api/v2/audio/transcriptions/price",
        job="/api/v2/jobs/",
        balance="/api/v2/account/balance",
        models="/api/v2/models",
        page_size="limit",  # v2 ignores per_page without a word
    ),
}


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Where the service tells how jobs get on.

    Args:
        base_url: Public https address, without a slash at its end; a nonce for each request is
            added.
        secret: What the service signs with. v2 is told with each request, v1 takes what the
            account's settings say.
    """

    base_url: str
    secret: str = field(repr=False)


class DeapiClient:
    """The port `PaidService` over HTTP. May be shared by all threads.

    A 404 for a job is a `RetryableError` with the code "job_not_found": it is normal right after
    the submit, and only the caller knows how old the job is.

    Args:
        base_url: Address of the service, with or without a slash at its end.
        api_key: "123|abc…". The gateway's prefix `dpn-sk-` is taken off: it is the same key, and
            the native API answers 401 with it.
        http: Sends the requests.
        model: Slug of the speech model.
        api_version: "v2", or "v1".
        include_ts: Ask for timestamps; without them there are no subtitles.
        inline_result: Ask for the text within the status answer, which saves a download.
        webhook: Where the service reaches us; None: requests ask for no webhooks.

    Raises:
        ConfigError: the key is missing or cannot stand in a header, the version is unknown, or
            the address is none.
    """

    def __init__(
        self,
        base_url: str = DEFAULT_BASE_URL,
        api_key: str = "",
        *,
        http: HttpClient,
        model: str = DEFAULT_MODEL,
        api_version: str = "v2",
        include_ts: bool = True,
        inline_result: bool = True,
        webhook: Webhook | None = None,
    ) -> None:
        if api_version not in _PATHS:
            raise ConfigError(
                f"{api_version!r} is not a version of deAPI.", next_step="Use v1 or v2."
            )
        self._base_url = _checked_base_url(base_url)
        self._paths = _PATHS[api_version]
        self._is_form = api_version == "v2"
        self._headers: Mapping[str, str] = {"Authorization": f"Bearer {_checked_key(api_key)}"}
        self._http = http
        self._model = model
        self._include_ts = include_ts
        self._inline_result = inline_result
        self._webhook = webhook

    def __repr__(self) -> str:
        return f"DeapiClient({self._base_url!r}, model={self._model!r})"

    def submit(
        self,
        video_url: str,
        ticket: Ticket,
        *,
        nonce: str = "",
        on_sending: Callable[[], None] | None = None,
    ) -> str:
        """Send one paid request; its id. See `PaidService.submit`."""
        source = "source_url" if self._is_form else "video_url"
        hook = {}
        if nonce and self._webhook is not None:
            hook["webhook_url"] = f"{self._webhook.base_url}/{nonce}"
            if self._is_form:  # v2 takes the two together alone, v1 knows no secret
                hook["webhook_secret"] = self._webhook.secret
        call = self._post(
            RequestKind.SUBMIT,
            self._paths.submit,
            {
                source: video_url,
                "model": self._model,
                "include_ts": self._include_ts,
                "return_result_in_response": self._inline_result,
                **hook,
            },
            ticket,
        )
        reply = self._http.send(call, ticket, on_sending=on_sending)
        data = _data(reply.json())
        request_id = read_id(data.get("request_id")) or read_id(data.get("id"))
        if not request_id:
            # Neither `refused` nor `never_sent`: a 2xx most likely was accepted.
            raise NetworkError(
                f"deAPI answered the submit without a request id: {short(reply.text, 120)!r}.",
                next_step="The request may have been accepted and paid: it is held as in doubt.",
                code="no_request_id",
            )
        return request_id

    def job(self, request_id: str, ticket: Ticket) -> JobStatus:
        """Ask once how a job is. See `PaidService.job`.

        Raises:
            RetryableError: with the code "job_not_found" after a 404.
        """

        def explain(reply: Reply) -> BulkTranscribeError | None:
            if reply.status == _NOT_FOUND and not reply.is_html:
                return job_not_found(request_id)
            return explain_refusal(reply, video_id=ticket.video_id or "")

        call = self._get(
            RequestKind.POLL, self._paths.job + quote(request_id, safe=""), explain=explain
        )
        return read_status(self._http.send(call, ticket).json(), request_id=request_id)

    def download(self, result_url: str, ticket: Ticket) -> str:
        """The result behind a presigned address, asked without our key. See `PaidService`."""
        call = Call(
            kind=RequestKind.DOWNLOAD,
            method="GET",
            url=_checked_result_url(result_url),
            service="deAPI's result store",
            headers={"Accept": "*/*"},
            follow_redirects=True,  # harmless: nothing secret goes along
            explain=lambda reply: (
                expired_result(reply.status) if reply.status in _EXPIRED else None
            ),
        )
        reply = self._http.send(call, ticket)
        if reply.is_html:
            raise NetworkError(
                "deAPI's result store sent a web page instead of a transcript.",
                next_step="A proxy or a login page may stand in between; the run tries again.",
                code="unreadable_answer",
            )
        return reply.text

    def price_usd(self, duration_s: float, ticket: Ticket) -> Decimal:
        """Quote for a video of that length, rounded up to whole seconds (at least one)."""
        call = self._post(
            RequestKind.PRICE,
            self._paths.price,
            {
                "duration_seconds": max(1, math.ceil(duration_s)),
                "model": self._model,
                "include_ts": self._include_ts,
            },
            ticket,
        )
        reply = self._http.send(call, ticket)
        price = _amount(_data(reply.json()).get("price"))
        if price is None:
            raise _unreadable(reply, "price")
        return price

    def balance_usd(self, ticket: Ticket) -> Decimal | None:
        """The account's balance; None where the key may not read it (role API)."""
        call = self._get(RequestKind.ACCOUNT, self._paths.balance)
        try:
            reply = self._http.send(call, ticket)
        except CreditSpentError:  # refused because its text names the balance, whatever its height
            return None
        except AuthError as error:
            if error.code in _MAY_NOT_READ:
                return None
            raise
        balance = _amount(_data(reply.json()).get("balance"))
        if balance is None:
            raise _unreadable(reply, "balance")
        return balance

    def models(self, ticket: Ticket | None = None) -> tuple[Model, ...]:
        """All models of the service, in its order, each once."""
        found: dict[str, Model] = {}
        for page in range(1, _MOST_PAGES + 1):
            params = {"page": str(page), self._paths.page_size: str(_PAGE_SIZE)}
            body = self._http.send(
                self._get(RequestKind.ACCOUNT, self._paths.models, params=params), ticket
            ).json()
            fresh = [model for model in _models(body) if model.slug not in found]
            found |= {model.slug: model for model in fresh}
            if not fresh or _is_last_page(body, page):
                break
        return tuple(found.values())

    def _get(
        self,
        kind: RequestKind,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        explain: Explain | None = None,
    ) -> Call:
        return Call(
            kind=kind,
            method="GET",
            url=self._base_url + path,
            service=_SERVICE,
            headers=self._headers,
            params=params,
            explain=explain or (lambda reply: explain_refusal(reply, video_id="")),
        )

    def _post(
        self, kind: RequestKind, path: str, fields: Mapping[str, str | int | bool], ticket: Ticket
    ) -> Call:
        """A POST as the version wants it: JSON for v1, a form for v2 (booleans as 1 and 0)."""
        return Call(
            kind=kind,
            method="POST",
            url=self._base_url + path,
            service=_SERVICE,
            headers=self._headers,
            json=None if self._is_form else fields,
            form={name: _form_value(v) for name, v in fields.items()} if self._is_form else None,
            explain=lambda reply: explain_refusal(reply, video_id=ticket.video_id or ""),
        )


def read_status(body: Any, *, request_id: str) -> JobStatus:
    """Read a status answer of either version.

    Words that are not known count as running: deAPI's own clients know at least four of them.

    Raises:
        NetworkError: it is not a status answer at all.
    """
    data = _data(body)
    word = data.get("status")
    if not isinstance(word, str) or not word.strip():
        raise NetworkError(
            f"deAPI's answer for job {request_id} has no status: {short(str(body), 120)!r}.",
            next_step="The run looks again; the job is safe.",
            code="unreadable_answer",
        )
    word = word.strip().lower()
    state = _state(word)
    text, result_url = _result(data) if state is JobState.DONE else (None, None)
    code, message = _failure(data) if state is JobState.FAILED else (None, None)
    spoken = data.get("transcription")
    language = spoken.get("language") if isinstance(spoken, dict) else None
    return JobStatus(
        request_id=request_id,
        state=state,
        status_word=short(word, 40),
        progress=read_progress(data.get("progress")),
        text=text,
        result_url=result_url,
        error_code=code,
        error_message=message,
        charged_usd=_charged(data.get("price")) if state is not JobState.RUNNING else None,
        language=one_line(language) or None if isinstance(language, str) else None,
    )


def read_progress(value: Any) -> float | None:
    """Percent as a number or a string ("45.5", "45 %") to 0.0 to 1.0; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        percent = float(value.strip().rstrip("%") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        return None
    return min(1.0, max(0.0, percent / 100.0)) if math.isfinite(percent) else None


def _state(word: str) -> JobState:
    if word in _DONE_WORDS:
        return JobState.DONE
    return JobState.FAILED if word in _FAILED_WORDS else JobState.RUNNING


def _result(data: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Text and address of a finished job: a non-empty text counts, else the address, else ""."""
    url = data.get("result_url")
    url = url.strip() if isinstance(url, str) and url.strip() else None
    result = data.get("result")
    if isinstance(result, dict | list) and result:
        return _as_json(result), url
    text = safe_text(result) if isinstance(result, str) else ""
    if text.strip():
        return text, url
    return (None, url) if url else ("", None)


def _as_json(result: Any) -> str:
    # numbers were read as Decimal, which `json` does not write by itself
    return json.dumps(result, default=float, ensure_ascii=True)


def _failure(data: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Code and text of a failed job: flat keys (v2), a text or an object under `error`."""
    error = data.get("error")
    inner: Mapping[str, Any] = error if isinstance(error, dict) else {}
    codes = (data.get("error_code"), inner.get("code"), inner.get("error_code"))
    texts = (data.get("error_message"), inner.get("message"), error, data.get("message"))
    code = next((one_line(c) for c in codes if isinstance(c, str) and c.strip()), None)
    text = next((short(t) for t in texts if isinstance(t, str) and t.strip()), None)
    return code, text


def _charged(price: Any) -> Decimal | None:
    """What a finished job has cost; None while it is an estimate or not told."""
    if isinstance(price, dict) and price.get("is_estimated"):
        return None
    return _amount(price)


def read_id(value: Any) -> str:
    """A request id as text; "" where the value cannot be one."""
    text = str(value).strip() if isinstance(value, str | int) else ""
    return text if len(text) <= _LONGEST_ID and text.isprintable() else ""


def _amount(value: Any) -> Decimal | None:
    """An amount of money: a number, a text, or an object with `amount`; None for anything else.

    Numbers that no account holds are something else, too: to print 1E+999999999 would fill the
    memory with zeros.
    """
    if isinstance(value, dict):
        value = value.get("amount", value.get("price"))
    if isinstance(value, bool) or not isinstance(value, int | str | Decimal):
        return None
    try:
        amount = Decimal(value)
    except (InvalidOperation, ValueError):
        return None
    if not amount.is_finite() or not -_MOST_USD <= amount <= _MOST_USD:
        return None
    return amount if _exponent(amount) >= -_MOST_DIGITS else round(amount, _MOST_DIGITS)


def _exponent(amount: Decimal) -> int:
    exponent = amount.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _data(body: Any) -> Mapping[str, Any]:
    """The object under `data`, or the body itself where there is none (both are in use)."""
    inner = body.get("data") if isinstance(body, dict) else None
    found = inner if isinstance(inner, dict) else body
    return found if isinstance(found, dict) else {}


def _models(body: Any) -> Iterator[Model]:
    entries = body.get("data") if isinstance(body, dict) else body
    if isinstance(entries, dict):  # one page of the documentation nests it twice
        entries = entries.get("data")
    for entry in entries if isinstance(entries, list) else ():
        slug = entry.get("slug") if isinstance(entry, dict) else None
        if isinstance(slug, str) and slug:
            yield _model(slug, entry)


def _model(slug: str, entry: Mapping[str, Any]) -> Model:
    types = entry.get("inference_types")  # a list in v1, an object keyed by type in v2
    info = entry.get("info")  # an empty one arrives as []
    parts = info if isinstance(info, dict) else {}
    return Model(
        slug=one_line(slug),
        name=one_line(str(entry.get("name") or slug)),
        inference_types=tuple(str(t) for t in types) if isinstance(types, list | dict) else (),
        limits=MappingProxyType(_as_dict(parts.get("limits"))),
        features=MappingProxyType(_as_dict(parts.get("features"))),
    )


def _as_dict(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _is_last_page(body: Any, page: int) -> bool:
    """By `meta.last_page` or `links.next`; where neither is there, ask on until nothing is new."""
    meta, links = (
        (_as_dict(body.get("meta")), body.get("links")) if isinstance(body, dict) else ({}, None)
    )
    last = meta.get("last_page")
    if isinstance(last, int):
        return page >= last
    return isinstance(links, dict) and "next" in links and not links["next"]


def _form_value(value: str | int | bool) -> str:  # noqa: FBT001 -- a form field, not a switch
    # Laravel takes "1" and "0" for booleans in a form, not "true" and "false"
    return str(int(value)) if isinstance(value, bool) else str(value)


def _unreadable(reply: Reply, what: str) -> RetryableError:
    return NetworkError(
        f"deAPI's answer has no {what}: {short(reply.text, 120)!r}.", code="unreadable_answer"
    )


def _checked_key(api_key: str) -> str:
    key = api_key.strip().removeprefix(GATEWAY_PREFIX)
    if not key:
        raise ConfigError(
            "There is no key for deAPI.",
            next_step="Set DEAPI_API_KEY, or use captions only.",
            code="no_key",
        )
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(
            "The key for deAPI has characters that no key has (a blank, a line end, an accent).",
            next_step="Copy DEAPI_API_KEY again.",
            code="bad_key",
        )
    return key


def _checked_base_url(base_url: str) -> str:
    parts = urlsplit(base_url.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ConfigError(
            f"{base_url!r} is not the address of a service.",
            next_step=f"Set DEAPI_BASE_URL to something like {DEFAULT_BASE_URL}.",
        )
    return base_url.strip().rstrip("/")


def _checked_result_url(result_url: str) -> str:
    try:
        parts = urlsplit(result_url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise NetworkError(
            "deAPI gave an address for the result that is none.",
            next_step="The run looks again.",
            code="expired_url",
        )
    return result_url
