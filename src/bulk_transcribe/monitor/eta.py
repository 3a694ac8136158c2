"""How long the rest of a batch takes, as a range. Pure: the same backlog gives the same range.

The backlog is worked off in the mind some dozen times: as many videos at once as there are slots,
in their order, no more paid starts than the limit allows. Each time the service is another one of
those that it may be (`Service`), the same for all videos of that time; and each video has its share
of luck. What runs already is drawn from the ends that are still possible at its age. The head of a
long list is reckoned from its sums.
"""

import heapq
import math
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, median

#: Backlogs up to this many videos are simulated.
SIMULATED = 1500

_STEPS = 12_000  # simulated videos per estimate: about ten milliseconds
_FEWEST_RUNS, _MOST_RUNS = 11, 61
#: Probability left out on either side. The range is to hold eight truths of ten at least, and no
#: picture of the service is exact: one that holds nine by its own reckoning does.
_TAIL = 0.034
_GOLDEN = 0.6180339887
_QUICK_SPREAD = 0.5  # quick ends vary a lot, and matter little
#: A job that runs longer than all but about this share of its like may be stuck. It is then as
#: likely to run on for 41 % of its age as not, and for 216 % in one case of ten. The share is
#: small, for of hundreds that run some are always late.
_STUCK, _STUCK_POWER = 1e-5, 0.5
#: Worse luck than this, in scales, is not drawn (one job in seventy): a log-logistic tail goes on
#: for ever, jobs do not, and of hundreds in flight the last one decides.
_WORST = 4.2
_LEAST = 1e-3  # keeps logarithms finite
_WIDEST = 0.9  # the mean of a scale of 1 is infinite
#: While anything is left to do, the time left is not nothing.
_SOONEST_S = 1.0


@dataclass(frozen=True, slots=True)
class Service:
    """One way in which the service may work.

    Args:
        medians_s: For each class of videos, the median time of a job.
        scales: And its luck: the scale of a logistic distribution in log time.
    """

    medians_s: Sequence[float]
    scales: Sequence[float]


@dataclass(frozen=True, slots=True)
class Running:
    """A job in flight: its class, its age, and the age at which it was last seen to run."""

    kind: int
    age_s: float
    seen_s: float


