"""What the page, the command line and callbacks are shown: frozen, safe to keep."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bulk_transcribe.core.outcome import Totals
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.core.stage import VideoState, WaitReason


@dataclass(frozen=True, kw_only=True)
class TimeLeft:
    """When the batch will be through: in eight of ten cases between low and high."""

    low_s: float
    high_s: float
    likely_s: float
    end_low_at: datetime
    end_high_at: datetime
    end_likely_at: datetime


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """All videos at one moment.

    Args:
        taken_at: The moment.
        version: Grows with every change; equal versions show the same states.
        totals: Counts; they add up to the total.
        states: Every video by its id, in the order of work.
        active: The videos in flight, in the order of work.
        videos_per_min: Videos that ended in the last five minutes (or since the start), a
            minute; None before the first end.
        requests: Requests sent since the start.
        requests_60s: Requests of the last 60 s by kind; kinds without any are left out.
        limited_60s: Those among them that count against the paid service's limit.
        spent_usd: What the videos that ended have cost.
        elapsed_s: Seconds since the first video was started, 0 before.
        time_left: Until the last video ends; zeros when nothing is left.
    """

    taken_at: datetime
    version: int
    totals: Totals
    states: Mapping[str, VideoState]
    active: tuple[VideoState, ...]
    videos_per_min: float | None
    requests: int
    requests_60s: Mapping[RequestKind, int]
    limited_60s: int
    spent_usd: Decimal
    elapsed_s: float
    time_left: TimeLeft

    @property
    def fraction(self) -> float:
        """Share of the videos that are finished, 0.0 to 1.0; no videos at all are 1.0."""
        return self.totals.fraction

    @property
    def late(self) -> int:
        """Videos among the active ones that have no slot: their jobs are late."""
        return sum(state.waiting is WaitReason.LATE for state in self.active)


@dataclass(frozen=True, kw_only=True)
class ProgressSummary:
    """The design brief's summary."""

    total: int
    completed: int
    failed: int
    active: int
    progress_pct: float  # of all videos that are finished; 100.0 for no videos at all
    thread_states: Mapping[str, VideoState]  # what each busy worker has in hand
    eta: datetime | None  # likely end; None when nothing is left to do
