"""How long a job takes: the brief's estimate, and what is learned from the batch."""

import math
import random
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_transcribe.core.jobtime import JobTimeModel, estimate_processing_time_s


@pytest.mark.parametrize(
    ("duration_s", "expected_s"),
    [
        (0.0, 15.0),
        (60.0, 23.0),
        (600.0, 95.0),
        (2137.5, 300.0),
        (36_000.0, 300.0),
        (math.inf, 300.0),
        (-5.0, 15.0),
        (None, 55.0),
        (math.nan, 55.0),
    ],
)
def test_the_estimate_is_fifteen_seconds_and_eight_a_minute_at_most_three_hundred(
    duration_s: float | None, expected_s: float
) -> None:
    assert estimate_processing_time_s(duration_s) == pytest.approx(expected_s)


def the_services_time_s(duration_s: float, rng: random.Random, factor: float = 1.0) -> float:
    """The brief's law with 15 % of noise, `factor` times slower."""
    return factor * (15 + 8 * duration_s / 60) * max(0.3, rng.gauss(1, 0.15))


def taught(jobs: int, *, factor: float = 1.0, outliers: float = 0.0, seed: int = 1) -> JobTimeModel:
    """A model that saw so many jobs within a second of their end."""
    rng = random.Random(seed)
    model = JobTimeModel()
    for _ in range(jobs):
        duration_s = rng.uniform(60, 1800)
        took_s = the_services_time_s(duration_s, rng, factor)
        if rng.random() < outliers:
            took_s *= rng.uniform(3, 50)
        model.observe(duration_s, done_by_s=took_s + 0.5, not_done_at_s=took_s - 0.5)
    return model


def test_before_the_first_job_the_model_says_what_the_brief_says_with_a_wide_spread() -> None:
    model = JobTimeModel()
    for duration_s, widest in ((60.0, 0.7), (300.0, 0.7), (1800.0, 0.7), (None, 1.2)):
        estimate_s = estimate_processing_time_s(duration_s)
        assert model.quantile_s(duration_s, 0.5) == pytest.approx(estimate_s, rel=0.06)
        spread = model.quantile_s(duration_s, 0.84) / estimate_s - 1
        assert 0.15 < spread < widest


@pytest.mark.parametrize("factor", [0.2, 1.0, 5.0])
@pytest.mark.parametrize("outliers", [0.0, 0.08])
def test_sixty_jobs_teach_a_service_of_any_speed_and_stuck_jobs_do_not_spoil_it(
    factor: float, outliers: float
) -> None:
    model = taught(60, factor=factor, outliers=outliers)
    for duration_s in (120.0, 600.0, 1700.0):
        median_s = factor * (15 + 8 * duration_s / 60)
        assert model.quantile_s(duration_s, 0.5) == pytest.approx(median_s, rel=0.15)
        assert model.quantile_s(duration_s, 0.95) == pytest.approx(1.25 * median_s, rel=0.17)


def test_the_stated_probabilities_come_true() -> None:
    rng = random.Random(7)
    below = dict.fromkeys((0.1, 0.5, 0.9, 0.95), 0)
    for seed in range(10):  # what one batch learns is off by chance: judge many
        model = taught(100, seed=seed)
        for _ in range(200):
            duration_s = rng.uniform(60, 1800)
            took_s = the_services_time_s(duration_s, rng)
            for q in below:
                below[q] += took_s <= model.quantile_s(duration_s, q)
    for q, count in below.items():
        assert count / 2000 == pytest.approx(q, abs=0.04)


def test_it_follows_when_the_service_slows_down() -> None:
    model = taught(300)
    rng = random.Random(3)
    for _ in range(250):
        took_s = the_services_time_s(600, rng, 2.0)
        model.observe(600.0, done_by_s=took_s, not_done_at_s=took_s - 1)
    assert model.quantile_s(600.0, 0.5) == pytest.approx(2 * 95, rel=0.1)


def test_jobs_seen_only_late_do_not_make_it_slow_and_do_not_let_it_shrink() -> None:
    """Found done at the first, late look: the end lies anywhere before, so nothing moves far."""
    rng = random.Random(5)
    model = JobTimeModel()
    for _ in range(400):
        duration_s = rng.uniform(60, 1800)
        took_s = the_services_time_s(duration_s, rng)
        running_s, look_s = 0.0, model.quantile_s(duration_s, 0.95)
        while look_s < took_s:
            running_s, look_s = look_s, look_s * 1.3
        model.observe(duration_s, done_by_s=look_s, not_done_at_s=running_s)
    for duration_s in (120.0, 600.0, 1700.0):
        estimate_s = estimate_processing_time_s(duration_s)
        assert 1.1 * estimate_s < model.quantile_s(duration_s, 0.95) < 2.2 * estimate_s