@dataclass(frozen=True, kw_only=True)
class Backlog:
    """What is left to do. Videos of about the same length are of one class, a number from 0.

    Args:
        services: Ways in which the service may work, all as likely; as many as `runs` says.
        queued: For each video of which it is not known yet whether it needs the paid service,
            in the order of work: its class.
        submitting: The same for those in flight whose paid request did not go out yet.
        running: Each job in flight.
        ending_s: The rest of each other video in flight.
        extra_s: What a paid video occupies its slot for beyond its job.
        slots: Videos at once, at least 1.
        quick_share: Share of the waiting ones that end without the paid service.
        quick_share_doubt: Standard deviation of that share.
        quick_s: Mean time of such a video.
        paid_per_s: Paid videos a second that the limit allows; infinite: no limit.
        burst: Paid videos that may start at once.
    """

    services: Sequence[Service]
    queued: Sequence[int]
    submitting: Sequence[int] = ()
    running: Sequence[Running] = ()
    ending_s: Sequence[float] = ()
    extra_s: float = 0.0
    slots: int
    quick_share: float = 0.0
    quick_share_doubt: float = 0.0
    quick_s: float = 2.0
    paid_per_s: float = math.inf
    burst: float = 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds until the last video ends: likely, and the bounds of eight cases of ten."""

    low_s: float
    likely_s: float
    high_s: float


def runs(videos: int) -> int:
    """How often a backlog of so many videos is worked off."""
    steps = min(videos, SIMULATED) + 1
    return max(_FEWEST_RUNS, min(_MOST_RUNS, _STEPS // steps))


def time_left(backlog: Backlog) -> Estimate:
    """When the last video of the backlog ends; zeros for an empty one."""
    if not (backlog.queued or backlog.submitting or backlog.running or backlog.ending_s):
        return Estimate(0.0, 0.0, 0.0)
    head, rest = _split(backlog)
    count = len(backlog.services)
    shares = [NormalDist().inv_cdf(((n * 7) % count + 0.5) / count) for n in range(count)]
    ends_s = sorted(
        max(_SOONEST_S, _one_run(head, rest, service, share, random.Random(number)))  # noqa: S311 -- luck in a forecast; the same each time on purpose
        for number, (service, share) in enumerate(zip(backlog.services, shares, strict=True))
    )
    last = count - 1
    return Estimate(ends_s[round(_TAIL * last)], median(ends_s), ends_s[round((1 - _TAIL) * last)])


def aged(estimate: Estimate, age_s: float) -> Estimate:
    """The same end, seen some seconds later."""
    if estimate.high_s <= 0:
        return estimate
    low_s, likely_s, high_s = (
        max(_SOONEST_S, each_s - age_s)
        for each_s in (estimate.low_s, estimate.likely_s, estimate.high_s)
    )
    return Estimate(low_s, likely_s, high_s)


def rest_s(median_s: float, scale: float, age_s: float, luck: tuple[float, float]) -> float:
    """How long a job still runs that runs at this age, with that luck; above 0.

    Args:
        median_s: Of its like.
        scale: Likewise.
        age_s: Its age.
        luck: Two numbers between 0 and 1, both excluded. The first decides whether it is stuck.
    """
    stuck, share = luck
    if age_s <= 0:
        return median_s * math.exp(scale * -_logit(share))
    over = (math.log(age_s) - math.log(median_s)) / scale
    log_running = -(max(over, 0.0) + math.log1p(math.exp(-abs(over))))  # the probability to be here
    if stuck * (_STUCK + math.exp(log_running)) < _STUCK:
        return age_s * math.expm1(-_STUCK_POWER * math.log(share))
    log_later = min(log_running + math.log(share), -_LEAST)
    log_stretch = math.log(-math.expm1(log_later)) - log_later
    log_stretch = min(log_stretch, max(_WORST, over + 1))  # one scale more where it is late already
    return max(0.0, median_s * math.exp(scale * log_stretch) - age_s)


@dataclass(frozen=True, slots=True)
class _Head:
    """The first part of a long list: only its sums matter. `last` are its last videos' classes."""

    counts: Counter[int]
    last: Sequence[int]

    @property
    def videos(self) -> int:
        return self.counts.total()


