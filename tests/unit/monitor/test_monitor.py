"""Every video is somewhere, the counts add up, and looking costs nothing."""

import threading
import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_transcribe.core.jobtime import JobTimeModel
from bulk_transcribe.core.outcome import (
    Cancelled,
    Crashed,
    Failed,
    InDoubt,
    Skipped,
    Succeeded,
    VideoResult,
)
from bulk_transcribe.core.ports import Reporter, RequestLog
from bulk_transcribe.core.request import RequestKind, RequestRecord
from bulk_transcribe.core.stage import Stage, VideoState, WaitReason
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import APIError, InDoubtError, NotYetAvailableError
from bulk_transcribe.monitor import ConcurrentProgressMonitor, ProgressSummary
from bulk_transcribe.testing import FakeClock


def items(count: int) -> list[VideoItem]:
    return [VideoItem(video_id=f"video{n:06d}", duration_s=60.0 + n) for n in range(count)]


def monitor_of(count: int) -> tuple[ConcurrentProgressMonitor, FakeClock]:
    clock = FakeClock()
    monitor = ConcurrentProgressMonitor(clock)
    monitor.add(items(count))
    return monitor, clock


def done(video_id: str, usd: str = "0") -> Succeeded:
    return Succeeded(video_id=video_id, source="deapi", files=("a.md",), spent_usd=Decimal(usd))


V0, V1, V2 = (item.video_id for item in items(3))


def test_without_videos_everything_is_done() -> None:
    monitor, _clock = monitor_of(0)
    shot = monitor.snapshot()
    assert (shot.fraction, shot.totals.total, shot.time_left.high_s) == (1.0, 0, 0.0)
    assert shot.videos_per_min is None
    summary = monitor.get_aggregate_progress()
    assert (summary.progress_pct, summary.total, summary.eta) == (100.0, 0, None)


def test_a_video_goes_its_way() -> None:
    monitor, clock = monitor_of(2)
    reporter: Reporter = monitor.reporter(V0, "video_processor_0")
    reporter.stage(Stage.METADATA)
    clock.advance(2)
    reporter.stage(Stage.TRANSCRIBING, source="deapi")
    reporter.progress(0.4)
    reporter.waiting(WaitReason.JOB, clock.now())
    shot = monitor.snapshot()
    (active,) = shot.active
    assert active.video_id == V0
    assert (active.stage, active.progress, active.worker) == (
        Stage.TRANSCRIBING,
        0.4,
        "video_processor_0",
    )
    assert (active.waiting, active.source) == (WaitReason.JOB, "deapi")
    assert active.since_at == clock.now()
    reporter.stage(Stage.SAVING)
    assert monitor.state(V0).progress is None
    assert monitor.state(V0).waiting is None
    clock.advance(1)
    monitor.finish(V0, done(V0, "0.0123"))
    shot = monitor.snapshot()
    state = shot.states[V0]
    assert (state.stage, state.files, state.spent_usd) == (Stage.DONE, ("a.md",), "0.0123")
    assert (state.finished_at, state.progress) == (clock.now(), 1.0)
    assert shot.spent_usd == Decimal("0.0123")
    assert (shot.totals.done, shot.totals.queued, shot.fraction) == (1, 1, 0.5)
    assert shot.elapsed_s == 3.0
    assert list(shot.states) == [V0, V1]


@pytest.mark.parametrize(
    ("result", "stage", "code", "can_retry"),
    [
        (
            Failed(
                video_id=V0,
                error=APIError("gone", video_id=V0, next_step="Skip it.", code="private_video"),
                spent_usd=Decimal("0.5"),
            ),
            Stage.FAILED,
            "private_video",
            False,
        ),
        (
            Skipped(video_id=V0, error=NotYetAvailableError("live", video_id=V0)),
            Stage.SKIPPED,
            "not_yet",
            True,
        ),
        (Crashed(video_id=V0, error=ValueError("a bug")), Stage.CRASHED, "crashed", True),
        (
            InDoubt(video_id=V0, error=InDoubtError("lost", video_id=V0)),
            Stage.IN_DOUBT,
            "in_doubt",
            False,
        ),
        (Cancelled(video_id=V0), Stage.CANCELLED, None, True),
    ],
)
def test_every_end_says_what_happened(
    result: VideoResult,
    stage: Stage,
    code: str | None,
    can_retry: bool,  # noqa: FBT001 -- a column of the table above
) -> None:
    monitor, _clock = monitor_of(1)
    monitor.record(V0, Stage.SUBMITTING)
    state = monitor.finish(V0, result)
    assert (state.stage, state.error_code, state.can_retry) == (stage, code, can_retry)
    assert (state.error is None) == (stage is Stage.CANCELLED)
    assert monitor.totals.finished == (stage is not Stage.CANCELLED)
    assert monitor.calculate_eta() is None


