"""The automatic number of videos at once."""

from collections import deque
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.process.concurrency import FIRST_SLOTS, LOOK_EVERY_S, Pace, Seen, next_pace

counts = st.integers(0, 600)
observations = st.lists(
    st.builds(
        Seen,
        at_s=st.just(0.0),
        in_flight=counts,
        held_up=counts,
        to_come=counts,
        ended=counts,
        refused=counts,
        errors=counts,
        free_permits=st.none() | counts,
        paused_until_s=st.none() | st.floats(0, 10_000),
    ),
    max_size=40,
)


@given(observations, st.integers(1, 512), st.integers(1, 512))
def test_slots_stay_within_their_bounds_whatever_is_seen(
    seen: list[Seen], first: int, most: int
) -> None:
    pace = Pace(slots=first)
    for number, each in enumerate(seen):
        at_s = number * LOOK_EVERY_S
        pace = next_pace(pace, replace(each, at_s=at_s), most)
        assert 1 <= pace.slots <= most


@given(st.integers(1, 512), st.integers(0, 512), st.none() | st.integers(0, 400))
def test_growth_needs_full_slots_and_nobody_waiting(
    slots: int, held_up: int, free_permits: int | None
) -> None:
    full = Seen(at_s=5, in_flight=slots, held_up=held_up, to_come=99, free_permits=free_permits)
    after = next_pace(Pace(slots=slots), full, 512)
    is_crowded = held_up > max(2, slots // 10)
    assert (after.slots > slots) == (not is_crowded and slots < 512)
    # never more newcomers than permits that could go, but for one step
    step = max(1, slots // 20)
    assert after.slots - slots <= max(step, slots if free_permits is None else free_permits)


@pytest.mark.parametrize(("in_flight", "to_come"), [(7, 9), (8, 0)])
def test_slots_that_nobody_would_use_are_not_added(in_flight: int, to_come: int) -> None:
    seen = Seen(at_s=5, in_flight=in_flight, to_come=to_come)
    assert next_pace(Pace(slots=8), seen, 512).slots == 8


def _look_on(pace: Pace, seconds: int, seen: Seen | None = None) -> Pace:
    """The pace after so many seconds of the same sight, slots always full unless told."""
    start_s = int(pace.seen.at_s if pace.seen else 0)
    for at_s in range(start_s + 5, start_s + seconds + 1, 5):
        sight = seen or Seen(at_s=at_s, in_flight=pace.slots, to_come=999)
        pace = next_pace(pace, replace(sight, at_s=at_s, in_flight=pace.slots), 512)
    return pace


def _sight(**counts: int) -> Seen:
    return Seen(at_s=0, in_flight=0, to_come=999, **counts)


def test_a_429_halves_the_slots_once_and_growth_begins_anew_in_small_steps() -> None:
    pace = next_pace(Pace(slots=200), Seen(at_s=5, in_flight=9), 512)
    pace = _look_on(pace, 5, _sight(refused=3))
    assert pace.slots == 100
    pace = _look_on(pace, 5, _sight(refused=9))
    assert pace.slots == 100  # the ones in flight have to end first
    pace = _look_on(pace, 25, _sight(refused=9))
    assert pace.slots == 100
    assert 100 < _look_on(pace, 10, _sight(refused=9)).slots <= 110


def test_a_new_pause_of_the_limiter_is_a_429_that_somebody_else_saw() -> None:
    pace = next_pace(Pace(slots=200), Seen(at_s=5, in_flight=9), 512)
    sight = Seen(at_s=0, in_flight=0, to_come=999, paused_until_s=60.0)
    pace = _look_on(pace, 5, sight)
    assert pace.slots == 100
    assert _look_on(pace, 60, sight).slots >= 100  # the same pause counts once


def test_lasting_errors_lead_to_one_video_at_a_time() -> None:
    pace = Pace(slots=256)
    for number in range(1, 180):
        pace = _look_on(pace, 5, _sight(ended=number, errors=5 * number))
    assert pace.slots == 1


def test_a_few_errors_among_many_videos_change_nothing() -> None:
    pace = Pace(slots=64)
    for number in range(1, 60):
        pace = _look_on(pace, 5, _sight(ended=20 * number, errors=number))
    assert pace.slots == 512


def test_after_a_crowd_growth_waits_until_it_stays_away() -> None:
    pace = _look_on(Pace(slots=100), 5, _sight(held_up=60))
    assert _look_on(pace, 10).slots == 100
    assert _look_on(pace, 15).slots == 105


def test_after_a_crowd_growth_is_bold_again_when_half_of_the_limit_lies_idle() -> None:
    pace = _look_on(Pace(slots=100), 5, _sight(held_up=60))
    assert _look_on(pace, 15, _sight(free_permits=149, limit=300)).slots == 105
    assert _look_on(pace, 15, _sight(free_permits=200, limit=300)).slots == 200


def test_what_waits_for_minutes_is_given_back_but_not_what_works() -> None:
    crowd = _sight(held_up=60)
    pace = _look_on(Pace(slots=100), 120, crowd)
    assert pace.slots == 100
    working = 40
    for _ in range(200):
        pace = _look_on(pace, 30, _sight(held_up=max(0, pace.slots - working)))
    assert working <= pace.slots <= working * 1.2


@dataclass
class _Account:
    """A shared sliding window, jobs that take as long as they take, one late look each."""

    limit: int
    job_s: float
    polls: float = 1.05
    granted_s: deque[float] = field(default_factory=deque)

    def free(self, now_s: float) -> int:
        while self.granted_s and self.granted_s[0] <= now_s - 60:
            self.granted_s.popleft()
        return self.limit - len(self.granted_s)

    def grant(self, now_s: float) -> None:
        self.granted_s.append(now_s)


def _simulate(account: _Account, minutes: int, most: int = 512) -> tuple[list[int], list[int]]:
    """Slots and videos ended, at each second. Looks go before submits, as they do with us."""
    pace, slots, ended = Pace(), [], [0]
    running: deque[float] = deque()  # when each is looked at
    looks, submits, extra = 0.0, 0, 0.0
    for now_s in range(minutes * 60):
        while running and running[0] <= now_s:
            running.popleft()
            looks += 1
            extra += account.polls - 1
        if extra >= 1:  # a look that came too early, and costs another one
            extra -= 1
            account.grant(now_s)
        done = min(int(looks), max(0, account.free(now_s)))
        for _ in range(done):
            account.grant(now_s)
        looks -= done
        submits += pace.slots - (submits + len(running) + int(looks))
        submits = max(0, submits)
        for _ in range(min(submits, max(0, account.free(now_s)))):
            account.grant(now_s)
            submits -= 1
            running.append(now_s + account.job_s)
        ended.append(ended[-1] + done)
        slots.append(pace.slots)
        if now_s % LOOK_EVERY_S == 0:
            seen = Seen(
                at_s=now_s,
                in_flight=submits + len(running) + int(looks),
                held_up=submits,
                to_come=10_000,
                ended=ended[-1],
                free_permits=max(0, account.free(now_s)),
                limit_per_s=account.limit / 60,
                limit=account.limit,
            )
            pace = next_pace(pace, seen, most)
    return slots, ended


def test_a_premium_account_is_in_full_swing_when_its_first_jobs_end() -> None:
    """A submit and a look each, jobs of three minutes: 439 in flight use 300 a minute in full."""
    slots, ended = _simulate(_Account(limit=300, job_s=180), minutes=60)
    assert slots[0] == FIRST_SLOTS
    assert slots[40] == 300  # the first window's permits, all for submits
    assert slots[190] >= 430
    assert min(slots[190:]) >= 430
    best = 300 / 2.05
    assert (ended[3600] - ended[600]) / 50 >= 0.97 * best


@pytest.mark.parametrize("limit", [1, 10, 60, 150])
def test_a_small_account_is_used_in_full_without_a_crowd(limit: int) -> None:
    slots, ended = _simulate(_Account(limit=limit, job_s=180), minutes=120)
    best = limit / 2.05  # videos a minute
    in_flight = best * 3
    assert (ended[7200] - ended[600]) / 110 >= 0.95 * best
    assert max(slots) <= max(16, 1.6 * in_flight)


def test_the_bound_of_threads_is_kept() -> None:
    slots, _ = _simulate(_Account(limit=300, job_s=180), minutes=10, most=100)
    assert max(slots) == 100


def test_early_looks_that_use_up_the_limit_call_for_more_videos_although_newcomers_wait() -> None:
    pace = Pace(slots=300, began_s=0.0)
    crowd = Seen(
        at_s=600.0,
        in_flight=300,
        held_up=60,
        to_come=500,
        free_permits=0,
        limit_per_s=5.0,
        limit=300,
        looks_each=1.4,
    )
    assert next_pace(pace, crowd, 512).slots == 315
    assert next_pace(pace, replace(crowd, looks_each=1.02), 512).slots == 300
    assert next_pace(pace, replace(crowd, looks_each=None), 512).slots == 300
    assert next_pace(pace, replace(crowd, free_permits=200), 512).slots == 300
    assert next_pace(replace(pace, cut_at_s=630.0), crowd, 512).slots == 300


def test_a_slot_between_two_videos_does_not_stop_the_growth() -> None:
    """With 300 slots, 299 were in use at every look, and the pace never grew again."""
    seen = Seen(at_s=600.0, in_flight=299, to_come=500, free_permits=40, limit_per_s=5.0, limit=300)
    assert next_pace(Pace(slots=300, began_s=0.0), seen, 512).slots > 300
    assert next_pace(Pace(slots=300, began_s=0.0), replace(seen, in_flight=200), 512).slots == 300
