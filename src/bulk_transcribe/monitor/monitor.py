"""The one place that knows where every video is.

Workers write small facts under one short lock; whoever wants to see them takes a snapshot, which
copies. Nothing is pushed, except to callbacks, which are called with no lock held.
"""

import logging
import math
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, assert_never

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.jobtime import JobTimeModel
from bulk_transcribe.core.outcome import (
    Cancelled,
    Crashed,
    Failed,
    InDoubt,
    Skipped,
    Succeeded,
    Totals,
    VideoResult,
)
from bulk_transcribe.core.stage import Stage, VideoState, WaitReason
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.monitor.eta import Estimate, aged, time_left
from bulk_transcribe.monitor.forecast import Outlook, backlog_of
from bulk_transcribe.monitor.pace import Pace, PaidEnd
from bulk_transcribe.monitor.requests import RequestMeter
from bulk_transcribe.monitor.snapshot import ProgressSummary, Snapshot, TimeLeft

_log = logging.getLogger(__name__)

_ESTIMATE_EVERY_S = 1.0
_FOREVER_S = 3650 * 86_400.0  # keeps dates within the calendar
_PAID_STAGES = frozenset({Stage.SUBMITTING, Stage.TRANSCRIBING})
#: What a video loses that starts anew.
_FRESH: Mapping[str, Any] = MappingProxyType(
    {
        "worker": None,
        "started_at": None,
        "finished_at": None,
        "error": None,
        "error_code": None,
        "next_step": None,
        "can_retry": False,
    }
)

Callback = Callable[[ProgressSummary], object]


