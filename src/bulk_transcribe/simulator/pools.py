"""Which requests share a limit, and what the limit says about each of them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.simulator.config import SimulatorConfig
from bulk_transcribe.simulator.windows import FixedWindow, SlidingWindow, Window

MINUTE_S: Final = 60.0
_DAY_S: Final = 86_400.0
#: Basic accounts: pool -> requests a minute and a day (limits page; 50/200 also observed live).
_BASIC: Final[Mapping[str, tuple[int, int]]] = {
    "whisper": (1, 10),
    "price": (50, 200),
    "jobs": (50, 200),
    "account": (50, 200),
}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a pool says about one request.

    Args:
        refused: The limit that it broke, or None: it was counted.
        headers: Header -> value, for this answer.
    """

    refused: Literal["minute", "daily"] | None
    headers: Mapping[str, str]


class Pool:
    """One limit a minute and perhaps one a day. Its owner locks.

    Source:
        Laravel's throttle: each limit is checked and hit in turn, so that a request which the
        day's limit refuses has already used up one of the minute.
    """

    def __init__(
        self,
        name: str,
        minute: Window,
        daily: Window | None,
        *,
        is_named: bool,
        now: Callable[[], datetime],
    ) -> None:
        self.name = name
        self.limit_rpm = minute.limit
        self._minute = minute
        self._daily = daily
        self._is_named = is_named
        self._now = now

    def admit(self, now_s: float) -> Verdict:
        """Count one request, or refuse it."""
        if self._minute.left(now_s) <= 0:
            return self._refusal("minute", self._minute, now_s)
        self._minute.hit(now_s)
        if self._daily is not None:
            if self._daily.left(now_s) <= 0:
                return self._refusal("daily", self._daily, now_s)
            self._daily.hit(now_s)
        return Verdict(refused=None, headers=self.headers(now_s))

    def headers(self, now_s: float) -> dict[str, str]:
        """The numbers of both limits at this moment."""
        found = {
            "X-RateLimit-Limit": str(self._minute.limit),
            "X-RateLimit-Remaining": str(self._minute.left(now_s)),
        }
        if self._is_named:
            found["X-RateLimit-Source"] = self.name
        if self._daily is not None:
            found["X-RateLimit-Daily-Limit"] = str(self._daily.limit)
            found["X-RateLimit-Daily-Remaining"] = str(self._daily.left(now_s))
        return found

    def _refusal(self, which: Literal["minute", "daily"], window: Window, now_s: float) -> Verdict:
        # whole seconds, rounded up, but not for a millionth: sums of floats are off by less
        after_s = max(1, math.ceil(round(window.opens_in_s(now_s), 6)))
        headers = self.headers(now_s) | refusal_headers(which, after_s, self._now())
        return Verdict(refused=which, headers=headers)


def refusal_headers(which: str, after_s: float | None, now: datetime) -> dict[str, str]:
    """The headers that only a 429 has. Without `after_s` it does not say for how long."""
    if after_s is None:
        return {"X-RateLimit-Type": which}
    return {
        "X-RateLimit-Type": which,
        "Retry-After": str(math.ceil(after_s)),
        "X-RateLimit-Reset": str(math.ceil(now.timestamp() + after_s)),
    }


class Account:
    """The pools of the one account. Its owner locks."""

    def __init__(self, config: SimulatorConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._pools: dict[str, Pool] = {}

    def pool(self, kind: str, endpoint: str) -> Pool:
        """The pool in which this request is counted."""
        name = pool_name(self._config, kind, endpoint)
        if name not in self._pools:
            self._pools[name] = self._open(name)
        return self._pools[name]

    def _open(self, name: str) -> Pool:
        if self._config.plan == "basic":
            per_min, per_day = _BASIC[name]
        else:
            per_min, per_day = self._config.rate_limit_rpm, self._config.daily_limit or 0
        daily = FixedWindow(per_day, self._day_left_s) if per_day else None
        return Pool(
            name,
            self._minute(per_min),
            daily,
            is_named=self._config.names_pools,
            now=self._clock.now,
        )

    def _minute(self, limit: int) -> Window:
        if self._config.window == "sliding":
            return SlidingWindow(limit, MINUTE_S)
        return FixedWindow(limit, lambda: MINUTE_S)

    def _day_left_s(self) -> float:
        return _DAY_S if self._config.daily_reset == "rolling" else until_midnight_s(self._clock)


def until_midnight_s(clock: Clock) -> float:
    """Seconds until the next midnight in UTC, by the clock's calendar; a whole day at midnight."""
    now = clock.now().astimezone(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return (today + timedelta(days=1) - now).total_seconds()


def pool_name(config: SimulatorConfig, kind: str, endpoint: str) -> str:
    """The name of the pool for a limited request.

    Premium accounts are described in two ways: one pool for everything, or one for each endpoint.
    Whether status calls belong to the shared one is not said anywhere.
    """
    if config.plan == "basic":
        return {"submit": "whisper", "price": "price", "poll": "jobs"}.get(kind, "account")
    if config.pools == "independent":
        return "jobs" if kind == "poll" else f"{kind}:{endpoint}"
    return "jobs" if kind == "poll" and config.polls == "outside" else "premium"