def test_jobs_that_still_run_keep_the_quick_ones_from_being_taken_for_typical() -> None:
    rng = random.Random(2)
    times_s = sorted(the_services_time_s(600, rng, 2.0) for _ in range(100))
    with_runners, without = JobTimeModel(), JobTimeModel()
    for number, took_s in enumerate(times_s[20:]):
        with_runners.saw_running(str(number), 600.0, times_s[19])
        assert took_s >= times_s[19]
    for took_s in times_s[:20]:
        for model in (with_runners, without):
            model.observe(600.0, done_by_s=took_s, not_done_at_s=took_s - 1)
    truth_s = times_s[50]
    error = abs(with_runners.quantile_s(600.0, 0.5) - truth_s)
    assert error < 0.5 * abs(without.quantile_s(600.0, 0.5) - truth_s)


def test_a_runner_that_is_forgotten_counts_no_more() -> None:
    model, clean = JobTimeModel(), JobTimeModel()
    model.saw_running("stuck", 600.0, 140.0)
    model.forget("stuck")
    for each in (model, clean):
        each.observe(600.0, done_by_s=96.0, not_done_at_s=94.0)
    assert model.quantile_s(600.0, 0.5) == clean.quantile_s(600.0, 0.5)


def test_videos_of_unknown_length_are_learned_apart() -> None:
    model = JobTimeModel()
    before_s = model.quantile_s(300.0, 0.5)
    for _ in range(40):
        model.observe(None, done_by_s=201.0, not_done_at_s=199.0)
    assert model.quantile_s(None, 0.5) == pytest.approx(200, rel=0.05)
    assert model.quantile_s(300.0, 0.5) == before_s
    assert model.jobs == 40


def test_what_is_known_of_a_running_job_raises_the_rest() -> None:
    model = taught(50)
    plain = model.probability_done(600.0, 95.0)
    assert plain == pytest.approx(0.5, abs=0.15)
    assert model.probability_done(600.0, 95.0, 90.0) < plain
    assert model.probability_done(600.0, 95.0, 95.0) == 0.0
    assert model.probability_done(600.0, 0.0) == 0.0
    assert model.probability_done(600.0, 1e9, 1e8) <= 1.0


@pytest.mark.parametrize("q", [0.0, 1.0, -0.5, 1.5, math.nan])
def test_a_probability_outside_of_zero_and_one_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="probability"):
        JobTimeModel().quantile_s(60.0, q)


any_number = st.floats(allow_nan=True, allow_infinity=True)
observations = st.lists(st.tuples(st.none() | any_number, any_number, any_number), max_size=40)
usual_length = st.floats(min_value=0, max_value=100_000)
probability = st.floats(min_value=0.001, max_value=0.999)


@given(observations, usual_length, usual_length, probability, probability)
@settings(max_examples=150, deadline=None)
def test_whatever_it_was_told_it_never_expects_a_longer_video_or_more_certainty_sooner(
    seen: list[tuple[float | None, float, float]], one: float, other: float, p: float, q: float
) -> None:
    model = JobTimeModel()
    for number, (duration_s, running_s, done_s) in enumerate(seen):
        model.saw_running(str(number % 3), duration_s, running_s)
        model.observe(duration_s, done_by_s=done_s, not_done_at_s=running_s)
    short_s, long_s = sorted((one, other))
    low, high = sorted((p, q))
    corner_s = [model.quantile_s(d, x) for d in (short_s, long_s) for x in (low, high)]
    assert all(0 < s < math.inf for s in corner_s)
    slack = 1.001  # quantiles are found to half a thousandth
    assert corner_s[0] <= corner_s[1] * slack
    assert corner_s[0] <= corner_s[2] * slack
    assert corner_s[1] <= corner_s[3] * slack
    assert corner_s[2] <= corner_s[3] * slack
    assert 0 < model.predict(short_s).mean_s <= model.predict(long_s).mean_s < math.inf
    age_s = model.quantile_s(long_s, high)
    assert model.probability_done(long_s, age_s) == pytest.approx(high, abs=0.01)


def test_eight_threads_may_teach_and_ask_at_once() -> None:
    model = JobTimeModel()
    barrier = threading.Barrier(8)
    answers: list[float] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        barrier.wait()
        for number in range(100):
            duration_s = rng.uniform(60, 1800)
            took_s = the_services_time_s(duration_s, rng)
            model.saw_running(f"{seed}-{number}", duration_s, took_s / 2)
            model.observe(
                duration_s, done_by_s=took_s, not_done_at_s=took_s - 1, job=f"{seed}-{number}"
            )
            answers.append(model.quantile_s(duration_s, 0.95))

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert model.jobs == 800
    assert len(answers) == 800
    assert model.quantile_s(600.0, 0.5) == pytest.approx(95, rel=0.1)


def _after_short_videos(a: float, b: float) -> JobTimeModel:
    model = JobTimeModel()
    for number in range(60):
        length_s = 30.0 + 25 * number
        true_s = a + b * length_s
        model.observe(length_s, done_by_s=1.02 * true_s, not_done_at_s=0.98 * true_s)
    return model


def test_the_cap_is_a_time_so_a_faster_service_reaches_it_with_longer_videos() -> None:
    as_in_the_brief = _after_short_videos(15.0, 8 / 60)
    assert as_in_the_brief.predict(3600.0).mean_s == pytest.approx(300.0, rel=0.1)
    faster = _after_short_videos(16.0, 0.045)
    assert faster.predict(5400.0).mean_s == pytest.approx(16 + 0.045 * 5400, rel=0.1)


