"""What the videos in flight wait for, counted: the eyes of the automatic concurrency."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from bulk_transcribe.core.ports import Reporter
from bulk_transcribe.core.request import Capacity
from bulk_transcribe.core.stage import Stage, WaitReason
from bulk_transcribe.errors import RateLimitError, RetryableError

#: In these stages a video has not got its job going: if it waits here, more videos would, too.
_BEGINNING: Final = frozenset({Stage.QUEUED, Stage.METADATA, Stage.CAPTIONS, Stage.SUBMITTING})
_HELD_UP: Final = frozenset({WaitReason.LIMIT, WaitReason.DAILY_LIMIT, WaitReason.SOURCE_REST})


@dataclass(frozen=True, kw_only=True)
class Reading:
    """The gauge at one moment.

    Args:
        held_up: Videos that wait for a permit or a resting source before their job runs.
        refused: Answers 429 met so far.
        errors: Other troubles worth a try met so far.
        free_permits: Paid requests that could go at once; None where nothing is limited.
        limit_per_s: Paid requests that the limit sustains, a second; None likewise.
        limit: Paid requests that it lets through in one window; None likewise.
        paused_until_s: Clock reading until which the limiter rests after a 429, or None.
        looks_each: Looks that a paid job takes as things are; None where nobody looks.
    """

    held_up: int = 0
    refused: int = 0
    errors: int = 0
    free_permits: int | None = None
    limit_per_s: float | None = None
    limit: int | None = None
    paused_until_s: float | None = None
    looks_each: float | None = None


class Gauge:
    """Counts waits and troubles. May be shared by all threads.

    Args:
        capacity: What the limit of the paid service allows now; None where there is none.
        looks_each: Looks that a paid job takes as things are; None where nobody looks.
    """

    def __init__(
        self,
        capacity: Callable[[], Capacity] | None = None,
        looks_each: Callable[[], float] | None = None,
    ) -> None:
        self._capacity = capacity
        self._looks_each = looks_each
        self._lock = threading.Lock()  # guards the three fields below
        self._held_up: set[str] = set()
        self._refused = 0
        self._errors = 0

    def watch(self, video_id: str, reporter: Reporter) -> Reporter:
        """A reporter that also tells the gauge. Call `forget` when the video has ended."""
        return _Watched(self, video_id, reporter)

    def forget(self, video_id: str) -> None:
        """The video has ended."""
        self._note(video_id, is_held_up=False)

    def trouble(self, error: RetryableError) -> None:
        """An error worth a try; fits `Backoff`'s `on_trouble`."""
        with self._lock:
            if isinstance(error, RateLimitError):
                self._refused += 1
            else:
                self._errors += 1

    def read(self) -> Reading:
        """The counts now."""
        capacity = None if self._capacity is None else self._capacity()
        with self._lock:
            counts = Reading(held_up=len(self._held_up), refused=self._refused, errors=self._errors)
        if capacity is None or capacity.limit is None:
            return counts
        return replace(
            counts,
            free_permits=capacity.remaining,
            limit_per_s=capacity.limit / capacity.window_s,
            limit=capacity.limit,
            paused_until_s=capacity.paused_until_s,
            looks_each=None if self._looks_each is None else self._looks_each(),
        )

    def _note(self, video_id: str, *, is_held_up: bool) -> None:
        with self._lock:
            if is_held_up:
                self._held_up.add(video_id)
            else:
                self._held_up.discard(video_id)


class _Watched:
    """Passes everything on, and tells the gauge when its video is held up."""

    def __init__(self, gauge: Gauge, video_id: str, inner: Reporter) -> None:
        self._gauge = gauge
        self._video_id = video_id
        self._inner = inner
        self._stage = Stage.QUEUED

    def stage(self, stage: Stage, *, source: str | None = None) -> None:
        self._stage = stage
        self._gauge._note(self._video_id, is_held_up=False)  # noqa: SLF001 -- the gauge's own part
        self._inner.stage(stage, source=source)

    def progress(self, fraction: float | None) -> None:
        self._inner.progress(fraction)

    def waiting(self, reason: WaitReason | None, until_at: datetime | None = None) -> None:
        is_held_up = reason in _HELD_UP and self._stage in _BEGINNING
        self._gauge._note(self._video_id, is_held_up=is_held_up)  # noqa: SLF001 -- as above
        self._inner.waiting(reason, until_at)
