"""How long a batch takes: lists of times on slots, under a limit of requests. Pure."""

import heapq
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

#: A submit and one look when the job is done; more looks only use what the limit leaves idle.
REQUESTS_A_VIDEO: Final = 2
#: The watch page, the player's answer, the track.
CAPTION_REQUESTS_A_VIDEO: Final = 3
_WINDOW_S: Final = 60.0
#: With "auto", the number of slots begins with 4 and doubles every 5 s.
_AUTO_FIRST: Final = 4
_AUTO_DOUBLES_EVERY_S: Final = 5.0
_AUTO_MOST: Final = 512

Slots = int | Literal["auto"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What may be done at once and by the minute.

    Args:
        slots: Videos in flight, or "auto".
        paid_rpm: Requests a minute to the paid service, at least 1.
        captions_rpm: Requests a minute to youtube.com, at least 1.
    """

    slots: Slots
    paid_rpm: int
    captions_rpm: int = 120

    @property
    def caption_videos_per_minute(self) -> int:
        """Videos whose captions can be asked for in a minute, at least 1."""
        return max(1, self.captions_rpm // CAPTION_REQUESTS_A_VIDEO)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What one video takes: seconds in its slot, and requests that limits count."""

    time_s: float
    paid_requests: int = REQUESTS_A_VIDEO
    asks_captions: bool = False


def simulate_s(jobs: Sequence[Job], limits: Limits) -> float:
    """Seconds until the last job ends, each begun in order as soon as slot and permits are free.

    Any 60 s see at most as many requests as the limits say, so a batch may begin with a burst. No
    jobs take 0 s. 100,000 jobs take a fraction of a second (benchmarks/plan_5000.py).
    """
    free_at_s = _slots_free_at_s(jobs, limits)
    paid: deque[float] = deque(maxlen=limits.paid_rpm)
    captions: deque[float] = deque(maxlen=limits.caption_videos_per_minute)
    begun_s = end_s = 0.0
    for job in jobs:
        begun_s = max(begun_s, free_at_s[0])  # no job begins before the one ahead of it
        if job.asks_captions:
            begun_s = _grant_s(captions, begun_s)
        granted_s = begun_s
        for number in range(job.paid_requests):
            granted_s = _grant_s(paid, granted_s)
            begun_s = granted_s if number == 0 else begun_s
        # the look is granted with the submit, and is waited for where that is later than the job
        job_end_s = max(begun_s + job.time_s, granted_s)
        heapq.heapreplace(free_at_s, job_end_s)
        end_s = max(end_s, job_end_s)
    return end_s


def lower_bound_s(jobs: Sequence[Job], limits: Limits) -> float:
    """Seconds that no order can beat: the limits, the work of the slots, the longest job.

    The first lot of requests may go at once, so a limit costs a minute for each further full lot.
    """
    if not jobs:
        return 0.0
    paid = sum(job.paid_requests for job in jobs)
    asked = sum(job.asks_captions for job in jobs)
    work_s = math.fsum(job.time_s for job in jobs)
    return max(
        _WINDOW_S * max(0, (paid - 1) // limits.paid_rpm),
        _WINDOW_S * max(0, (asked - 1) // limits.caption_videos_per_minute),
        work_s / slot_count(jobs, limits),
        *(job.time_s for job in jobs),
    )


def slot_count(jobs: Sequence[Job], limits: Limits) -> int:
    """Slots that a batch would use; "auto" takes as many as the limit can feed, 4 to 512."""
    if limits.slots != "auto":
        return limits.slots
    requests = sum(job.paid_requests for job in jobs)
    if not requests:
        return _AUTO_MOST
    # by Little's law: videos that the limit can start in the time that one takes
    work_s = math.fsum(job.time_s for job in jobs)
    fed = limits.paid_rpm / _WINDOW_S * work_s / requests
    return min(_AUTO_MOST, max(_AUTO_FIRST, math.ceil(fed)))


def _grant_s(window: deque[float], at_s: float) -> float:
    """Grant one more permit, at `at_s` or as soon after as the full window allows."""
    if len(window) == window.maxlen:
        at_s = max(at_s, window[0] + _WINDOW_S)
    window.append(at_s)
    return at_s


def _slots_free_at_s(jobs: Sequence[Job], limits: Limits) -> list[float]:
    """When each slot can take its first job, as a heap."""
    count = slot_count(jobs, limits)
    if limits.slots != "auto":
        return [0.0] * min(count, max(1, len(jobs)))
    doublings = (math.ceil(math.log2(max(1.0, (n + 1) / _AUTO_FIRST))) for n in range(count))
    return [number * _AUTO_DOUBLES_EVERY_S for number in doublings]
