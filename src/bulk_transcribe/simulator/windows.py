"""How many requests a window still takes. Pure counting: the time comes in, the owner locks."""

from collections import deque
from collections.abc import Callable
from typing import Protocol


class Window(Protocol):
    """A limit on requests within some time. Times must not go backwards."""

    limit: int

    def left(self, now_s: float) -> int:
        """Requests that would still be taken at `now_s`."""

    def hit(self, now_s: float) -> None:
        """Count one request. Ask `left` first: refused requests are not counted."""

    def opens_in_s(self, now_s: float) -> float:
        """Seconds until a full window takes a request again; 0.0 if it takes one now."""


class FixedWindow:
    """Opens with the first request, closes after its length, whoever comes in between.

    Args:
        limit: Requests in one window.
        length_s: Asked at the opening: how long this window lasts.

    Source:
        Laravel's rate limiter: the timer is set on the first hit, and a refused request is not
        counted.
    """

    def __init__(self, limit: int, length_s: Callable[[], float]) -> None:
        self.limit = limit
        self._length_s = length_s
        self._ends_s: float | None = None
        self._hits = 0

    def left(self, now_s: float) -> int:
        return self.limit - (self._hits if self._is_open(now_s) else 0)

    def hit(self, now_s: float) -> None:
        if not self._is_open(now_s):
            self._ends_s = now_s + self._length_s()
            self._hits = 0
        self._hits += 1

    def opens_in_s(self, now_s: float) -> float:
        if self._ends_s is None or self.left(now_s) > 0:
            return 0.0
        return self._ends_s - now_s

    def _is_open(self, now_s: float) -> bool:
        return self._ends_s is not None and now_s < self._ends_s


class SlidingWindow:
    """Looks at the requests taken in the last `length_s` seconds, at any moment.

    A request leaves the window exactly `length_s` seconds after it was taken.
    """

    def __init__(self, limit: int, length_s: float) -> None:
        self.limit = limit
        self._length_s = length_s
        self._taken_s: deque[float] = deque()

    def left(self, now_s: float) -> int:
        # added as callers add: `now_s - length` may round to the other side
        while self._taken_s and self._taken_s[0] + self._length_s <= now_s:
            self._taken_s.popleft()
        return self.limit - len(self._taken_s)

    def hit(self, now_s: float) -> None:
        self._taken_s.append(now_s)

    def opens_in_s(self, now_s: float) -> float:
        return 0.0 if self.left(now_s) > 0 else self._taken_s[0] + self._length_s - now_s
