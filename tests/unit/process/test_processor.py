"""Many videos at once."""

import logging
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.outcome import (
    BatchResult,
    Cancelled,
    Crashed,
    Failed,
    Succeeded,
    VideoResult,
)
from bulk_transcribe.core.request import Capacity
from bulk_transcribe.core.stage import Stage
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import (
    AuthError,
    CostLimitError,
    CreditSpentError,
    OutputError,
    StopBatchError,
    StoppedError,
    StoreError,
    VideoUnavailableError,
)
from bulk_transcribe.process.gauge import Gauge
from bulk_transcribe.process.processor import BatchPorts, ParallelVideoProcessor, Slots
from bulk_transcribe.testing import FakeClock
from bulk_transcribe.testing.fakes import ResultBook, make_items, make_plan

Process = Callable[[VideoItem], VideoResult]


def _done(item: VideoItem) -> VideoResult:
    return Succeeded(video_id=item.video_id, source="captions", spent_usd=Decimal("0.01"))


class _Scene:
    """A processor, its control and a book of results."""

    def __init__(
        self,
        process: Process = _done,
        *,
        slots: Slots = 8,
        most: int = 64,
        gauge: Gauge | None = None,
        finish: Callable[[VideoResult], None] | None = None,
        goes_on_free: Callable[[StopBatchError], bool] = lambda _error: False,
    ) -> None:
        self.clock = FakeClock()
        self.control = RunControl(self.clock)
        self.book = ResultBook()
        self.slots: list[int] = []
        self.processor = ParallelVideoProcessor(
            BatchPorts(
                process=process,
                finish=finish or self.book.finish,
                requests=lambda: 42,
                gauge=gauge,
                on_slots=self._note_slots,
                goes_on_free=goes_on_free,
            ),
            control=self.control,
            clock=self.clock,
            slots=slots,
            most=most,
            session_id="s1",
        )

    def _note_slots(self, slots: int) -> None:
        self.slots.append(slots)

    def run(self, number: int, *, clock_runs: bool = True) -> BatchResult:
        """Work a batch of so many videos; the clock runs by itself or stands still."""
        with self.clock.running() if clock_runs else nullcontext(), _no_thread_stays():
            return self.processor.process_video_batch(make_plan(make_items(number)))

    def start(self, number: int) -> "_Running":
        return _Running(self, number)


class _Running:
    """A batch in a thread of its own."""

    def __init__(self, scene: _Scene, number: int) -> None:
        self.results: list[BatchResult] = []
        self._thread = threading.Thread(target=lambda: self.results.append(scene.run(number)))
        self._thread.start()

    def result(self) -> BatchResult:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.results[0]


@contextmanager
def _no_thread_stays() -> Iterator[None]:
    yield
    assert not [t.name for t in threading.enumerate() if t.name.startswith("video_processor")]


