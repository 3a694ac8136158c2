"""A paid request: its life in the store and what the service says of it."""

import enum
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bulk_transcribe.core.transcript import ContentKey, Segment


class SubmissionState(enum.StrEnum):
    """The life of a paid request.

    ::

        intended -> sent -> accepted -> claimed          (transcript stored)
                       |        |-----> failed           (the service gave the job up)
                       |        `-----> abandoned        (nobody wants it any more)
                       |-----> refused                   (answered: not accepted, not paid)
                       `-----> in_doubt -> accepted | refused | abandoned
    """

    INTENDED = "intended"  # durable before the POST
    SENT = "sent"  # the POST may be on its way
    ACCEPTED = "accepted"  # the request id is on disk; still to be fetched
    REFUSED = "refused"
    IN_DOUBT = "in_doubt"
    CLAIMED = "claimed"
    FAILED = "failed"
    ABANDONED = "abandoned"


@dataclass(frozen=True, kw_only=True)
class Submission:
    """One paid request as the store knows it."""

    submission_id: int
    key: ContentKey
    session_id: str
    state: SubmissionState
    request_id: str | None = None
    quoted_usd: Decimal | None = None
    charged_usd: Decimal | None = None
    most_usd: Decimal | None = None  # what it can cost at most, as far as was known before
    intended_at: datetime | None = None
    sent_at: datetime | None = None
    accepted_at: datetime | None = None
    ended_at: datetime | None = None
    detail: str = ""
    balance_id: int | None = None  # the newest reading of the balance when it was intended
    balance_before_usd: Decimal | None = None  # and what it said
    nonce: str = ""  # the end of its webhook's address; "" without one


class JobState(enum.Enum):
    """What a status answer means; every unknown word counts as running (apis.md 1.5)."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """One status answer of the paid service.

    At `DONE` either `text` is set or `result_url` is (prefer a non-empty text); an empty text
    without an address is silence, a legitimate result.
    """

    request_id: str
    state: JobState
    status_word: str = ""
    progress: float | None = None  # 0.0 to 1.0
    text: str | None = None
    result_url: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    charged_usd: Decimal | None = None
    language: str | None = None


@dataclass(frozen=True)
class ParsedText:
    """A service's result text as segments (maybe none) and plain words."""

    text: str
    segments: tuple[Segment, ...] = ()
    language: str | None = None
