"""The rule, judged by a counter that stands where the service stands."""

import heapq
from collections import deque
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.limit.memory import MemoryPermitStore
from bulk_transcribe.limit.rate import Pool, RateLimit
from bulk_transcribe.limit.window import Closure, Pace, Rules, Slots, counts_after_s, share_out

SUBMIT, POLL, PRICE = RequestKind.SUBMIT, RequestKind.POLL, RequestKind.PRICE
WINDOW_S = 60.0


@dataclass(frozen=True)
class Trip:
    """A wish for a request, and how long its bytes will be under way."""

    after_s: float  # since the wish before
    there_s: float
    back_s: float


delays_s = st.one_of(st.just(0.0), st.floats(0, 3), st.floats(0, 90))
trips = st.builds(
    Trip,
    after_s=st.one_of(st.just(0.0), st.floats(0, 2), st.floats(0, 70)),
    there_s=delays_s,
    back_s=delays_s,
)


@dataclass(frozen=True)
class World:
    """What happened: when each request was granted, counted by the service, and answered."""

    granted_s: list[float]
    counted_s: list[float]
    refused: list[tuple[float, int]]  # when somebody had to wait, and how many really counted


def play(wishes: list[Trip], limit: RateLimit) -> World:
    """Give permits by the rule, in a world where time only moves from event to event."""
    pool = Pool(frozenset({SUBMIT}), limit)
    rules = Rules(pools=(pool,))
    world = World([], [], [])
    answers_s: list[float] = []  # by permit, for the brute-force count
    waiting: deque[Trip] = deque()
    events: list[tuple[float, int, str, int]] = []  # time, order, what, which
    at_s, order = 1_000.0, 0
    for number, wish in enumerate(wishes):
        at_s += wish.after_s
        heapq.heappush(events, (at_s, order := order + 1, "wish", number))
    with MemoryPermitStore().open("") as book:
        while events:
            now_s, _, what, which = heapq.heappop(events)
            if what == "wish":
                waiting.append(wishes[which])
            elif what == "answer":
                book.answer(which, now_s)
            horizon_s = counts_after_s(limit, now_s)
            counted = {pool: sum(book.counts(horizon_s).values())}
            places = share_out([SUBMIT] * len(waiting), rules, counted)
            for permit_id in book.grant([SUBMIT] * len(places), now_s):
                trip = waiting.popleft()
                world.granted_s.append(now_s)
                world.counted_s.append(now_s + trip.there_s)
                answers_s.append(now_s + trip.there_s + trip.back_s)
                heapq.heappush(events, (answers_s[-1], order := order + 1, "answer", permit_id))
            if waiting:
                really = sum(answer_s + WINDOW_S + 0.06 > now_s for answer_s in answers_s)
                world.refused.append((now_s, really))
                answered = book.answered(pool.kinds, horizon_s)
                flying = book.in_flight().get(SUBMIT, 0)
                due_s = Slots(limit, answered, flying, now_s).earliest_s(0)
                assert due_s > now_s, "a wait that is no wait is spinning"
                heapq.heappush(events, (due_s, order := order + 1, "look", 0))
    return world


def worst_sliding(counted_s: list[float]) -> int:
    times_s = sorted(counted_s)
    return max(
        (sum(start_s <= t < start_s + WINDOW_S for t in times_s) for start_s in times_s), default=0
    )


def worst_fixed(counted_s: list[float], opens_s: float | None) -> int:
    """Fixed windows: from `opens_s` on, or each from its first request."""
    worst, count, ends_s = 0, 0, -1.0
    for at_s in sorted(counted_s):
        if at_s >= ends_s:
            start_s = at_s if opens_s is None else at_s - (at_s - opens_s) % WINDOW_S
            ends_s, count = start_s + WINDOW_S, 0
        count += 1
        worst = max(worst, count)
    return worst


@settings(max_examples=300)
@given(st.lists(trips, max_size=60), st.integers(1, 7), st.floats(0, 60))
def test_the_service_never_counts_more_than_the_limit_whatever_the_delays(
    wishes: list[Trip], requests: int, opens_s: float
) -> None:
    world = play(wishes, RateLimit(requests, WINDOW_S))
    assert worst_sliding(world.counted_s) <= requests
    assert worst_fixed(world.counted_s, None) <= requests
    assert worst_fixed(world.counted_s, opens_s) <= requests


