"""Every error that the product raises on purpose, sorted by what the caller does next.

::

    BulkTranscribeError
    ├── ConfigError, InputError           nothing started: says which setting or line
    ├── StoppedError                      somebody asked the run to stop: leave, keep everything
    ├── NextSourceError                   this source has nothing for the video: try the next one
    │   └── NoCaptionsError
    ├── APIError (VideoError)             this video stops here, the batch goes on
    │   ├── VideoUnavailableError         for good: private, deleted, too long, age-restricted
    │   ├── NotYetAvailableError          live or upcoming: skipped now, can be retried later
    │   ├── TranscriptFailedError         the service gave it up; carries the job id
    │   ├── CostUnknownError              with a cost limit, a video without a price is not sent
    │   ├── InDoubtError                  a paid request whose answer was lost: never resent
    │   │   └── UnderWayError             another run has it in hand: wait for it
    │   └── GaveUpError                   retries ran out; its cause is the last RetryableError
    ├── RetryableError(retry_after_s)     wait, then the same request again
    │   ├── RateLimitError                429: the whole pool pauses, not just this thread
    │   ├── NetworkError                  no answer, or none that can be read
    │   ├── ServerBusyError               5xx
    │   └── DeadlineError                 the permit would come too late
    ├── SourceBlockedError(source)        the source refuses everyone: rest it for everyone (law 6)
    └── StopBatchError (SystemError)      every further video would fail too: stop, keep the rest
        ├── AuthError                     key missing, wrong, expired, or not allowed
        ├── CreditSpentError              no balance left
        ├── CostLimitError                the user's cost limit is reached
        ├── StoreError                    the database cannot be used
        └── OutputError                   the output folder cannot be written (disk full, read-only)

`ACTIONS` says what each family leads to; `action_for` reads it. The causes that services report
are tables beside the clients that meet them, and name one of these classes.
"""

import enum


class Action(enum.Enum):
    """What the pipeline does about an error."""

    REFUSE = "refuse"  # nothing starts
    LEAVE = "leave"  # a stop was asked for
    NEXT_SOURCE = "next source"
    GIVE_UP = "give this video up"
    SKIP = "skip this video for now"
    HOLD = "hold as in doubt"
    WAIT = "wait and go on"  # for everyone, as long as the service says
    RETRY = "retry with backoff"
    REST_SOURCE = "rest this source"
    STOP_BATCH = "stop the batch"


