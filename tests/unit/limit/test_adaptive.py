"""The limiter that learns, against a service with its own count."""

import heapq
import math
import random
import threading
from collections.abc import Callable, Mapping
from datetime import datetime

import pytest

from bulk_transcribe.core.request import RequestKind, Ticket
from bulk_transcribe.core.stage import WaitReason
from bulk_transcribe.limit import (
    AdaptiveRateLimiter,
    MemoryPermitStore,
    stored_belief,
)
from bulk_transcribe.testing import FakeClock
from tests.unit.limit.service import (
    POLL,
    PRICE,
    SUBMIT,
    Service,
    basic,
    independent,
    shared,
)


class Client:
    """Sends one request after the other; each is under way for a moment."""

    def __init__(self, limiter: AdaptiveRateLimiter, service: Service, clock: FakeClock) -> None:
        self._limiter, self._service, self._clock = limiter, service, clock

    def send(self, kind: RequestKind, ticket: Ticket | None = None) -> int:
        with self._limiter.permit(kind, ticket or Ticket()) as permit:
            status, headers = self._service.request(kind, self._clock.now_s())
            permit.answered(status, headers)
        return status


def setup(
    service: Service,
    mode: str = "auto",
    rpm: int = 300,
    *,
    store: MemoryPermitStore | None = None,
    clock: FakeClock | None = None,
) -> tuple[AdaptiveRateLimiter, Client, FakeClock]:
    clock = clock or FakeClock(auto=True)
    limiter = AdaptiveRateLimiter(mode, rpm, clock=clock, store=store)
    return limiter, Client(limiter, service, clock), clock


def pools_of(limiter: AdaptiveRateLimiter) -> dict[str, int]:
    return {"+".join(pool.kinds): pool.limit for pool in limiter.belief().pools}


def alternate(client: Client, clock: FakeClock, count: int, gap_s: float = 0.2) -> None:
    for number in range(count):
        client.send(POLL if number % 2 else SUBMIT)
        clock.advance(gap_s)


# Modes. -------------------------------------------------------------------------------------------


def test_auto_starts_with_one_pool_for_everything() -> None:
    limiter, _, _ = setup(shared())
    assert pools_of(limiter) == {"poll+price+submit": 300}
    assert limiter.belief().why == ("Nothing is known yet, so all requests share one limit.",)


def test_auto_finds_out_independent_pools_within_a_minute_and_without_a_refusal() -> None:
    service = independent()
    limiter, client, clock = setup(service)
    alternate(client, clock, 100)
    assert clock.now_s() - 1_000 < 60
    assert pools_of(limiter) == {"poll+price": 300, "price+submit": 300}
    assert service.refused == 0
    assert any("poll and submit: independent" in why for why in limiter.belief().why)
    clock.advance(200)
    began_s = clock.now_s()
    for _ in range(300):
        client.send(SUBMIT)
        client.send(POLL)
    assert clock.now_s() == began_s, "600 requests a minute are allowed, so they go"
    assert service.refused == 0


class Crowd:
    """900 videos, submitted as fast as the limit allows, each looked at when it is likely done.

    The first three are looked at after five seconds, too, as `AimedJobWatcher` does while a look
    would tell. Answers take 0.2 to 3 s and overtake each other. Strangers send so many requests
    for each of ours.
    """

    def __init__(self, service: Service, *, strangers: float = 0.0, seed: int = 0) -> None:
        self.limiter, _, self.clock = setup(service)
        self._service, self._strangers = service, strangers
        self._chance = random.Random(seed)
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._number = 0
        self._looks, self._to_submit = 0, 900

    def apart_after_s(self) -> float | None:
        """After how many seconds submits and polls were held apart; None: never."""
        began_s = self.clock.now_s()
        while self._to_submit or self._events or self._looks:
            self._step()
            if "poll+price+submit" not in pools_of(self.limiter):
                return self.clock.now_s() - began_s
        return None

    def _step(self) -> None:
        next_s = self._events[0][0] if self._events else math.inf
        if next_s <= self.clock.now_s():
            heapq.heappop(self._events)[2]()
        elif self._looks and self.limiter.get_remaining_capacity(POLL):
            self._looks -= 1
            self._send(POLL)
        elif self._to_submit and self.limiter.get_remaining_capacity(SUBMIT):
            self._submit()
        else:
            self.clock.advance(min(1.0, next_s - self.clock.now_s()))

    def _submit(self) -> None:
        due_s = [self._chance.uniform(20, 260)]
        if self._to_submit > 897 and self.limiter.capacity(POLL).is_telling:
            due_s.append(5.0)
        self._to_submit -= 1

        def accepted() -> None:
            for after_s in due_s:
                self._later(after_s, self._is_due)

        self._send(SUBMIT, accepted)

    def _is_due(self) -> None:
        self._looks += 1

    def _send(self, kind: RequestKind, done: Callable[[], None] = lambda: None) -> None:
        permit = self.limiter.acquire(kind)

        def arrive() -> None:
            status, headers = self._service.request(kind, self.clock.now_s())

            def answer() -> None:
                permit.answered(status, headers)
                done()

            self._later(self._chance.uniform(0.1, 1.5), answer)

        self._later(self._chance.uniform(0.1, 1.5), arrive)
        if self._chance.random() < self._strangers:
            other = self._chance.choice((SUBMIT, POLL))
            self._later(
                self._chance.uniform(0.1, 1.5),
                lambda: self._service.request(other, self.clock.now_s()),
            )

    def _later(self, after_s: float, what: Callable[[], object]) -> None:
        self._number += 1
        heapq.heappush(self._events, (self.clock.now_s() + after_s, self._number, what))


