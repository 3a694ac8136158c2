"""The service's progress figure is believed only when it has foretold enough ends."""

import math

import pytest

from bulk_transcribe.process.progress import ProgressJudge, Reading, judge, rest_s


@pytest.mark.parametrize(
    ("first", "last", "expected_s"),
    [
        (Reading(50.0, 0.5), Reading(50.0, 0.5), 50.0),  # from the start
        (Reading(30.0, 0.1), Reading(50.0, 0.5), 25.0),  # by its own speed
        (Reading(49.0, 0.48), Reading(50.0, 0.5), 50.0),  # too close together for a speed
        (Reading(10.0, 0.0), Reading(20.0, 0.01), None),  # too early
        (Reading(90.0, 0.9), Reading(99.0, 0.99), None),  # too late
        (Reading(0.0, 0.5), Reading(0.0, 0.5), None),  # no time has passed
    ],
)
def test_the_rest_follows_from_the_speed(
    first: Reading, last: Reading, expected_s: float | None
) -> None:
    assert rest_s(first, last) == (None if expected_s is None else pytest.approx(expected_s))


def test_trust_needs_enough_witnesses_that_agree() -> None:
    assert judge([]) is None
    assert judge([0.0] * 5) is None
    assert judge([0.0] * 6) is not None
    assert judge([0.0] * 6 + [None] * 2) is None, "too many jobs whose figure never moved"
    assert judge([-2.0, -1.0, 0.0, 1.0, 2.0, 3.0]) is None, "they do not agree"
    biased = judge([0.5, 0.52, 0.48, 0.5, 0.51, 0.5])
    assert biased is not None
    assert biased.bias == pytest.approx(0.5, abs=0.01)


def teach(progress: ProgressJudge, jobs: int) -> None:
    for number in range(jobs):
        name = f"job {number}"
        progress.saw_running(name, 40.0, 0.4)
        progress.saw_running(name, 60.0, 0.6)
        progress.saw_done(name, 99.0, 101.0)


def test_six_true_forecasts_make_it_speak() -> None:
    progress = ProgressJudge()
    teach(progress, 5)
    progress.saw_running("new", 50.0, 0.25)
    assert progress.belief("new", narrower_than_s=30.0) is None
    assert progress.fraction("new") is None
    teach(progress, 1)
    belief = progress.belief("new", narrower_than_s=30.0)
    assert belief is not None
    assert belief.quantile_s(0.5) == pytest.approx(200, rel=0.05)
    assert progress.fraction("new") == 0.25
    assert progress.is_trusted


def test_what_is_known_better_elsewhere_is_not_overruled() -> None:
    progress = ProgressJudge()
    teach(progress, 8)
    progress.saw_running("new", 50.0, 0.25)
    assert progress.belief("new", narrower_than_s=1.0) is None


def test_an_end_seen_too_late_is_no_witness() -> None:
    progress = ProgressJudge()
    for number in range(20):
        progress.saw_running(str(number), 50.0, 0.5)
        progress.saw_done(str(number), 50.0, 300.0)
    assert not progress.is_trusted


def test_jobs_that_failed_or_were_dropped_leave_nothing_behind() -> None:
    progress = ProgressJudge()
    teach(progress, 8)
    progress.saw_running("new", 50.0, 0.25)
    progress.forget("new")
    progress.forget("new")
    assert progress.fraction("new") is None
    progress.saw_done("never seen", 1.0, 2.0)


@pytest.mark.parametrize("fraction", [None, math.nan, math.inf, -3.0, 7.0])
def test_figures_that_cannot_be_say_nothing(fraction: float | None) -> None:
    progress = ProgressJudge()
    teach(progress, 8)
    progress.saw_running("odd", 50.0, fraction)
    assert progress.belief("odd", narrower_than_s=100.0) is None
