"""When to look at a running job: the arithmetic, without clock, threads or network.

A look costs a request, a late look costs time. The cheapest way to spend a given number of looks
on a job is to space them by the square root of how likely it is to end just then. For a job whose
end follows a logistic curve (in log time) this has a closed form: with `F` the probability that it
is done, the looks stand at equal steps of

    2 · atanh(√F)

So one number, the *spacing*, is the whole policy: 0.02 looks a hundred times, 4.5 once, when the
job is done with a probability of 95 %, and everything between is a trade-off of the same kind. The
spacing is chosen so that all jobs in flight together ask for no more requests than the limit has
left for them.
"""

import bisect
import functools
import math
from dataclasses import dataclass
from typing import Protocol

#: The spacing with looks to spare, and the one when requests are scarce (first look at 97 %).
CLOSEST, WIDEST = 0.02, 4.88
#: No job is looked at more often than this, seconds.
SHORTEST_STEP_S = 1.0
#: Of the daily looks that fall to a job, this share is planned; the rest is for surprises.
DAILY_SHARE = 0.5

#: No job is given up before this age, nor before this many times its expected time.
GIVE_UP_AFTER_S, GIVE_UP_FACTOR = 900.0, 5.0

_OVERDUE = 0.995  # a job that is done with this probability and still runs is overdue
_ENDLESS = 1 - 1e-9  # probabilities beyond are rounding
_OVERDUE_GROWTH = 0.15  # an overdue job is next looked at after this share of its delay
_LONGEST_STEP_S = 60.0  # but after this long at the latest, unless looks are rationed
_GRID_POINTS = 64
_KEPT_LOOKS = 2
_RESERVED = 2.0  # of today's looks at an overdue job, for looks that met trouble
_BEYOND = 1.02
_LOOKS_AT_LEAST = 1.06  # a job, while the limit allows it
_LOOKS_AT_THE_END = 6  # a job, at most, when no other waits for its slot: found within seconds
_LOOKS_AT_THE_LAST = 120  # the last job alone says when a batch is over; two have a quarter each


class EndBelief(Protocol):
    """When a job is thought to end, as ages in seconds."""

    def survival(self, age_s: float) -> float:
        """The probability that it still runs at this age."""

    def quantile_s(self, q: float) -> float:
        """The age by which it is done with probability `q`."""


@dataclass(frozen=True, slots=True)
class Later:
    """A belief that begins at an age: what a progress figure says of the rest."""

    start_s: float
    rest: EndBelief

    def survival(self, age_s: float) -> float:
        return self.rest.survival(age_s - self.start_s)

    def quantile_s(self, q: float) -> float:
        return self.start_s + self.rest.quantile_s(q)


@dataclass(frozen=True, slots=True)
class Aim:
    """How eagerly to look right now.

    Args:
        spacing: Step between looks, from `CLOSEST` to `WIDEST` (wider only for a daily limit).
        looks_left: Looks that today's limit still has for this job; infinite without such a limit.
    """

    spacing: float
    looks_left: float = math.inf


@dataclass(frozen=True, slots=True)
class Load:
    """What is in flight and what the limit leaves for it.

    Args:
        jobs: Jobs in flight, at least 1.
        expected_s: Their mean processing time.
        spread: Their mean logistic scale in log time (0.08 is a standard deviation of 15 %).
        refill: Share of the jobs in flight whose slot another video takes when they end.
        submits_share_limit: Whether submits draw on the same limit as looks.
        supply_per_s: Requests that the limit allows, those of others deducted; infinite: no limit.
        daily_looks: Looks left today, None where no daily limit is known.
        jobs_to_come: Jobs that today's submits still allow.
    """

    jobs: int
    expected_s: float
    spread: float
    refill: float
    supply_per_s: float
    submits_share_limit: bool = True
    daily_looks: int | None = None
    jobs_to_come: int = 0


def next_look_s(belief: EndBelief, aim: Aim, *, not_done_at_s: float, looked_at_s: float) -> float:
    """The age at which to look next, seconds; it may have passed (look now).

    Args:
        belief: When the job is thought to end.
        aim: How eagerly to look.
        not_done_at_s: Age at which it was last known to run, 0 if never looked at.
        looked_at_s: Age at the last look, whether answered or not; negative infinity for none.
    """
    done = 1 - belief.survival(not_done_at_s)
    earliest_s = looked_at_s + SHORTEST_STEP_S
    if done < _OVERDUE:
        wanted_s = belief.quantile_s(step_ahead(done, aim.spacing))
        if not_done_at_s > 0:
            earliest_s = max(earliest_s, not_done_at_s + SHORTEST_STEP_S)
        return max(earliest_s, wanted_s)
    overdue_s = not_done_at_s - belief.quantile_s(_OVERDUE)
    step_s = max(SHORTEST_STEP_S, _OVERDUE_GROWTH * overdue_s)
    if aim.spacing > 1:  # where looks are scarce, they are so for overdue jobs too
        step_s = max(step_s, 0.1 * not_done_at_s)
    step_s = min(step_s, _LONGEST_STEP_S)
    if math.isfinite(aim.looks_left):
        step_s = max(step_s, _rationed_step_s(belief, not_done_at_s, aim.looks_left))
    return max(earliest_s, not_done_at_s + step_s)


