"""Hints wake whoever watches a job, once each, and are relied on while they come."""

import threading

import pytest

from bulk_transcribe.core.control import RunControl
from bulk_transcribe.errors import StoppedError
from bulk_transcribe.process.hints import GRACE_S, Hints, NoHints
from bulk_transcribe.testing import FakeClock


def make(clock: FakeClock) -> Hints:
    return Hints(RunControl(clock), clock)


def ended(hints: Hints, job: str, *, told: bool) -> None:
    hints.sleep_s(job, 0)  # somebody watches it
    if told:
        hints.tell(job)
    hints.ended(job, was_seen=True)


def test_a_sleep_lasts_as_long_as_it_should_without_a_hint() -> None:
    clock = FakeClock(auto=True)
    hints = make(clock)
    before_s = clock.now_s()
    hints.sleep_s("a", 30.0)
    assert clock.now_s() == before_s + 30.0
    assert not hints.take("a")


def test_a_hint_ends_the_sleep_of_its_job_alone() -> None:
    clock = FakeClock()
    hints = make(clock)
    slept: list[str] = []

    def sleep(job: str) -> None:
        hints.sleep_s(job, 1_000.0)
        slept.append(job)

    threads = [threading.Thread(target=sleep, args=(job,)) for job in ("a", "b")]
    for thread in threads:
        thread.start()
    while set(hints.wanted()) != {"a", "b"}:
        pass
    hints.tell("a")
    threads[0].join(10)
    assert slept == ["a"]
    assert threads[1].is_alive()
    assert (hints.take("a"), hints.take("a"), hints.take("b")) == (True, False, False)
    clock.advance(1_000.0)
    threads[1].join(10)
    assert slept == ["a", "b"]


def test_a_hint_said_again_changes_nothing() -> None:
    clock = FakeClock(auto=True)
    hints = make(clock)
    hints.sleep_s("a", 0)
    hints.tell("a")
    assert hints.take("a")
    hints.tell("a")
    assert not hints.take("a")
    assert hints.wanted() == []


def test_a_hint_about_a_job_that_nobody_watches_is_nothing() -> None:
    hints = make(FakeClock(auto=True))
    hints.tell("a")
    assert not hints.take("a")


def test_a_halt_wakes_all_who_sleep() -> None:
    clock = FakeClock()
    control = RunControl(clock)
    hints = Hints(control, clock)
    forget = hints.listen()
    stopped: list[str] = []

    def sleep(job: str) -> None:
        with pytest.raises(StoppedError):
            hints.sleep_s(job, 1_000.0)
        stopped.append(job)

    threads = [threading.Thread(target=sleep, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    while len(hints.wanted()) < 8:
        pass
    control.halt()
    for thread in threads:
        thread.join(10)
    forget()
    assert len(stopped) == 8


def test_three_jobs_that_were_told_of_make_hints_reliable_and_two_untold_ones_end_it() -> None:
    clock = FakeClock(auto=True)
    hints = make(clock)
    for number in range(3):
        assert not hints.are_reliable
        ended(hints, f"told {number}", told=True)
    assert hints.are_reliable
    for number in range(2):
        ended(hints, f"untold {number}", told=False)
    assert hints.are_reliable, "a hint may come a moment after the look"
    clock.advance(GRACE_S)
    assert not hints.are_reliable


def test_a_hint_that_comes_after_the_look_counts_as_one_that_came() -> None:
    clock = FakeClock(auto=True)
    hints = make(clock)
    for number in range(3):
        ended(hints, str(number), told=False)
        assert hints.wanted() == [str(number)]
        clock.advance(GRACE_S / 2)
        hints.tell(str(number))
    assert hints.are_reliable


def test_a_job_that_was_given_up_says_nothing_of_hints() -> None:
    clock = FakeClock(auto=True)
    hints = make(clock)
    for number in range(9):
        hints.sleep_s(str(number), 0)
        hints.ended(str(number), was_seen=False)
    clock.advance(10 * GRACE_S)
    assert not hints.are_reliable
    assert hints.wanted() == []


def test_without_hints_a_sleep_is_the_runs_own() -> None:
    clock = FakeClock(auto=True)
    control = RunControl(clock)
    nobody = NoHints(control)
    nobody.sleep_s("a", 5.0)
    assert clock.now_s() == 1_005.0
    assert not nobody.are_reliable
    assert not nobody.take("a")
    control.halt()
    with pytest.raises(StoppedError):
        nobody.sleep_s("a", 5.0)
