"""The rest of a batch, worked off in the mind."""

import math
import random
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_transcribe.monitor.eta import (
    SIMULATED,
    Backlog,
    Estimate,
    Running,
    Service,
    aged,
    rest_s,
    runs,
    time_left,
)


def sure(medians_s: list[float], videos: int, scale: float = 0.02) -> list[Service]:
    """One way only in which the service works, with little luck."""
    return [Service(medians_s, [scale] * len(medians_s))] * runs(videos)


def test_equal_jobs_take_as_many_rounds_as_the_slots_need() -> None:
    said = time_left(Backlog(services=sure([100.0], 40), queued=[0] * 40, slots=10))
    assert said.likely_s == pytest.approx(400, rel=0.06)
    assert said.low_s <= said.likely_s <= said.high_s


def test_the_last_jobs_decide_when_a_long_one_comes_last() -> None:
    services = sure([10.0, 600.0], 21)
    last = time_left(Backlog(services=services, queued=[0] * 20 + [1], slots=10))
    first = time_left(Backlog(services=services, queued=[1] + [0] * 20, slots=10))
    assert last.likely_s == pytest.approx(620, rel=0.05)
    assert first.likely_s == pytest.approx(600, rel=0.05)


def test_ways_in_which_the_service_may_work_are_ends_of_the_range() -> None:
    count = runs(1)
    services = [Service([300.0 if n % 4 else 900.0], [0.02]) for n in range(count)]
    said = time_left(Backlog(services=services, queued=[0], slots=1))
    assert said.likely_s == pytest.approx(300, rel=0.05)
    assert said.high_s == pytest.approx(900, rel=0.05)


def test_a_long_list_is_reckoned_as_it_would_be_simulated() -> None:
    chance = random.Random(2)
    medians_s = [20.0 * 1.2**n for n in range(16)]
    queued = [chance.randrange(16) for _ in range(SIMULATED)]
    more = [*queued, *(chance.randrange(16) for _ in range(SIMULATED // 4))]
    for quick_share in (0.0, 0.4):
        said = [
            time_left(
                Backlog(
                    services=sure(medians_s, len(kinds), 0.1),
                    queued=kinds,
                    slots=10,
                    quick_share=quick_share,
                )
            ).likely_s
            / sum(medians_s[kind] for kind in kinds)
            for kinds in (queued, more)
        ]
        assert said[1] == pytest.approx(said[0], rel=0.03)


def test_the_limit_holds_back_what_the_slots_could_do() -> None:
    said = time_left(
        Backlog(services=sure([30.0], 1), queued=[0] * 120, slots=120, paid_per_s=0.5, burst=20.0)
    )
    assert said.likely_s == pytest.approx((120 - 20) / 0.5 + 30, rel=0.05)


# Jobs that run. -----------------------------------------------------------------------------------

lucky = st.floats(min_value=1e-6, max_value=1 - 1e-6)


@given(
    median_s=st.floats(0.1, 1e5),
    scale=st.floats(0.01, 0.6),
    age_s=st.floats(0, 6e5),
    luck=st.tuples(lucky, lucky),
)
@settings(deadline=None)
def test_a_job_that_runs_has_some_time_left_whatever_its_age(
    median_s: float, scale: float, age_s: float, luck: tuple[float, float]
) -> None:
    left_s = rest_s(median_s, scale, age_s, luck)
    assert 0 <= left_s < math.inf


@pytest.mark.parametrize("age_s", [1.0, 80.0, 100.0, 115.0])
def test_the_rest_is_that_of_the_jobs_that_live_as_long(age_s: float) -> None:
    """Drawn by rejection it is the same; what may be stuck is left out here."""
    chance = random.Random(1)
    median_s, scale = 100.0, 0.1
    by_age = sorted(
        rest_s(median_s, scale, age_s, (1.0 - 1e-9, chance.uniform(1e-9, 1))) for _ in range(4000)
    )
    all_s = [
        median_s * math.exp(scale * math.log(u / (1 - u)))
        for u in (chance.uniform(1e-9, 1 - 1e-9) for _ in range(100_000))
    ]
    lived = sorted(took_s - age_s for took_s in all_s if took_s > age_s)
    for q in (0.1, 0.5, 0.8):  # the rarest are left out
        drawn_s, kept_s = by_age[int(q * len(by_age))], lived[int(q * len(lived))]
        assert drawn_s == pytest.approx(kept_s, rel=0.1, abs=0.5)


def test_a_job_far_beyond_its_time_may_be_stuck_and_is_not_said_to_end_now() -> None:
    chance = random.Random(3)
    rests_s = [
        rest_s(100.0, 0.05, 400.0, (chance.uniform(1e-9, 1), chance.uniform(1e-9, 1)))
        for _ in range(999)
    ]
    assert median(rests_s) == pytest.approx(0.41 * 400, rel=0.15)
    said = time_left(
        Backlog(
            services=sure([100.0], 1, 0.05), queued=[], running=[Running(0, 400.0, 400.0)], slots=1
        )
    )
    assert said.low_s >= 1.0
    assert said.high_s > 400


def test_a_job_found_late_may_have_ended_already() -> None:
    def left_s(age_s: float, seen_s: float) -> float:
        job = Running(0, age_s, seen_s)
        backlog = Backlog(
            services=sure([100.0], 1), queued=[], running=[job], slots=1, extra_s=30.0
        )
        return time_left(backlog).likely_s

    assert left_s(110.0, 80.0) == pytest.approx(20, abs=3)
    assert 1 <= left_s(200.0, 80.0) <= 30, "it was done long ago, and is found at the next look"
    assert left_s(200.0, 200.0) > 60, "it ran just now: it may be stuck"


# No nonsense. -------------------------------------------------------------------------------------

kinds = st.lists(st.integers(0, 2), max_size=40)


@given(
    medians_s=st.lists(st.floats(0.1, 1e4), min_size=3, max_size=3),
    scale=st.floats(0.01, 0.6),
    queued=kinds,
    submitting=kinds,
    ages_s=st.lists(st.floats(0, 1e5), max_size=20),
    ending_s=st.lists(st.floats(0, 10), max_size=5),
    slots=st.integers(1, 50),
    quick_share=st.floats(0, 1),
    paid_per_s=st.floats(0.001, 10) | st.just(math.inf),
)
@settings(max_examples=150, deadline=None)
def test_while_anything_is_left_the_time_left_is_above_zero_and_in_order(
    *,
    medians_s: list[float],
    scale: float,
    queued: list[int],
    submitting: list[int],
    ages_s: list[float],
    ending_s: list[float],
    slots: int,
    quick_share: float,
    paid_per_s: float,
) -> None:
    backlog = Backlog(
        services=sure(medians_s, 40, scale),
        queued=queued,
        submitting=submitting,
        running=[
            Running(number % 3, age_s, age_s * (number % 2)) for number, age_s in enumerate(ages_s)
        ],
        ending_s=ending_s,
        slots=slots,
        quick_share=quick_share,
        paid_per_s=paid_per_s,
    )
    said = time_left(backlog)
    assert said == time_left(backlog), "the same backlog gives the same range"
    if queued or submitting or ages_s or ending_s:
        assert 0 < said.low_s <= said.likely_s <= said.high_s < math.inf
        later = aged(said, 1e9)
        assert 0 < later.low_s <= later.likely_s <= later.high_s
    else:
        assert said == aged(said, 5.0) == Estimate(0.0, 0.0, 0.0)
