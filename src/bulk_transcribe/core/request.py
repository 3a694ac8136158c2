"""An HTTP request as the limiter, the monitor and the receipts see it."""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.stage import WaitReason


class RequestKind(enum.StrEnum):
    """What a request is for. The first four count against deAPI's limits (apis.md 1.10)."""

    SUBMIT = "submit"
    POLL = "poll"
    PRICE = "price"
    ACCOUNT = "account"  # balance, models: free of limits
    DOWNLOAD = "download"  # result file from object storage: another host, no limit
    CAPTIONS = "captions"  # youtube.com, as the caption library calls it
    DATA_API = "data_api"  # googleapis.com, quota by the day
    YT_DLP = "yt_dlp"  # one per call of the library; it makes several requests inside


#: Called with why a request waits and until when (None: not known); with (None, None) when it goes.
OnWait = Callable[[WaitReason | None, datetime | None], None]


def _ignore(_reason: WaitReason | None, _until_at: datetime | None) -> None:
    """Nobody is told."""


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """On whose behalf a request goes out, and how much it matters.

    Args:
        video_id: The video, or None for the batch as a whole.
        urgency: Which of several waiting requests of one kind goes first; higher is sooner.
        deadline_s: Clock reading (`Clock.now_s`) after which the permit is of no use; None waits.
        on_wait: Told why the request waits, outside of every lock.
        control: Its halt ends the wait, as that of the limiter's own control does.
    """

    video_id: str | None = None
    urgency: float = 0.0
    deadline_s: float | None = None
    on_wait: OnWait = _ignore
    control: RunControl | None = None


@dataclass(frozen=True, kw_only=True)
class RequestRecord:
    """One HTTP request that went out, for receipts and counts. Holds no header and no body."""

    kind: RequestKind
    video_id: str | None
    sent_at: datetime
    waited_s: float  # for the permit
    took_s: float  # from sending to the end of the answer
    status: int | None  # None: no answer
    error: str | None = None  # class name of what went wrong


@dataclass(frozen=True, kw_only=True)
class Capacity:
    """What the limit allows for one kind of request right now.

    Args:
        limit: Requests per window, None where nothing is limited.
        window_s: Length of the window, seconds.
        used: Permits that count against the window now, those in flight included.
        remaining: Permits that could go at once.
        waiting: Callers of this process that wait for a permit of this pool.
        paused_until_s: Clock reading until which the pool rests after a 429, or None.
        daily_limit: Requests a day, None where there is no daily limit or none is known.
        daily_remaining: What is left of it, where known.
        daily_reset_s: Clock reading at which the daily limit opens again, where known.
        is_telling: Whether answers of this kind would tell which limits it shares with others.
    """

    limit: int | None
    window_s: float
    used: int
    remaining: int
    waiting: int = 0
    paused_until_s: float | None = None
    daily_limit: int | None = None
    daily_remaining: int | None = None
    daily_reset_s: float | None = None
    is_telling: bool = False
