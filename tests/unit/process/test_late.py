"""Late jobs: looked at ever more rarely, with spare permits only, by one thread, for a while."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.job import JobState, JobStatus
from bulk_transcribe.core.outcome import BatchResult, Failed, InDoubt, Succeeded, VideoResult
from bulk_transcribe.core.request import Capacity, Ticket
from bulk_transcribe.core.stage import WaitReason
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import AuthError, GaveUpError, InDoubtError, NetworkError
from bulk_transcribe.process.late import (
    DOUBT_WAIT_S,
    LATE_CODE,
    LATE_WAIT_S,
    LateJobs,
    LatePorts,
    is_to_spare,
    wait_s,
)
from bulk_transcribe.process.processor import BatchPorts, ParallelVideoProcessor
from bulk_transcribe.testing import FakeClock
from bulk_transcribe.testing.fakes import FakeReporter, ResultBook, make_items, make_plan

FREE = Capacity(limit=300, window_s=60.0, used=0, remaining=300)


def late(item: VideoItem) -> Failed:
    error = GaveUpError("late", video_id=item.video_id, code=LATE_CODE)
    return Failed(video_id=item.video_id, error=error, can_retry=True)


def status(state: JobState) -> JobStatus:
    return JobStatus(request_id="r", state=state)


@dataclass
class Scene:
    """A batch whose jobs are late until the service says otherwise."""

    ends_at_s: dict[str, float] = field(default_factory=dict)  # by the clock; others never
    polls: Capacity = FREE
    slots: int = 2
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.clock = FakeClock(0.0)
        self.control = RunControl(self.clock)
        self.book = ResultBook()
        self.looks: list[tuple[float, str]] = []
        self.tickets: list[Ticket] = []
        self.threads: set[str] = set()
        self.reporter = FakeReporter()
        self.begun: list[str] = []
        self.jobs = LateJobs(
            LatePorts(
                look=self.look, polls=lambda: self.polls, reporter=lambda _item: self.reporter
            ),
            clock=self.clock,
            control=self.control,
        )
        self.processor = ParallelVideoProcessor(
            BatchPorts(process=self.process, finish=self.book.finish, late=self.jobs),
            control=self.control,
            clock=self.clock,
            slots=self.slots,
        )
        self.jobs.line = self.processor

    def is_over(self, video_id: str) -> bool:
        return self.clock.now_s() >= self.ends_at_s.get(video_id, float("inf"))

    def look(self, video_id: str, ticket: Ticket) -> JobStatus:
        self.looks.append((self.clock.now_s(), video_id))
        self.tickets.append(ticket)
        self.threads.add(threading.current_thread().name)
        if self.error is not None:
            raise self.error
        return status(JobState.DONE if self.is_over(video_id) else JobState.RUNNING)

    def process(self, item: VideoItem) -> VideoResult:
        self.begun.append(item.video_id)
        if self.is_over(item.video_id):
            return Succeeded(video_id=item.video_id, source="deapi")
        return late(item)

    def run(self, number: int) -> BatchResult:
        with self.clock.running(), no_thread_stays(), self.jobs:
            return self.processor.process_video_batch(make_plan(make_items(number)))


@contextmanager
def no_thread_stays() -> Iterator[None]:
    yield
    assert not [t.name for t in threading.enumerate() if t.name.startswith(("late", "video"))]


def test_looks_come_ever_more_rarely_and_at_least_every_half_hour() -> None:
    assert [wait_s(n) for n in range(7)] == [60, 120, 240, 480, 960, 1800, 1800]
    assert wait_s(10**6) == 1800


@pytest.mark.parametrize(
    ("change", "spare"),
    [
        ({}, True),
        ({"limit": None, "remaining": 0}, True),
        ({"remaining": 31}, True),
        ({"remaining": 30}, False),
        ({"waiting": 1}, False),
        ({"paused_until_s": 5.0}, False),
        ({"daily_limit": 200, "daily_remaining": 101}, True),
        ({"daily_limit": 200, "daily_remaining": 100}, False),
    ],
)
def test_what_is_to_spare(change: dict[str, Any], *, spare: bool) -> None:
    fields = {"limit": 300, "window_s": 60.0, "used": 0, "remaining": 300} | change
    assert is_to_spare(Capacity(**fields)) is spare


def test_a_late_job_leaves_its_slot_and_is_fetched_when_it_has_ended() -> None:
    scene = Scene({"v0000000000": 400.0}, slots=1)
    scene.ends_at_s["v0000000001"] = 0.0

    result = scene.run(2)

    assert (result.totals.done, result.totals.total) == (2, 2)
    assert [at_s for at_s, _ in scene.looks] == [60.0, 180.0, 420.0]
    assert scene.begun == ["v0000000000", "v0000000001", "v0000000000"]
    assert scene.threads == {"late_jobs"}
    assert WaitReason.LATE in scene.reporter.waits


def test_one_thread_looks_at_all_and_the_batch_waits_no_longer_than_it_says() -> None:
    scene = Scene()
    result = scene.run(5)

    assert (result.totals.failed, result.totals.total) == (5, 5)
    assert {video_id for _, video_id in scene.looks} == {f"v{n:010}" for n in range(5)}
    assert len(scene.looks) == 5 * 3
    assert LATE_WAIT_S <= result.elapsed_s < LATE_WAIT_S + 60
    assert scene.threads == {"late_jobs"}


def test_without_a_spare_permit_nobody_looks() -> None:
    scene = Scene(polls=Capacity(limit=50, window_s=60, used=48, remaining=2, waiting=3))
    assert scene.run(2).totals.failed == 2
    assert scene.looks == []


def test_a_look_hardly_waits_for_its_permit() -> None:
    scene = Scene()
    scene.run(1)
    assert [t.deadline_s for t in scene.tickets] == [at_s + 5 for at_s, _ in scene.looks]


def test_a_drained_run_leaves_its_late_jobs_at_once() -> None:
    class Drained(Scene):
        def look(self, video_id: str, ticket: Ticket) -> JobStatus:
            self.control.drain()
            return super().look(video_id, ticket)

    scene = Drained()
    result = scene.run(3)
    assert result.totals.failed == 3
    assert result.elapsed_s < LATE_WAIT_S / 2


def test_a_service_that_does_not_answer_is_asked_again_later() -> None:
    scene = Scene({"v0000000000": 100.0}, error=NetworkError("gone"))
    scene.run(1)
    assert [at_s for at_s, _ in scene.looks] == [60.0, 180.0, 420.0]
    assert isinstance(scene.book.results["v0000000000"], Failed)


def test_a_refused_key_stops_the_batch() -> None:
    scene = Scene(error=AuthError("refused"))
    result = scene.run(2)
    assert isinstance(result.stopped_by, AuthError)
    assert len(scene.book.results) == 2
    assert len(scene.looks) == 1


def test_who_is_told_of_a_late_job_looks_at_once() -> None:
    scene = Scene({"v0000000000": 0.5})
    process = scene.process

    def told(item: VideoItem) -> VideoResult:
        found = process(item)
        if isinstance(found, Failed):
            threading.Thread(target=tell).start()
        return found

    def tell() -> None:
        while scene.jobs.number == 0:
            pass
        scene.clock.advance(1.0)
        scene.jobs.told("v0000000000")

    scene.processor = ParallelVideoProcessor(
        BatchPorts(process=told, finish=scene.book.finish, late=scene.jobs),
        control=scene.control,
        clock=scene.clock,
    )
    scene.jobs.line = scene.processor
    assert scene.run(1).totals.done == 1
    assert scene.looks[0][0] < 60


def test_a_doubt_of_which_a_webhook_tells_comes_back_into_the_line() -> None:
    scene = Scene()
    item = make_items(1)[0]
    results: list[VideoResult] = []

    def process(item: VideoItem) -> VideoResult:
        if not results:
            error = InDoubtError("lost", video_id=item.video_id)
            return InDoubt(video_id=item.video_id, error=error)
        return Succeeded(video_id=item.video_id, source="deapi")

    def finish(result: VideoResult) -> None:
        results.append(result)
        if isinstance(result, InDoubt):
            scene.jobs.doubt(result.video_id)
            threading.Thread(target=lambda: scene.jobs.adopted(item)).start()

    processor = ParallelVideoProcessor(
        BatchPorts(process=process, finish=finish, late=scene.jobs),
        control=scene.control,
        clock=scene.clock,
    )
    scene.jobs.line = processor
    with scene.clock.running(), scene.jobs:
        totals = processor.process_video_batch(make_plan((item,))).totals
    assert [type(each) for each in results] == [InDoubt, Succeeded]
    assert (totals.done, totals.in_doubt, totals.total) == (1, 0, 1)


def test_a_doubt_of_which_nobody_tells_holds_the_end_up_for_three_minutes() -> None:
    scene = Scene()
    scene.jobs.doubt("a")
    result = scene.run(0)
    assert DOUBT_WAIT_S <= result.elapsed_s < DOUBT_WAIT_S + 30


@given(
    ends_s=st.lists(st.none() | st.floats(0, 2_000), max_size=6),
    slots=st.integers(1, 3),
)
@settings(max_examples=12, deadline=None)
def test_whatever_happens_each_video_ends_once_and_the_counts_add_up(
    ends_s: list[float | None], slots: int
) -> None:
    scene = Scene(slots=slots)
    for item, end_s in zip(make_items(len(ends_s)), ends_s, strict=True):
        if end_s is not None:
            scene.ends_at_s[item.video_id] = end_s

    totals = scene.run(len(ends_s)).totals

    assert len(scene.book.results) == len(ends_s)
    assert totals.done + totals.failed == totals.total == len(ends_s)
    assert totals.queued == totals.active == 0