def test_the_first_end_stands_until_the_video_is_queued_anew() -> None:
    monitor, _clock = monitor_of(1)
    monitor.record(V0, Stage.SUBMITTING)
    error = APIError("no", video_id=V0, code="job_failed")
    monitor.finish(V0, Failed(video_id=V0, error=error, spent_usd=Decimal("0.1")))
    monitor.finish(V0, done(V0, "7"))
    monitor.record(V0, Stage.SAVING)
    monitor.progress(V0, 0.3)
    monitor.waiting(V0, WaitReason.LIMIT)
    assert monitor.state(V0).stage is Stage.FAILED
    assert monitor.state(V0).waiting is None
    monitor.record(V0, Stage.QUEUED)
    again = monitor.state(V0)
    assert (again.error, again.worker, again.started_at, again.finished_at) == (None,) * 4
    monitor.record(V0, Stage.SUBMITTING)
    monitor.finish(V0, done(V0, "0.2"))
    assert monitor.snapshot().spent_usd == Decimal("0.3"), "both attempts were paid"


def test_states_from_an_earlier_session_are_taken_over() -> None:
    monitor, _clock = monitor_of(0)
    before = VideoState(video_id=V1, stage=Stage.DONE, position=1, spent_usd="0.25")
    monitor.add(items(3), [before])
    monitor.add(items(3))
    assert monitor.totals.total == 3
    assert monitor.totals.done == 1
    assert monitor.snapshot().spent_usd == Decimal("0.25")


def test_an_unknown_video_is_a_mistake_of_the_caller() -> None:
    monitor, _clock = monitor_of(1)
    for call in (
        lambda: monitor.record("nobody", Stage.METADATA),
        lambda: monitor.progress("nobody", 0.1),
        lambda: monitor.state("nobody"),
        lambda: monitor.finish("nobody", done("nobody")),
    ):
        with pytest.raises(KeyError, match="nobody"):
            call()


@pytest.mark.parametrize(
    ("told", "kept"), [(-0.5, 0.0), (1.5, 1.0), (float("nan"), None), (float("inf"), None)]
)
def test_progress_stays_between_zero_and_one(told: float, kept: float | None) -> None:
    monitor, _clock = monitor_of(1)
    monitor.record(V0, Stage.TRANSCRIBING)
    monitor.progress(V0, told)
    assert monitor.state(V0).progress == kept


def test_facts_learned_on_the_way_are_kept_and_none_forgets_nothing() -> None:
    monitor, _clock = monitor_of(1)
    monitor.learn(V0, title="A talk")
    monitor.learn(V0, duration_s=90.0)
    state = monitor.state(V0)
    assert (state.title, state.duration_s) == ("A talk", 90.0)


def test_only_changed_states_go_to_the_journal_and_what_failed_goes_again() -> None:
    monitor, _clock = monitor_of(3)
    assert [state.video_id for state in monitor.take_changes()] == [V0, V1, V2]
    assert monitor.take_changes() == ()
    monitor.record(V1, Stage.METADATA)
    monitor.progress(V1, 0.5)
    taken = monitor.take_changes()
    assert [(state.video_id, state.progress) for state in taken] == [(V1, 0.5)]
    monitor.record(V1, Stage.SAVING)
    monitor.give_back(taken)
    (again,) = monitor.take_changes()
    assert again.stage is Stage.SAVING, "the newest state, not the one given back"


def test_telling_the_same_again_is_no_change() -> None:
    monitor, _clock = monitor_of(1)
    monitor.record(V0, Stage.TRANSCRIBING)
    monitor.progress(V0, 0.5)
    monitor.waiting(V0, WaitReason.JOB)
    monitor.take_changes()
    version = monitor.snapshot().version
    monitor.progress(V0, 0.5)
    monitor.waiting(V0, WaitReason.JOB)
    assert monitor.take_changes() == ()
    assert monitor.snapshot().version == version


def test_a_snapshot_does_not_change_any_more_and_cannot_be_changed() -> None:
    monitor, _clock = monitor_of(1)
    shot = monitor.snapshot()
    monitor.record(V0, Stage.METADATA)
    assert shot.states[V0].stage is Stage.QUEUED
    with pytest.raises(TypeError):
        shot.states[V0] = monitor.state(V0)  # type: ignore[index]  # that is what is tested
    assert monitor.snapshot().states is monitor.snapshot().states, "copied once per change"


