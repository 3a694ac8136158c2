"""How long the rest of a batch takes, as a range. Pure: the same backlog gives the same range.

A small backlog is worked off in the mind some dozen times: as many videos at once as there are
slots, in their order, no more paid starts than the limit allows, each with its share of luck. A
large one is reckoned from its sums.
"""

import heapq
import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace

#: Backlogs up to this many videos are simulated.
SIMULATED = 1500

_STEPS = 8000  # simulated videos per estimate: about ten milliseconds
_FEWEST_RUNS, _MOST_RUNS = 9, 41
_TAIL = 0.1  # probability left out on either side of the range
_TAIL_Z = 1.2816  # the same for a normal distribution
_GOLDEN = 0.6180339887
_QUICK_SPREAD = 0.5  # quick ends vary a lot, and matter little


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What is left to do.

    Args:
        queued_s: For each video of which it is not known yet whether it needs the paid service,
            in the order of work: the mean time that it occupies a slot if it does, seconds.
        submitting_s: The same for those in flight whose paid request did not go out yet.
        in_flight_s: The mean rest for each other video in flight.
        slots: Videos at once, at least 1.
        quick_share: Share of the waiting ones that end without the paid service.
        quick_share_doubt: Standard deviation of that share.
        quick_s: Mean time of such a video.
        paid_per_s: Paid videos a second that the limit allows; infinite: no limit.
        burst: Paid videos that may start at once.
        spread: Standard deviation of one video's time, as a share of it.
        doubt: Standard deviation of the error that all times have in common, as a share.
    """

    queued_s: Sequence[float]
    in_flight_s: Sequence[float]
    slots: int
    submitting_s: Sequence[float] = ()
    quick_share: float = 0.0
    quick_share_doubt: float = 0.0
    quick_s: float = 2.0
    paid_per_s: float = math.inf
    burst: float = 0.0
    spread: float = 0.15
    doubt: float = 0.1


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds until the last video ends: likely, and the bounds of eight cases of ten."""

    low_s: float
    likely_s: float
    high_s: float


def time_left(backlog: Backlog) -> Estimate:
    """When the last video of the backlog ends; zeros for an empty one."""
    if not (backlog.queued_s or backlog.submitting_s or backlog.in_flight_s):
        return Estimate(0.0, 0.0, 0.0)
    if len(backlog.queued_s) > SIMULATED:
        return _reckoned(backlog)
    return _simulated(backlog)


def _simulated(backlog: Backlog) -> Estimate:
    videos = len(backlog.queued_s) + len(backlog.submitting_s) + len(backlog.in_flight_s)
    runs = max(_FEWEST_RUNS, min(_MOST_RUNS, _STEPS // videos))
    normal = statistics.NormalDist()
    ends_s = []
    for run in range(runs):
        chance = random.Random(run)  # noqa: S311 -- luck in a forecast; the same each time on purpose
        # the common errors in even steps through their distribution, each against the other
        common = normal.inv_cdf((run + 0.5) / runs)
        share = normal.inv_cdf(((run * 7) % runs + 0.5) / runs)
        ends_s.append(_one_run(backlog, chance, common, share))
    ends_s.sort()
    last = runs - 1
    return Estimate(
        ends_s[round(_TAIL * last)], statistics.median(ends_s), ends_s[round((1 - _TAIL) * last)]
    )


def _one_run(backlog: Backlog, chance: random.Random, common: float, share: float) -> float:
    """Work the backlog off once; the seconds it took."""
    factor = math.exp(common * backlog.doubt)
    quick_share = backlog.quick_share + share * backlog.quick_share_doubt
    spread = math.sqrt(math.log1p(backlog.spread**2))
    drift = -(spread**2) / 2
    free_s = [
        rest_s * factor * math.exp(chance.gauss(drift, spread)) for rest_s in backlog.in_flight_s
    ]
    end_s = max(free_s, default=0.0)
    free_s += [0.0] * (backlog.slots - len(free_s))
    heapq.heapify(free_s)
    for _more_than_slots in range(len(free_s) - backlog.slots):
        heapq.heappop(free_s)  # the slots were lowered: the first to end are not filled again
    paid = 0
    submitting = len(backlog.submitting_s)
    for number, work_s in enumerate((*backlog.submitting_s, *backlog.queued_s)):
        start_s = free_s[0]
        if number >= submitting and chance.random() < quick_share:
            luck = chance.gauss(-(_QUICK_SPREAD**2) / 2, _QUICK_SPREAD)
            took_s = backlog.quick_s * math.exp(luck)
        else:
            paid += 1
            start_s = max(start_s, (paid - backlog.burst) / backlog.paid_per_s)
            took_s = work_s * factor * math.exp(chance.gauss(drift, spread))
        heapq.heapreplace(free_s, start_s + took_s)
        end_s = max(end_s, start_s + took_s)
    return end_s


def _reckoned(backlog: Backlog) -> Estimate:
    """The head from its sums, work by slots and paid starts by the limit; the tail simulated."""
    split = len(backlog.queued_s) - max(SIMULATED // 3, 2 * backlog.slots)
    if split <= 0:
        return _simulated(backlog)
    head_s, tail_s = backlog.queued_s[:split], backlog.queued_s[split:]
    quick, paid = backlog.quick_share, 1 - backlog.quick_share
    handed_over_s = _midway(backlog, head_s)
    work_s = paid * sum(head_s) + quick * backlog.quick_s * split
    work_s += sum(backlog.in_flight_s) + sum(backlog.submitting_s) - sum(handed_over_s)
    starts = split * paid + len(backlog.submitting_s)
    by_slots_s = work_s / backlog.slots
    by_limit_s = (starts - backlog.burst) / backlog.paid_per_s
    first_s = max(0.0, by_slots_s, by_limit_s)
    doubt = math.hypot(
        backlog.doubt if by_slots_s > by_limit_s else 0.0,
        backlog.quick_share_doubt / max(paid, 0.01),
        backlog.spread / math.sqrt(split),
    )
    width = math.exp(_TAIL_Z * doubt)
    rest = _simulated(
        replace(backlog, queued_s=tail_s, submitting_s=(), in_flight_s=handed_over_s, burst=0.0)
    )
    return Estimate(
        first_s / width + rest.low_s, first_s + rest.likely_s, first_s * width + rest.high_s
    )


def _midway(backlog: Backlog, head_s: Sequence[float]) -> list[float]:
    """What is in flight when the head has been started: rests, evenly spread over their jobs."""
    mean_s = sum(head_s) / len(head_s)
    by_limit = math.ceil(min(backlog.paid_per_s * mean_s, len(head_s)))
    busy = min(backlog.slots, by_limit, len(head_s))
    quick = backlog.quick_share * backlog.quick_s
    paid_time = (1 - backlog.quick_share) * mean_s
    busy = math.ceil(busy * paid_time / (paid_time + quick)) if paid_time + quick > 0 else busy
    jobs_s = head_s[len(head_s) - busy :]
    # golden steps: neighbours in the list are at very different points of their jobs
    return [job_s * ((0.5 + i * _GOLDEN) % 1) for i, job_s in enumerate(jobs_s)]
