"""One budget for all threads."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

import pytest

from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.permit import PermitBook
from bulk_transcribe.core.ports import Limiter
from bulk_transcribe.core.request import RequestKind, Ticket
from bulk_transcribe.core.stage import WaitReason
from bulk_transcribe.errors import DeadlineError, StoppedError, StoreError
from bulk_transcribe.limit import DistributedRateLimiter, FixedPolicy, MemoryPermitStore, RateLimit
from bulk_transcribe.testing import FakeClock

SUBMIT, POLL = RequestKind.SUBMIT, RequestKind.POLL
PAID = frozenset({SUBMIT, POLL, RequestKind.PRICE})


def make(
    requests: int = 3,
    *,
    clock: FakeClock | None = None,
    control: RunControl | None = None,
    store: MemoryPermitStore | None = None,
) -> DistributedRateLimiter:
    return DistributedRateLimiter(
        FixedPolicy({PAID: RateLimit(requests, 60)}),
        clock=clock or FakeClock(auto=True),
        control=control,
        store=store,
    )


def take(limiter: Limiter, kind: RequestKind = SUBMIT, count: int = 1) -> None:
    for _ in range(count):
        with limiter.permit(kind) as permit:
            permit.answered(200, {})


def in_threads(count: int, work: Callable[[int], None]) -> list[threading.Thread]:
    threads = [threading.Thread(target=work, args=(n,), daemon=True) for n in range(count)]
    for thread in threads:
        thread.start()
    return threads


def join(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive(), "a thread hangs"


def until(condition: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if condition():
            return
        time.sleep(0.002)
    raise AssertionError("it never came to that")


def test_one_busy_caller_may_use_the_whole_limit() -> None:
    clock = FakeClock(auto=True)
    limiter = make(300, clock=clock)
    take(limiter, count=300)
    assert clock.now_s() == 1_000.0
    take(limiter)
    assert clock.now_s() == pytest.approx(1_060.05, abs=0.01)


def test_a_place_is_free_a_window_after_the_answer_not_after_the_grant() -> None:
    clock = FakeClock(auto=True)
    limiter = make(1, clock=clock)
    with limiter.permit(SUBMIT) as permit:
        clock.advance(25)
        permit.answered(200, {})
        clock.advance(5)  # reading the body
    take(limiter)
    assert clock.now_s() == pytest.approx(1_085.05, abs=0.01)


def test_a_lost_answer_counts_two_seconds_longer_than_the_hang_up() -> None:
    clock = FakeClock(auto=True)
    limiter = make(1, clock=clock)

    def send() -> None:
        with limiter.permit(SUBMIT):
            clock.advance(30)
            raise OSError("reset")

    with pytest.raises(OSError, match="reset"):
        send()
    take(limiter)
    assert clock.now_s() == pytest.approx(1_092.05, abs=0.01)


def test_a_request_that_never_left_gives_its_place_back_at_once() -> None:
    clock = FakeClock(auto=True)
    limiter = make(1, clock=clock)
    for _ in range(3):
        with limiter.permit(SUBMIT) as permit:
            permit.unsent()
    take(limiter)
    assert clock.now_s() == 1_000.0


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_a_permit_is_good_for_five_real_seconds(speed: float) -> None:
    clock = FakeClock()
    clock.speed = speed
    with make(1, clock=clock).permit(SUBMIT) as permit:
        clock.advance(5.0 * speed)
        assert permit.is_fresh()
        clock.advance(0.1 * speed)
        assert not permit.is_fresh()


def test_eight_threads_share_one_limit_and_nobody_is_forgotten() -> None:
    clock = FakeClock()
    limiter = make(10, clock=clock)
    barrier = threading.Barrier(8)
    lock = threading.Lock()
    sent_s: list[float] = []

    def work(_: int) -> None:
        barrier.wait()
        for _ in range(10):
            with limiter.permit(SUBMIT) as permit:
                with lock:
                    sent_s.append(clock.now_s())
                permit.answered(200, {})

    with clock.running():
        join(in_threads(8, work))
    assert len(sent_s) == 80
    sent_s.sort()
    gaps_s = [later - sooner for sooner, later in zip(sent_s, sent_s[10:], strict=False)]
    assert min(gaps_s) >= 60.0
    # 80 requests at 10 a window take 7 windows: not one place was wasted
    assert sent_s[-1] - sent_s[0] == pytest.approx(7 * 60.05, abs=0.5)


def test_waiters_go_in_the_order_of_coming_and_the_urgent_go_first() -> None:
    clock = FakeClock()
    limiter = make(1, clock=clock)
    take(limiter)
    order: list[str] = []

    def want(name: str, urgency: float) -> Callable[[int], None]:
        def work(_: int) -> None:
            with limiter.permit(SUBMIT, Ticket(urgency=urgency)) as permit:
                order.append(name)
                permit.answered(200, {})

        return work

    threads = []
    for count, (name, urgency) in enumerate([("a", 0), ("b", 0), ("urgent", 5), ("c", 0)], 1):
        threads += in_threads(1, want(name, urgency))
        until(lambda count=count: limiter.capacity(SUBMIT).waiting == count)  # type: ignore[misc]
    with clock.running():
        join(threads)
    assert order == ["urgent", "a", "b", "c"]


def test_waiting_outweighs_urgency_in_the_end() -> None:
    clock = FakeClock()
    limiter = make(1, clock=clock)
    take(limiter)
    order: list[str] = []

    def want(name: str, urgency: float) -> Callable[[int], None]:
        def work(_: int) -> None:
            with limiter.permit(SUBMIT, Ticket(urgency=urgency)):
                order.append(name)

        return work

    patient = in_threads(1, want("patient", 0.0))
    until(lambda: limiter.capacity(SUBMIT).waiting == 1)
    clock.advance(31)
    eager = in_threads(1, want("eager", 1.0))
    until(lambda: limiter.capacity(SUBMIT).waiting == 2)
    with clock.running():
        join(patient + eager)
    assert order == ["patient", "eager"]


def test_a_deadline_that_cannot_be_met_is_told_at_once() -> None:
    clock = FakeClock(auto=True)
    limiter = make(1, clock=clock)
    take(limiter)
    with pytest.raises(DeadlineError):
        limiter.acquire(SUBMIT, Ticket(deadline_s=clock.now_s() + 59))
    assert clock.now_s() == 1_000.0
    limiter.acquire(SUBMIT, Ticket(deadline_s=clock.now_s() + 61)).done()


def test_a_deadline_counts_those_who_are_before_it_in_the_line() -> None:
    clock = FakeClock()
    limiter = make(1, clock=clock)
    take(limiter)
    ahead = in_threads(1, lambda _: take(limiter))
    until(lambda: limiter.capacity(SUBMIT).waiting == 1)
    with pytest.raises(DeadlineError):
        limiter.acquire(SUBMIT, Ticket(deadline_s=clock.now_s() + 90))
    assert clock.now_s() == 1_000.0
    with clock.running():
        join(ahead)


def test_a_deadline_that_others_push_away_ends_the_wait_when_it_passes() -> None:
    clock = FakeClock()
    limiter = make(1, clock=clock)
    take(limiter)
    failed_s: list[float] = []

    def hopeful(_: int) -> None:
        with pytest.raises(DeadlineError):
            limiter.acquire(SUBMIT, Ticket(deadline_s=1_070.0))
        failed_s.append(clock.now_s())

    slow = in_threads(1, hopeful)
    until(lambda: limiter.capacity(SUBMIT).waiting == 1)
    urgent = in_threads(1, lambda _: limiter.acquire(SUBMIT, Ticket(urgency=9)).done())
    until(lambda: limiter.capacity(SUBMIT).waiting == 2)
    with clock.running():
        join(slow + urgent)
    assert failed_s[0] <= 1_070.1


def test_halt_ends_every_wait_at_once() -> None:
    clock = FakeClock()
    control = RunControl(clock)
    limiter = make(1, clock=clock, control=control)
    take(limiter)
    stopped: list[int] = []

    def work(number: int) -> None:
        with pytest.raises(StoppedError):
            limiter.acquire(SUBMIT)
        stopped.append(number)

    threads = in_threads(8, work)
    until(lambda: limiter.capacity(SUBMIT).waiting == 8)
    control.halt()
    join(threads)
    assert sorted(stopped) == list(range(8))
    assert limiter.capacity(SUBMIT).waiting == 0
    with pytest.raises(StoppedError):
        limiter.acquire(POLL)


def test_a_permit_granted_to_somebody_who_just_left_comes_back() -> None:
    """They leave while the leader looks at the book, which then has permits for them."""

    class SlowStore(MemoryPermitStore):
        during: Callable[[], None] = staticmethod(lambda: None)

        @contextmanager
        def open(self, account: str) -> Iterator[PermitBook]:
            with super().open(account) as book:
                yield book
                self.during()

    clock, store = FakeClock(), SlowStore()
    control = RunControl(clock)
    limiter = make(4, clock=clock, control=control, store=store)
    take(limiter, count=4)
    stopped: list[int] = []
    granted: list[int] = []

    def work(number: int) -> None:
        try:
            limiter.acquire(SUBMIT)
            granted.append(number)
        except StoppedError:
            stopped.append(number)

    threads = in_threads(4, work)
    until(lambda: limiter.capacity(SUBMIT).waiting == 4)

    def leave() -> None:
        store.during = lambda: None
        control.halt()
        until(lambda: len(stopped) == 3)  # all but the leader, who stands here

    store.during = leave
    clock.advance(61)
    join(threads)
    assert len(granted) == 1
    assert limiter.capacity(SUBMIT).used == 1


def test_a_refusal_pauses_everyone_for_as_long_as_the_service_says() -> None:
    clock = FakeClock(auto=True)
    limiter = make(5, clock=clock)
    with limiter.permit(SUBMIT) as permit:
        permit.answered(429, {"retry-after": "37"})
    assert limiter.capacity(POLL).paused_until_s == 1_037.0
    assert limiter.get_remaining_capacity(POLL) == 0
    take(limiter, POLL)
    assert clock.now_s() == pytest.approx(1_037.0, abs=0.01)


def test_refusals_of_requests_sent_before_the_pause_do_not_lengthen_it() -> None:
    clock = FakeClock(auto=True)
    limiter = make(5, clock=clock)
    first, second, third = (limiter.acquire(SUBMIT) for _ in range(3))
    clock.advance(1)
    first.answered(429, {"retry-after": "30"})
    clock.advance(10)
    second.answered(429, {"retry-after": "30"})  # its answer was slow: it means the same end
    third.answered(429, {})
    assert limiter.capacity(SUBMIT).paused_until_s == 1_031.0


def test_a_late_refusal_that_must_mean_a_later_end_is_believed() -> None:
    clock = FakeClock(auto=True)
    limiter = make(5, clock=clock)
    first, second = (limiter.acquire(SUBMIT) for _ in range(2))
    first.answered(429, {"retry-after": "2"})
    clock.advance(1)
    second.answered(429, {"retry-after": "50"})
    assert limiter.capacity(SUBMIT).paused_until_s == 1_051.0


def test_without_a_time_to_wait_the_pauses_grow_and_a_success_forgives() -> None:
    clock = FakeClock(auto=True)
    limiter = make(50, clock=clock)
    lengths_s = []
    for status in (429, 429, 429, 429, 429, 429, 200, 429):
        with limiter.permit(SUBMIT) as permit:
            permit.answered(status, {})
        until_s = limiter.capacity(SUBMIT).paused_until_s
        lengths_s.append(None if until_s is None else until_s - clock.now_s())
    assert lengths_s == [5, 10, 20, 40, 60, 60, None, 5]


def test_the_caller_is_told_why_it_waits_and_when_it_goes() -> None:
    clock = FakeClock(auto=True)
    limiter = make(1, clock=clock)
    told: list[tuple[WaitReason | None, datetime | None]] = []
    ticket = Ticket(on_wait=lambda reason, until_at: told.append((reason, until_at)))
    start_at = clock.now()
    limiter.acquire(SUBMIT, ticket).done()
    assert told == [(None, None)]
    limiter.acquire(SUBMIT, ticket).done()
    assert [reason for reason, _ in told] == [None, WaitReason.LIMIT, None]
    until_at = told[1][1]
    assert until_at is not None
    assert (until_at - start_at).total_seconds() == pytest.approx(60.05, abs=0.01)


def test_a_caller_that_fails_on_the_news_leaves_no_permit_behind() -> None:
    limiter = make(1)

    def broken(_reason: WaitReason | None, _until_at: datetime | None) -> None:
        raise RuntimeError("page is gone")

    with pytest.raises(RuntimeError):
        limiter.acquire(SUBMIT, Ticket(on_wait=broken))
    assert limiter.get_remaining_capacity(SUBMIT) == 1


def test_capacity_tells_the_truth() -> None:
    clock = FakeClock(auto=True)
    limiter = make(4, clock=clock)
    flying = limiter.acquire(SUBMIT)
    take(limiter, POLL)
    seen = limiter.capacity(SUBMIT)
    assert (seen.limit, seen.window_s, seen.used, seen.remaining) == (4, 60.0, 2, 2)
    clock.advance(100)
    assert limiter.capacity(POLL).used == 1  # the one in flight still counts
    flying.answered(200, {})
    clock.advance(60.1)
    assert limiter.capacity(POLL).used == 0


def test_a_request_that_went_out_unasked_is_counted() -> None:
    clock = FakeClock(auto=True)
    limiter = make(2, clock=clock)
    limiter.record_request(SUBMIT)
    limiter.record_request(SUBMIT)
    take(limiter)
    assert clock.now_s() == pytest.approx(1_060.05, abs=0.01)


def test_kinds_without_a_limit_pass_at_once() -> None:
    clock = FakeClock(auto=True)
    limiter = make(1, clock=clock)
    take(limiter, RequestKind.DOWNLOAD, count=500)
    assert clock.now_s() == 1_000.0
    assert limiter.capacity(RequestKind.DOWNLOAD).limit is None
    assert limiter.get_remaining_capacity(RequestKind.DOWNLOAD) is None
    assert limiter.get_remaining_capacity(SUBMIT) == 1


def test_two_limiters_of_one_account_share_the_limit_and_two_accounts_do_not() -> None:
    clock = FakeClock(auto=True)
    store = MemoryPermitStore()
    one, two = make(2, clock=clock, store=store), make(2, clock=clock, store=store)
    other = DistributedRateLimiter(
        FixedPolicy({PAID: RateLimit(2)}), clock=clock, store=store, account="other"
    )
    take(one, count=2)
    assert two.get_remaining_capacity(SUBMIT) == 0
    assert other.get_remaining_capacity(SUBMIT) == 2


def test_only_those_who_have_something_to_do_are_woken() -> None:
    """No thundering herd: a place that becomes free wakes one thread, not all of them."""

    class CountingClock(FakeClock):
        def __init__(self) -> None:
            super().__init__()
            self.wakes: Counter[str] = Counter()

        def wait(self, condition: threading.Condition, timeout_s: float | None) -> bool:
            result = super().wait(condition, timeout_s)
            self.wakes[threading.current_thread().name] += 1
            return result

    clock = CountingClock()
    limiter = make(1, clock=clock)
    take(limiter)
    with clock.running():
        join(in_threads(20, lambda _: take(limiter)))
    # each: perhaps news of the wait, its turn to lead, the moment its place is free
    assert sum(clock.wakes.values()) <= 20 * 5


class FailingStore(MemoryPermitStore):
    """Fails with `error` as long as there is one: when it is opened, or at the end of the block."""

    def __init__(self) -> None:
        super().__init__()
        self.error: BaseException | None = None
        self.fails_late = False

    @contextmanager
    def open(self, account: str) -> Iterator[PermitBook]:
        error, self.error = self.error, None if self.fails_late else self.error
        if error is not None and not self.fails_late:
            raise error
        with super().open(account) as book:
            yield book
        if error is not None:
            raise error


def test_with_an_unreachable_store_nothing_is_left_and_the_belief_says_why() -> None:
    store = FailingStore()
    limiter = make(5, store=store)
    store.error = StoreError("The database is locked.")
    assert limiter.get_remaining_capacity(SUBMIT) == 0
    belief = limiter.belief()
    assert belief.trouble == "The database is locked."
    assert "nothing goes out: The database is locked." in belief.summary
    store.error = None
    assert limiter.get_remaining_capacity(SUBMIT) == 5
    assert limiter.belief().trouble == ""


def test_an_interruption_while_looking_at_the_book_leaves_no_permit_behind() -> None:
    """Ctrl-C right after the booking: nobody would ever answer that permit."""
    store = FailingStore()
    limiter = make(5, store=store)
    store.error, store.fails_late = KeyboardInterrupt(), True
    with pytest.raises(KeyboardInterrupt):
        limiter.acquire(SUBMIT)
    assert limiter.get_remaining_capacity(SUBMIT) == 5
    take(limiter, count=5)


def test_a_short_outage_of_the_store_only_delays(caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    store = FailingStore()
    store.error = StoreError("The database is locked.")
    limiter = make(5, clock=clock, store=store)
    told: list[WaitReason | None] = []
    ticket = Ticket(on_wait=lambda reason, _: told.append(reason))
    threads = in_threads(1, lambda _: limiter.acquire(SUBMIT, ticket).answered(200, {}))
    until(lambda: told == [WaitReason.LIMIT])
    store.error = None
    with clock.running():
        join(threads)
    assert told == [WaitReason.LIMIT, None]
    assert clock.now_s() <= 1_002
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "The shared count of requests cannot be reached: The database is locked."
    ]
