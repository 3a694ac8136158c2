"""The time of a database server, told by this machine's clock that was set to it."""

from datetime import UTC, datetime
from threading import Condition

from bulk_transcribe.core.clock import Clock


class DatabaseClock:
    """Readings that processes on several machines can compare. May be shared by all threads.

    The machine's clock gives the pace, so that a step of anybody's wall clock moves no wait; the
    server said once what time it is. How far the two drift apart later is small (a quartz is off
    by seconds in a day), and where it would matter, the permits, it is measured anew each time.

    Args:
        clock: This machine's.
        epoch_s: Seconds since 1970 by the server's clock, ...
        reading_s: ... when `clock` read this.
    """

    def __init__(self, clock: Clock, *, epoch_s: float, reading_s: float) -> None:
        self._clock = clock
        self._ahead_s = epoch_s * clock.speed - reading_s

    @property
    def speed(self) -> float:
        return self._clock.speed

    def now_s(self) -> float:
        """Seconds since 1970 by the server's clock, times the speed."""
        return self._clock.now_s() + self._ahead_s

    def now(self) -> datetime:
        """The server's time; a clock of another speed keeps the calendar that it has."""
        if self.speed != 1.0:
            return self._clock.now()
        return datetime.fromtimestamp(self.now_s(), UTC)

    def wait(self, condition: Condition, timeout_s: float | None) -> bool:
        return self._clock.wait(condition, timeout_s)
