"""The backlog says what is known of the videos that are left, and no more."""

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import fmean

import pytest

from bulk_transcribe.core.jobtime import Belief, JobTimeModel
from bulk_transcribe.core.stage import Stage, VideoState
from bulk_transcribe.monitor.eta import runs, time_left
from bulk_transcribe.monitor.forecast import Outlook, backlog_of, extra_s
from bulk_transcribe.monitor.pace import PaidEnd

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OUTLOOK = Outlook(
    active=("one",),
    looked_at={},
    paid=frozenset({"one"}),
    slots=1,
    requests_per_min=None,
    limited_recent=0,
    requests_per_paid=2.0,
    paid_ends=(),
    quick_s=2.0,
    quick_share=0.0,
    quick_share_doubt=0.0,
)


def running(length_s: float | None) -> VideoState:
    since_at = NOW - timedelta(seconds=5)
    return VideoState(
        video_id="one", stage=Stage.TRANSCRIBING, since_at=since_at, duration_s=length_s
    )


def test_each_running_job_is_there_with_its_age_and_each_waiting_one_in_order() -> None:
    states = {
        "one": running(600.0),
        "two": replace(running(60.0), video_id="two", stage=Stage.QUEUED),
        "three": replace(running(600.0), video_id="three", stage=Stage.QUEUED),
    }
    backlog = backlog_of(states, OUTLOOK, JobTimeModel(), NOW)
    (job,), (short, same) = backlog.running, backlog.queued
    assert (job.age_s, job.seen_s, job.kind) == (5.0, 0.0, same)
    assert len(backlog.services) == runs(3)
    assert all(s.medians_s[short] < s.medians_s[same] for s in backlog.services)


def test_a_job_is_known_to_run_when_it_was_last_looked_at_and_no_later() -> None:
    states = {"one": running(600.0)}
    for ago_s, seen_s in ((2.0, 3.0), (60.0, 0.0), (-1.0, 5.0)):
        outlook = replace(OUTLOOK, looked_at={"one": NOW - timedelta(seconds=ago_s)})
        assert backlog_of(states, outlook, JobTimeModel(), NOW).running[0].seen_s == seen_s


def test_a_video_of_unknown_length_is_less_regular() -> None:
    known = backlog_of({"one": running(600.0)}, OUTLOOK, JobTimeModel(), NOW)
    unknown = backlog_of({"one": running(None)}, OUTLOOK, JobTimeModel(), NOW)
    means = [fmean(s.scales[0] for s in backlog.services) for backlog in (known, unknown)]
    assert means[1] > 2 * means[0]


def test_without_any_video_there_is_nothing_left() -> None:
    nothing = backlog_of({}, replace(OUTLOOK, active=()), JobTimeModel(), NOW)
    assert (nothing.queued, nothing.running, nothing.submitting) == ([], [], [])


def width(model: JobTimeModel, length_s: float) -> float:
    """Of the range for one waiting video, as a share of the likely time."""
    waiting = {"one": replace(running(length_s), stage=Stage.QUEUED)}
    outlook = replace(OUTLOOK, active=(), paid=frozenset())
    said = time_left(backlog_of(waiting, outlook, model, NOW))
    return (said.high_s - said.low_s) / said.likely_s


def test_lengths_that_no_job_had_so_far_make_the_range_wider() -> None:
    model = slower(1.0, jobs=40)
    assert width(model, 7200.0) > 2 * width(model, 600.0)


def slower(factor: float, jobs: int = 60) -> JobTimeModel:
    """A model that learned that the service takes so many times what the brief says."""
    model = JobTimeModel()
    for number in range(jobs):
        length_s = 60.0 + 25 * number
        true_s = factor * (15 + length_s * 8 / 60)
        model.observe(length_s, done_by_s=1.01 * true_s, not_done_at_s=0.99 * true_s)
    return model


def ends(factor: float, around_s: float = 0.0) -> list[PaidEnd]:
    lengths_s = [60.0 + 25 * number for number in range(60)]
    return [PaidEnd(s, around_s, factor * (15 + s * 8 / 60)) for s in lengths_s]


def test_what_the_model_did_not_know_at_first_is_no_overhead_once_it_has_learned() -> None:
    ended = ends(1.3)
    assert extra_s(JobTimeModel(), ended) > 8.0  # it is not known yet whose time it is
    assert extra_s(slower(1.3), ended) < 3.5
    assert extra_s(slower(0.7), ends(0.7)) < 3.5


def test_time_before_and_after_the_job_is_overhead_in_full() -> None:
    model = slower(1.0)
    lasting = extra_s(model, ends(1.0, around_s=30.0))
    assert lasting - extra_s(model, ends(1.0)) == pytest.approx(30.0 * 60 / 61)


def test_a_late_notice_is_overhead_of_which_short_jobs_tell_most() -> None:
    model = slower(1.0)
    short, long = 60.0, 1500.0
    late_s = 5.0

    def learned_s(length_s: float) -> float:
        end = PaidEnd(length_s, 0.0, model.predict(length_s).mean_s + late_s)
        return extra_s(model, [end] * 30)

    assert learned_s(long) < learned_s(short) == pytest.approx(late_s, abs=0.5)


def test_a_stuck_job_adds_little_to_the_overhead() -> None:
    model, usual = slower(1.0), ends(1.0)
    stuck = PaidEnd(60.0, 0.0, 3 * 3600.0)
    added_s = extra_s(model, [*usual, stuck]) - extra_s(model, usual)
    assert 0 < added_s < 3.0


def test_the_overhead_is_never_below_zero() -> None:
    assert extra_s(JobTimeModel(), [PaidEnd(600.0, 0.0, 1.0)] * 200) == 0.0


class CountingModel(JobTimeModel):
    """Counts what the forecast asks of its beliefs."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[CountingBelief] = []

    def beliefs(self, count: int) -> list[Belief]:
        self.asked = [CountingBelief(b.known, b.unknown) for b in super().beliefs(count)]
        return [*self.asked]


class CountingBelief(Belief):
    asked = 0

    def median_s(self, duration_s: float | None) -> float:
        type(self).asked += 1
        return super().median_s(duration_s)


def test_ten_thousand_lengths_are_a_few_hundred_classes() -> None:
    rng, model = random.Random(5), CountingModel()
    states = {
        str(n): VideoState(video_id=str(n), duration_s=30 * 240 ** rng.random())
        for n in range(10_000)
    }
    CountingBelief.asked = 0
    backlog = backlog_of(states, replace(OUTLOOK, active=(), paid=frozenset()), model, NOW)
    assert len(backlog.queued) == 10_000
    assert CountingBelief.asked <= 200 * len(model.asked)
    first_s = states["0"].duration_s
    for service, belief in zip(backlog.services, model.asked, strict=True):
        assert service.medians_s[backlog.queued[0]] == pytest.approx(
            belief.median_s(first_s), rel=0.02
        )


def test_two_beliefs_about_the_cap_make_the_range_of_long_videos_wider_until_one_is_left() -> None:
    undecided, decided = slower(1.0, jobs=40), slower(1.0, jobs=40)
    for number in range(20):
        length_s = 3000.0 + 100 * number
        decided.observe(length_s, done_by_s=303.0, not_done_at_s=297.0)
    assert width(undecided, 5400.0) > 1.0
    assert width(decided, 5400.0) < 0.3