def _rationed_step_s(belief: EndBelief, not_done_at_s: float, looks_left: float) -> float:
    """The step with which so many looks last until the job is given up, each as much longer."""
    # the last planned look comes after that age: with it the job is given up
    horizon_s = _BEYOND * max(GIVE_UP_AFTER_S, GIVE_UP_FACTOR * belief.quantile_s(0.5))
    ratio = max(1.0, horizon_s / not_done_at_s)
    planned = max(1.0, looks_left - _RESERVED)
    return float(not_done_at_s * (ratio ** (1 / planned) - 1))


def step_ahead(done: float, spacing: float) -> float:
    """The probability of being done at which to look next, having seen it run at `done`.

    In the tail, where the chance per second no longer changes, a wide step is shortened to the
    one that is best for a constant chance: e^x - 1 - x = spacing² / 2.
    """
    in_tail = math.log1p(spacing + spacing**2 / 2)
    step = spacing - done * (spacing - in_tail)
    return min(_ENDLESS, math.tanh(math.atanh(math.sqrt(min(done, _ENDLESS))) + step / 2) ** 2)


def choose_aim(load: Load) -> Aim:
    """The closest spacing whose demand the limits can bear."""
    spacing = CLOSEST
    if math.isfinite(load.supply_per_s):
        grid = _grid()
        found = bisect.bisect_left(
            grid, -_budget_per_s(load), key=lambda point: -_demand_per_s(point, load)
        )
        spacing = grid[min(found, len(grid) - 1)].spacing
    if load.daily_looks is None:
        return Aim(spacing)
    jobs = max(1, load.jobs + load.jobs_to_come)
    # however long this one takes, every other job keeps a first look and a last one
    looks = max(0.0, load.daily_looks - _KEPT_LOOKS * (jobs - 1)) / jobs
    return Aim(max(spacing, spacing_for(DAILY_SHARE * looks)), looks)


def spacing_for(looks: float) -> float:
    """The spacing that takes so many looks a job on average; few are at least 1.01."""
    looks = max(1.01, looks)
    return max(CLOSEST, 2 / (looks - 0.5)) if looks >= 1.5 else math.log(4 / (looks - 1))  # noqa: PLR2004 -- where both forms meet


@dataclass(frozen=True, slots=True)
class Cost:
    """What a spacing costs, for a logistic end of scale 1 in log time.

    Args:
        spacing: The spacing.
        looks: Mean number of looks a job.
        delay: Mean time from the end to the look that finds it, in units of scale times age.
    """

    spacing: float
    looks: float
    delay: float


def cost_of(spacing: float) -> Cost:
    """Follow the looks of one spacing through the curve."""
    looks, delay, done = 0.0, 0.0, 0.0
    while done < 1 - 1e-6:
        looks += 1 - done
        ahead = step_ahead(done, spacing)
        # integral of F up to the next look, less the part that was over before the last one
        delay += math.log((1 - done) / (1 - ahead))
        if done > 0:
            delay -= done * (_logit(ahead) - _logit(done))
        done = ahead
    return Cost(spacing, looks, delay)


def looks_each(spacing: float) -> float:
    """Mean number of looks that a job takes at this spacing, from the grid's nearest above."""
    grid = _grid()
    found = bisect.bisect_left(grid, spacing, key=lambda point: point.spacing)
    return grid[min(found, len(grid) - 1)].looks


@functools.cache
def _grid() -> tuple[Cost, ...]:
    """Spacings from the closest to the widest with their costs."""
    ratio = (WIDEST / CLOSEST) ** (1 / (_GRID_POINTS - 1))
    return tuple(cost_of(CLOSEST * ratio**i) for i in range(_GRID_POINTS))


def _budget_per_s(load: Load) -> float:
    """The requests a second that looks and submits may take.

    All that the limit allows while new videos move up: an earlier look frees a slot earlier. When
    a batch runs dry it only tells sooner what is done, so many jobs leave most of it to others.
    """
    ends_per_s = load.jobs / load.expected_s
    looks = max(_LOOKS_AT_THE_END, _LOOKS_AT_THE_LAST / load.jobs**2)
    # a job alone may have all of the limit, of several together each as much less
    at_the_end = min(load.supply_per_s / load.jobs, looks * ends_per_s)
    at_least = min(load.supply_per_s, _LOOKS_AT_LEAST * ends_per_s)
    return max(load.refill * load.supply_per_s + (1 - load.refill) * at_the_end, at_least)


def _demand_per_s(cost: Cost, load: Load) -> float:
    """Requests a second that the jobs in flight, and those that follow them, would take."""
    ends_per_s = load.jobs / (load.expected_s * (1 + load.spread * cost.delay))
    submits = load.refill if load.submits_share_limit else 0.0
    return ends_per_s * (cost.looks + submits)


def _logit(q: float) -> float:
    return math.log(q) - math.log1p(-q)