class ConcurrentProgressMonitor:
    """States, counts and forecast of one run. May be shared by all threads.

    Args:
        clock: Time.
        model: What paid jobs take; the one that the watcher of jobs teaches.
        slots: Videos at once.
        requests_per_min: Limit of the paid service, None where there is none.
        quick_share: Share of videos expected to end without the paid service (free captions),
            before any did.
    """

    def __init__(
        self,
        clock: Clock,
        model: JobTimeModel | None = None,
        *,
        slots: int = 1,
        requests_per_min: float | None = None,
        quick_share: float = 0.0,
    ) -> None:
        self.request_log = RequestMeter(clock)
        self._clock = clock
        self._model = model or JobTimeModel()
        self._lock = threading.Lock()  # guards everything below but the estimate
        self._states: dict[str, VideoState] = {}
        self._counts = dict.fromkeys(Stage, 0)
        self._active: dict[str, None] = {}
        self._changed: dict[str, None] = {}
        self._version = 0
        self._copy: tuple[int, Mapping[str, VideoState]] = (0, MappingProxyType({}))
        self._spent_usd = Decimal(0)
        self._started_s: float | None = None
        self._pace = Pace(quick_share)
        self._paid: dict[str, _PaidRun] = {}  # videos in flight that need the paid service
        self._slots = max(1, slots)
        self._requests_per_min = requests_per_min
        self._callbacks: list[Callback] = []
        self._estimating = threading.Lock()  # held by the one who works the estimate out
        self._estimate: tuple[float, Estimate] | None = None

    # what the run tells

    def add(self, items: Iterable[VideoItem], states: Iterable[VideoState] = ()) -> None:
        """Take in videos in the order of work; those already known are left as they are.

        Args:
            items: The videos.
            states: What the store knows of some of them from before.
        """
        known = {state.video_id: state for state in states}
        with self._lock:
            for item in items:
                if item.video_id in self._states:
                    continue
                state = known.get(item.video_id) or VideoState(
                    video_id=item.video_id,
                    position=len(self._states),
                    url=item.url,
                    title=item.title,
                    duration_s=item.duration_s,
                )
                self._states[item.video_id] = state
                self._counts[state.stage] += 1
                self._spent_usd += Decimal(state.spent_usd)
                if not (state.stage is Stage.QUEUED or state.stage.is_final):
                    self._active[item.video_id] = None
                self._changed[item.video_id] = None
                self._version += 1

    def record(
        self,
        video_id: str,
        stage: Stage,
        *,
        worker: str | None = None,
        source: str | None = None,
    ) -> None:
        """A video entered a stage. What its end was is told by `finish`.

        News of a video that ended are ignored, but `Stage.QUEUED` starts it anew.

        Raises:
            KeyError: the video was never added.
        """
        with self._lock:
            state = self._known(video_id)
            if state.stage.is_final and stage is not Stage.QUEUED:
                return
            now_at = self._clock.now()
            changes: dict[str, Any] = {}
            if stage is Stage.QUEUED:
                changes |= _FRESH
                self._paid.pop(video_id, None)
            elif state.stage is Stage.QUEUED:
                changes["started_at"] = now_at
                if self._started_s is None:
                    self._started_s = self._clock.now_s()
            if worker is not None:
                changes["worker"] = worker
            if source is not None:
                changes["source"] = source
            if stage in _PAID_STAGES:
                self._note_paid(state, stage, now_at)
            elif stage is Stage.SAVING and video_id in self._paid:
                self._paid[video_id].found_at = now_at
            self._put(state.moved(stage, now_at, **changes))
        self._tell()

    def learn(
        self, video_id: str, *, title: str | None = None, duration_s: float | None = None
    ) -> None:
        """Facts about a video that became known; None leaves what is there."""
        with self._lock:
            state = self._known(video_id)
            title = title if title is not None else state.title
            duration_s = duration_s if duration_s is not None else state.duration_s
            self._put(replace(state, title=title, duration_s=duration_s))

    def progress(self, video_id: str, fraction: float | None) -> None:
        """How far the stage is, 0.0 to 1.0; what lies outside is brought inside."""
        if fraction is not None:
            fraction = min(1.0, max(0.0, fraction)) if math.isfinite(fraction) else None
        with self._lock:
            state = self._known(video_id)
            if state.progress != fraction and not state.stage.is_final:
                self._put(replace(state, progress=fraction))

    def waiting(
        self, video_id: str, reason: WaitReason | None, until_at: datetime | None = None
    ) -> None:
        """Why a video waits, and until when if that is known; None: it goes on."""
        with self._lock:
            state = self._known(video_id)
            is_news = (state.waiting, state.waiting_until_at) != (reason, until_at)
            if is_news and not state.stage.is_final:
                self._put(replace(state, waiting=reason, waiting_until_at=until_at))

    def finish(self, video_id: str, result: VideoResult) -> VideoState:
        """A video ended; its last state. The first end stands: a second one changes nothing."""
        with self._lock:
            state = self._known(video_id)
            if state.stage.is_final:
                return state
            now_at, now_s = self._clock.now(), self._clock.now_s()
            ended = _ended(state, result, now_at)
            self._spent_usd += Decimal(ended.spent_usd) - Decimal(state.spent_usd)
            if not isinstance(result, Cancelled):
                self._note_pace(state, now_at, now_s)
            self._put(ended)
        self._tell()
        return ended

    def reporter(self, video_id: str, worker: str | None = None) -> "VideoReporter":
        """What the steps of one video tell through."""
        return VideoReporter(self, video_id, worker)

    def set_slots(self, slots: int) -> None:
        """The number of videos at once has changed."""
        with self._lock:
            self._slots = max(1, slots)

    def set_limit(self, requests_per_min: float | None) -> None:
        """The paid service's limit is now known to be this."""
        with self._lock:
            self._requests_per_min = requests_per_min

    def update_thread_progress(self, thread_id: int | str, state: VideoState) -> None:
        """The design brief's way to tell: the state of the video that a thread has in hand."""
        with self._lock:
            old = self._known(state.video_id)
            if old.stage.is_final and state.stage is not Stage.QUEUED:
                return
            self._spent_usd += Decimal(state.spent_usd) - Decimal(old.spent_usd)
            self._put(replace(state, worker=str(thread_id), position=old.position))
        self._tell()

    def register_callback(self, callback: Callback) -> Callable[[], None]:
        """Call back with a summary after each change of a stage; returns the way to stop that.

        The callback runs in the thread that made the change, outside of every lock. One that
        raises is logged and stays registered.
        """
        with self._lock:
            self._callbacks.append(callback)

        def forget() -> None:
            with self._lock:
                if callback in self._callbacks:
                    self._callbacks.remove(callback)

        return forget

    # what others see

    @property
    def totals(self) -> Totals:
        """Counts; they always add up to the total."""
        with self._lock:
            return Totals.from_counts(self._counts)

    def state(self, video_id: str) -> VideoState:
        """One video's state.

        Raises:
            KeyError: the video was never added.
        """
        with self._lock:
            return self._known(video_id)

    def snapshot(self) -> Snapshot:
        """All videos now.

        Costs little: states are copied only after a change, and the forecast is made once a
        second, on the time of one caller.
        """
        now_at, now_s = self._clock.now(), self._clock.now_s()
        with self._lock:
            version, states = self._frozen_states()
            totals = Totals.from_counts(self._counts)
            active = sorted(self._active)
            per_min = self._pace.per_min(now_s, self._started_s)
            spent_usd = self._spent_usd
            elapsed_s = 0.0 if self._started_s is None else now_s - self._started_s
        counts = self.request_log.counts()
        return Snapshot(
            taken_at=now_at,
            version=version,
            totals=totals,
            states=states,
            active=tuple(
                sorted((states[video_id] for video_id in active), key=lambda s: s.position)
            ),
            videos_per_min=per_min,
            requests=counts.total,
            requests_60s=counts.recent,
            limited_60s=counts.limited_recent,
            spent_usd=spent_usd,
            elapsed_s=elapsed_s,
            time_left=self.time_left(),
        )

    def time_left(self) -> TimeLeft:
        """When the last video will end, at most a second old; zeros when nothing is left."""
        estimate = self._estimated()
        now_at = self._clock.now()
        low_at, likely_at, high_at = (
            now_at + timedelta(seconds=min(s, _FOREVER_S))
            for s in (estimate.low_s, estimate.likely_s, estimate.high_s)
        )
        return TimeLeft(
            low_s=estimate.low_s,
            high_s=estimate.high_s,
            likely_s=estimate.likely_s,
            end_low_at=low_at,
            end_high_at=high_at,
            end_likely_at=likely_at,
        )

    def get_aggregate_progress(self) -> ProgressSummary:
        """The design brief's summary."""
        with self._lock:
            totals = Totals.from_counts(self._counts)
            in_hand = [self._states[video_id] for video_id in self._active]
        return ProgressSummary(
            total=totals.total,
            completed=totals.done,
            failed=totals.failed,
            active=totals.active,
            progress_pct=100 * totals.fraction,
            thread_states={state.worker or state.video_id: state for state in in_hand},
            eta=self.calculate_eta(),
        )

    def calculate_eta(self) -> datetime | None:
        """When the last video will likely end; None when nothing is left to do."""
        if not self.totals.to_come:
            return None
        return self.time_left().end_likely_at

    def take_changes(self) -> tuple[VideoState, ...]:
        """The states that changed since the last call, as they are now, in order of change."""
        with self._lock:
            changed, self._changed = self._changed, {}
            return tuple(self._states[video_id] for video_id in changed)

    def give_back(self, states: Iterable[VideoState]) -> None:
        """These changes could not be saved: hand them out again next time."""
        with self._lock:
            for state in states:
                self._changed[state.video_id] = None

    # inside

    def _known(self, video_id: str) -> VideoState:
        try:
            return self._states[video_id]
        except KeyError:
            raise KeyError(f"video {video_id!r} was never added to the monitor") from None

    def _put(self, state: VideoState) -> None:
        """Replace a video's state. Holds the lock."""
        video_id = state.video_id
        self._counts[self._states[video_id].stage] -= 1
        self._counts[state.stage] += 1
        self._states[video_id] = state
        if state.stage is Stage.QUEUED or state.stage.is_final:
            self._active.pop(video_id, None)
            self.request_log.forget(video_id)
        else:
            self._active[video_id] = None
        self._changed.pop(video_id, None)
        self._changed[video_id] = None
        self._version += 1

    def _note_paid(self, state: VideoState, stage: Stage, now_at: datetime) -> None:
        """The video needs the paid service, or its job was accepted. Holds the lock."""
        run = self._paid.get(state.video_id)
        if run is None:
            started_at = state.started_at or now_at
            run = self._paid[state.video_id] = _PaidRun((now_at - started_at).total_seconds())
            self._pace.paid += 1
        if stage is Stage.TRANSCRIBING and run.accepted_at is None:
            run.accepted_at = now_at
            self._pace.accepted += 1

    def _note_pace(self, state: VideoState, now_at: datetime, now_s: float) -> None:
        """Learn from a video that ends. Holds the lock."""
        self._pace.ended(now_s)
        if state.started_at is None:
            return
        slot_s = max(0.0, (now_at - state.started_at).total_seconds())
        run = self._paid.pop(state.video_id, None)
        if run is None:
            self._pace.quick_end(slot_s)
        elif run.accepted_at is not None:
            found_at = run.found_at or now_at
            job_s = (found_at - run.accepted_at).total_seconds()
            around_s = run.before_s + (now_at - found_at).total_seconds()
            self._pace.paid_end(PaidEnd(state.duration_s, around_s, job_s))

    def _frozen_states(self) -> tuple[int, Mapping[str, VideoState]]:
        """A copy of all states, made anew only after a change. Holds the lock."""
        if self._copy[0] != self._version:
            self._copy = self._version, MappingProxyType(self._states.copy())
        return self._copy

    def _estimated(self) -> Estimate:
        """The newest estimate. One caller works it out, the others go on with the one before."""
        now_s = self._clock.now_s()
        known = self._estimate
        if known is not None:
            at_s, estimate = known
            is_fresh = 0 <= now_s - at_s < _ESTIMATE_EVERY_S
            if is_fresh or not self._estimating.acquire(blocking=False):
                return aged(estimate, now_s - at_s)
        else:
            self._estimating.acquire()
        try:
            with self._lock:
                _version, states = self._frozen_states()
                outlook = self._outlook()
            estimate = time_left(backlog_of(states, outlook, self._model, self._clock.now()))
            self._estimate = now_s, estimate
            return estimate
        finally:
            self._estimating.release()

    def _outlook(self) -> Outlook:
        """Copies what the forecast needs of the running figures. Holds the lock."""
        counts = self.request_log.counts()
        return Outlook(
            active=tuple(self._active),
            looked_at=self.request_log.looked_at(self._active),
            paid=frozenset(self._paid),
            slots=self._slots,
            requests_per_min=self._requests_per_min,
            limited_recent=counts.limited_recent,
            requests_per_paid=self._pace.requests_per_paid(counts.limited_total),
            paid_ends=self._pace.paid_ends,
            quick_s=self._pace.quick_s,
            quick_share=self._pace.quick_share,
            quick_share_doubt=self._pace.quick_share_doubt,
        )

    def _tell(self) -> None:
        """Call the callbacks, with no lock held."""
        with self._lock:
            callbacks = tuple(self._callbacks)
        if not callbacks:
            return
        summary = self.get_aggregate_progress()
        for callback in callbacks:
            try:
                callback(summary)
            except Exception:  # noqa: BLE001 -- whatever a user's callback does, the batch goes on
                _log.exception("a progress callback failed")


