"""Many videos at once: a thread pool that is fed one video per free slot.

The calling thread feeds, `video_processor-N` threads work. No more futures exist than videos in
flight, so ten thousand videos need no more memory than the slots do. Sequential is one slot.
"""

import itertools
import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.outcome import BatchResult, Failed, Succeeded, Totals, VideoResult
from bulk_transcribe.core.plan import BatchPlan
from bulk_transcribe.core.stage import Stage
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import StopBatchError
from bulk_transcribe.process.concurrency import LOOK_EVERY_S, MOST, Pace, Seen, next_pace
from bulk_transcribe.process.gauge import Gauge
from bulk_transcribe.process.guard import Guard
from bulk_transcribe.process.late import LateJobs

_log: Final = logging.getLogger(__name__)

Slots = int | Literal["auto"]


def _no_requests() -> int:
    return 0


def _untold(_slots: int) -> None:
    """Nobody wants to know."""


def _nothing_is_free(_error: StopBatchError) -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class BatchPorts:
    """What the processor needs of others.

    Args:
        process: Takes one video to its end: `OneVideo.process`.
        finish: Notes a video's end, durably; called by the thread that worked on it.
        requests: HTTP requests sent so far, for the result.
        gauge: What the videos in flight wait for; needed for `slots="auto"` to see anything.
        on_slots: Told the number of slots whenever it changes, outside of every lock.
        goes_on_free: Told of an error that ends paying; whether videos may still be had for
            nothing, so that the others are tried, too. It sees to it that nothing more is paid.
        late: Keeps videos whose jobs are late; None: they end as late at once.
    """

    process: Callable[[VideoItem], VideoResult]
    finish: Callable[[VideoResult], None]
    requests: Callable[[], int] = _no_requests
    gauge: Gauge | None = None
    on_slots: Callable[[int], None] = _untold
    goes_on_free: Callable[[StopBatchError], bool] = _nothing_is_free
    late: LateJobs | None = None