class BulkTranscribeError(Exception):
    """Root of all errors raised on purpose.

    Args:
        message: What failed, with which value, and the likely cause.
        next_step: What the user can do about it; shown beside the message.
        code: Short stable word for scripts and the store, such as "private_video".
    """

    default_code = "error"

    def __init__(self, message: str, *, next_step: str = "", code: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.code = code or self.default_code

    def __str__(self) -> str:
        return f"{self.message} {self.next_step}".strip()


class ConfigError(BulkTranscribeError):
    """A setting cannot be used; nothing was started."""

    default_code = "bad_setting"


class InputError(BulkTranscribeError):
    """The input cannot be read; nothing was started."""

    default_code = "bad_input"


class StoppedError(BulkTranscribeError):
    """The run was asked to stop while this call waited."""

    default_code = "stopped"


class NextSourceError(BulkTranscribeError):
    """This source has nothing for the video, another one may."""

    default_code = "nothing_here"


class NoCaptionsError(NextSourceError):
    """The video has no caption track that fits the wanted languages."""

    default_code = "no_captions"


class APIError(BulkTranscribeError):
    """This video stops; the batch goes on.

    Args:
        message: What failed.
        video_id: The video.
        next_step: What the user can do.
        code: Stable word for the cause.
        can_retry: Whether `retry` may succeed later without any change by the user.
    """

    default_code = "video_failed"

    def __init__(
        self,
        message: str,
        *,
        video_id: str,
        next_step: str = "",
        code: str = "",
        can_retry: bool = False,
    ) -> None:
        super().__init__(message, next_step=next_step, code=code)
        self.video_id = video_id
        self.can_retry = can_retry


VideoError = APIError


class VideoUnavailableError(APIError):
    """The video cannot be had: private, deleted, age-restricted, too long."""

    default_code = "unavailable"


class NotYetAvailableError(APIError):
    """The video is live or upcoming; it is skipped and can be retried later."""

    default_code = "not_yet"


class TranscriptFailedError(APIError):
    """The service took the job and gave it up."""

    default_code = "job_failed"

    def __init__(
        self,
        message: str,
        *,
        video_id: str,
        request_id: str,
        next_step: str = "",
        code: str = "",
        can_retry: bool = False,
    ) -> None:
        super().__init__(
            message, video_id=video_id, next_step=next_step, code=code, can_retry=can_retry
        )
        self.request_id = request_id


class InDoubtError(APIError):
    """A paid request went out and its answer was lost: it may or may not have been accepted."""

    default_code = "in_doubt"


class CostUnknownError(APIError):
    """There is a cost limit, and nobody can tell what this video costs: it is not sent."""

    default_code = "cost_unknown"


class UnderWayError(InDoubtError):
    """Another run has paid, or is about to pay, for the same content: wait for its transcript."""

    default_code = "under_way"


class GaveUpError(APIError):
    """Retries ran out; `__cause__` is the last error."""

    default_code = "gave_up"


class RetryableError(BulkTranscribeError):
    """The same request may succeed later.

    Args:
        message: What failed.
        retry_after_s: Seconds the service asked us to wait, or None if it did not say.
        next_step: What the user can do if it goes on.
        code: Stable word for the cause.
        never_sent: True where the request certainly did not reach the service.
        refused: True where the service certainly did not act on the request (429 or 4xx).
    """

    default_code = "retryable"

    def __init__(
        self,
        message: str,
        *,
        retry_after_s: float | None = None,
        next_step: str = "",
        code: str = "",
        never_sent: bool = False,
        refused: bool = False,
    ) -> None:
        super().__init__(message, next_step=next_step, code=code)
        self.retry_after_s = retry_after_s
        self.never_sent = never_sent
        self.refused = refused


class RateLimitError(RetryableError):
    """The service answered 429: its pool is empty for everyone on this account."""

    default_code = "rate_limited"


class NetworkError(RetryableError):
    """No answer arrived, or none that can be read."""

    default_code = "network"


class ServerBusyError(RetryableError):
    """The service answered 5xx."""

    default_code = "server_busy"


class DeadlineError(RetryableError):
    """The next permit would come after the caller's deadline."""

    default_code = "deadline"


class SourceBlockedError(BulkTranscribeError):
    """A source refuses everyone from here (IP block, captcha): rest it for all videos."""

    default_code = "blocked"

    def __init__(
        self,
        message: str,
        *,
        source: str,
        retry_after_s: float | None = None,
        next_step: str = "",
        code: str = "",
    ) -> None:
        super().__init__(message, next_step=next_step, code=code)
        self.source = source
        self.retry_after_s = retry_after_s


class StopBatchError(BulkTranscribeError):
    """Going on would fail every other video as well."""

    default_code = "stopped_batch"


SystemError = StopBatchError  # noqa: A001 -- the design brief's name for this family


class AuthError(StopBatchError):
    """The key is missing, wrong, expired, or lacks a permission."""

    default_code = "bad_key"


class CreditSpentError(StopBatchError):
    """The account has no balance left for a further request."""

    default_code = "no_credit"


class CostLimitError(StopBatchError):
    """The next paid request could pass the limit that the user has set."""

    default_code = "cost_limit"


class StoreError(StopBatchError):
    """The database cannot be opened, read or written."""

    default_code = "store"


class OutputError(StopBatchError):
    """The output folder cannot be written."""

    default_code = "output"


#: What each family leads to. The nearest class in the error's own line of descent counts.
ACTIONS: dict[type[BulkTranscribeError], Action] = {
    ConfigError: Action.REFUSE,
    InputError: Action.REFUSE,
    StoppedError: Action.LEAVE,
    NextSourceError: Action.NEXT_SOURCE,
    APIError: Action.GIVE_UP,
    NotYetAvailableError: Action.SKIP,
    CostUnknownError: Action.SKIP,
    InDoubtError: Action.HOLD,
    UnderWayError: Action.GIVE_UP,
    RetryableError: Action.RETRY,
    RateLimitError: Action.WAIT,
    SourceBlockedError: Action.REST_SOURCE,
    StopBatchError: Action.STOP_BATCH,
}


def action_for(error: BaseException) -> Action | None:
    """The action for an error, or None for one that nobody raised on purpose (a bug)."""
    for family in type(error).__mro__:
        if family in ACTIONS:
            return ACTIONS[family]
    return None