@pytest.mark.parametrize("is_sliding", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_a_crowd_that_uses_the_limit_up_at_once_finds_out_in_seconds_by_numbers_alone(
    *, is_sliding: bool, seed: int
) -> None:
    service = independent(is_sliding=is_sliding)
    after_s = Crowd(service, seed=seed).apart_after_s()
    assert after_s is not None
    assert after_s < 15
    assert service.refused == 0


@pytest.mark.parametrize("is_sliding", [False, True])
@pytest.mark.parametrize("strangers", [0.0, 0.3])
def test_a_crowd_in_one_pool_is_never_told_that_there_are_two(
    *, is_sliding: bool, strangers: float
) -> None:
    for seed in range(2):
        service = shared(is_sliding=is_sliding)
        assert Crowd(service, strangers=strangers, seed=seed).apart_after_s() is None
        assert strangers or service.refused == 0


def test_only_submits_and_polls_tell_and_only_while_it_is_open() -> None:
    service = independent()
    limiter, client, clock = setup(service)
    assert [limiter.capacity(kind).is_telling for kind in (SUBMIT, POLL, PRICE)] == [
        True,
        True,
        False,
    ]
    limiter.switch_mode("conservative")
    assert not limiter.capacity(POLL).is_telling
    limiter.switch_mode("auto")
    alternate(client, clock, 100)
    assert not limiter.capacity(POLL).is_telling


@pytest.mark.parametrize("is_sliding", [False, True])
def test_auto_never_exceeds_a_pool_that_is_one(*, is_sliding: bool) -> None:
    service = shared(60, is_sliding=is_sliding)
    limiter, client, clock = setup(service, rpm=60)
    alternate(client, clock, 400)
    assert service.refused == 0
    assert pools_of(limiter) == {"poll+price+submit": 60}
    assert any("poll and submit: shared" in why for why in limiter.belief().why)


def test_the_first_refusal_that_contradicts_takes_independence_back() -> None:
    service = independent()
    limiter, client, clock = setup(service)
    alternate(client, clock, 100)
    assert "poll+price+submit" not in pools_of(limiter)
    one = service.pools[SUBMIT]
    service.pools = dict.fromkeys((SUBMIT, POLL, PRICE), one)  # the service changes its mind
    clock.advance(120)
    for number in range(400):
        client.send(POLL if number % 2 else SUBMIT)
    assert pools_of(limiter) == {"poll+price+submit": 300}
    assert service.refused <= 1
    clock.advance(120)
    before = service.refused
    alternate(client, clock, 400, gap_s=0.1)
    assert service.refused == before


def test_after_taking_it_back_the_same_evidence_is_not_heard_for_ten_minutes() -> None:
    limiter, client, clock = setup(independent())
    alternate(client, clock, 100)
    limiter.acquire(SUBMIT).answered(429, {"retry-after": "1", "x-ratelimit-type": "minute"})
    assert "poll+price+submit" in pools_of(limiter)
    clock.advance(120)
    alternate(client, clock, 200)
    assert "poll+price+submit" in pools_of(limiter)
    clock.advance(600)
    alternate(client, clock, 200)
    assert "poll+price+submit" not in pools_of(limiter)


def test_conservative_stays_with_one_pool_whatever_the_answers_say() -> None:
    limiter, client, clock = setup(independent(), "conservative")
    alternate(client, clock, 100)
    assert pools_of(limiter) == {"poll+price+submit": 300}


def test_aggressive_has_a_pool_for_each_kind_from_the_start() -> None:
    limiter, client, clock = setup(independent(10), "aggressive", 10)
    assert pools_of(limiter) == {"poll": 10, "price": 10, "submit": 10}
    for kind in (SUBMIT, POLL, PRICE) * 10:
        client.send(kind)
    assert clock.now_s() == 1_000.0


def test_aggressive_on_a_pool_that_is_one_is_held_back_by_the_proof() -> None:
    service = shared(60)
    limiter, client, clock = setup(service, "aggressive", 60)
    for number in range(600):
        client.send(POLL if number % 2 else SUBMIT)
        clock.advance(0.05)
    assert service.refused == 0
    assert pools_of(limiter) == {"poll+submit": 60, "price": 60}


def test_the_mode_can_be_switched_while_others_wait() -> None:
    clock = FakeClock()
    limiter, client, _ = setup(independent(5), "conservative", 5, clock=clock)
    for _ in range(5):
        client.send(SUBMIT)
    done = threading.Event()

    def look() -> None:
        client.send(POLL)
        done.set()

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    assert not done.wait(0.05)
    limiter.switch_mode("aggressive")
    assert done.wait(5), "its own pool has room now"
    assert clock.now_s() == 1_000.0
    assert limiter.get_remaining_capacity(SUBMIT) == 0, "what went out still counts"
    with pytest.raises(ValueError, match="turbo"):
        limiter.switch_mode("turbo")


def test_names_of_pools_decide_where_numbers_have_not_yet() -> None:
    service = independent()
    service.names = {SUBMIT: "whisper", POLL: "jobs", PRICE: "whisper"}
    limiter, client, _ = setup(service)
    for kind in (SUBMIT, POLL, PRICE):
        client.send(kind)
    assert pools_of(limiter) == {"price+submit": 300, "poll": 300}


def test_while_the_pools_are_not_known_a_crowd_is_spread_over_a_quarter_of_the_window() -> None:
    """Requests that are all under way at the same time would prove nothing."""
    limiter, client, clock = setup(shared())
    for _ in range(300):
        client.send(SUBMIT)
    assert 10 < clock.now_s() - 1_000 < 16
    limiter.switch_mode("conservative")
    clock.advance(100)
    began_s = clock.now_s()
    for _ in range(300):
        client.send(SUBMIT)
    assert clock.now_s() == began_s


def test_spreading_costs_a_few_seconds_once_and_no_throughput() -> None:
    _, client, clock = setup(shared())
    for _ in range(300 * 5 + 1):
        client.send(SUBMIT)
    assert clock.now_s() - 1_000 == pytest.approx(5 * 60.05, abs=2)


# What the service says. ---------------------------------------------------------------------------


def test_a_lower_limit_of_the_service_is_obeyed_at_once() -> None:
    service = shared(40)
    limiter, client, clock = setup(service)
    for _ in range(200):
        client.send(SUBMIT)
    assert service.refused == 0
    assert pools_of(limiter) == {"poll+price+submit": 40}
    assert clock.now_s() == pytest.approx(1_000 + 4 * 60, abs=2)


def test_a_higher_limit_of_the_service_does_not_lift_the_user_s_ceiling() -> None:
    limiter, client, clock = setup(shared(1_000), rpm=100)
    for _ in range(101):
        client.send(SUBMIT)
    assert clock.now_s() > 1_060
    assert any("rate_limit_rpm holds it to 100" in why for why in limiter.belief().why)


def test_the_first_request_goes_alone_until_the_limit_is_known() -> None:
    clock = FakeClock()
    limiter, _, _ = setup(shared(), clock=clock)
    first = limiter.acquire(SUBMIT)
    assert limiter.get_remaining_capacity(SUBMIT) == 0
    granted = threading.Event()

    def second() -> None:
        limiter.acquire(SUBMIT).answered(200, {})
        granted.set()

    threading.Thread(target=second, daemon=True).start()
    assert not granted.wait(0.05)
    first.answered(200, {"x-ratelimit-limit": "300", "x-ratelimit-remaining": "299"})
    assert granted.wait(5)
    assert clock.now_s() == 1_000.0, "an answer ends the wait, not the time"
    assert limiter.get_remaining_capacity(SUBMIT) == 298


def test_without_headers_the_number_in_flight_doubles_with_each_round() -> None:
    limiter, _, _ = setup(shared())
    rounds = []
    for _ in range(6):
        free = limiter.get_remaining_capacity(SUBMIT)
        assert free is not None
        rounds.append(free)
        permits = [limiter.acquire(SUBMIT) for _ in range(free)]
        for permit in permits:
            permit.answered(200, {})
    assert rounds == [1, 2, 4, 8, 16, 32]


def test_what_others_use_on_the_account_leaves_less_for_us() -> None:
    """Another machine, which does not share our store."""
    service = shared(100)
    for _ in range(60):
        service.request(SUBMIT, 1_000.0)
    limiter, client, clock = setup(service, rpm=100)
    client.send(SUBMIT)
    assert limiter.get_remaining_capacity(SUBMIT) == 39
    for _ in range(100):
        client.send(SUBMIT)
        clock.advance(0.1)
    assert service.refused == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"x-ratelimit-limit": "lots", "x-ratelimit-remaining": "-3"},
        {"x-ratelimit-limit": "0", "x-ratelimit-remaining": "0"},
        {"x-ratelimit-limit": "", "retry-after": "soon"},
        {"x-ratelimit-limit": "9" * 400, "x-ratelimit-remaining": "²"},
    ],
)
def test_headers_without_sense_change_nothing(headers: Mapping[str, str]) -> None:
    limiter, _, _ = setup(shared())
    limiter.acquire(SUBMIT).answered(200, headers)
    assert pools_of(limiter) == {"poll+price+submit": 300}


