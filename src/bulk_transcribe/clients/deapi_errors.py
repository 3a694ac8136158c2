"""What deAPI says when it refuses, and what each cause leads to: one reader, two tables.

deAPI has at least four shapes of error body (Laravel's, its documentation's, a proxy's page, a
bare code), so the reader takes whatever is there. The tables name a class of `errors.py` for each
cause; the first row that fits counts.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from bulk_transcribe.clients.http import Reply, error_for_status
from bulk_transcribe.clients.safe_text import one_line, short
from bulk_transcribe.clients.youtube_reasons import find_reason
from bulk_transcribe.core.job import JobStatus
from bulk_transcribe.errors import (
    AuthError,
    BulkTranscribeError,
    CreditSpentError,
    NotYetAvailableError,
    RateLimitError,
    RetryableError,
    SourceBlockedError,
    StopBatchError,
    TranscriptFailedError,
    VideoUnavailableError,
)

#: deAPI takes no further job below this balance (documented beside the balance call).
LEAST_BALANCE_USD: Final = Decimal("0.49")

_TOP_UP = "Top up the account at deapi.ai, then resume: nothing is lost."


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An error body, whatever its shape.

    Args:
        message: What the service says, on one line; "" where it says nothing.
        code: Its stable word ("insufficient_permissions"), "" where it has none.
        fields: Field name -> what is wrong with it.
        is_page: An HTML page: a proxy answered, not the service.
    """

    message: str
    code: str = ""
    fields: Mapping[str, str]
    is_page: bool = False

    @property
    def words(self) -> str:
        """Everything it says, in lower case, to search in."""
        return " ".join([self.message, self.code, *self.fields.values()]).lower()


def read_refusal(reply: Reply) -> Refusal:
    """Read an error body. Never fails: what is not JSON becomes the message."""
    if reply.is_html:
        return Refusal(message="", fields={}, is_page=True)
    try:
        body = json.loads(reply.text)
    except (ValueError, RecursionError):
        return Refusal(message=short(reply.text), fields={})
    if not isinstance(body, dict):
        return Refusal(message=short(str(body)), fields={})
    inner = body.get("error")
    if isinstance(inner, dict):  # the gateway's envelope: {"error": {"message": ...}}
        body = {**body, **inner}
    fields = _fields(body.get("errors"))
    message = next(
        (one_line(v) for v in (body.get("message"), inner) if isinstance(v, str) and v.strip()),
        "; ".join(fields.values()),
    )
    code = next((v for v in (body.get("code"), body.get("error_code")) if isinstance(v, str)), "")
    return Refusal(message=short(message), code=one_line(code), fields=fields)


def _fields(errors: Any) -> dict[str, str]:
    """`{"model": ["…"]}`, `[{"field": "model", "messages": ["…"]}]` or a list of words."""
    if isinstance(errors, dict):
        return {one_line(str(name)): _joined(said) for name, said in errors.items()}
    found: dict[str, str] = {}
    for number, entry in enumerate(errors if isinstance(errors, list) else ()):
        if isinstance(entry, dict):
            name = entry.get("field") or entry.get("name") or str(number)
            found[one_line(str(name))] = _joined(entry.get("messages") or entry.get("message"))
        else:
            found[str(number)] = _joined(entry)
    return found