def test_callbacks_get_a_summary_outside_of_every_lock(caplog: pytest.LogCaptureFixture) -> None:
    """The design brief's sample called back under the lock that the summary needed: a deadlock."""
    monitor, _clock = monitor_of(2)
    heard: list[ProgressSummary] = []

    def breaks(_summary: ProgressSummary) -> None:
        raise ValueError("a bug in a callback")

    def listens(summary: ProgressSummary) -> None:
        heard.append(summary)
        asker = threading.Thread(target=monitor.snapshot)  # would hang if a lock were held
        asker.start()
        asker.join(5)
        assert not asker.is_alive()

    monitor.register_callback(breaks)
    forget = monitor.register_callback(listens)
    monitor.record(V0, Stage.METADATA, worker="video_processor_0")
    assert heard[-1].active == 1
    assert heard[-1].thread_states["video_processor_0"].video_id == V0
    monitor.finish(V0, done(V0))
    assert (heard[-1].completed, heard[-1].progress_pct) == (1, 50.0)
    assert "callback" in caplog.text
    forget()
    forget()
    monitor.finish(V1, done(V1))
    assert len(heard) == 2


def test_the_briefs_way_to_tell_works() -> None:
    monitor, _clock = monitor_of(2)
    monitor.update_thread_progress(7, VideoState(video_id=V0, stage=Stage.METADATA))
    summary = monitor.get_aggregate_progress()
    assert summary.thread_states["7"].video_id == V0
    assert summary.eta is not None
    assert monitor.calculate_eta() is not None
    monitor.update_thread_progress(7, VideoState(video_id=V0, stage=Stage.DONE))
    monitor.update_thread_progress(7, VideoState(video_id=V0, stage=Stage.SAVING))
    assert monitor.totals.done == 1


def test_throughput_is_that_of_the_last_five_minutes() -> None:
    monitor, clock = monitor_of(30)
    assert monitor.snapshot().videos_per_min is None
    for item in items(10):
        monitor.record(item.video_id, Stage.METADATA)
        clock.advance(6)
        monitor.finish(item.video_id, done(item.video_id))
    assert monitor.snapshot().videos_per_min == pytest.approx(10.0)
    clock.advance(240)
    assert monitor.snapshot().videos_per_min == pytest.approx(2.0)
    clock.advance(400)
    assert monitor.snapshot().videos_per_min == 0.0


def test_a_burst_at_the_start_is_no_pace() -> None:
    monitor, clock = monitor_of(8)
    for item in items(8):
        monitor.record(item.video_id, Stage.METADATA)
        monitor.finish(item.video_id, done(item.video_id))
    clock.advance(2)
    assert monitor.snapshot().videos_per_min == pytest.approx(8.0)


def test_requests_of_the_last_minute_are_counted_by_kind() -> None:
    monitor, clock = monitor_of(1)
    log: RequestLog = monitor.request_log

    def send(kind: RequestKind) -> None:
        log.record(
            RequestRecord(
                kind=kind,
                video_id=V0,
                sent_at=clock.now(),
                waited_s=0.0,
                took_s=0.1,
                status=200,
            )
        )

    send(RequestKind.SUBMIT)
    send(RequestKind.CAPTIONS)
    clock.advance(40)
    send(RequestKind.POLL)
    shot = monitor.snapshot()
    assert shot.requests_60s == {
        RequestKind.SUBMIT: 1,
        RequestKind.CAPTIONS: 1,
        RequestKind.POLL: 1,
    }
    assert (shot.limited_60s, shot.requests) == (2, 3)
    clock.advance(30)
    shot = monitor.snapshot()
    assert shot.requests_60s == {RequestKind.POLL: 1}
    assert (shot.limited_60s, shot.requests) == (1, 3)


def test_time_left_falls_as_time_passes_and_is_zero_at_the_end() -> None:
    monitor, clock = monitor_of(20)
    monitor.record(V0, Stage.TRANSCRIBING)
    first = monitor.time_left()
    assert 0 < first.low_s <= first.likely_s <= first.high_s
    assert first.end_low_at <= first.end_likely_at <= first.end_high_at
    clock.advance(0.5)
    assert monitor.time_left().likely_s == pytest.approx(first.likely_s - 0.5)
    for item in items(20):
        monitor.finish(item.video_id, done(item.video_id))
    clock.advance(2)
    assert monitor.time_left().high_s == 0.0
    assert monitor.calculate_eta() is None