@dataclass(slots=True)
class _PaidRun:
    """The times of a paid video in flight. The monitor locks."""

    before_s: float  # in its slot until the paid service was chosen
    accepted_at: datetime | None = None
    found_at: datetime | None = None  # its job was found done


class VideoReporter:
    """Implements `core.ports.Reporter` for one video and the thread that has it."""

    def __init__(
        self, monitor: ConcurrentProgressMonitor, video_id: str, worker: str | None
    ) -> None:
        self._monitor = monitor
        self._video_id = video_id
        self._worker = worker

    def stage(self, stage: Stage, *, source: str | None = None) -> None:
        self._monitor.record(self._video_id, stage, worker=self._worker, source=source)

    def progress(self, fraction: float | None) -> None:
        self._monitor.progress(self._video_id, fraction)

    def waiting(self, reason: WaitReason | None, until_at: datetime | None = None) -> None:
        self._monitor.waiting(self._video_id, reason, until_at)


def _ended(state: VideoState, result: VideoResult, at: datetime) -> VideoState:
    """The state of a video that ended with this result."""
    changes: dict[str, Any] = {"finished_at": at}
    spent_usd = Decimal(0)
    match result:
        case Succeeded():
            spent_usd = result.spent_usd
            changes |= {"source": result.source, "files": result.files, "progress": 1.0}
        case Failed() | Skipped():
            spent_usd = result.spent_usd if isinstance(result, Failed) else spent_usd
            error = result.error
            changes |= {
                "error": error.message,
                "error_code": error.code,
                "next_step": error.next_step or None,
                "can_retry": result.can_retry,
            }
        case Crashed():
            changes |= {
                # its words may hold anything, a key among it; the log has them without
                "error": f"{type(result.error).__name__} inside the program",
                "error_code": "crashed",
                "can_retry": True,
            }
        case InDoubt():
            error = result.error
            changes |= {
                "error": error.message,
                "error_code": error.code,
                "next_step": error.next_step or None,
            }
        case Cancelled():
            changes |= {"can_retry": True}
        case _:
            assert_never(result)
    changes["spent_usd"] = str(Decimal(state.spent_usd) + spent_usd)
    return state.moved(result.stage, at, **changes)