@settings(max_examples=300)
@given(st.lists(trips, max_size=60), st.integers(1, 7))
def test_nobody_waits_while_fewer_than_the_limit_count_and_all_go_in_the_end(
    wishes: list[Trip], requests: int
) -> None:
    world = play(wishes, RateLimit(requests, WINDOW_S))
    assert len(world.granted_s) == len(wishes)
    for _, really in world.refused:
        assert really >= requests


def test_a_window_from_the_grant_instead_of_the_answer_would_be_caught() -> None:
    """The judge can fail: a slow request followed by a window's worth of quick ones."""
    counted_s = [0.0 + 50.0, 60.05, 60.05 + 0.1]  # granted at 0, 60.05 and later; limit 2
    assert worst_sliding(counted_s) == 3


def test_the_whole_limit_goes_at_once_at_the_start() -> None:
    world = play([Trip(0, 0.5, 0.5)] * 10, RateLimit(7, WINDOW_S))
    assert world.granted_s.count(1_000.0) == 7
    assert world.granted_s[7] == pytest.approx(1_061.05, abs=0.01)


def test_a_lowered_limit_frees_no_place_before_enough_have_gone() -> None:
    slots = Slots(RateLimit(2, WINDOW_S), [100.0, 110.0, 120.0, 130.0], 0, 140.0)
    assert slots.earliest_s(0) == pytest.approx(180.05, abs=0.01)
    assert slots.earliest_s(1) == pytest.approx(190.05, abs=0.01)
    assert slots.earliest_s(2) == pytest.approx(240.1, abs=0.01)


def test_what_is_in_flight_is_free_a_window_from_now_at_the_earliest() -> None:
    slots = Slots(RateLimit(3, WINDOW_S), [100.0], 1, 120.0)
    assert slots.earliest_s(0) == 120.0
    assert slots.earliest_s(1) == pytest.approx(160.05, abs=0.01)
    assert slots.earliest_s(2) == pytest.approx(180.05, abs=0.01)


def test_a_pace_holds_for_a_crowd_and_costs_nothing_otherwise() -> None:
    pace = Pace()
    assert pace.allows(20.0, 1_000.0) == 20
    pace.took(20, 20.0)
    assert pace.allows(20.0, 1_000.0) == 0
    assert pace.allows(20.0, 1_000.25) == 5
    pace.took(3, 20.0)
    assert pace.allows(20.0, 1_000.25) == 2
    assert pace.allows(20.0, 9_000.0) == 20, "what was not used is not saved up"
    assert pace.allows(20.0, 3.0) == 20, "after a new start of the machine"


def test_one_kind_without_room_lets_others_pass() -> None:
    submits, polls = Pool.of({SUBMIT}, 1), Pool.of({POLL}, 5)
    rules = Rules(pools=(submits, polls))
    asked = [SUBMIT, POLL, SUBMIT, POLL]
    assert share_out(asked, rules, {submits: 0, polls: 0}) == [0, 1, 3]
    assert share_out(asked, rules, {submits: 1, polls: 4}) == [1]


def test_who_needs_two_pools_is_not_overtaken_for_ever() -> None:
    """Else those who need only one of the two would always be faster."""
    one, other = Pool.of({SUBMIT, PRICE}, 1), Pool.of({POLL, PRICE}, 1)
    rules = Rules(pools=(one, other))
    assert share_out([PRICE, SUBMIT, POLL], rules, {one: 1, other: 0}) == []
    assert share_out([PRICE, SUBMIT, POLL], rules, {one: 0, other: 0}) == [0]


def test_a_closed_kind_waits_and_takes_nothing_from_the_others() -> None:
    both = Pool.of({SUBMIT, POLL}, 2)
    rules = Rules(pools=(both,), closed={SUBMIT: Closure(until_s=99.0)})
    assert share_out([SUBMIT, POLL, POLL, POLL], rules, {both: 0}) == [1, 2]


def test_a_cap_on_a_kind_holds_beside_the_pool() -> None:
    pool = Pool.of({SUBMIT, POLL}, 10)
    rules = Rules(pools=(pool,), at_most={SUBMIT: 1})
    assert share_out([SUBMIT, SUBMIT, POLL], rules, {pool: 0}) == [0, 2]


@pytest.mark.parametrize(("requests", "window_s"), [(0, 60.0), (-1, 60.0), (5, 0.0)])
def test_a_limit_that_lets_nothing_through_is_refused(requests: int, window_s: float) -> None:
    with pytest.raises(ValueError, match=r"limit|window"):
        RateLimit(requests, window_s)