def _split(backlog: Backlog) -> tuple[_Head | None, Backlog]:
    """The head of a long list, and the backlog without it."""
    if len(backlog.queued) <= SIMULATED:
        return None, backlog
    split = len(backlog.queued) - max(SIMULATED // 3, 2 * backlog.slots)
    if split <= 0:
        return None, backlog
    head = backlog.queued[:split]
    last = head[max(0, split - backlog.slots) :]
    return _Head(Counter(head), last), replace(backlog, queued=backlog.queued[split:])


def _one_run(
    head: _Head | None, backlog: Backlog, service: Service, share: float, chance: random.Random
) -> float:
    """Work the backlog off once; the seconds it took."""
    quick_share = backlog.quick_share + share * backlog.quick_share_doubt
    free_s = [*backlog.ending_s, *_rests_s(backlog, service, chance)]
    submitting, begin_s, burst = backlog.submitting, 0.0, backlog.burst
    if head is not None:
        begin_s = _reckoned_s(head, backlog, service, quick_share, sum(free_s))
        free_s = _midway_s(head, backlog, service, quick_share)
        submitting, burst = (), 0.0
    end_s = max(free_s, default=0.0)
    free_s += [0.0] * (backlog.slots - len(free_s))
    heapq.heapify(free_s)
    for _more_than_slots in range(len(free_s) - backlog.slots):
        heapq.heappop(free_s)  # the slots were lowered: the first to end are not filled again
    paid, extra_s = 0, backlog.extra_s
    medians_s, scales, draw = service.medians_s, service.scales, chance.random
    for number, kind in enumerate((*submitting, *backlog.queued)):
        start_s = free_s[0]
        if number >= len(submitting) and quick_share > 0 and draw() < quick_share:
            luck = chance.gauss(-(_QUICK_SPREAD**2) / 2, _QUICK_SPREAD)
            took_s = backlog.quick_s * math.exp(luck)
        else:
            paid += 1
            start_s = max(start_s, (paid - burst) / backlog.paid_per_s)
            took_s = medians_s[kind] * math.exp(scales[kind] * _logit(draw())) + extra_s
        heapq.heapreplace(free_s, start_s + took_s)
        end_s = max(end_s, start_s + took_s)
    return begin_s + end_s


def _rests_s(backlog: Backlog, service: Service, chance: random.Random) -> list[float]:
    """What is left of the jobs in flight, until their slots are free.

    That a job is in flight says only that it ran when it was last looked at. It may be done since:
    then it is found at the next look.
    """
    found_s = []
    for job in backlog.running:
        luck = (1 - chance.random(), 1 - chance.random())
        median_s, scale = service.medians_s[job.kind], service.scales[job.kind]
        ends_s = job.seen_s + rest_s(median_s, scale, job.seen_s, luck)
        left_s = ends_s + backlog.extra_s - job.age_s
        found_s.append(left_s if left_s > 0 else backlog.extra_s * luck[0])
    return found_s


def _reckoned_s(
    head: _Head, backlog: Backlog, service: Service, quick_share: float, in_flight_s: float
) -> float:
    """When the head has been started: work by slots, or paid starts by the limit.

    The luck of a thousand videos evens out to less than 1 %.
    """
    paid = max(0.0, 1 - quick_share)
    mean_s = [m * _mean_factor(s) for m, s in zip(service.medians_s, service.scales, strict=True)]
    head_s = sum(count * (mean_s[kind] + backlog.extra_s) for kind, count in head.counts.items())
    submits_s = sum(mean_s[kind] + backlog.extra_s for kind in backlog.submitting)
    work_s = paid * head_s + quick_share * backlog.quick_s * head.videos + submits_s + in_flight_s
    work_s -= sum(_midway_s(head, backlog, service, quick_share))
    starts = head.videos * paid + len(backlog.submitting)
    by_limit_s = (starts - backlog.burst) / backlog.paid_per_s
    return max(0.0, work_s / backlog.slots, by_limit_s)


def _midway_s(head: _Head, backlog: Backlog, service: Service, quick_share: float) -> list[float]:
    """What is in flight when the head has been started: rests, evenly spread over their jobs."""
    jobs_s = [service.medians_s[kind] + backlog.extra_s for kind in head.last]
    mean_s = sum(jobs_s) / len(jobs_s)
    by_limit = math.ceil(min(backlog.paid_per_s * mean_s, len(jobs_s)))
    busy = min(backlog.slots, by_limit, len(jobs_s))
    quick_s, paid_s = quick_share * backlog.quick_s, (1 - quick_share) * mean_s
    busy = math.ceil(busy * paid_s / (paid_s + quick_s)) if paid_s + quick_s > 0 else busy
    # golden steps: neighbours in the list are at very different points of their jobs
    last_s = jobs_s[len(jobs_s) - busy :]
    return [job_s * ((0.5 + n * _GOLDEN) % 1) for n, job_s in enumerate(last_s)]


def _mean_factor(scale: float) -> float:
    """The mean of a log-logistic distribution of median 1; of a scale below 1."""
    angle = math.pi * min(scale, _WIDEST)
    return angle / math.sin(angle)


def _logit(share: float) -> float:
    if not 0 < share < 1:
        return -_WORST
    return max(-_WORST, min(_WORST, math.log(share / (1 - share))))
