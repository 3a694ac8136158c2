"""Ctrl-C once drains, twice halts."""

import os
import signal
import threading

from bulk_transcribe.cli.interrupts import Interrupts
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.testing import FakeClock


def _told(control: RunControl) -> threading.Event:
    told = threading.Event()
    control.on_change(told.set)
    return told


def test_once_finishes_what_is_in_flight_and_twice_leaves() -> None:
    control = RunControl(FakeClock())
    said: list[str] = []
    told = _told(control)
    with Interrupts(control, lambda: 3, said.append):
        os.kill(os.getpid(), signal.SIGINT)
        assert told.wait(10)
        assert control.is_draining
        assert not control.is_halted
        told.clear()
        os.kill(os.getpid(), signal.SIGINT)
        assert told.wait(10)
        assert control.is_halted
    assert "3 in flight" in said[0]
    assert len(said) == 2


def test_terminate_leaves_at_once() -> None:
    control = RunControl(FakeClock())
    told = _told(control)
    with Interrupts(control, lambda: 0, lambda _line: None):
        os.kill(os.getpid(), signal.SIGTERM)
        assert told.wait(10)
    assert control.is_halted


def test_the_handlers_from_before_come_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interrupts(RunControl(FakeClock()), lambda: 0, lambda _line: None):
        assert signal.getsignal(signal.SIGINT) != before
    assert signal.getsignal(signal.SIGINT) == before
