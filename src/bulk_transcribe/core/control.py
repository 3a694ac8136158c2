"""One place where a run is paused, drained or halted, and where every wait looks."""

import threading
from collections.abc import Callable

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.errors import StoppedError


class RunControl:
    """The wishes of whoever steers a run. May be shared by all threads.

    - *pause*: start nothing new (no video, no paid submit); what was paid for is still fetched.
    - *drain* (first Ctrl-C): start no further video, finish those in flight, then end.
    - *halt* (second Ctrl-C, or a `StopBatchError`): every wait ends now with `StoppedError`.

    Drain and halt are final for a run; pause is not.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._changed = threading.Condition()  # guards the four fields below
        self._paused = False
        self._draining = False
        self._halted = False
        self._listeners: list[Callable[[], None]] = []

    @property
    def is_paused(self) -> bool:
        with self._changed:
            return self._paused

    @property
    def is_draining(self) -> bool:
        """True once no further video may start (drain or halt)."""
        with self._changed:
            return self._draining

    @property
    def is_halted(self) -> bool:
        with self._changed:
            return self._halted

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` (outside every lock) after each change; returns the way to stop that."""
        with self._changed:
            self._listeners.append(listener)

        def forget() -> None:
            with self._changed:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return forget

    def pause(self) -> None:
        self._set(paused=True)

    def resume(self) -> None:
        self._set(paused=False)

    def drain(self) -> None:
        self._set(draining=True)

    def halt(self) -> None:
        self._set(draining=True, halted=True)

    def raise_if_halted(self) -> None:
        """Raise `StoppedError` once the run is halted."""
        if self.is_halted:
            raise StoppedError("the run was stopped")

    def sleep_s(self, duration_s: float) -> None:
        """Sleep `duration_s` clock seconds.

        Raises:
            StoppedError: the run was halted before or during the sleep.
        """
        until_s = self._clock.now_s() + duration_s
        with self._changed:
            while not self._halted:
                left_s = until_s - self._clock.now_s()
                if left_s <= 0:
                    return
                self._clock.wait(self._changed, left_s)
        raise StoppedError("the run was stopped")

    def wait_while_paused(self) -> None:
        """Return at once unless paused; else when resumed.

        Raises:
            StoppedError: the run was halted, or drained while paused (it will not start more).
        """
        with self._changed:
            while self._paused and not self._draining:
                self._clock.wait(self._changed, None)
            if self._halted or (self._paused and self._draining):
                raise StoppedError("the run was stopped")

    def _set(
        self,
        *,
        paused: bool | None = None,
        draining: bool | None = None,
        halted: bool | None = None,
    ) -> None:
        with self._changed:
            self._paused = self._paused if paused is None else paused
            self._draining = self._draining if draining is None else draining
            self._halted = self._halted if halted is None else halted
            self._changed.notify_all()
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener()
