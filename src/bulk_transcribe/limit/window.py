"""The rule: when may one more request go? Pure arithmetic on what the book says.

**A permit counts from the moment it is granted until one window after its answer arrived. A new
one is granted only while fewer than N count.**

Why the service then never sees more than N requests in any window, however long requests and
answers are under way: take any window of the *service's* time and the k requests it counted in
there. Each was counted between its grant and its answer. Let L be the one of them that was
granted last. The service counted any other one, E, less than a window before or after it counted
L. Had E stopped counting here when L was granted, E's answer would have arrived a window before
that, so E would have been counted more than a window before L: too early to share the window. So
all k - 1 others counted when L was granted, and L was granted because fewer than N did: k <= N.
A fixed window is one of those windows, wherever the service lets it begin.

Nothing shorter would do: a request that was answered less than a window ago may have been counted
at the last instant before its answer, and one more would make N + 1 within a window. So no
permit is refused without need. What it costs is that a place is taken for a window *and* the time
on the way: 60 s and 1 s give 98.4 % of the limit.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.limit.rate import Pool, RateLimit

#: Added to each window: two machines' clocks run at slightly different rates (50 ms in a minute
#: is 0.08 %, ten times what a quartz clock is off), and services count in coarse steps.
MARGIN_S = 0.05
#: Added to a time to wait for, so that rounding never wakes anybody a moment too early.
_ROUNDING_S = 0.001
#: A pace is kept over this long, not between each two permits.
_PACE_S = 1.0


def counts_after_s(limit: RateLimit, now_s: float) -> float:
    """Permits answered later than this reading count; those answered at it count no more."""
    return now_s - limit.window_s - MARGIN_S


def free_again_s(limit: RateLimit, answered_s: float) -> float:
    """When a permit with this answer no longer counts."""
    return answered_s + limit.window_s + MARGIN_S + _ROUNDING_S


@dataclass(frozen=True, kw_only=True)
class Closure:
    """A kind rests: nothing of it goes before `until_s`."""

    until_s: float
    is_daily: bool = False


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What holds at one moment.

    Args:
        pools: All limits. A permit needs room in each pool of its kind.
        closed: Kinds that rest.
        at_most: How many more permits of a kind may be granted now; kinds not named are free.
        per_s: Most permits a second that one process gives out; None: all at once.
    """

    pools: tuple[Pool, ...]
    closed: Mapping[RequestKind, Closure] = field(default_factory=lambda: MappingProxyType({}))
    at_most: Mapping[RequestKind, int] = field(default_factory=lambda: MappingProxyType({}))
    per_s: float | None = None

    def pools_of(self, kind: RequestKind) -> tuple[Pool, ...]:
        return tuple(pool for pool in self.pools if kind in pool.kinds)


def share_out(asked: Sequence[RequestKind], rules: Rules, counted: Mapping[Pool, int]) -> list[int]:
    """Which of the waiting requests may go now.

    Each in its turn takes what it needs; one that cannot go lets those behind it pass, where they
    draw on other pools. Only the first of a kind that needs two shared pools holds a place in
    each, for else those who need one of them would always be faster.

    Args:
        asked: Kinds of the waiting requests, the one whose turn it is first.
        rules: What holds now.
        counted: How many permits count in each pool of `rules`.

    Returns:
        Positions in `asked`, ascending.
    """
    room = {pool: pool.limit.requests - counted[pool] for pool in rules.pools}
    left = dict(rules.at_most)
    stuck: set[RequestKind] = set()
    granted: list[int] = []
    for position, kind in enumerate(asked):
        if kind in rules.closed or kind in stuck:
            continue
        pools = rules.pools_of(kind)
        if left.get(kind, 1) > 0 and all(room[pool] > 0 for pool in pools):
            granted.append(position)
            if kind in left:
                left[kind] -= 1
        else:
            stuck.add(kind)
            if sum(len(pool.kinds) > 1 for pool in pools) < 2 or left.get(kind, 1) <= 0:  # noqa: PLR2004
                continue
        for pool in pools:
            room[pool] -= 1
    return granted


class Slots:
    """When the places of one pool become free, as far as that is known now."""

    def __init__(
        self, limit: RateLimit, answered_s: Sequence[float], in_flight: int, now_s: float
    ) -> None:
        """Work it out.

        Args:
            limit: The pool's.
            answered_s: When the permits that count were answered, ascending.
            in_flight: How many more count that have no answer yet.
            now_s: The reading now.
        """
        lasts_s = limit.window_s + MARGIN_S + _ROUNDING_S
        free = limit.requests - len(answered_s) - in_flight
        times_s = [now_s] * max(0, free)
        times_s += [free_again_s(limit, at_s) for at_s in answered_s]
        times_s += [now_s + lasts_s] * in_flight  # answered now at the earliest
        self._times_s = sorted(times_s)[max(0, -free) :]
        self._lasts_s = lasts_s

    def earliest_s(self, ahead: int) -> float:
        """The earliest reading at which someone with `ahead` others before it gets a place."""
        cycles, place = divmod(ahead, len(self._times_s))
        return self._times_s[place] + cycles * self._lasts_s


class Pace:
    """Spreads a crowd of permits over a while. Not thread-safe: its owner takes care."""

    def __init__(self) -> None:
        self._until_s = -math.inf  # all that was allowed up to this reading is used up

    def allows(self, per_s: float, now_s: float) -> int:
        """How many may go now: what the last second allowed and nobody used."""
        if not now_s - _PACE_S <= self._until_s <= now_s + _PACE_S:  # long ago, or another clock
            self._until_s = now_s - _PACE_S
        return max(0, math.floor((now_s - self._until_s) * per_s + _ROUNDING_S))

    def took(self, count: int, per_s: float) -> None:
        """So many went."""
        self._until_s += count / per_s


def pool_counts(rules: Rules, counts: Mapping[float, Mapping[RequestKind, int]]) -> dict[Pool, int]:
    """How many permits count in each pool.

    Args:
        rules: Has the pools.
        counts: For each window length, how many permits of each kind count.
    """
    return {
        pool: sum(counts[pool.limit.window_s].get(kind, 0) for kind in pool.kinds)
        for pool in rules.pools
    }


def windows_of(rules: Rules) -> Collection[float]:
    """The different window lengths, seconds."""
    return {pool.limit.window_s for pool in rules.pools}