# The Basic plan. ----------------------------------------------------------------------------------


def test_a_basic_account_is_paced_and_never_refused_for_the_minute() -> None:
    service = basic()
    limiter, client, clock = setup(service)
    for _ in range(5):
        assert client.send(SUBMIT) == 200
    assert clock.now_s() == pytest.approx(1_000 + 4 * 60, abs=1)
    assert service.refused == 0
    assert pools_of(limiter)["poll"] == 50
    assert limiter.belief().plan == "basic"
    seen = limiter.capacity(SUBMIT)
    assert (seen.limit, seen.daily_limit, seen.daily_remaining) == (1, 10, 5)


def test_the_eleventh_submit_of_a_day_waits_for_the_end_that_the_service_names() -> None:
    service = basic()
    limiter, client, clock = setup(service)
    told: list[tuple[WaitReason | None, datetime | None]] = []
    ticket = Ticket(on_wait=lambda reason, until_at: told.append((reason, until_at)))
    for _ in range(10):
        client.send(SUBMIT)
    assert client.send(SUBMIT) == 429  # the one that asks when the day ends
    assert limiter.capacity(SUBMIT).daily_remaining == 0
    assert limiter.capacity(SUBMIT).daily_reset_s == pytest.approx(1_000 + 86_400, abs=5)
    assert limiter.capacity(POLL).remaining > 0, "jobs that were paid for can still be fetched"
    assert client.send(POLL) == 200
    assert client.send(SUBMIT, ticket) == 200
    assert clock.now_s() == pytest.approx(1_000 + 86_400, abs=5)
    assert [reason for reason, _ in told] == [WaitReason.DAILY_LIMIT, None]
    assert service.refused == 1
    belief = limiter.belief()
    assert {day.kind: day.limit for day in belief.days} == {"poll": 200, "submit": 10}