def _joined(said: Any) -> str:
    return short("; ".join(map(str, said)) if isinstance(said, list) else str(said or ""))


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One row: which refusals it fits, and what they lead to.

    Args:
        code: Our stable word.
        statuses: HTTP codes it can come with; empty for any.
        fits: Further condition.
        family: The class of error.
        says: What happened, in our words.
        next_step: What the user can do.
    """

    code: str
    statuses: frozenset[int]
    fits: Callable[[Refusal], bool]
    family: type[BulkTranscribeError]
    says: str
    next_step: str


def _any(_refusal: Refusal) -> bool:
    return True


def _is_page(refusal: Refusal) -> bool:
    return refusal.is_page


def _about_balance(refusal: Refusal) -> bool:
    named = {"balance", "credit", "credits"} & refusal.fields.keys()
    phrases = ("balance", "insufficient credit", "insufficient funds", "not enough credit")
    return bool(named) or any(phrase in refusal.words for phrase in phrases)


def _says(*phrases: str) -> Callable[[Refusal], bool]:
    return lambda refusal: any(phrase in refusal.words for phrase in phrases)


def _about_model(refusal: Refusal) -> bool:
    return "model" in refusal.fields


def _statuses(*codes: int) -> frozenset[int]:
    return frozenset(codes)


#: Refused requests. Order matters: a missing permission may name the balance it is about, and
#: the balance is named under several status codes.
CAUSES: Final[tuple[Cause, ...]] = (
    Cause(
        code="insufficient_permissions",
        statuses=_statuses(403),
        fits=_says("insufficient_permissions"),
        family=AuthError,
        says="the key may not do this",
        next_step="Make a key of the role ADMIN, or one that may transcribe.",
    ),
    Cause(
        code="no_credit",
        statuses=_statuses(400, 402, 403, 422),
        fits=_about_balance,
        family=CreditSpentError,
        says=f"the account has not enough balance (it takes jobs from ${LEAST_BALANCE_USD} on)",
        next_step=_TOP_UP,
    ),
    Cause(
        code="no_credit",
        statuses=_statuses(402),
        fits=_any,
        family=CreditSpentError,
        says="the account has to be paid first",
        next_step=_TOP_UP,
    ),
    Cause(
        code="bad_key",
        statuses=_statuses(401),
        fits=_any,
        family=AuthError,
        says="the key is wrong, expired or deleted",
        next_step="Check DEAPI_API_KEY: it looks like 123|abc…, without the prefix dpn-sk-.",
    ),
    Cause(
        code="edge_block",
        statuses=_statuses(403, 406),
        fits=_is_page,
        family=SourceBlockedError,
        says="the network in front of deAPI refuses this program or this address",
        next_step="Wait, or try from another network.",
    ),
    Cause(
        code="suspended",
        statuses=_statuses(403),
        fits=_says("suspend", "blocked", "banned", "disabled"),
        family=AuthError,
        says="the account is suspended",
        next_step="Ask deAPI's support.",
    ),
    Cause(
        code="forbidden",
        statuses=_statuses(403),
        fits=_any,
        family=AuthError,
        says="the key may not do this",
        next_step="Check the key's expiry, spend cap and allowed addresses at deapi.ai.",
    ),
    Cause(
        code="unknown_model",
        statuses=_statuses(400, 404, 422),
        fits=_about_model,
        family=StopBatchError,
        says="the model is unknown or cannot do this",
        next_step="Choose another with --model; WhisperLargeV3 is the usual one.",
    ),
    Cause(
        code="unknown_address",
        statuses=_statuses(404, 405),
        fits=_any,
        family=StopBatchError,
        says="there is nothing at this address",
        next_step="Check DEAPI_BASE_URL, the version (v1 or v2) and the model.",
    ),
    Cause(
        code="too_long",
        statuses=_statuses(400, 422),
        fits=_says("too long", "duration", "maximum length"),
        family=VideoUnavailableError,
        says="deAPI does not take a video of this length",
        next_step="Leave it out.",
    ),
    Cause(
        code="too_big",
        statuses=_statuses(413),
        fits=_any,
        family=VideoUnavailableError,
        says="the request is too big",
        next_step="Leave it out.",
    ),
    Cause(
        code="refused_video",
        statuses=_statuses(400, 409, 410, 415, 422),
        fits=_any,
        family=VideoUnavailableError,
        says="deAPI does not take this video",
        next_step="Check that it plays without signing in.",
    ),
)


def explain_refusal(reply: Reply, *, video_id: str) -> BulkTranscribeError:
    """The error for an answer of deAPI that is not 2xx.

    `RetryableError.refused` is set where deAPI certainly did not act; after a 5xx or a 408 it is
    not, since the request may have been accepted behind a failing proxy.
    """
    refusal = read_refusal(reply)
    if reply.status == 429:  # noqa: PLR2004
        return _too_many(reply, refusal)
    for cause in CAUSES:
        if reply.status in cause.statuses and cause.fits(refusal):
            return _refused(cause, reply, refusal, video_id)
    return error_for_status(reply, video_id=video_id)


def _refused(cause: Cause, reply: Reply, refusal: Refusal, video_id: str) -> BulkTranscribeError:
    tail = f': "{refusal.message}"' if refusal.message else ""
    message = f"deAPI refused ({reply.status}): {cause.says}{tail}."
    if cause.family is SourceBlockedError:
        return SourceBlockedError(
            message,
            source="deapi",
            retry_after_s=reply.retry_after_s,
            next_step=cause.next_step,
            code=cause.code,
        )
    if issubclass(cause.family, VideoUnavailableError):
        return _refused_video(cause, message, refusal, video_id)
    return cause.family(message, next_step=cause.next_step, code=cause.code)


def _refused_video(
    cause: Cause, message: str, refusal: Refusal, video_id: str
) -> BulkTranscribeError:
    """Name the video's own trouble where the refusal quotes YouTube."""
    reason = find_reason(refusal.words)
    if reason is None or not issubclass(
        reason.family, VideoUnavailableError | NotYetAvailableError
    ):
        return VideoUnavailableError(
            message, video_id=video_id, next_step=cause.next_step, code=cause.code
        )
    return reason.family(
        message,
        video_id=video_id,
        next_step=reason.next_step,
        code=reason.code,
        can_retry=reason.can_retry,
    )


