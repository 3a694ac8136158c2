"""The one place that turns a status code or a socket error into one of our errors.

One permit for each request, one record for each request, no retry: a request that failed is
raised, and the caller, who knows what it was for, decides.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx2

from bulk_transcribe.clients.addresses import AddressGuard, PrivateAddressError
from bulk_transcribe.clients.deadline import Deadline, DeadlineTransport
from bulk_transcribe.clients.redact import Redactor
from bulk_transcribe.clients.safe_text import short
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.ports import Limiter, Permit, RequestLog
from bulk_transcribe.core.request import RequestKind, RequestRecord, Ticket
from bulk_transcribe.errors import (
    APIError,
    AuthError,
    BulkTranscribeError,
    CreditSpentError,
    NetworkError,
    RateLimitError,
    ServerBusyError,
    StopBatchError,
)

#: As many threads as the settings allow may ask at once.
MAX_CONNECTIONS: Final = 512
#: A 20-hour transcript is about 1.5 MB; an answer beyond this is not one of ours.
MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
#: However fast the clock runs, the network does not: no shorter than this, in real seconds.
LEAST_REAL_S: Final = 2.0

_CONNECT_S: Final = 10.0
_REDIRECTS: Final = range(300, 400)
_CHUNK_BYTES: Final = 65_536
_LONGEST_WAIT_S: Final = 86_400.0
#: Answers of a proxy in front of the service that never reached the service itself
#: (Cloudflare: web server is down, origin unreachable, TLS handshake failed, bad certificate).
_NOT_REACHED: Final = frozenset({521, 523, 525, 526})
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_QUERY = re.compile(r"\?[^\s\"']*")


def user_agent() -> str:
    """How we introduce ourselves: some hosts refuse the libraries' own names."""
    try:
        release = version("bulk-transcribe")
    except PackageNotFoundError:  # run from a source tree that was never installed
        release = "dev"
    return f"bulk-transcribe/{release} (transcripts of many videos; Python)"


def real_timeout_s(clock: Clock, timeout_s: float) -> float:
    """A timeout of the clock's seconds as real seconds for a socket.

    At speed 1 they are the same. A faster clock shortens it, but not below `LEAST_REAL_S`
    (or the timeout itself, if that is shorter): otherwise a busy machine would look like a
    broken network.
    """
    return max(timeout_s / clock.speed, min(timeout_s, LEAST_REAL_S))


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A complete answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    text: str
    received_at: datetime
    service: str = "the service"

    @property
    def is_html(self) -> bool:
        """Whether a page came where data was expected (a proxy, a login page, an edge block)."""
        head = self.text[:200].lstrip("\ufeff \r\n\t").lower()
        return head.startswith(("<!doctype html", "<html"))

    @property
    def retry_after_s(self) -> float | None:
        """Seconds from the Retry-After header, None where there is none that can be read."""
        return parse_retry_after_s(self.headers.get("retry-after"), self.received_at)

    def json(self) -> Any:
        """The body as JSON; numbers with a point become Decimal, for money.

        Raises:
            NetworkError: the body is something else.
        """
        try:
            return json.loads(self.text, parse_float=Decimal, parse_constant=_refuse_constant)
        except (ValueError, ArithmeticError, RecursionError) as error:
            raise NetworkError(
                f"{self.service} answered {self.status} with something that is not JSON: "
                f"{short(self.text, 80)!r}.",
                next_step="A proxy or a login page may stand in between; try again later.",
                code="unreadable_answer",
            ) from error


#: Sorts an answer that is not 2xx; None leaves it to the table of status codes.
Explain = Callable[[Reply], BulkTranscribeError | None]


def _no_opinion(_reply: Reply) -> BulkTranscribeError | None:
    return None