def test_a_service_without_a_cap_is_learned_from_the_first_long_videos() -> None:
    model = _after_short_videos(15.0, 8 / 60)
    for length_s in (3600.0, 4000.0, 4400.0, 5000.0, 5400.0, 6000.0):
        true_s = 15 + length_s * 8 / 60
        model.observe(length_s, done_by_s=1.02 * true_s, not_done_at_s=0.9 * true_s)
    for _again in range(12):  # the fit is renewed every few jobs
        model.observe(600.0, done_by_s=97.0, not_done_at_s=93.0)
    assert model.predict(5400.0).mean_s == pytest.approx(15 + 5400 * 8 / 60, rel=0.15)


def shares_above(model: JobTimeModel, length_s: float, at_s: float, count: int = 60) -> float:
    beliefs = model.beliefs(count)
    return sum(belief.median_s(length_s) > at_s for belief in beliefs) / count


def test_both_beliefs_about_the_cap_are_kept_until_long_videos_tell() -> None:
    model = _after_short_videos(15.0, 8 / 60)
    for knows in (JobTimeModel(), model):
        assert 0.15 < shares_above(knows, 7200.0, 500.0) < 0.35
        assert knows.predict(7200.0).mean_s == pytest.approx(300.0, rel=0.1)
    short_s = sorted(belief.median_s(300.0) for belief in model.beliefs(60))
    assert short_s[3] > 50 < short_s[-4] < 60, "with and without a cap, short ones take the same"


@pytest.mark.parametrize("is_capped", [True, False])
def test_the_belief_that_long_videos_contradict_is_given_up(*, is_capped: bool) -> None:
    model = _after_short_videos(15.0, 8 / 60)
    for number in range(40):
        length_s = 3600.0 + 90 * number
        true_s = min(300.0 if is_capped else math.inf, 15 + length_s * 8 / 60)
        model.observe(length_s, done_by_s=1.02 * true_s, not_done_at_s=0.98 * true_s)
    cap_s, no_cap_s = 300.0, 15 + 7200 * 8 / 60
    assert model.predict(7200.0).mean_s == pytest.approx(cap_s if is_capped else no_cap_s, rel=0.1)
    assert shares_above(model, 7200.0, 500.0) == (0.0 if is_capped else 1.0)


def test_beliefs_lie_around_what_is_learned_and_come_together() -> None:
    true_s = 15 + 600 * 8 / 60
    widths = []
    for jobs in (0, 5, 60):
        medians_s = sorted(b.median_s(600.0) for b in taught(jobs).beliefs(61))
        assert medians_s[6] <= true_s * 1.04 < true_s * 1.08 <= medians_s[-1] * 1.08
        widths.append(medians_s[-7] - medians_s[6])
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 0.1 * true_s


def test_the_luck_of_single_jobs_is_learned_for_each_batch() -> None:
    rng = random.Random(4)
    regular, wild = JobTimeModel(), JobTimeModel()
    for _ in range(80):
        length_s = rng.uniform(60, 1800)
        for model, noise in ((regular, 0.03), (wild, 0.4)):
            took_s = (15 + length_s * 8 / 60) * math.exp(rng.gauss(0, noise))
            model.observe(length_s, done_by_s=took_s + 0.5, not_done_at_s=took_s - 0.5)
    assert max(belief.scale(600.0) for belief in regular.beliefs(20)) < 0.04
    assert min(belief.scale(600.0) for belief in wild.beliefs(20)) > 0.15


def test_beliefs_do_not_change_while_nothing_is_learned() -> None:
    model = taught(20)
    assert model.beliefs(30) == model.beliefs(30)


def test_a_few_stuck_long_jobs_do_not_end_the_belief_in_the_cap() -> None:
    model = _after_short_videos(15.0, 8 / 60)
    for number in range(30):
        took_s = 900.0 if number in {7, 15} else 300.0
        model.observe(5400.0, done_by_s=1.02 * took_s, not_done_at_s=0.98 * took_s)
    assert model.predict(5400.0).quantile_s(0.5) == pytest.approx(300.0, rel=0.1)


def test_jobs_that_run_too_long_for_the_belief_change_it_before_any_of_them_ends() -> None:
    model = _after_short_videos(15.0, 8 / 60)
    assert model.predict(7200.0).mean_s < 330
    for age_s in (400.0, 500.0, 600.0, 700.0, 800.0):
        for number in range(10):
            model.saw_running(str(number), 7200.0, age_s)
    assert model.predict(7200.0).mean_s > 800
    assert model.predict(300.0).mean_s == pytest.approx(55.0, rel=0.15)


def test_jobs_that_run_as_long_as_believed_ask_for_no_new_fit() -> None:
    model = _after_short_videos(15.0, 8 / 60)
    before = model.predict(7200.0)
    for age_s in (50.0, 100.0, 150.0, 200.0):
        for number in range(10):
            model.saw_running(str(number), 7200.0, age_s)
    assert model.predict(7200.0) == before