def _too_many(reply: Reply, refusal: Refusal) -> RateLimitError:
    is_daily = reply.headers.get("x-ratelimit-type", "").strip().lower() == "daily"
    return RateLimitError(
        f"deAPI's {'daily ' if is_daily else ''}request limit is used up (429)"
        + (f': "{refusal.message}".' if refusal.message else "."),
        retry_after_s=reply.retry_after_s,
        next_step=(
            "A paid account has no daily limit; else the run waits for the next day."
            if is_daily
            else "The run waits and goes on by itself."
        ),
        code="daily_limit" if is_daily else "rate_limited",
        refused=True,
    )


def job_not_found(request_id: str) -> RetryableError:
    """A poll answered 404: normal for a moment after the submit, wrong later on.

    How often that may happen before it counts is for the caller to decide.
    """
    return RetryableError(
        f"deAPI does not know the job {request_id} (404).",
        next_step="Right after the submit that passes; later, check that the key is the one it was "
        "paid with.",
        code="job_not_found",
        refused=True,
    )


def expired_result(status: int) -> RetryableError:
    """The result's address is no longer good: a new look at the job gives another."""
    return RetryableError(
        f"The address of the result has expired ({status}).",
        next_step="The run asks for a new one.",
        code="expired_url",
        refused=True,
    )


@dataclass(frozen=True, kw_only=True)
class JobCause:
    """Why a job failed: our word, and whether a new (paid) job may succeed."""

    code: str
    can_retry: bool
    says: str
    next_step: str


#: `error_code` of a failed job. Whether failed jobs are billed is not documented, so a new one
#: is only made when the user retries.
JOB_CAUSES: Final[Mapping[str, JobCause]] = {
    "WORKER_TIMEOUT": JobCause(
        code="worker_timeout",
        can_retry=True,
        says="it took too long on deAPI's side",
        next_step="Retry it.",
    ),
    "PROCESSING_ERROR": JobCause(
        code="processing_error",
        can_retry=True,
        says="something went wrong on deAPI's side",
        next_step="Retry it.",
    ),
    "AGE_RESTRICTED": JobCause(
        code="age_restricted",
        can_retry=False,
        says="the video is age-restricted",
        next_step="Leave it out.",
    ),
    "CONTEXT_LENGTH_EXCEEDED": JobCause(
        code="too_long",
        can_retry=False,
        says="the video is too long",
        next_step="Leave it out.",
    ),
    "INVALID_INPUT": JobCause(
        code="invalid_input",
        can_retry=False,
        says="deAPI cannot use the video",
        next_step="Check that it plays without signing in.",
    ),
    "UNKNOWN_ERROR": JobCause(
        code="unknown_error",
        can_retry=True,
        says="deAPI does not say why",
        next_step="Retry it once; if it fails again, leave it out.",
    ),
}


def job_failure(status: JobStatus, *, video_id: str) -> TranscriptFailedError:
    """The error for a job that the service gave up."""
    cause = _job_cause(status)
    said = f' ("{short(status.error_message)}")' if status.error_message else ""
    return TranscriptFailedError(
        f"{video_id}: deAPI gave up job {status.request_id}: {cause.says}{said}.",
        video_id=video_id,
        request_id=status.request_id,
        next_step=cause.next_step,
        code=cause.code,
        can_retry=cause.can_retry,
    )


def _job_cause(status: JobStatus) -> JobCause:
    """By code; else by a code inside the message; else by YouTube's words; else unknown."""
    given = (status.error_code or "").strip().upper().replace(" ", "_").replace("-", "_")
    message = status.error_message or ""
    known = JOB_CAUSES.get(given)
    if known is None or given == "UNKNOWN_ERROR":
        known = next((c for word, c in JOB_CAUSES.items() if word in message.upper()), known)
    if known is not None and known.code != "unknown_error":
        return known
    reason = find_reason(message)
    if reason is not None and issubclass(
        reason.family, VideoUnavailableError | NotYetAvailableError
    ):
        return JobCause(
            code=reason.code,
            can_retry=reason.can_retry,
            says=reason.says,
            next_step=reason.next_step,
        )
    return known or JOB_CAUSES["UNKNOWN_ERROR"]