@dataclass(frozen=True, kw_only=True)
class Call:
    """One HTTP request. Nothing that may hold a secret is shown.

    Args:
        kind: What it is for; decides which limit it counts against.
        method: "GET" or "POST".
        url: Address without the query that we add.
        service: Who is asked, for messages.
        headers: Further headers, such as Authorization.
        params: Query.
        json: JSON body, or None.
        form: multipart/form-data fields, or None.
        explain: The service's own reading of a refusal.
        max_bytes: Longest answer that is read.
        follow_redirects: Go where the service sends us; only for calls without a key.
    """

    kind: RequestKind
    method: str
    url: str = field(repr=False)
    service: str
    headers: Mapping[str, str] = field(default_factory=lambda: _NO_HEADERS, repr=False)
    params: Mapping[str, str] | None = field(default=None, repr=False)
    json: Mapping[str, object] | None = field(default=None, repr=False)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    explain: Explain = field(default=_no_opinion, repr=False)
    max_bytes: int = MAX_ANSWER_BYTES
    follow_redirects: bool = False


class HttpClient:
    """Sends requests, each with a permit and a record. May be shared by all threads.

    One pool of connections for the whole process; close it, or use it as a `with` block.

    Args:
        limiter: Gives the permits.
        log: Notes every request that got a permit.
        clock: For moments and durations.
        timeout_s: Clock seconds after which a request counts as lost, its whole body included.
        guard: Says where a connection may go; None lets it go anywhere.
        redact: Takes our secrets out of what a service sends back, before anybody reads it.
        transport: Another way to send, for tests.
    """

    def __init__(
        self,
        *,
        limiter: Limiter,
        log: RequestLog,
        clock: Clock,
        timeout_s: float = 30.0,
        guard: AddressGuard | None = None,
        redact: Redactor | None = None,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self._redact = redact or Redactor()
        self._limiter = limiter
        self._log = log
        self._clock = clock
        self._real_timeout_s = real_timeout_s(clock, timeout_s)
        self._deadline = Deadline(clock)
        _hide_queries_from_the_log()
        # The proxy variables of the environment are for `cli` to read, not for a library here.
        self._client = httpx2.Client(
            transport=transport
            or DeadlineTransport(self._deadline, max_connections=MAX_CONNECTIONS, guard=guard),
            timeout=httpx2.Timeout(
                self._real_timeout_s, connect=min(_CONNECT_S, self._real_timeout_s)
            ),
            headers={"User-Agent": user_agent(), "Accept": "application/json"},
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection. Closing twice does no harm."""
        self._client.close()

    def send(
        self,
        call: Call,
        ticket: Ticket | None = None,
        *,
        on_sending: Callable[[], None] | None = None,
    ) -> Reply:
        """Wait for a permit, send once, and return the answer if it is a success (2xx).

        Args:
            call: The request.
            ticket: On whose behalf; nobody's by default.
            on_sending: Called between the permit and the first byte. If it raises, nothing is
                sent and the permit is given back.

        Raises:
            RetryableError: with `never_sent` where no byte left, with `refused` where the
                service certainly did not act on it, with neither where it may have.
            AuthError, CreditSpentError, StopBatchError, SourceBlockedError, APIError: refused.
            DeadlineError, StoppedError: from the wait for the permit; nothing was sent.
        """
        ticket = ticket or Ticket()
        with self._limiter.permit(call.kind, ticket) as permit:
            if on_sending is not None:
                with _given_back_on_error(permit):
                    on_sending()
            reply = self._exchange(call, ticket, permit)
        if 200 <= reply.status < 300:  # noqa: PLR2004 -- the 2xx class of RFC 9110
            return reply
        raise call.explain(reply) or error_for_status(reply, video_id=ticket.video_id)

    def _exchange(self, call: Call, ticket: Ticket, permit: Permit) -> Reply:
        """Send and read; the permit and the log learn how it went, whatever happens."""
        sent_at, started_s = self._clock.now(), self._clock.now_s()
        status: int | None = None
        failure: str | None = None
        try:
            with self._deadline.within(self._real_timeout_s), self._open(call, permit) as response:
                status = response.status_code
                headers = {name.lower(): value for name, value in response.headers.items()}
                permit.answered(status, headers)
                text = self._read(response, call)
            return Reply(
                status=status,
                headers={name: self._redact(value) for name, value in headers.items()},
                text=self._redact(text),
                received_at=self._clock.now(),
                service=call.service,
            )
        except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError) as error:
            failure = type(error).__name__
            ours = _network_error(error, call, self._redact(str(error)))
            if ours.never_sent:
                permit.unsent()
            raise ours from error
        except _StalePermitError as error:
            failure = type(error).__name__
            permit.unsent()
            raise NetworkError(
                f"This process stood still before it sent a request to {call.service}, so its "
                "leave to send had become too old: nothing was sent.",
                next_step="It is tried again by itself.",
                code="stale_permit",
                never_sent=True,
            ) from error
        except PrivateAddressError as error:
            failure = type(error).__name__
            raise _private_address(error, call, ticket) from error
        except BaseException as error:
            failure = type(error).__name__
            raise
        finally:
            self._log.record(
                RequestRecord(
                    kind=call.kind,
                    video_id=ticket.video_id,
                    sent_at=sent_at,
                    waited_s=permit.waited_s,
                    took_s=self._clock.now_s() - started_s,
                    status=status,
                    error=failure,
                )
            )

    @contextmanager
    def _open(self, call: Call, permit: Permit) -> Iterator[httpx2.Response]:
        fields = None if call.form is None else [(k, (None, v)) for k, v in call.form.items()]
        with self._client.stream(
            call.method,
            call.url,
            headers=dict(call.headers),
            params=dict(call.params) if call.params else None,
            json=call.json,
            files=fields,
            follow_redirects=call.follow_redirects,
            extensions={"trace": _LastLook(permit)},
        ) as response:
            yield response

    def _read(self, response: httpx2.Response, call: Call) -> str:
        body = bytearray()
        for chunk in response.iter_bytes(_CHUNK_BYTES):
            body += chunk
            if len(body) > call.max_bytes:
                raise NetworkError(
                    f"{call.service} sent more than {call.max_bytes:,} bytes "
                    f"for one {call.kind.value} request; reading was stopped.",
                    next_step="This is not a normal answer. Check the service's address.",
                    code="answer_too_long",
                )
        return body.decode("utf-8", errors="replace")


class _StalePermitError(Exception):
    """The permit became too old before the first byte left."""


class _LastLook:
    """Called by the library at each step of an exchange (its "trace" extension).

    Looks at the permit when the connection stands and the next thing is the first byte: whatever
    took long, a frozen process or an unreachable database, was before. Sent on by a redirect, a
    request is not looked at again.
    """

    def __init__(self, permit: Permit) -> None:
        self._permit = permit
        self._is_sent = False

    def __call__(self, step: str, _facts: object) -> None:
        if step != "http11.send_request_headers.started" or self._is_sent:
            return
        if not self._permit.is_fresh():
            raise _StalePermitError
        self._is_sent = True


@contextmanager
def _given_back_on_error(permit: Permit) -> Iterator[None]:
    try:
        yield
    except BaseException:
        permit.unsent()
        raise


def parse_retry_after_s(text: str | None, now: datetime) -> float | None:
    """Read a Retry-After header: seconds, or an HTTP date; 0.0 to a day.

    None where it is missing or means nothing. A longer wait counts as a day: no limit that we
    know of is longer, and one bad header must not put a run to sleep for years.
    """
    if not text:
        return None
    text = text.strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text, re.ASCII):
        return min(float(text), _LONGEST_WAIT_S)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        return None
    return min(max(0.0, (at - now).total_seconds()), _LONGEST_WAIT_S)


#: status -> (class, code, what it usually means, what to do). Services refine it (`explain`).
_STATUS: Final[Mapping[int, tuple[type[StopBatchError], str, str, str]]] = {
    401: (AuthError, "bad_key", "the key is wrong or expired", "Check the key."),
    402: (CreditSpentError, "no_credit", "it wants to be paid first", "Top up the account."),
    403: (AuthError, "forbidden", "the key may not do this", "Check the key's permissions."),
}


def error_for_status(reply: Reply, *, video_id: str | None = None) -> BulkTranscribeError:
    """The error for an answer that is not 2xx, by its status code alone."""
    status, service = reply.status, reply.service
    detail = "" if reply.is_html else short(reply.text)
    tail = f": {detail}" if detail else "."
    if status in _STATUS:
        family, code, meaning, next_step = _STATUS[status]
        return family(
            f"{service} refused ({status}, {meaning}){tail}", next_step=next_step, code=code
        )
    if status in _REDIRECTS:
        return StopBatchError(
            f"{service} answered {status}: it wants to send us to "
            f"{without_query(reply.headers.get('location', 'another address'))}.",
            next_step="Check the address of the service in the settings (https, spelling).",
            code="redirected",
        )
    if status == 429:  # noqa: PLR2004
        return RateLimitError(
            f"{service} says that too many requests were sent{tail}",
            retry_after_s=reply.retry_after_s,
            next_step="The run waits and goes on by itself.",
            refused=True,
        )
    if status == 408:  # noqa: PLR2004 -- who gave up waiting, and what they had read, is not told
        return NetworkError(f"{service} did not receive the request in time (408){tail}")
    if status >= 500:  # noqa: PLR2004
        return ServerBusyError(
            f"{service} is in trouble ({status}){tail}",
            retry_after_s=reply.retry_after_s,
            next_step="It usually passes; the run tries again.",
            refused=status in _NOT_REACHED,
        )
    return APIError(
        f"{service} refused the request ({status}){tail}",
        video_id=video_id or "",
        next_step="If it happens to every video, report it with this text.",
        code="refused",
    )


def without_query(url: str) -> str:
    """An address for a message: no user, no password, no query (presigned ones are secrets)."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{host}{port}{parts.path}" if host else parts.path


#: Errors before the first byte left: the service cannot have acted on the request.
_NEVER_SENT: Final = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.ProxyError,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
    httpx2.InvalidURL,
)


def _private_address(error: PrivateAddressError, call: Call, ticket: Ticket) -> APIError:
    return APIError(
        f"{call.service} names {short(error.host, 80)}, an address in a private network: "
        "it was not asked.",
        video_id=ticket.video_id or "",
        next_step="If the service is meant to be there, set allow_private_addresses, then retry.",
        code="private_address",
        can_retry=True,
    )


def _network_error(error: Exception, call: Call, says: str) -> NetworkError:
    never_sent = isinstance(error, _NEVER_SENT)
    where = urlsplit(without_query(call.url)).netloc or "its address"
    if isinstance(error, httpx2.ConnectTimeout | httpx2.PoolTimeout):
        what = f"{call.service} ({where}) could not be reached in time"
    elif never_sent:
        what = f"{call.service} ({where}) could not be reached ({short(says, 80)})"
    elif isinstance(error, httpx2.TimeoutException):
        what = f"{call.service} ({where}) did not answer in time"
    else:
        what = f"The connection to {call.service} ({where}) broke off ({type(error).__name__})"
    return NetworkError(
        f"{_QUERY.sub('', what)}.",
        next_step="Check the network and the address of the service.",
        never_sent=never_sent,
    )


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


class _QueryFilter(logging.Filter):
    """Takes the query (keys, signatures) off the addresses that the HTTP library logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                without_query(str(part)) if isinstance(part, httpx2.URL) else part
                for part in record.args
            )
        return True


_QUERY_FILTER: Final = _QueryFilter()


def _hide_queries_from_the_log() -> None:
    # addFilter ignores a filter that is already there
    logging.getLogger("httpx2").addFilter(_QUERY_FILTER)
