"""Hints from elsewhere that a running job has ended: whoever sleeps until its look is woken.

A hint changes when to look and nothing else: what a job is like, only the service's own answer
says. While hints come reliably, looks without one are few; when they stop coming, looks are as
frequent as ever.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.errors import StoppedError

#: How long after a job was found ended its hint may come and still count as one that came: the
#: service tells within seconds, and its news are read once a second.
GRACE_S: Final = 30.0
#: Of so many jobs that ended last, this many at least must have been told of, and no more than
#: this many not.
_LAST, _TOLD_AT_LEAST, _UNTOLD_AT_MOST = 8, 3, 1


class JobHints(Protocol):
    """What the watcher of jobs asks of hints. Shared by all threads."""

    @property
    def are_reliable(self) -> bool:
        """Whether a job that has ended is told of, as far as was seen."""

    def sleep_s(self, job: str, duration_s: float) -> None:
        """Sleep so long, or until a hint about the job comes.

        Raises:
            StoppedError: the run was halted before or during the sleep.
        """

    def take(self, job: str) -> bool:
        """Whether there is a hint about the job; each is given out once."""

    def ended(self, job: str, *, was_seen: bool) -> None:
        """The job is no longer watched; `was_seen`: because it was found to have ended."""


class NoHints:
    """Nobody tells of anything."""

    def __init__(self, control: RunControl) -> None:
        self._control = control

    are_reliable = False

    def sleep_s(self, job: str, duration_s: float) -> None:  # noqa: ARG002 -- the port's
        self._control.sleep_s(duration_s)

    def take(self, job: str) -> bool:  # noqa: ARG002 -- the port's
        return False

    def ended(self, job: str, *, was_seen: bool) -> None:
        """Nobody counts."""


class Hints:
    """Implements `JobHints` for hints that `tell` brings."""

    def __init__(self, control: RunControl, clock: Clock) -> None:
        self._control = control
        self._clock = clock
        self._lock = threading.Lock()  # guards the fields below
        self._bells: dict[str, threading.Condition] = {}  # of jobs that are watched
        self._told: set[str] = set()  # not followed yet
        self._heard: set[str] = set()  # told at any time, of jobs that still matter
        self._found_s: dict[str, float] = {}  # ended without a hint so far, when
        self._lately: deque[bool] = deque(maxlen=_LAST)  # whether an ended job was told of

    def listen(self) -> Callable[[], None]:
        """Let a halt wake all who sleep; returns the way to stop that."""
        return self._control.on_change(self._wake_all)

    @property
    def are_reliable(self) -> bool:
        with self._lock:
            self._give_up_waiting()
            told = sum(self._lately)
            return told >= _TOLD_AT_LEAST and len(self._lately) - told <= _UNTOLD_AT_MOST

    def wanted(self) -> list[str]:
        """Jobs about which a hint would tell something new."""
        with self._lock:
            self._give_up_waiting()
            return [job for job in (*self._bells, *self._found_s) if job not in self._heard]

    def tell(self, job: str) -> None:
        """Somebody says that the job has ended. Saying it again changes nothing."""
        with self._lock:
            if job in self._found_s:
                del self._found_s[job]
                self._lately.append(True)
                return
            bell = self._bells.get(job)
            if bell is None or job in self._heard:
                return
            self._heard.add(job)
            self._told.add(job)
        with bell:
            bell.notify_all()

    def sleep_s(self, job: str, duration_s: float) -> None:
        with self._lock:
            bell = self._bells.setdefault(job, threading.Condition())
        until_s = self._clock.now_s() + duration_s
        with bell:
            while not self._control.is_halted:
                left_s = until_s - self._clock.now_s()
                if left_s <= 0 or self._is_told(job):
                    return
                self._clock.wait(bell, left_s)
        raise StoppedError("the run was stopped")

    def take(self, job: str) -> bool:
        with self._lock:
            is_told = job in self._told
            self._told.discard(job)
            return is_told

    def ended(self, job: str, *, was_seen: bool) -> None:
        with self._lock:
            self._bells.pop(job, None)
            self._told.discard(job)
            was_heard = job in self._heard
            self._heard.discard(job)
            if was_seen and was_heard:
                self._lately.append(True)
            elif was_seen:
                self._found_s[job] = self._clock.now_s()

    def _is_told(self, job: str) -> bool:
        with self._lock:
            return job in self._told

    def _give_up_waiting(self) -> None:
        """Count the jobs whose hints did not come. Holds the lock."""
        now_s = self._clock.now_s()
        for job, found_s in list(self._found_s.items()):
            if found_s + GRACE_S > now_s:
                break  # they are in the order of their ends
            del self._found_s[job]
            self._lately.append(False)

    def _wake_all(self) -> None:
        with self._lock:
            bells = list(self._bells.values())
        for bell in bells:
            with bell:
                bell.notify_all()
