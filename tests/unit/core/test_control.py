"""Pause, drain and halt reach every wait."""

import threading

import pytest

from bulk_transcribe.core.control import RunControl
from bulk_transcribe.errors import StoppedError
from bulk_transcribe.testing import FakeClock


def test_a_sleep_lasts_as_long_as_the_clock_says() -> None:
    clock = FakeClock(auto=True)
    before_s = clock.now_s()
    RunControl(clock).sleep_s(90)
    assert clock.now_s() - before_s == 90


def test_halt_ends_the_sleep_of_eight_threads_at_once() -> None:
    clock = FakeClock()
    control = RunControl(clock)
    barrier = threading.Barrier(9)
    stopped = []

    def sleeper() -> None:
        barrier.wait()
        try:
            control.sleep_s(3600)
        except StoppedError:
            stopped.append(threading.get_ident())

    threads = [threading.Thread(target=sleeper) for _ in range(8)]
    for thread in threads:
        thread.start()
    barrier.wait()
    control.halt()
    for thread in threads:
        thread.join(10)
    assert len(stopped) == 8
    assert clock.now_s() == 1_000.0


def test_drain_lets_sleeps_go_on_and_halt_does_not() -> None:
    control = RunControl(FakeClock(auto=True))
    control.drain()
    control.sleep_s(5)
    assert control.is_draining
    assert not control.is_halted
    control.halt()
    with pytest.raises(StoppedError):
        control.sleep_s(5)
    with pytest.raises(StoppedError):
        control.raise_if_halted()


def test_a_paused_run_waits_until_resumed() -> None:
    control = RunControl(FakeClock())
    control.pause()
    going = threading.Event()

    def worker() -> None:
        control.wait_while_paused()
        going.set()

    thread = threading.Thread(target=worker)
    thread.start()
    assert not going.is_set()
    control.resume()
    thread.join(10)
    assert going.is_set()


def test_a_drain_while_paused_starts_nothing() -> None:
    control = RunControl(FakeClock())
    control.pause()
    control.drain()
    with pytest.raises(StoppedError):
        control.wait_while_paused()


def test_listeners_hear_of_each_change_outside_the_lock_until_they_leave() -> None:
    control = RunControl(FakeClock())
    heard = []
    forget = control.on_change(lambda: heard.append((control.is_paused, control.is_halted)))
    control.pause()
    control.halt()
    forget()
    control.resume()
    assert heard == [(True, False), (True, True)]
