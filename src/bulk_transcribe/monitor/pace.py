"""What a run teaches about the rest of it: how long videos occupy a slot, how many end quickly.

Not thread-safe: the monitor locks.
"""

import math
from collections import deque
from dataclasses import dataclass

_WINDOW = 200  # newest ends that count
_PRIOR_QUICK_S = 3.0
_PRIOR_REQUESTS, _PRIOR_PAID = 2.1, 5
_MOST_REQUESTS = 2.6  # where the limit is short, looks give way to submits (`benchmarks/polling`)
_RATE_WINDOW_S = 300


@dataclass(frozen=True, slots=True)
class PaidEnd:
    """The slot time of a paid video that ended, without the wait for the limit.

    What of `job_s` is overhead depends on what the service is believed to take. That belief gets
    better, so it is asked when the answer is needed, not when the video ends.
    """

    duration_s: float | None
    around_s: float  # before the paid service was chosen and after its job was found done
    job_s: float  # from the job's acceptance until it was found done


class Pace:
    """Running figures of one run.

    Args:
        quick_share: Share of videos expected to end without the paid service, before any did.
    """

    def __init__(self, quick_share: float) -> None:
        self._prior_share = quick_share
        self._paid_ends: deque[PaidEnd] = deque(maxlen=_WINDOW)
        self._quick_times_s: deque[float] = deque(maxlen=_WINDOW)
        self.quick = 0
        self.paid = 0  # videos for which the paid service was needed, ended or not
        self.accepted = 0  # of these, jobs that run or ended
        self.paid_ended = 0
        self._ends: deque[tuple[int, int]] = deque()  # clock second, videos that ended in it

    def ended(self, now_s: float) -> None:
        """A video ended."""
        second = int(now_s)
        if self._ends and self._ends[-1][0] == second:
            self._ends[-1] = second, self._ends[-1][1] + 1
        else:
            self._ends.append((second, 1))
        self._drop_before(now_s)

    def quick_end(self, slot_s: float) -> None:
        """A video ended without the paid service after `slot_s`."""
        self.quick += 1
        self._quick_times_s.append(slot_s)

    def paid_end(self, end: PaidEnd) -> None:
        """A paid video ended."""
        self.paid_ended += 1
        self._paid_ends.append(end)

    def per_min(self, now_s: float, since_s: float | None) -> float | None:
        """Videos a minute over the last five minutes or since the start; None before any end.

        The first minute counts as a whole one: eight videos of the first two seconds are no
        240 a minute.
        """
        self._drop_before(now_s)
        if since_s is None or (not self._ends and not self.quick and not self.paid_ended):
            return None
        span_s = min(float(_RATE_WINDOW_S), now_s - since_s)
        return sum(count for _, count in self._ends) * 60 / max(span_s, 60.0)

    @property
    def paid_ends(self) -> tuple[PaidEnd, ...]:
        """The newest 200 paid videos that ended, in order of their ends."""
        return tuple(self._paid_ends)

    @property
    def quick_s(self) -> float:
        """Mean slot time of a video that ended without the paid service."""
        times = self._quick_times_s
        return (sum(times) + _PRIOR_QUICK_S) / (len(times) + 1)

    @property
    def quick_share(self) -> float:
        """Share of videos that end without the paid service."""
        return (self.quick + self._prior_share) / (self.quick + self.paid + 1)

    @property
    def quick_share_doubt(self) -> float:
        """Standard deviation of that share."""
        share = self.quick_share
        return math.sqrt(share * (1 - share) / (self.quick + self.paid + 2))

    def requests_per_paid(self, limited_requests: int) -> float:
        """Requests that a paid video takes where they are scarce, learned from all sent so far."""
        in_hand = self.accepted - self.paid_ended  # these had little more than their submit
        sent = limited_requests - in_hand + _PRIOR_REQUESTS * _PRIOR_PAID
        return min(_MOST_REQUESTS, max(1.0, sent / (self.paid_ended + _PRIOR_PAID)))

    def _drop_before(self, now_s: float) -> None:
        while self._ends and self._ends[0][0] < now_s - _RATE_WINDOW_S:
            self._ends.popleft()