class _Gate:
    """Lets a test look at videos that are in flight."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_open = False
        self.inside = 0
        self.most = 0
        self.started: list[str] = []

    def process(self, item: VideoItem) -> VideoResult:
        with self._changed:
            self.started.append(item.video_id)
            self.inside += 1
            self.most = max(self.most, self.inside)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_open, 20)
            self.inside -= 1
            self._changed.notify_all()
        return _done(item)

    def wait_for(self, inside: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.inside == inside, 10), self.inside

    def open(self) -> None:
        with self._changed:
            self._is_open = True
            self._changed.notify_all()


def test_no_videos_are_done_at_once() -> None:
    result = _Scene().run(0)
    assert result.totals.total == 0
    assert result.is_complete
    assert not result.was_interrupted


def test_every_video_ends_once_and_the_result_adds_up() -> None:
    scene = _Scene()
    result = scene.run(100)
    assert len(scene.book.results) == 100
    assert result.totals.done == result.totals.total == 100
    assert result.is_complete
    assert result.spent_usd == Decimal("1.00")
    assert result.requests == 42
    assert result.session_id == "s1"


def test_eight_slots_are_eight_threads_with_the_briefs_name() -> None:
    barrier = threading.Barrier(8)
    names = set()

    def process(item: VideoItem) -> VideoResult:
        barrier.wait(10)  # passes only when eight are in flight together
        names.add(threading.current_thread().name)
        return _done(item)

    assert _Scene(process).run(32).is_complete
    assert names == {f"video_processor-{n}" for n in range(8)}


def test_one_slot_works_the_plan_in_order() -> None:
    started = []

    def process(item: VideoItem) -> VideoResult:
        started.append(item.video_id)
        return _done(item)

    _Scene(process, slots=1).run(50)
    assert started == [item.video_id for item in make_items(50)]


def test_videos_start_in_the_plans_order_and_never_more_than_slots() -> None:
    gate = _Gate()
    scene = _Scene(gate.process, slots=3)
    batch = scene.start(9)
    gate.wait_for(3)
    assert scene.processor.in_flight == 3
    assert sorted(gate.started) == [item.video_id for item in make_items(3)]
    gate.open()
    assert batch.result().is_complete
    assert gate.most == 3


def test_a_video_twice_in_a_plan_is_refused() -> None:
    item = make_items(1)[0]
    scene = _Scene()
    with pytest.raises(ValueError, match="more than once: v0000000000"):
        scene.processor.process_video_batch(make_plan([item, item]))
    assert scene.book.results == {}


@pytest.mark.parametrize("slots", [0, -1, 65])
def test_impossible_numbers_of_slots_are_refused(slots: int) -> None:
    with pytest.raises(ValueError, match="slots must be from 1 to 64 or auto"):
        _Scene(slots=slots)
    with pytest.raises(ValueError, match="slots must be"):
        _Scene().processor.set_concurrency(slots)


@pytest.mark.parametrize("most", [0, 513])
def test_impossible_bounds_are_refused(most: int) -> None:
    with pytest.raises(ValueError, match="most must be from 1 to 512"):
        _Scene(most=most)


def test_more_slots_are_filled_while_the_batch_runs() -> None:
    gate = _Gate()
    scene = _Scene(gate.process, slots=2)
    batch = scene.start(20)
    gate.wait_for(2)
    scene.processor.set_concurrency(7)
    gate.wait_for(7)
    assert scene.processor.concurrency == 7
    gate.open()
    assert batch.result().is_complete


def test_fewer_slots_let_videos_in_flight_end_and_start_no_others() -> None:
    all_in, lock, inside = threading.Barrier(8), threading.Lock(), 0
    seen: list[int] = []

    def process(item: VideoItem) -> VideoResult:
        nonlocal inside
        with lock:
            inside += 1
            seen.append(inside)
        if item.video_id < "v0000000008" and all_in.wait(10) == 0:
            scene.processor.set_concurrency(2)
            shrunk.set()
        assert shrunk.wait(10)
        scene.control.sleep_s(10)
        with lock:
            inside -= 1
        return _done(item)

    shrunk = threading.Event()
    scene = _Scene(process, slots=8)
    assert scene.run(30).is_complete
    assert sorted(seen[:8]) == list(range(1, 9))
    assert max(seen[8:]) == 2


def test_a_paused_run_starts_nothing_and_goes_on_when_resumed() -> None:
    gate = _Gate()
    scene = _Scene(gate.process, slots=4)
    batch = scene.start(8)
    gate.wait_for(4)
    scene.control.pause()
    gate.open()
    scene.control.sleep_s(60)  # meanwhile the feeder has looked around a dozen times
    assert len(gate.started) == 4
    assert scene.processor.in_flight == 0
    scene.control.resume()
    result = batch.result()
    assert result.is_complete
    assert not result.was_interrupted


def test_a_drain_finishes_what_is_in_flight_and_starts_no_more() -> None:
    gate = _Gate()
    scene = _Scene(gate.process, slots=4)
    batch = scene.start(100)
    gate.wait_for(4)
    scene.control.drain()
    gate.open()
    result = batch.result()
    assert (result.totals.done, result.totals.queued) == (4, 96)
    assert result.was_interrupted
    assert result.stopped_by is None


def test_a_halt_ends_every_wait_and_cancels_what_is_in_flight() -> None:
    barrier = threading.Barrier(9)

    def process(item: VideoItem) -> VideoResult:
        barrier.wait(10)
        scene.control.sleep_s(1e6)
        return _done(item)

    scene = _Scene(process)
    with _no_thread_stays():
        results: list[BatchResult] = []
        plan = make_plan(make_items(100))
        thread = threading.Thread(
            target=lambda: results.append(scene.processor.process_video_batch(plan))
        )
        thread.start()
        barrier.wait(10)
        scene.control.halt()
        thread.join(10)
    totals = results[0].totals
    assert (totals.cancelled, totals.queued) == (8, 92)
    assert all(isinstance(each, Cancelled) for each in scene.book.results.values())


class _LibraryExit(BaseException):
    """Not an Exception, as some libraries' exits are not."""


