"""Trouble is answered by waiting, for a while."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.stage import WaitReason
from bulk_transcribe.errors import (
    AuthError,
    GaveUpError,
    NetworkError,
    RateLimitError,
    RetryableError,
    ServerBusyError,
    StoppedError,
)
from bulk_transcribe.process.backoff import Backoff, Patience, Troubles, next_wait_s
from bulk_transcribe.testing import FakeClock
from bulk_transcribe.testing.fakes import FakeReporter

VIDEO = "v0000000001"
seconds = st.floats(0, 5_000)


def _failing(times: int, error: Exception) -> tuple[Callable[[], str], list[int]]:
    calls: list[int] = []

    def call() -> str:
        calls.append(1)
        if len(calls) <= times:
            raise error
        return "words"

    return call, calls


@given(
    failures=st.integers(0, 200),
    jitter=st.floats(0, 1),
    retry_after_s=st.none() | seconds,
    is_limited=st.booleans(),
)
def test_a_wait_is_never_shorter_than_asked_for_nor_longer_than_needed(
    *, failures: int, jitter: float, retry_after_s: float | None, is_limited: bool
) -> None:
    patience = Patience(tries=1_000)
    family = RateLimitError if is_limited else NetworkError
    troubles = Troubles(failures=failures, limited=failures)
    wait_s = next_wait_s(troubles, family("no", retry_after_s=retry_after_s), jitter, patience)
    asked_s = retry_after_s or 0.0
    if wait_s is None:
        assert not is_limited
        assert asked_s > patience.total_s
    else:
        assert asked_s <= wait_s <= max(asked_s, patience.longest_s)


@given(
    st.lists(st.tuples(st.booleans(), st.none() | seconds, st.floats(0, 1)), max_size=60),
    st.integers(1, 8),
)
def test_tries_and_waits_stay_within_the_patience(
    errors: list[tuple[bool, float | None, float]], tries: int
) -> None:
    patience = Patience(tries=tries, total_s=600.0, limited_total_s=20_000.0)
    troubles = Troubles()
    for is_limited, retry_after_s, jitter in errors:
        family = RateLimitError if is_limited else ServerBusyError
        error = family("no", retry_after_s=retry_after_s)
        wait_s = next_wait_s(troubles, error, jitter, patience)
        if wait_s is None:
            break
        troubles = troubles.after(error, wait_s)
    assert troubles.failures < tries
    assert troubles.waited_s <= 600.0
    assert troubles.limited_s <= 20_000.0


def test_it_goes_on_when_the_trouble_passes() -> None:
    clock, reporter = FakeClock(auto=True), FakeReporter()
    call, calls = _failing(3, NetworkError("no answer"))
    backoff = Backoff(RunControl(clock), clock, jitter=lambda: 1.0)
    assert backoff(VIDEO, reporter, call) == "words"
    assert len(calls) == 4
    assert clock.now_s() - 1_000 == 2 + 4 + 8
    assert reporter.waits == [WaitReason.RETRY] * 3
    assert reporter.told[-1].waiting is None


def test_it_gives_up_after_five_tries_and_keeps_the_cause() -> None:
    clock = FakeClock(auto=True)
    error = NetworkError(f"{VIDEO}: no answer.", next_step="Check the network.")
    call, calls = _failing(99, error)
    troubles: list[RetryableError] = []
    backoff = Backoff(RunControl(clock), clock, on_trouble=troubles.append)
    with pytest.raises(GaveUpError) as caught:
        backoff(VIDEO, FakeReporter(), call)
    assert len(calls) == len(troubles) == 5
    assert caught.value.__cause__ is error
    assert caught.value.can_retry
    assert str(caught.value) == (f"{VIDEO}: given up after 5 tries: no answer. Check the network.")


def test_a_429_does_not_count_as_a_try_and_is_waited_out() -> None:
    clock, reporter = FakeClock(auto=True), FakeReporter()
    call, calls = _failing(40, RateLimitError("slow down", retry_after_s=60))
    assert Backoff(RunControl(clock), clock)(VIDEO, reporter, call) == "words"
    assert len(calls) == 41
    assert clock.now_s() - 1_000 >= 40 * 60
    assert set(reporter.waits) == {WaitReason.LIMIT}


def test_even_429s_end_after_a_day() -> None:
    clock = FakeClock(auto=True)
    call, calls = _failing(9_999, RateLimitError("slow down", retry_after_s=7_200))
    with pytest.raises(GaveUpError):
        Backoff(RunControl(clock), clock)(VIDEO, FakeReporter(), call)
    assert len(calls) == 14  # 13 waits of 2 h are 26 h


def test_a_service_that_asks_for_more_than_the_patience_is_not_waited_for() -> None:
    clock = FakeClock(auto=True)
    call, calls = _failing(9, ServerBusyError("later", retry_after_s=901))
    with pytest.raises(GaveUpError):
        Backoff(RunControl(clock), clock)(VIDEO, FakeReporter(), call)
    assert len(calls) == 1
    assert clock.now_s() == 1_000


def test_other_errors_are_not_repeated() -> None:
    clock = FakeClock(auto=True)
    call, calls = _failing(1, AuthError("wrong key"))
    with pytest.raises(AuthError):
        Backoff(RunControl(clock), clock)(VIDEO, FakeReporter(), call)
    assert len(calls) == 1


def test_a_halt_ends_the_wait_at_once() -> None:
    clock = FakeClock()
    control = RunControl(clock)
    call, _ = _failing(9, ServerBusyError("later", retry_after_s=600))
    asked, stopped = threading.Event(), threading.Event()

    def tell(_error: RetryableError) -> None:
        asked.set()

    def work() -> None:
        with pytest.raises(StoppedError):
            Backoff(control, clock, on_trouble=tell)(VIDEO, FakeReporter(), call)
        stopped.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert asked.wait(10)
    control.halt()
    thread.join(10)
    assert stopped.is_set()
    assert clock.now_s() == 1_000


def test_a_drained_run_sees_short_waits_through_and_no_long_ones() -> None:
    clock = FakeClock(auto=True)
    control = RunControl(clock)
    control.drain()
    backoff = Backoff(control, clock)
    call, _ = _failing(2, ServerBusyError("soon", retry_after_s=30))
    assert backoff(VIDEO, FakeReporter(), call) == "words"
    call, _ = _failing(1, RateLimitError("tomorrow", retry_after_s=80_000))
    before_s = clock.now_s()
    with pytest.raises(StoppedError):
        backoff(VIDEO, FakeReporter(), call)
    assert clock.now_s() == before_s