class ParallelVideoProcessor:
    """Works a plan with many videos in flight. Its methods may be called by any thread.

    Args:
        ports: The steps of a video, and who is told.
        control: Pause, drain and halt.
        clock: Time.
        slots: Videos at once, 1 to `most`, or "auto".
        most: Upper bound of slots, for "auto" and for `set_concurrency`; at most 512.
        session_id: For the result.

    Raises:
        ValueError: `slots` or `most` is out of bounds.
    """

    def __init__(
        self,
        ports: BatchPorts,
        *,
        control: RunControl,
        clock: Clock,
        slots: Slots = 1,
        most: int = MOST,
        session_id: str = "",
    ) -> None:
        if not 1 <= most <= MOST:
            raise ValueError(f"most must be from 1 to {MOST}, not {most}")
        self._ports = ports
        self._control = control
        self._clock = clock
        self._session_id = session_id
        self._changed = threading.Condition()  # guards the fields below
        self._most = most
        self._is_auto = False
        self._pace = Pace(slots=1)
        self._looked_s = clock.now_s()
        self._is_working = False
        self._in_flight = 0
        self._to_come = 0
        self._returned: deque[VideoItem] = deque()
        self._counts: Counter[Stage] = Counter()
        self._spent_usd = Decimal(0)
        self._guard = self._new_guard()
        self.set_concurrency(slots)

    @property
    def concurrency(self) -> int:
        """Slots now; with "auto", those chosen last."""
        with self._changed:
            return self._pace.slots

    @property
    def is_auto(self) -> bool:
        """Whether the slots are chosen anew as the run goes on."""
        with self._changed:
            return self._is_auto

    @property
    def in_flight(self) -> int:
        """Videos that have a slot now."""
        with self._changed:
            return self._in_flight

    @property
    def to_come(self) -> int:
        """Videos that will get a slot when one is free; none once the run drains."""
        with self._changed:
            return 0 if self._control.is_draining else self._to_come + len(self._returned)

    def set_concurrency(self, slots: Slots) -> None:
        """Change the number of slots, also while a batch runs.

        More slots are filled at once; with fewer, videos in flight end in peace and are not
        followed by others. "auto" goes on from the present number.

        Raises:
            ValueError: not "auto" and not from 1 to the upper bound.
        """
        with self._changed:
            if slots != "auto" and not 1 <= slots <= self._most:
                raise ValueError(f"slots must be from 1 to {self._most} or auto, not {slots}")
            if slots != "auto":
                self._pace = Pace(slots=slots)
            elif not self._is_auto:
                self._pace = Pace(slots=min(max(self._pace.slots, Pace().slots), self._most))
            self._is_auto = slots == "auto"
            self._changed.notify_all()
            now = self._pace.slots
        self._ports.on_slots(now)

    def stop(self, error: StopBatchError) -> None:
        """End the batch because of an error that every further video would meet: `Guard.stop`."""
        with self._changed:
            guard = self._guard
        guard.stop(error)

    def bring_back(self, item: VideoItem, ended_as: Stage | None = None) -> None:
        """Give a video that was worked on before the next free slot, also while paused.

        Args:
            item: The video; what it needs is paid for.
            ended_as: How it was counted as ended, if it was.
        """
        with self._changed:
            if ended_as is not None:
                self._counts[ended_as] -= 1
            self._returned.append(item)
            self._changed.notify_all()

    def process_video_batch(self, plan: BatchPlan) -> BatchResult:
        """Work all videos in the plan's order; returns when every thread is done.

        Videos that were not started when the run was drained or halted count as queued in the
        result; those it cut short as cancelled. An empty plan gives an empty result.

        Raises:
            ValueError: the plan has a video twice.
            RuntimeError: this processor is at work already.
        """
        _refuse_twice(plan.items)
        self._begin()
        started_s = self._clock.now_s()
        forget = self._control.on_change(self._wake)
        try:
            with ThreadPoolExecutor(
                max_workers=self._most,
                thread_name_prefix="video_processor",
                initializer=name_threads(),
            ) as executor:
                self._work(plan.items, executor)
        finally:
            forget()
            with self._changed:
                self._is_working = False
        return self._result(len(plan.items), self._clock.now_s() - started_s)

    def _begin(self) -> None:
        with self._changed:
            if self._is_working:
                raise RuntimeError("this processor is at work already")
            self._is_working = True
            self._in_flight = 0
            self._returned.clear()
            self._counts = Counter()
            self._spent_usd = Decimal(0)
            self._guard = self._new_guard()
            self._looked_s = self._clock.now_s()

    def _result(self, total: int, elapsed_s: float) -> BatchResult:
        with self._changed:
            counts, stopped_by = dict(self._counts), self._guard.stopped_by
            spent_usd = self._spent_usd
        counts[Stage.QUEUED] = total - sum(counts.values())
        return BatchResult(
            session_id=self._session_id,
            totals=Totals.from_counts(counts),
            requests=self._ports.requests(),
            spent_usd=spent_usd,
            elapsed_s=elapsed_s,
            stopped_by=stopped_by,
            was_interrupted=stopped_by is None and self._control.is_draining,
        )

    def _new_guard(self) -> Guard:
        ports = self._ports
        keep = None if ports.late is None else ports.late.keep
        return Guard(ports.process, ports.finish, ports.goes_on_free, self._control, keep=keep)

    # --- the calling thread ---

    def _work(self, items: Sequence[VideoItem], executor: ThreadPoolExecutor) -> None:
        try:
            self._feed(items, executor)
        except BaseException:
            self._control.halt()  # else leaving the executor would wait for every video
            raise

    def _feed(self, items: Sequence[VideoItem], executor: ThreadPoolExecutor) -> None:
        """Give each free slot the next video; returns when the last one has ended."""
        waiting = iter(items)
        with self._changed:
            self._to_come = len(items)
        while True:
            self._retune()
            with self._changed:
                is_draining = self._control.is_draining
                has_more = (self._to_come > 0 or bool(self._returned)) and not is_draining
                is_idle = not has_more and self._in_flight == 0
            if is_idle and (is_draining or not self._is_held_up()):
                break
            with self._changed:
                item = self._take(waiting)
                if item is None:
                    # a time limit, so that a signal is noticed where waits cannot be interrupted
                    self._clock.wait(self._changed, LOOK_EVERY_S)
                    continue
            self._start(item, executor)
        self._leave_late()

    def _take(self, waiting: Iterator[VideoItem]) -> VideoItem | None:
        """The video for the next slot, its slot counted; None where there is none. Holds the lock.

        What came back goes first: it is paid for.
        """
        if self._control.is_draining or self._in_flight >= self._pace.slots:
            return None
        if self._returned:
            item = self._returned.popleft()
            if self._ports.late is not None:
                self._ports.late.taken(item.video_id)
        elif self._to_come and not self._control.is_paused:
            self._to_come -= 1
            item = next(waiting)
        else:
            return None
        self._in_flight += 1
        return item

    def _is_held_up(self) -> bool:
        return self._ports.late is not None and self._ports.late.holds_up_the_end()

    def _leave_late(self) -> None:
        """The run ends: what is late is noted as such, and left for `resume` and `reclaim`."""
        for result in () if self._ports.late is None else self._ports.late.release():
            self._count(self._guard.note(result))

    def _start(self, item: VideoItem, executor: ThreadPoolExecutor) -> None:
        try:
            executor.submit(self._run, item, self._guard)
        except RuntimeError as error:
            # Where the system gives no more threads, the video is in the executor's queue all
            # the same and gets the next thread that is free, if there is any.
            with self._changed:
                threads = self._in_flight - 1
                if threads == 0 or "start new thread" not in str(error):
                    raise
                self._most = threads
                self._pace = Pace(slots=threads)
            self._ports.on_slots(threads)
            _log.warning("no more than %d videos at once: %s", threads, error)

    def _retune(self) -> None:
        """In "auto", look around every few seconds and choose the slots anew."""
        now_s = self._clock.now_s()
        with self._changed:
            is_due = self._is_auto and now_s >= self._looked_s + LOOK_EVERY_S
            if not is_due or self._control.is_paused:
                return
            self._looked_s = now_s
        seen = self._seen(now_s)
        with self._changed:
            if not self._is_auto:
                return
            before = self._pace.slots
            self._pace = next_pace(self._pace, seen, self._most)
            slots = self._pace.slots
        if slots != before:
            _log.debug("slots: %d -> %d, seen: %s", before, slots, seen)
            self._ports.on_slots(slots)

    def _seen(self, now_s: float) -> Seen:
        reading = (self._ports.gauge or Gauge()).read()  # asks the limiter: not under the lock
        with self._changed:
            return Seen(
                at_s=now_s,
                in_flight=self._in_flight,
                held_up=reading.held_up,
                to_come=self._to_come,
                ended=sum(self._counts.values()),
                refused=reading.refused,
                errors=reading.errors,
                free_permits=reading.free_permits,
                limit_per_s=reading.limit_per_s,
                limit=reading.limit,
                paused_until_s=reading.paused_until_s,
                looks_each=reading.looks_each,
            )

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    # --- the threads video_processor-N ---

    def _run(self, item: VideoItem, guard: Guard) -> None:
        """A slot's work: one video, its end noted and counted, whatever happens."""
        result: VideoResult | None = None
        try:
            result = guard.work(item)
        finally:
            with self._changed:
                self._in_flight -= 1
                self._changed.notify_all()
            if result is not None:
                self._count(result)

    def _count(self, result: VideoResult) -> None:
        with self._changed:
            self._counts[result.stage] += 1
            if isinstance(result, Succeeded | Failed):
                self._spent_usd += result.spent_usd


def _refuse_twice(items: Sequence[VideoItem]) -> None:
    times = Counter(item.video_id for item in items)
    twice = [video_id for video_id, number in times.items() if number > 1]
    if twice:
        raise ValueError(f"in the plan more than once: {', '.join(twice[:5])}")


def name_threads() -> Callable[[], None]:
    """Names the threads `video_processor-0`, `-1`, and so on, as each of them begins."""
    numbers = itertools.count()

    def name() -> None:
        threading.current_thread().name = f"video_processor-{next(numbers)}"

    return name