@pytest.mark.parametrize("bug", [ZeroDivisionError("oh"), SystemExit(3), _LibraryExit()])
def test_a_bug_crashes_its_video_only_and_its_slot_goes_on(
    bug: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    barrier = threading.Barrier(4)

    def process(item: VideoItem) -> VideoResult:
        number = int(item.video_id[1:])
        if number < 4:
            raise bug  # in each of the four slots
        barrier.wait(10)  # all four are still there
        return _done(item)

    scene = _Scene(process, slots=4)
    with caplog.at_level(logging.ERROR):
        result = scene.run(12)
    assert (result.totals.failed, result.totals.done) == (4, 8)
    crashed = [each for each in scene.book.results.values() if isinstance(each, Crashed)]
    assert [each.error for each in crashed] == [bug] * 4
    tracebacks = [record.exc_info for record in caplog.records if record.exc_info]
    assert len(tracebacks) == 4


def test_a_failed_video_stops_nobody() -> None:
    def process(item: VideoItem) -> VideoResult:
        error = VideoUnavailableError("gone", video_id=item.video_id)
        return Failed(video_id=item.video_id, error=error, spent_usd=Decimal("0.5"))

    result = _Scene(process).run(10)
    assert result.totals.failed == 10
    assert result.spent_usd == 5
    assert not result.is_complete


@pytest.mark.parametrize("error", [AuthError("key"), OutputError("disk"), StoreError("database")])
def test_a_hopeless_batch_ends_at_once_and_keeps_the_rest(error: StopBatchError) -> None:
    barrier = threading.Barrier(4)

    def process(item: VideoItem) -> VideoResult:
        barrier.wait(10)
        if item.video_id == "v0000000002":
            raise error
        scene.control.sleep_s(1e6)
        return _done(item)

    scene = _Scene(process, slots=4)
    result = scene.run(50, clock_runs=False)
    assert result.stopped_by is error
    assert not result.was_interrupted
    assert (result.totals.cancelled, result.totals.queued) == (4, 46)


def test_without_credit_paid_jobs_are_fetched_and_nothing_more_is_submitted() -> None:
    barrier, is_known = threading.Barrier(4), threading.Event()
    error = CreditSpentError("no credit")

    def process(item: VideoItem) -> VideoResult:
        barrier.wait(10)
        if item.video_id == "v0000000000":
            raise error
        if item.video_id == "v0000000001":  # about to submit, a little later
            is_known.wait(10)
            scene.control.wait_while_paused()
        scene.control.sleep_s(120)  # a job that was paid for
        return _done(item)

    scene = _Scene(process, slots=4)
    scene.control.on_change(lambda: is_known.set() if scene.control.is_paused else None)
    result = scene.run(50)
    assert result.stopped_by is error
    totals = result.totals
    assert (totals.done, totals.cancelled, totals.queued) == (2, 2, 46)


def test_at_the_cost_limit_what_fitted_into_it_is_still_sent() -> None:
    """The run starts nothing more, but does not pause: those in flight have their intent booked."""
    barrier, is_known = threading.Barrier(3), threading.Event()
    error = CostLimitError("reached")

    def process(item: VideoItem) -> VideoResult:
        barrier.wait(10)
        if item.video_id == "v0000000000":
            raise error
        is_known.wait(10)
        scene.control.wait_while_paused()  # right before the submit
        return _done(item)

    scene = _Scene(process, slots=3)
    scene.control.on_change(lambda: is_known.set() if scene.control.is_draining else None)
    result = scene.run(30)
    assert result.stopped_by is error
    assert not scene.control.is_paused
    totals = result.totals
    assert (totals.done, totals.cancelled, totals.queued) == (2, 1, 27)


@pytest.mark.parametrize("error", [CreditSpentError("no credit"), CostLimitError("reached")])
def test_where_captions_are_free_the_other_videos_are_tried_with_them(
    error: StopBatchError,
) -> None:
    told: list[StopBatchError] = []

    def process(item: VideoItem) -> VideoResult:
        if item.video_id in {"v0000000001", "v0000000005"}:
            raise error
        return _done(item)

    def goes_on_free(reason: StopBatchError) -> bool:
        told.append(reason)
        return True

    scene = _Scene(process, slots=2, goes_on_free=goes_on_free)
    result = scene.run(20)
    assert result.stopped_by is error
    assert (result.totals.done, result.totals.cancelled, result.totals.queued) == (18, 2, 0)
    assert told == [error, error]
    assert not result.was_interrupted
    assert not scene.control.is_draining


def test_a_wrong_key_ends_the_free_videos_too() -> None:
    def process(_item: VideoItem) -> VideoResult:
        raise AuthError("wrong key")

    scene = _Scene(process, slots=1, goes_on_free=lambda _error: True)
    assert scene.run(9).totals.queued == 8


def test_of_several_reasons_to_stop_the_first_one_counts() -> None:
    first = AuthError("first")

    def process(_item: VideoItem) -> VideoResult:
        scene.processor.stop(first)
        raise StoreError("second")

    scene = _Scene(process, slots=1)
    assert scene.run(3).stopped_by is first


def test_what_could_not_be_noted_is_not_done() -> None:
    def finish(_result: VideoResult) -> None:
        raise StoreError("the database is gone")

    result = _Scene(finish=finish, slots=1).run(5)
    assert isinstance(result.stopped_by, StoreError)
    assert (result.totals.done, result.totals.cancelled, result.totals.queued) == (0, 1, 4)


def test_a_bug_in_noting_is_a_crash_and_the_batch_goes_on() -> None:
    def finish(result: VideoResult) -> None:
        if result.video_id == "v0000000001":
            raise KeyError(result.video_id)

    result = _Scene(finish=finish).run(5)
    assert (result.totals.failed, result.totals.done) == (1, 4)


def test_an_interrupt_in_the_calling_thread_halts_and_leaves_no_thread() -> None:
    """Ctrl-C without a handler raises in the thread that feeds."""

    def process(item: VideoItem) -> VideoResult:
        scene.control.sleep_s(1e6)
        return _done(item)

    class _Interrupted(FakeClock):
        def wait(self, condition: threading.Condition, timeout_s: float | None) -> bool:
            if timeout_s == 5.0:
                raise KeyboardInterrupt
            return super().wait(condition, timeout_s)

    scene = _Scene(process)
    scene.processor._clock = _Interrupted()
    plan = make_plan(make_items(20))
    with _no_thread_stays(), pytest.raises(KeyboardInterrupt):
        scene.processor.process_video_batch(plan)
    assert scene.control.is_halted


def test_a_processor_does_one_batch_at_a_time_and_another_afterwards() -> None:
    gate = _Gate()
    scene = _Scene(gate.process, slots=2)
    batch = scene.start(2)
    gate.wait_for(2)
    with pytest.raises(RuntimeError, match="at work already"):
        scene.processor.process_video_batch(make_plan([]))
    gate.open()
    assert batch.result().totals.done == 2
    scene.book.results.clear()
    assert scene.run(3).totals.done == 3
    assert scene.control._listeners == []


def test_where_the_system_gives_no_more_threads_it_works_with_those_it_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start, started, is_refused = threading.Thread.start, 0, threading.Event()

    def limited(thread: threading.Thread) -> None:
        nonlocal started
        if thread.name.startswith("video_processor"):
            if started == 3:
                is_refused.set()
                raise RuntimeError("can't start new thread")
            started += 1
        start(thread)

    def process(item: VideoItem) -> VideoResult:
        assert is_refused.wait(10)
        return _done(item)

    scene = _Scene(process, slots=8)
    monkeypatch.setattr(threading.Thread, "start", limited)
    assert scene.run(40).is_complete
    assert scene.processor.concurrency == 3
    assert scene.slots == [8, 3]


def test_where_the_system_gives_no_thread_at_all_it_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = threading.Thread.start

    def never(thread: threading.Thread) -> None:
        if thread.name.startswith("video_processor"):
            raise RuntimeError("can't start new thread")
        start(thread)

    scene = _Scene()
    monkeypatch.setattr(threading.Thread, "start", never)
    with pytest.raises(RuntimeError, match="start new thread"):
        scene.run(3)
    assert scene.book.results == {}


def test_auto_grows_while_permits_are_free() -> None:
    capacity = Capacity(limit=300, window_s=60, used=0, remaining=300)
    gate = _Gate()
    scene = _Scene(gate.process, slots="auto", gauge=Gauge(lambda: capacity))
    batch = scene.start(200)
    gate.wait_for(64)  # the upper bound here
    gate.open()
    assert batch.result().is_complete
    assert scene.slots == [4, 8, 16, 32, 64]


def test_auto_begins_where_a_number_was_and_a_number_ends_it() -> None:
    scene = _Scene(slots=20)
    scene.processor.set_concurrency("auto")
    assert scene.processor.concurrency == 20
    scene.processor.set_concurrency(3)
    assert scene.processor.concurrency == 3
    assert _Scene(slots="auto").processor.concurrency == 4
    assert _Scene(slots="auto", most=2).processor.concurrency == 2


def test_ten_thousand_videos_need_no_more_memory_than_a_hundred() -> None:
    def peak_bytes(number: int) -> int:
        scene = _Scene(finish=lambda _result: None)
        plan = make_plan(make_items(number))
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        scene.processor.process_video_batch(plan)
        _, peak = tracemalloc.get_traced_memory()
        return peak - before

    tracemalloc.start()
    try:
        peak_bytes(100)
        few, many = peak_bytes(100), peak_bytes(10_000)
    finally:
        tracemalloc.stop()
    # the check for doubles holds one small dict entry a video for a moment, futures would hold
    # kilobytes each
    assert many - few < 10_000 * 300


@dataclass
class _Chaos:
    """Videos of all kinds, and wishes that come as the n-th video begins."""

    kinds: list[str]
    wishes: list[tuple[int, str]]
    begun: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    control: RunControl = field(init=False)

    def process(self, item: VideoItem) -> VideoResult:
        with self.lock:
            self.begun.append(item.video_id)
            due = [wish for at, wish in self.wishes if at == len(self.begun) - 1]
        for wish in due:
            self._carry_out(wish)
        match self.kinds[int(item.video_id[1:])]:
            case "sleep":
                self.control.sleep_s(30)
            case "failed":
                error = VideoUnavailableError("gone", video_id=item.video_id)
                return Failed(video_id=item.video_id, error=error)
            case "bug":
                raise ZeroDivisionError
            case "exit":
                raise SystemExit
            case _:
                self.control.wait_while_paused()
                self.control.raise_if_halted()
        return _done(item)

    def _carry_out(self, wish: str) -> None:
        match wish:
            case "pause":
                self.control.pause()
                self.control.sleep_s(7)
                self.control.resume()
            case "credit":
                raise CreditSpentError("no credit")
            case "key":
                raise AuthError("wrong key")
            case "drain":
                self.control.drain()
            case _:
                self.control.halt()

    @property
    def was_cut_short(self) -> bool:
        return any(at < len(self.begun) and wish != "pause" for at, wish in self.wishes)


@settings(max_examples=40, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(["ok", "sleep", "failed", "bug", "exit"]), max_size=14),
    slots=st.integers(1, 8),
    wishes=st.lists(
        st.tuples(st.integers(0, 14), st.sampled_from(["drain", "halt", "pause", "credit", "key"])),
        max_size=3,
    ),
)
def test_every_video_gets_exactly_one_end_whatever_is_wished_and_when(
    kinds: list[str], slots: int, wishes: list[tuple[int, str]]
) -> None:
    chaos = _Chaos(kinds, wishes)
    scene = _Scene(chaos.process, slots=slots)
    chaos.control = scene.control
    logging.disable(logging.CRITICAL)  # forty examples of tracebacks
    try:
        result = scene.run(len(kinds))
    finally:
        logging.disable(logging.NOTSET)
    totals, ends = result.totals, scene.book.results
    assert len(chaos.begun) == len(set(chaos.begun))
    assert set(ends) == set(chaos.begun)  # ResultBook refuses a second end
    assert totals.total == len(kinds)
    assert totals.queued + totals.cancelled + totals.finished == totals.total
    assert totals.cancelled + totals.finished == len(ends)
    assert totals.done == sum(each.stage is Stage.DONE for each in ends.values())
    assert chaos.was_cut_short or totals.queued == totals.cancelled == 0
    assert scene.processor.in_flight == 0


def test_a_stop_from_the_steps_themselves_is_a_cancelled_video() -> None:
    def process(_item: VideoItem) -> VideoResult:
        raise StoppedError("the run was stopped")

    assert _Scene(process).run(2).totals.cancelled == 2