def test_polls_of_a_day_are_counted_down_also_for_those_in_flight() -> None:
    limiter, client, _ = setup(basic())
    client.send(SUBMIT)
    client.send(POLL)
    assert limiter.capacity(POLL).daily_remaining == 199
    flying = [limiter.acquire(POLL) for _ in range(3)]
    assert limiter.capacity(POLL).daily_remaining == 196
    said = {"x-ratelimit-limit": "50", "x-ratelimit-daily-limit": "200"}
    for permit, left in zip(flying, (196, 198, 197), strict=True):  # answers overtake each other
        permit.answered(200, said | {"x-ratelimit-daily-remaining": str(left)})
    assert limiter.capacity(POLL).daily_remaining == 196


def test_a_daily_refusal_tells_the_plan_even_without_other_headers() -> None:
    limiter, _, _ = setup(shared())
    refusal = {"retry-after": "500", "x-ratelimit-type": "daily"}
    limiter.acquire(POLL).answered(429, refusal)
    assert limiter.belief().plan == "basic"
    assert pools_of(limiter) == {"poll": 50, "price": 50, "submit": 1}
    assert limiter.capacity(SUBMIT).paused_until_s is None


def test_a_new_run_tries_a_daily_rest_once_for_the_account_may_have_been_topped_up() -> None:
    clock, store = FakeClock(auto=True), MemoryPermitStore()
    _, client, _ = setup(basic(), store=store, clock=clock)
    for _ in range(11):
        client.send(SUBMIT)
    clock.advance(3_600)
    upgraded = shared()
    limiter, client, _ = setup(upgraded, store=store, clock=clock)
    before_s = clock.now_s()
    assert client.send(SUBMIT) == 200
    assert clock.now_s() == before_s
    for _ in range(50):
        client.send(SUBMIT)
    assert clock.now_s() - before_s < 5
    assert limiter.belief().plan == "premium"


