"""The arithmetic of looking: laws for every number, and the figures it was derived for."""

import math
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bulk_transcribe.core.jobtime import Prediction
from bulk_transcribe.process.aim import (
    CLOSEST,
    WIDEST,
    Aim,
    Later,
    Load,
    choose_aim,
    cost_of,
    next_look_s,
    spacing_for,
    step_ahead,
)

spacings = st.floats(min_value=CLOSEST, max_value=WIDEST)
shares = st.floats(min_value=0.0, max_value=1.0)
JOB = Prediction((100.0,), 0.083)


def load(jobs: int, supply_per_min: float = 300.0, **changes: float | None) -> Load:
    """Jobs of 139 s, slots refilled as they become free."""
    facts: dict[str, object] = {
        "jobs": jobs,
        "expected_s": 139.0,
        "spread": 0.083,
        "refill": 1.0,
        "supply_per_s": supply_per_min / 60,
    }
    return Load(**(facts | changes))  # type: ignore[arg-type]  # numbers by name


@given(shares, spacings)
def test_a_step_leads_ahead_and_stays_a_probability(done: float, spacing: float) -> None:
    ahead = step_ahead(done, spacing)
    assert min(done, 1 - 1e-9) <= ahead < 1


@given(shares, spacings, spacings)
def test_a_wider_spacing_never_looks_sooner(done: float, one: float, other: float) -> None:
    narrow, wide = sorted((one, other))
    assert step_ahead(done, narrow) <= step_ahead(done, wide)


@pytest.mark.parametrize("spacing", [0.1, 1.0, 2.0, 4.36])
def test_the_stated_costs_are_those_of_jobs_that_end_at_random(spacing: float) -> None:
    rng = random.Random(4)
    looks = delay = 0.0
    for _ in range(4000):
        share = rng.random()
        end = math.log(share / (1 - share))
        done = 0.0
        while True:
            done = step_ahead(done, spacing)
            looks += 1
            at = math.log(done / (1 - done))
            if at >= end:
                delay += at - end
                break
    cost = cost_of(spacing)
    assert looks / 4000 == pytest.approx(cost.looks, rel=0.05)
    assert delay / 4000 == pytest.approx(cost.delay, rel=0.08)


@given(st.floats(min_value=1.03, max_value=100))
def test_a_number_of_looks_leads_to_a_spacing_that_takes_about_as_many(looks: float) -> None:
    assert cost_of(max(CLOSEST, spacing_for(looks))).looks == pytest.approx(looks, rel=0.08)


@pytest.mark.parametrize(
    ("jobs", "first_look_from", "first_look_to"),
    [(5, 0.0, 0.001), (10, 0.0, 0.01), (100, 0.01, 0.1), (300, 0.4, 0.8), (430, 0.92, 0.98)],
)
def test_few_jobs_are_looked_at_early_and_many_late_and_once(
    jobs: int, first_look_from: float, first_look_to: float
) -> None:
    assert first_look_from <= step_ahead(0, choose_aim(load(jobs)).spacing) <= first_look_to


@given(
    st.integers(1, 5000),
    st.integers(1, 5000),
    st.floats(min_value=0, max_value=1000),
    st.floats(min_value=0, max_value=1000),
)
def test_more_jobs_or_less_room_never_lead_to_more_looks(
    one: int, other: int, room: float, less: float
) -> None:
    few, many = sorted((one, other))
    less, room = sorted((room, less))
    assert choose_aim(load(few, room)).spacing <= choose_aim(load(many, room)).spacing
    assert choose_aim(load(few, room)).spacing <= choose_aim(load(few, less)).spacing


def test_the_demand_fits_the_limit_whenever_it_can() -> None:
    for jobs in range(1, 420):
        cost = cost_of(choose_aim(load(jobs)).spacing)
        ends_per_s = jobs / (139 * (1 + 0.083 * cost.delay))
        assert ends_per_s * (1 + cost.looks) <= 5.0 * 1.001


def test_without_a_limit_or_with_a_spent_one_there_is_still_an_answer() -> None:
    assert choose_aim(load(500, math.inf)).spacing == CLOSEST
    assert choose_aim(load(1, 0.0)).spacing == pytest.approx(WIDEST)


def test_at_the_end_of_a_batch_many_jobs_leave_room_and_the_last_few_are_found_within_seconds() -> (
    None
):
    many, few = load(100, refill=0.0), load(3, refill=0.0)
    assert 1.05 < cost_of(choose_aim(many).spacing).looks < 1.6
    last = cost_of(choose_aim(few).spacing)
    assert 11 < last.looks < 15  # each of three a ninth of what the last one has
    assert last.delay * few.spread * few.expected_s < 2.0


@given(
    spacings,
    st.floats(min_value=0, max_value=2000),
    st.floats(min_value=0, max_value=2000),
)
def test_looks_are_a_second_apart_and_never_endlessly_far(
    spacing: float, running_s: float, looked_s: float
) -> None:
    looked_s = max(running_s, looked_s)
    due_s = next_look_s(JOB, Aim(spacing), not_done_at_s=running_s, looked_at_s=looked_s)
    assert due_s >= looked_s + 1
    assert due_s <= max(looked_s + 61, 100 * 3.0)


def test_a_job_that_should_be_done_is_due_and_the_first_look_of_a_new_one_is_not() -> None:
    assert next_look_s(JOB, Aim(4.4), not_done_at_s=0.0, looked_at_s=-math.inf) == pytest.approx(
        128, abs=2
    )
    assert next_look_s(JOB, Aim(1.0), not_done_at_s=0.0, looked_at_s=-math.inf) < 100


def test_a_belief_that_begins_later_counts_from_there() -> None:
    later = Later(50.0, Prediction((20.0,), 0.1))
    assert later.survival(50.0) == 1.0
    assert later.quantile_s(0.5) == pytest.approx(70, rel=0.01)
    assert next_look_s(later, Aim(4.4), not_done_at_s=50.0, looked_at_s=50.0) > 70


@given(
    st.integers(1, 10),
    st.lists(st.floats(min_value=20, max_value=400), min_size=10, max_size=10),
    st.integers(0, 2),
)
@example(1, [20.0, 20.0, 20.0, 104.0, 138.0, 278.0, 371.0, 378.0, 333.0, 199.0], 2)
@settings(max_examples=40, deadline=None)
def test_two_hundred_looks_a_day_last_for_ten_jobs_even_if_some_are_stuck(
    together: int, times_s: list[float], stuck: int
) -> None:
    """A Basic account: 10 submits and 200 polls a day. Nobody may run out before the end."""
    left = 200
    ends_s = [math.inf if number < stuck else took for number, took in enumerate(times_s)]
    for first in range(0, 10, together):
        batch = ends_s[first : first + together]
        to_come = 10 - first - len(batch)
        state = [(0.0, -math.inf)] * len(batch)
        open_jobs = set(range(len(batch)))
        while open_jobs:
            due = {}
            for number in open_jobs:
                running_s, looked_s = state[number]
                aim = choose_aim(
                    load(
                        len(open_jobs),
                        50.0,
                        refill=0.0,
                        daily_looks=left,
                        jobs_to_come=to_come,
                    )
                )
                due[number] = next_look_s(JOB, aim, not_done_at_s=running_s, looked_at_s=looked_s)
            number = min(due, key=lambda n: due[n])
            left -= 1
            state[number] = (due[number], due[number])
            if due[number] >= batch[number] or due[number] > 900:
                open_jobs.discard(number)
    assert left >= 0