def test_more_slots_mean_less_time_and_the_limit_is_minded() -> None:
    monitor, clock = monitor_of(200)
    alone_s = monitor.time_left().likely_s
    monitor.set_slots(100)
    clock.advance(2)
    many_s = monitor.time_left().likely_s
    assert many_s < alone_s / 20
    monitor.set_limit(30.0)
    clock.advance(2)
    assert monitor.time_left().likely_s > 2.1 * 150 / 30 * 60


def test_a_stuck_job_does_not_make_the_time_left_shrink_to_nothing() -> None:
    monitor, clock = monitor_of(1)
    monitor.record(V0, Stage.TRANSCRIBING)
    for _ in range(50):
        clock.advance(60)
        assert monitor.time_left().likely_s > 1


def test_a_snapshot_of_ten_thousand_videos_is_quick() -> None:
    monitor, clock = monitor_of(10_000)
    for item in items(512):
        monitor.record(item.video_id, Stage.TRANSCRIBING)
    monitor.snapshot()
    slowest_s = 0.0
    for item in items(5):
        monitor.finish(item.video_id, done(item.video_id))
        clock.advance(0.1)
        began_s = time.perf_counter()
        monitor.snapshot()
        slowest_s = max(slowest_s, time.perf_counter() - began_s)
    assert slowest_s < 0.05


ENDS = (
    lambda v: Succeeded(video_id=v, source="captions"),
    lambda v: Failed(video_id=v, error=APIError("no", video_id=v)),
    lambda v: Cancelled(video_id=v),
    lambda v: Crashed(video_id=v, error=ValueError("bug")),
)
step = st.tuples(
    st.integers(0, 5),
    st.sampled_from([*Stage, "finish", "progress", "wait"]),
    st.integers(0, 3),
)


@given(st.lists(st.lists(step, max_size=30), min_size=2, max_size=8))
@settings(max_examples=40, deadline=None)
def test_the_counts_add_up_whatever_the_threads_do(
    scripts: list[list[tuple[int, Stage | str, int]]],
) -> None:
    monitor, _clock = monitor_of(6)
    ids = [item.video_id for item in items(6)]
    barrier = threading.Barrier(len(scripts) + 1)
    errors: list[BaseException] = []

    def check() -> None:
        shot = monitor.snapshot()
        totals = shot.totals
        parts = totals.unfinished + totals.finished
        assert parts == totals.total == len(shot.states) == 6
        assert totals.active == len(shot.active)
        stages = [state.stage for state in shot.states.values()]
        assert type(totals).of(stages) == totals

    def work(script: list[tuple[int, Stage | str, int]]) -> None:
        try:
            barrier.wait()
            for video, what, variant in script:
                if isinstance(what, Stage):
                    monitor.record(ids[video], what)
                elif what == "finish":
                    monitor.finish(ids[video], ENDS[variant](ids[video]))
                elif what == "progress":
                    monitor.progress(ids[video], variant / 3)
                else:
                    monitor.waiting(ids[video], WaitReason.LIMIT)
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=work, args=(script,)) for script in scripts]
    for thread in threads:
        thread.start()
    barrier.wait()
    check()
    for thread in threads:
        thread.join(10)
    check()
    assert not errors
    assert {state.video_id for state in monitor.take_changes()} == set(ids)


@pytest.mark.parametrize(("before_s", "saving_s"), [(0.0, 0.0), (20.0, 0.0), (0.0, 20.0)])
def test_jobs_slower_than_believed_leave_no_overhead_behind_but_true_overhead_counts(
    before_s: float, saving_s: float
) -> None:
    clock, model = FakeClock(), JobTimeModel()
    monitor = ConcurrentProgressMonitor(clock, model, slots=40)
    job_s = 1.3 * (15 + 8 * 10)
    videos = [VideoItem(video_id=f"video{n:06d}", duration_s=600.0) for n in range(41)]
    monitor.add(videos)
    first = [video.video_id for video in videos[:40]]
    for video_id in first:
        monitor.record(video_id, Stage.CAPTIONS)
    clock.advance(before_s)
    for video_id in first:
        monitor.record(video_id, Stage.SUBMITTING)
        monitor.record(video_id, Stage.TRANSCRIBING)
    clock.advance(job_s)
    for video_id in first:
        monitor.record(video_id, Stage.SAVING)
    clock.advance(saving_s)
    for video_id in first:
        monitor.finish(video_id, done(video_id))
    for _ in first:  # the model learns only now: all of them ended under the first belief
        model.observe(600.0, done_by_s=job_s * 1.01, not_done_at_s=job_s * 0.99)
    truth_s = before_s + job_s + saving_s
    assert monitor.time_left().likely_s == pytest.approx(truth_s, rel=0.05)
