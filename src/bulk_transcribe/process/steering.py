"""Steering a run from outside: wishes are read and carried out, and signs of life are given."""

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Protocol, Self

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.errors import StopBatchError
from bulk_transcribe.process.processor import ParallelVideoProcessor

_log: Final = logging.getLogger(__name__)

#: Real seconds between two looks: a click acts within a second.
_LOOK_EVERY_REAL_S: Final = 0.5
#: A sign of life every so many looks, and at once when a wish was carried out that shows.
_LOOKS_PER_BEAT: Final = 4
#: Looks that may fail in a row before the batch is stopped: a database can be busy for a moment.
_FAILURES_UNTIL_STOP: Final = 3
#: The code of the store's error when another engine has the session: nothing to wait for.
_SESSION_LOST: Final = "session_lost"


class WishMade(Protocol):
    """What somebody wants of the run.

    `wish` is "pause", "resume", "stop" (start no more, finish what is in flight; with the value
    "now", or said again: end at once) or "concurrency" (value: a number, or "auto").
    """

    @property
    def wish(self) -> str: ...

    @property
    def value(self) -> str: ...


def _nothing() -> None:
    """No signs of life are wanted."""


class Steering:
    """A thread that reads wishes twice a real second; `with Steering(...):` around the batch.

    An unknown wish, or an impossible number, is logged and left. When the store fails several
    times in a row the batch is stopped with that error. A bug in here drains the run, and comes
    out of the `with` block.

    Args:
        processor: Its slots and its stop.
        take_wishes: The wishes nobody has taken yet, oldest first, each given out once.
        control: Pause, drain and halt.
        clock: Time; the pause between looks is real time, whatever the clock's speed.
        heartbeat: Tells the store that this engine lives, and whether it is paused. Its error
            with the code "session_lost" stops the batch at once.
    """

    def __init__(
        self,
        processor: ParallelVideoProcessor,
        take_wishes: Callable[[], Iterable[WishMade]],
        *,
        control: RunControl,
        clock: Clock,
        heartbeat: Callable[[], None] = _nothing,
    ) -> None:
        self._processor = processor
        self._take_wishes = take_wishes
        self._control = control
        self._clock = clock
        self._heartbeat = heartbeat
        self._over = threading.Condition()  # guards _is_over
        self._is_over = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="steering")
        self._loop: Future[None] | None = None

    def __enter__(self) -> Self:
        self._loop = self._thread.submit(self._steer)
        self._loop.add_done_callback(self._ended)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        with self._over:
            self._is_over = True
            self._over.notify_all()
        self._thread.shutdown(wait=True)
        bug = None if self._loop is None else self._loop.exception()
        if bug is not None and error is None:
            raise bug

    def carry_out(self, made: WishMade) -> None:
        """Do what a wish says."""
        match made.wish:
            case "pause":
                self._control.pause()
            case "resume" if self._control.is_draining:
                _log.warning("the run ends: it cannot be resumed before that")
            case "resume":
                self._control.resume()
            case "stop" if made.value == "now" or self._control.is_draining:
                self._control.halt()
            case "stop":
                self._control.drain()
            case "concurrency":
                self._set_concurrency(made.value)
            case _:
                _log.warning("an unknown wish was left: %s %s", made.wish, made.value)

    def _set_concurrency(self, value: str) -> None:
        try:
            self._processor.set_concurrency("auto" if value == "auto" else int(value))
        except ValueError as error:
            _log.warning("a wish was left: %s", error)

    def _steer(self) -> None:
        failures, looks, told = 0, 0, (False, False)
        while not self._wait():
            try:
                for made in self._take_wishes():
                    _log.info("wish: %s %s", made.wish, made.value)
                    self.carry_out(made)
                stands = (self._control.is_paused, self._control.is_draining)
                if looks % _LOOKS_PER_BEAT == 0 or told != stands:
                    self._heartbeat()
                    told = stands
            except StopBatchError as error:
                failures += 1
                _log.warning("the store did not answer to steering: %s", error)
                if failures >= _FAILURES_UNTIL_STOP or error.code == _SESSION_LOST:
                    self._processor.stop(error)
                    return
            else:
                failures = 0
                looks += 1

    def _wait(self) -> bool:
        """Until the next look; True when the batch is over."""
        with self._over:
            if not self._is_over:
                self._clock.wait(self._over, _LOOK_EVERY_REAL_S * self._clock.speed)
            return self._is_over

    def _ended(self, loop: Future[None]) -> None:
        bug = loop.exception()
        if bug is not None:
            _log.error("steering broke down, so the run ends", exc_info=bug)
            self._control.drain()
