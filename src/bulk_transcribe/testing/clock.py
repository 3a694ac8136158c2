"""A clock that stands still until it is moved."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

#: Real seconds without any news among the sleepers after which `running` moves the time.
_SETTLED_S = 0.003


class FakeClock:
    """Moves by hand, or by itself while everyone sleeps. May be shared by all threads.

    - `advance(s)` moves the time and wakes all waits that are due.
    - With `auto=True` a timed wait moves the time itself and returns at once: for tests with one
      thread.
    - `with clock.running():` moves the time to the next wake-up whenever every waiting thread has
      settled: for tests with many threads. No real time is slept through.
    """

    def __init__(self, start_s: float = 1_000.0, *, auto: bool = False) -> None:
        self._lock = threading.Lock()  # guards the fields below
        self._now_s = start_s
        self._start_s = start_s
        self._auto = auto
        self._waits: dict[int, tuple[float, threading.Condition]] = {}
        self._next_wait = 0
        self._changes = 0
        self.speed = 1.0

    def now_s(self) -> float:
        with self._lock:
            return self._now_s

    def now(self) -> datetime:
        start_at = datetime(2026, 1, 1, tzinfo=UTC)
        return start_at + timedelta(seconds=self.now_s() - self._start_s)

    def wait(self, condition: threading.Condition, timeout_s: float | None) -> bool:
        if timeout_s is None:
            return condition.wait()
        with self._lock:
            if self._auto:
                self._now_s += max(0.0, timeout_s)
                return False
            due_s = self._now_s + max(0.0, timeout_s)
            ticket, self._next_wait = self._next_wait, self._next_wait + 1
            self._waits[ticket] = (due_s, condition)
            self._changes += 1
        try:
            if due_s > self.now_s():
                condition.wait()
            return self.now_s() < due_s
        finally:
            with self._lock:
                del self._waits[ticket]
                self._changes += 1

    def advance(self, duration_s: float) -> None:
        """Move the time forward and wake what is due."""
        with self._lock:
            self._now_s += duration_s
            due = [c for at_s, c in self._waits.values() if at_s <= self._now_s]
        for condition in due:
            with condition:
                condition.notify_all()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the time jump to the next wake-up whenever everyone sleeps."""
        over = threading.Event()
        driver = threading.Thread(target=self._drive, args=(over,), name="fake-clock", daemon=True)
        driver.start()
        try:
            yield
        finally:
            over.set()
            driver.join()

    def _drive(self, over: threading.Event) -> None:
        seen = -1
        while not over.is_set():
            with self._lock:
                changes = self._changes
                next_s = min((at_s for at_s, _ in self._waits.values()), default=None)
                left_s = None if next_s is None else next_s - self._now_s
            if changes == seen and left_s is not None:
                self.advance(max(0.0, left_s))
            seen = changes
            time.sleep(_SETTLED_S)
