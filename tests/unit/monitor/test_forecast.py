"""The backlog says what is known of the videos that are left, and no more."""

import math
import random
import statistics
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bulk_transcribe.core.jobtime import JobTimeModel, Prediction
from bulk_transcribe.core.stage import Stage, VideoState
from bulk_transcribe.monitor.forecast import Expected, Outlook, backlog_of
from bulk_transcribe.monitor.pace import PaidEnd

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OUTLOOK = Outlook(
    active=("one",),
    paid=frozenset({"one"}),
    slots=1,
    requests_per_min=None,
    limited_recent=0,
    requests_per_paid=2.0,
    paid_ends=(),
    doubt=0.05,
    quick_s=2.0,
    quick_share=0.0,
    quick_share_doubt=0.0,
)


def running(length_s: float | None) -> VideoState:
    since_at = NOW - timedelta(seconds=5)
    return VideoState(
        video_id="one", stage=Stage.TRANSCRIBING, since_at=since_at, duration_s=length_s
    )


def test_the_last_videos_are_as_regular_as_those_before_them() -> None:
    states = {"one": running(600.0)}
    last = backlog_of(states, OUTLOOK, JobTimeModel(), NOW)
    waiting = replace(running(600.0), video_id="two", stage=Stage.QUEUED)
    before = backlog_of(states | {"two": waiting}, OUTLOOK, JobTimeModel(), NOW)
    assert (len(last.queued_s), len(before.queued_s)) == (0, 1)
    assert last.spread == pytest.approx(before.spread)


def test_a_video_of_unknown_length_is_less_regular() -> None:
    known = backlog_of({"one": running(600.0)}, OUTLOOK, JobTimeModel(), NOW)
    unknown = backlog_of({"one": running(None)}, OUTLOOK, JobTimeModel(), NOW)
    assert unknown.spread > 2 * known.spread


def test_without_any_video_there_is_nothing_left() -> None:
    nothing = backlog_of({}, replace(OUTLOOK, active=()), JobTimeModel(), NOW)
    assert (nothing.queued_s, nothing.in_flight_s, nothing.submitting_s) == ([], [], [])


def test_lengths_that_no_job_had_so_far_make_the_range_wider() -> None:
    model = JobTimeModel()
    for number in range(40):
        length_s = 60.0 + 10 * number
        model.observe(
            length_s, done_by_s=15 + length_s * 0.1334, not_done_at_s=14 + length_s * 0.13
        )
    outlook = replace(OUTLOOK, active=(), paid=frozenset())

    def doubt(length_s: float) -> float:
        waiting = {"one": replace(running(length_s), stage=Stage.QUEUED)}
        return backlog_of(waiting, outlook, model, NOW).doubt

    assert doubt(300.0) == outlook.doubt
    assert doubt(7200.0) > 2 * outlook.doubt


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
    assert Expected(JobTimeModel(), ended).extra_s > 8.0  # it is not known yet whose time it is
    assert Expected(slower(1.3), ended).extra_s < 3.5
    assert Expected(slower(0.7), ends(0.7)).extra_s < 3.5


def test_time_before_and_after_the_job_is_overhead_in_full() -> None:
    model = slower(1.0)
    lasting = Expected(model, ends(1.0, around_s=30.0)).extra_s
    assert lasting - Expected(model, ends(1.0)).extra_s == pytest.approx(30.0 * 60 / 61)


def test_a_late_notice_is_overhead_of_which_short_jobs_tell_most() -> None:
    model = slower(1.0)
    short, long = 60.0, 1500.0
    late_s = 5.0

    def extra_s(length_s: float) -> float:
        end = PaidEnd(length_s, 0.0, model.expected_s(length_s) + late_s)
        return Expected(model, [end] * 30).extra_s

    assert extra_s(long) < extra_s(short) == pytest.approx(late_s, abs=0.5)


def test_a_stuck_job_adds_little_to_the_overhead() -> None:
    model, usual = slower(1.0), ends(1.0)
    stuck = PaidEnd(60.0, 0.0, 3 * 3600.0)
    added_s = Expected(model, [*usual, stuck]).extra_s - Expected(model, usual).extra_s
    assert 0 < added_s < 3.0


def test_the_overhead_is_never_below_zero() -> None:
    assert Expected(JobTimeModel(), [PaidEnd(600.0, 0.0, 1.0)] * 200).extra_s == 0.0


def test_videos_counted_by_length_give_the_doubt_of_the_plain_sum() -> None:
    rng = random.Random(4)
    lengths_s: list[float | None] = [30 * 240 ** rng.random() for _ in range(700)]
    lengths_s += [None, None, math.nan, 0.0, *lengths_s[:50]]
    rng.shuffle(lengths_s)
    for model in (JobTimeModel(), slower(1.3, jobs=20)):
        expected = Expected(model)
        predictions = [expected.prediction(length_s) for length_s in lengths_s]
        totals_s = [sum(s) for s in zip(*(p.medians_s for p in predictions), strict=True)]
        mean_s = statistics.fmean(totals_s)
        share = predictions[0].rival_share
        apart = abs(sum(p.rival_s for p in predictions) - mean_s) / mean_s
        plain = math.hypot(statistics.pstdev(totals_s) / mean_s, math.sqrt(share) * apart)
        assert plain > 0
        assert expected.doubt(lengths_s) == pytest.approx(min(0.5, plain), rel=1e-9)


def test_no_video_leaves_no_doubt() -> None:
    assert Expected(JobTimeModel()).doubt([]) == 0.0


class CountingModel(JobTimeModel):
    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def predict(self, duration_s: float | None) -> Prediction:
        self.asked += 1
        return super().predict(duration_s)


def test_ten_thousand_lengths_ask_the_model_a_few_hundred_times() -> None:
    rng, model = random.Random(5), CountingModel()
    states = {
        str(n): VideoState(video_id=str(n), duration_s=30 * 240 ** rng.random())
        for n in range(10_000)
    }
    backlog = backlog_of(states, replace(OUTLOOK, active=(), paid=frozenset()), model, NOW)
    assert len(backlog.queued_s) == 10_000
    assert model.asked <= 200
    first_s = states["0"].duration_s
    assert backlog.queued_s[0] == pytest.approx(Expected(model).slot_s(first_s))
    assert backlog.queued_s[0] == pytest.approx(model.expected_s(first_s) + 4.0, rel=0.03)


def test_two_beliefs_about_the_cap_make_the_range_of_long_videos_wider_until_one_is_left() -> None:
    undecided, decided = slower(1.0, jobs=40), slower(1.0, jobs=40)
    for number in range(20):
        length_s = 3000.0 + 100 * number
        decided.observe(length_s, done_by_s=303.0, not_done_at_s=297.0)
    before, after = (Expected(model).doubt([5400.0] * 9) for model in (undecided, decided))
    assert before > 0.3
    assert after < 0.05
