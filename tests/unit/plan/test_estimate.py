import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.plan.estimate import Job, Limits, lower_bound_s, simulate_s, slot_count

jobs_strategy = st.lists(
    st.builds(
        Job,
        time_s=st.floats(0.1, 400),
        paid_requests=st.integers(0, 3),
        asks_captions=st.booleans(),
    ),
    max_size=40,
)
limits_strategy = st.builds(
    Limits,
    slots=st.integers(1, 20) | st.just("auto"),
    paid_rpm=st.integers(1, 50),
    captions_rpm=st.integers(1, 50),
)


def jobs(*times_s: float, paid_requests: int = 2) -> list[Job]:
    return [Job(time_s=time_s, paid_requests=paid_requests) for time_s in times_s]


def plenty(slots: int) -> Limits:
    return Limits(slots=slots, paid_rpm=1_000_000)


def test_no_jobs_take_no_time() -> None:
    assert simulate_s([], plenty(3)) == lower_bound_s([], plenty(3)) == 0.0


def test_one_slot_takes_the_sum_and_many_the_longest() -> None:
    assert simulate_s(jobs(10, 20, 30), plenty(1)) == 60.0
    assert simulate_s(jobs(10, 20, 30), plenty(3)) == 30.0
    assert simulate_s(jobs(10, 20, 30), plenty(50)) == 30.0


def test_the_order_decides_how_well_slots_are_filled() -> None:
    """The shortest first leave the longest to a lonely end."""
    assert simulate_s(jobs(10, 10, 10, 10, 40), plenty(2)) == 60.0
    assert simulate_s(jobs(40, 10, 10, 10, 10), plenty(2)) == 40.0


def test_the_limit_lets_half_as_many_videos_begin_in_any_minute() -> None:
    limits = Limits(slots=500, paid_rpm=300)
    assert simulate_s(jobs(*[30.0] * 150), limits) == 30.0
    assert simulate_s(jobs(*[30.0] * 151), limits) == 90.0
    assert simulate_s(jobs(*[30.0] * 1500), limits) == 9 * 60 + 30.0


def test_a_limit_below_one_video_is_waited_for_request_by_request() -> None:
    limits = Limits(slots=5, paid_rpm=1)
    assert simulate_s(jobs(30.0), limits) == 60.0  # the look waits a minute for its permit
    assert simulate_s(jobs(30.0, 30.0), limits) == 180.0


def test_videos_with_captions_use_nothing_of_the_paid_limit() -> None:
    limits = Limits(slots=500, paid_rpm=2, captions_rpm=120)
    asked = [Job(time_s=3.0, paid_requests=0, asks_captions=True)] * 41
    assert simulate_s(asked[:40], limits) == 3.0
    assert simulate_s(asked, limits) == 63.0


def test_auto_takes_as_many_slots_as_the_limit_can_feed() -> None:
    limits = Limits(slots="auto", paid_rpm=300)
    assert slot_count(jobs(*[50.0] * 10), limits) == 125  # 2.5 begin a second and take 50 s
    assert slot_count(jobs(1.0), limits) == 4
    assert slot_count(jobs(*[300.0] * 10), limits) == 512
    assert slot_count(jobs(9.0, paid_requests=0), limits) == 512
    assert slot_count([], limits) == 512


def test_auto_begins_with_four_slots_and_doubles_them() -> None:
    times = jobs(*[1000.0] * 9, paid_requests=1)
    ended = [simulate_s(times[:n], Limits(slots="auto", paid_rpm=300)) for n in (4, 5, 8, 9)]
    assert ended == [1000.0, 1005.0, 1005.0, 1010.0]


@given(jobs_strategy, limits_strategy)
def test_nothing_beats_the_lower_bound(batch: list[Job], limits: Limits) -> None:
    assert simulate_s(batch, limits) >= lower_bound_s(batch, limits) * (1 - 1e-9)


@given(jobs_strategy, st.integers(1, 8))
def test_without_limits_no_order_takes_twice_the_bound(batch: list[Job], slots: int) -> None:
    limits = Limits(slots=slots, paid_rpm=1_000_000, captions_rpm=1_000_000)
    assert simulate_s(batch, limits) <= 2 * lower_bound_s(batch, limits) + 1e-6


@given(st.lists(st.floats(0.1, 400), max_size=6), st.integers(1, 3))
def test_the_bound_holds_for_every_order(times_s: list[float], slots: int) -> None:
    limits = Limits(slots=slots, paid_rpm=7)
    best = min(simulate_s(jobs(*order), limits) for order in itertools.permutations(times_s))
    assert best >= lower_bound_s(jobs(*times_s), limits) * (1 - 1e-9)


@pytest.mark.parametrize("slots", [1, 10, 100])
def test_more_slots_never_take_longer_for_equal_jobs(slots: int) -> None:
    batch = jobs(*[50.0] * 400)
    fewer = simulate_s(batch, Limits(slots=slots, paid_rpm=300))
    assert simulate_s(batch, Limits(slots=slots + 1, paid_rpm=300)) <= fewer
