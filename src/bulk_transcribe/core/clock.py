"""Time as an argument: the port `Clock` and the one class that reads the real time.

A clock has a speed. At speed 20 a clock's minute lasts three real seconds, so that a demo, a
benchmark or a test runs the real program with the same arithmetic. All seconds in the package,
those in HTTP headers included, are the clock's seconds.
"""

import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

#: The scaled wall clock starts anew at each multiple of this many seconds of machine uptime.
_ANCHOR_EVERY_S = 86_400.0


class Clock(Protocol):
    """Tells the time and waits. May be shared by all threads."""

    @property
    def speed(self) -> float:
        """Clock seconds per real second; 1.0 outside of demos, benchmarks and tests."""

    def now_s(self) -> float:
        """Monotonic seconds, the same for all processes of this machine (of the same speed)."""

    def now(self) -> datetime:
        """The moment, aware, in UTC."""

    def wait(self, condition: threading.Condition, timeout_s: float | None) -> bool:
        """Wait on a held condition until notified or until `timeout_s` clock seconds passed.

        Returns:
            False when the time ran out, else True. As with any condition, look again at what
            you waited for.
        """


class SystemClock:
    """The machine's clock, `speed` times faster.

    `now_s` reads the system-wide monotonic clock (since boot on Linux, macOS and Windows), so
    processes can compare readings, and a step of the wall clock changes nothing.

    Args:
        speed: Clock seconds per real second.
        anchor_now: For a scaled clock: start the calendar now instead of at the shared anchor.
    """

    def __init__(self, speed: float = 1.0, *, anchor_now: bool = False) -> None:
        if not speed > 0:
            raise ValueError(f"clock speed must be above 0, not {speed}")
        self._speed = speed
        mono_s = time.monotonic()
        since_anchor_s = 0.0 if anchor_now else mono_s % _ANCHOR_EVERY_S
        self._anchor_mono_s = mono_s - since_anchor_s
        self._anchor_at = datetime.now(UTC) - timedelta(seconds=since_anchor_s)

    @property
    def speed(self) -> float:
        return self._speed

    def now_s(self) -> float:
        return time.monotonic() * self._speed

    def now(self) -> datetime:
        if self._speed == 1.0:
            return datetime.now(UTC)
        real_s = time.monotonic() - self._anchor_mono_s
        return self._anchor_at + timedelta(seconds=real_s * self._speed)

    def wait(self, condition: threading.Condition, timeout_s: float | None) -> bool:
        # threading refuses timeouts of more than TIMEOUT_MAX; nobody waits longer than a day here
        real_s = None if timeout_s is None else min(max(0.0, timeout_s / self._speed), 86_400.0)
        return condition.wait(real_s)
