"""The best forecast that there can be: it knows the service's law, and not what will be drawn.

It sees what a program sees (which jobs run, since when, and which wait), and draws the rest from
the very law that the jobs are drawn from. Nobody who has to learn the law can be better on the
average, so its error is the lower bound of every forecast's, and its range shows how much is luck.
"""

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

#: Draws for each answer: the middle and the tenths of so many are known to a few per cent.
RUNS = 101
#: A job older than all but one of so many draws ends now, as far as anybody can know.
_TRIES = 300

#: How long a job of a video of this length occupies its slot.
Draw = Callable[[random.Random, float], float]


@dataclass(frozen=True)
class Sight:
    """What can be known at one moment.

    Args:
        running: Length and age of each job in flight, seconds.
        waiting_s: Lengths of the videos that wait, in the order of work.
        slots: Jobs at once.
    """

    running: Sequence[tuple[float, float]]
    waiting_s: Sequence[float]
    slots: int


def foresee(sight: Sight, draw: Draw, seed: int) -> tuple[float, float, float]:
    """The time left, seconds: the bounds of eight cases of ten around the middle one."""
    rng = random.Random(seed)
    ends_s = sorted(_one(sight, draw, rng) for _ in range(RUNS))
    return ends_s[RUNS // 10], median(ends_s), ends_s[-1 - RUNS // 10]


def _one(sight: Sight, draw: Draw, rng: random.Random) -> float:
    free_s = [_rest_s(draw, rng, length_s, age_s) for length_s, age_s in sight.running]
    free_s += [0.0] * (sight.slots - len(free_s))
    heapq.heapify(free_s)
    for length_s in sight.waiting_s:
        heapq.heapreplace(free_s, free_s[0] + draw(rng, length_s))
    return max(free_s)


def _rest_s(draw: Draw, rng: random.Random, length_s: float, age_s: float) -> float:
    for _ in range(_TRIES):
        took_s = draw(rng, length_s)
        if took_s > age_s:
            return took_s - age_s
    return 0.0
