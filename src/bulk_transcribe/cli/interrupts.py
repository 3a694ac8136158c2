"""Ctrl-C once finishes what is in flight, twice leaves at once; both can be resumed."""

import queue
import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from bulk_transcribe.core.control import RunControl


class Interrupts:
    """Turns SIGINT and SIGTERM into drain and halt while a run lasts.

    The handler only puts a note into a queue, which is safe at any point of the program; a
    thread of its own acts on it, where locks may be taken.

    Args:
        control: The run's.
        in_flight: How many videos are in flight, for the message.
        say: Told what happens, one line.
    """

    def __init__(
        self, control: RunControl, in_flight: Callable[[], int], say: Callable[[str], None]
    ) -> None:
        self._control = control
        self._in_flight = in_flight
        self._say = say
        self._signals: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="interrupts", daemon=True)
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._thread.start()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._signals.put(None)
        self._thread.join()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self._signals.put(number)

    def _serve(self) -> None:
        while (number := self._signals.get()) is not None:
            if number == signal.SIGTERM or self._control.is_draining:
                self._say("Leaving now. What was paid for is fetched by resume.")
                self._control.halt()
            else:
                self._say(
                    f"Finishing {self._in_flight()} in flight, starting no more. "
                    "Ctrl-C again leaves at once."
                )
                self._control.drain()
