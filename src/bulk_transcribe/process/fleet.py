"""All jobs in flight together: how much they ask of the limit, and so how eagerly to look."""

import math
import threading
from collections import deque
from collections.abc import Callable

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.ports import Limiter
from bulk_transcribe.core.request import Capacity, RequestKind
from bulk_transcribe.process.aim import Aim, Load, choose_aim

_REFRESH_S = 1.0  # the load is worked out at most this often, for all jobs together
_OWN_EXTRA_S = 3.0  # permits count from being granted until a window after their answer
_SAME_POOL = 0.1  # two pools whose use differs by less than this share of the limit may be one
_DRAIN_S = 10.0  # a queue for permits is drained within this time before anyone looks more often
_WITNESSES = 3  # two answers must agree, and one may be lost
_SCOUTS_AT_FIRST, _ONE_IN_AT_FIRST, _ONE_IN_LATER = 16, 3, 32


class Fleet:
    """The one shared estimate of the load. May be shared by all threads.

    Asking for the aim costs nothing but once a second, when one of the callers works it out anew;
    nobody waits for that caller.

    Args:
        limiter: Asked for what it has left.
        clock: Time.
        to_come: Videos that wait for a slot, now.
    """

    def __init__(self, limiter: Limiter, clock: Clock, to_come: Callable[[], int]) -> None:
        self._limiter = limiter
        self._clock = clock
        self._to_come = to_come
        self._refreshing = threading.Lock()  # held by the one who works it out
        self._lock = threading.Lock()  # guards the fields below
        self._jobs = 0
        self._expected_s = 0.0  # sums over the jobs in flight
        self._spread = 0.0
        self._entered = 0
        self._witnesses = 0
        self._starts_s: deque[float] = deque()  # clock readings within the window
        self._looks_s: deque[float] = deque()
        self._aim: Aim | None = None
        self._aimed_s = -math.inf

    def enter(self, expected_s: float, spread: float, *, is_fresh: bool) -> bool:
        """One more job in flight.

        Args:
            expected_s: How long it is expected to take.
            spread: How uncertain that is (`Prediction.spread`).
            is_fresh: Whether it was submitted just now, by a request of this process.

        Returns:
            Whether it is a scout: one of a few jobs that are looked at early even when requests
            are scarce. Without them a batch that always looks late would never notice that the
            service is much faster than expected.
        """
        with self._lock:
            self._jobs += 1
            self._expected_s += expected_s
            self._spread += spread
            if is_fresh:
                self._starts_s.append(self._clock.now_s())
            number, self._entered = self._entered, self._entered + 1
        early = _SCOUTS_AT_FIRST * _ONE_IN_AT_FIRST
        return number % (_ONE_IN_AT_FIRST if number < early else _ONE_IN_LATER) == 0

    def calls_witness(self) -> bool:
        """Whether a job that enters now is to be looked at soon after it began.

        Not for its own sake: it tells whether looks draw on the same limit as submits, which would
        else come out when the first jobs are done, and by then submits may have used the limit up.
        Only a few of a run.
        """
        if self._witnesses >= _WITNESSES:  # read without the lock: it never shrinks
            return False
        is_telling = self._limiter.capacity(RequestKind.POLL).is_telling
        with self._lock:
            if not is_telling or self._witnesses >= _WITNESSES:
                return False
            self._witnesses += 1
            return True

    def leave(self, expected_s: float, spread: float) -> None:
        """A job is no longer in flight. Give the figures that it entered with."""
        with self._lock:
            self._jobs -= 1
            self._expected_s -= expected_s
            self._spread -= spread

    def looked(self) -> None:
        """One look went out."""
        with self._lock:
            self._looks_s.append(self._clock.now_s())

    def aim(self) -> Aim:
        """How eagerly to look, at most a second old."""
        now_s = self._clock.now_s()
        with self._lock:
            aim = self._aim
            is_stale = not 0 <= now_s - self._aimed_s < _REFRESH_S
        if aim is not None and (not is_stale or not self._refreshing.acquire(blocking=False)):
            return aim
        if aim is None:  # the very first: all who ask wait for the same answer
            self._refreshing.acquire()
        try:
            polls = self._limiter.capacity(RequestKind.POLL)
            submits = self._limiter.capacity(RequestKind.SUBMIT)
            aim = choose_aim(self._load(polls, submits, now_s))
            with self._lock:
                self._aim, self._aimed_s = aim, now_s
            return aim
        finally:
            self._refreshing.release()

    def _load(self, polls: Capacity, submits: Capacity, now_s: float) -> Load:
        with self._lock:
            for times_s in (self._starts_s, self._looks_s):
                while times_s and times_s[0] < now_s - polls.window_s - _OWN_EXTRA_S:
                    times_s.popleft()
            jobs = max(1, self._jobs)
            expected_s = self._expected_s / jobs if self._jobs else 60.0
            spread = self._spread / jobs
            starts, looks = len(self._starts_s), len(self._looks_s)
        is_shared = _is_one_pool(polls, submits)
        own = looks + (starts if is_shared else 0)
        return Load(
            jobs=jobs,
            expected_s=max(1.0, expected_s),
            spread=max(0.0, spread),
            refill=min(1.0, self._to_come() / jobs),
            submits_share_limit=is_shared,
            supply_per_s=_supply_per_s(polls, own),
            daily_looks=polls.daily_remaining,
            jobs_to_come=submits.daily_remaining or 0,
        )


def _is_one_pool(polls: Capacity, submits: Capacity) -> bool:
    """Whether polls and submits seem to draw on one limit; in doubt they do."""
    if polls.limit is None or polls.limit != submits.limit:
        return False
    return abs(polls.used - submits.used) <= _SAME_POOL * polls.limit


def _supply_per_s(polls: Capacity, own: int) -> float:
    """Requests a second that are ours; what others of this account use is theirs."""
    if polls.limit is None:
        return math.inf
    others = max(0, polls.used - own)
    supply_per_s = max(0, polls.limit - others) / polls.window_s
    return max(0.0, supply_per_s - polls.waiting / _DRAIN_S)
