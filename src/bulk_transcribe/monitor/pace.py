"""What a run teaches about the rest of it: how long videos occupy a slot, how many end quickly.

Not thread-safe: the monitor locks.
"""

import math
from collections import deque

_WINDOW = 200  # newest ends that count
_PRIOR_EXTRA_S, _PRIOR_ENDS = 4.0, 2  # slot time beyond processing, before any end
_PRIOR_QUICK_S = 3.0
_PRIOR_REQUESTS, _PRIOR_PAID = 2.1, 5
_RATE_WINDOW_S = 300


class Pace:
    """Running figures of one run.

    Args:
        quick_share: Share of videos expected to end without the paid service, before any did.
    """

    def __init__(self, quick_share: float) -> None:
        self._prior_share = quick_share
        self._extras_s: deque[float] = deque(maxlen=_WINDOW)
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

    def paid_end(self, extra_s: float) -> None:
        """A paid video occupied its slot longer than the service was expected to take.

        Args:
            extra_s: That difference without the wait for the limit; below 0 for a quick job.
        """
        self.paid_ended += 1
        self._extras_s.append(extra_s)

    def per_min(self, now_s: float, since_s: float | None) -> float | None:
        """Videos a minute over the last five minutes or since the start; None before any end."""
        self._drop_before(now_s)
        if since_s is None or (not self._ends and not self.quick and not self.paid_ended):
            return None
        span_s = min(float(_RATE_WINDOW_S), now_s - since_s)
        return sum(count for _, count in self._ends) * 60 / max(span_s, 1.0)

    @property
    def extra_s(self) -> float:
        """Mean slot time of a paid video beyond its processing: facts, notice, saving."""
        extras_s = sum(self._extras_s) + _PRIOR_EXTRA_S * _PRIOR_ENDS
        return max(0.0, extras_s / (len(self._extras_s) + _PRIOR_ENDS))

    @property
    def doubt(self) -> float:
        """Standard deviation of the error that all times have in common, as a share."""
        return math.hypot(0.02, 0.3 / math.sqrt(1 + len(self._extras_s)))

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
        """Requests that a paid video takes, learned from all sent so far."""
        in_hand = self.accepted - self.paid_ended  # these had little more than their submit
        sent = limited_requests - in_hand + _PRIOR_REQUESTS * _PRIOR_PAID
        return max(1.0, sent / (self.paid_ended + _PRIOR_PAID))

    def _drop_before(self, now_s: float) -> None:
        while self._ends and self._ends[0][0] < now_s - _RATE_WINDOW_S:
            self._ends.popleft()