def test_switching_the_mode_does_not_try_a_daily_rest_again() -> None:
    clock, store = FakeClock(auto=True), MemoryPermitStore()
    service = basic()
    _, client, _ = setup(service, store=store, clock=clock)
    for _ in range(11):
        client.send(SUBMIT)
    clock.advance(3_600)
    limiter, client, _ = setup(service, store=store, clock=clock)
    assert client.send(SUBMIT) == 429
    clock.advance(600)
    limiter.switch_mode("conservative")
    assert limiter.get_remaining_capacity(SUBMIT) == 0
    assert limiter.capacity(SUBMIT).daily_reset_s is not None


def test_a_new_run_that_meets_the_same_daily_rest_waits_like_the_first() -> None:
    clock, store = FakeClock(auto=True), MemoryPermitStore()
    service = basic()
    _, client, _ = setup(service, store=store, clock=clock)
    for _ in range(11):
        client.send(SUBMIT)
    clock.advance(3_600)
    _, client, _ = setup(service, store=store, clock=clock)
    assert client.send(SUBMIT) == 429
    assert client.send(SUBMIT) == 200
    assert service.refused == 2
    assert clock.now_s() == pytest.approx(1_000 + 86_400, abs=5)


# What others can read. ----------------------------------------------------------------------------


def test_status_in_another_process_reads_what_the_limiter_believes() -> None:
    store = MemoryPermitStore()
    account = "deapi-0123"
    clock = FakeClock(auto=True)
    assert stored_belief(store, account, clock=clock) is None
    limiter = AdaptiveRateLimiter("aggressive", 77, clock=clock, store=store, account=account)
    limiter.acquire(SUBMIT).answered(200, {})
    belief = stored_belief(store, account, clock=clock)
    assert belief == limiter.belief()
    assert belief is not None
    assert belief.mode == "aggressive"
    assert belief.as_dict()["pools"][2] == {
        "kinds": ("submit",),
        "limit": 77,
        "window_s": 60.0,
        "used": 1,
    }
    assert "submit 1 of 77 a minute" in belief.summary


def test_what_is_kept_in_the_store_outlives_the_limiter() -> None:
    clock, store = FakeClock(auto=True), MemoryPermitStore()
    service = independent()
    first, client, _ = setup(service, store=store, clock=clock)
    alternate(client, clock, 100)
    second, _, _ = setup(service, store=store, clock=clock)
    assert pools_of(second) == pools_of(first)


def test_a_note_that_cannot_be_read_is_the_same_as_none() -> None:
    store = MemoryPermitStore()
    with store.open("") as book:
        book.keep_note('{"kinds": 7}')
    limiter, _, _ = setup(shared(), store=store)
    assert pools_of(limiter) == {"poll+price+submit": 300}


# Many threads. ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [shared, independent])
def test_a_crowd_with_slow_answers_is_never_refused(make: Callable[[int], Service]) -> None:
    clock = FakeClock()
    service = make(40)
    limiter = AdaptiveRateLimiter("auto", 40, clock=clock)
    lock = threading.Lock()

    def work(number: int) -> None:
        chance = random.Random(number)
        pause = threading.Condition()

        def travel() -> None:
            with pause:
                clock.wait(pause, chance.uniform(0.1, 4))

        for turn in range(7):
            kind = POLL if (number + turn) % 2 else SUBMIT
            with limiter.permit(kind) as permit:
                travel()
                with lock:
                    status, headers = service.request(kind, clock.now_s())
                travel()
                permit.answered(status, headers)

    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(16)]
    with clock.running():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(40)
            assert not thread.is_alive()
    assert service.refused == 0
    assert sum(service.served.values()) == 16 * 7
