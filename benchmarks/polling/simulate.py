"""A batch against a rate limit in virtual time: no threads, no HTTP, the same result for a seed.

The slots, the limit and the service are played here. When to look is decided by the product's own
`Fleet`, `next_look_s` and `JobTimeModel`, or by the way of the service's official SDK.
"""

import heapq
import itertools
import random
import statistics
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from bulk_transcribe.core.jobtime import JobTimeModel
from bulk_transcribe.core.ports import Permit
from bulk_transcribe.core.request import Capacity, RequestKind, Ticket
from bulk_transcribe.process.aim import next_look_s
from bulk_transcribe.process.fleet import Fleet
from bulk_transcribe.process.polling import first_look, nap_s

WINDOW_S = 60.0
SUBMIT_URGENCY = 0.8
AT_ONCE_S = 0.005


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A batch and its world.

    Args:
        videos: How many.
        slots: How many at once.
        limit: Requests in any 60 s, submits and polls together.
        factor: How much slower than the brief's estimate the service is.
        noise: Standard deviation of the processing time.
        tail: Share of jobs that take two to six times as long.
        order: "input", "shortest-first" or "longest-first".
    """

    videos: int
    slots: int
    limit: int = 300
    factor: float = 1.0
    noise: float = 0.15
    tail: float = 0.0
    order: str = "input"


@dataclass(slots=True)
class Job:
    """One video on its way."""

    number: int
    length_s: float
    took_s: float
    accepted_s: float = 0.0
    ended_s: float = 0.0
    looks: int = 0
    running_s: float = 0.0  # age at the last look that found it running
    sent_s: float = float("-inf")
    expected_s: float = 0.0
    spread: float = 0.0
    is_scout: bool = False
    step_s: float = 1.0  # of the SDK's way


#: For events that concern no job.
NOBODY = Job(number=-1, length_s=0.0, took_s=0.0)


class VirtualClock:
    """A `Clock` that is set by the simulation."""

    def __init__(self) -> None:
        self.at_s = 1_000.0
        self.speed = 1.0

    def now_s(self) -> float:
        return self.at_s

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.at_s)

    def wait(self, condition: threading.Condition, timeout_s: float | None) -> bool:
        raise AssertionError(f"nobody waits here: {condition} {timeout_s}")


class VirtualLimit:
    """A permit counts until 60 s after its answer; the most urgent waiter goes first."""

    def __init__(self, limit: int, clock: VirtualClock) -> None:
        self.limit = limit
        self._clock = clock
        self._releases_s: list[float] = []
        self._waiting: list[tuple[float, int, Job, RequestKind]] = []
        self._count = itertools.count()
        self.granted_s: list[float] = []

    def permit(
        self, kind: RequestKind, ticket: Ticket | None = None, /
    ) -> AbstractContextManager[Permit]:
        raise AssertionError(f"nobody waits here: {kind} {ticket}")

    def capacity(self, _kind: RequestKind) -> Capacity:
        used = len(self._releases_s)
        return Capacity(
            limit=self.limit,
            window_s=WINDOW_S,
            used=used,
            remaining=self.limit - used,
            waiting=len(self._waiting),
        )

    def ask(self, job: Job, kind: RequestKind, urgency: float) -> None:
        # urgency + waited / 30 keeps its order as time goes on
        rank = -(urgency - self._clock.at_s / 30)
        heapq.heappush(self._waiting, (rank, next(self._count), job, kind))

    def grants(
        self, latency_s: Callable[[RequestKind], float]
    ) -> list[tuple[Job, RequestKind, float]]:
        """Those who may go now, with the time that their answer takes."""
        now_s = self._clock.at_s
        while self._releases_s and self._releases_s[0] <= now_s:
            heapq.heappop(self._releases_s)
        going = []
        while self._waiting and len(self._releases_s) < self.limit:
            _rank, _number, job, kind = heapq.heappop(self._waiting)
            took_s = latency_s(kind)
            heapq.heappush(self._releases_s, now_s + took_s + WINDOW_S)
            self.granted_s.append(now_s)
            going.append((job, kind, took_s))
        return going

    def next_release_s(self) -> float | None:
        """When to look again, None while nobody waits."""
        return self._releases_s[0] if self._waiting and self._releases_s else None


class Policy(Protocol):
    """When to look."""

    def accepted(self, job: Job) -> None: ...

    def due_s(self, job: Job) -> float:
        """Age of the next look."""

    def urgency(self, job: Job, age_s: float, /) -> float: ...

    def looked(self, job: Job, age_s: float, *, is_done: bool) -> None: ...


class Aimed:
    """The product's way."""

    def __init__(
        self, clock: VirtualClock, limit: VirtualLimit, to_come: Callable[[], int]
    ) -> None:
        self._model = JobTimeModel()
        self._fleet = Fleet(limit, clock, to_come)

    def accepted(self, job: Job) -> None:
        prediction = self._model.predict(job.length_s)
        job.expected_s, job.spread = prediction.mean_s, prediction.spread
        job.is_scout = self._fleet.enter(job.expected_s, job.spread, is_fresh=True)

    def due_s(self, job: Job) -> float:
        aim = self._fleet.aim()
        if job.is_scout and job.running_s <= 0:
            aim = first_look(aim)
        return next_look_s(
            self._model.predict(job.length_s),
            aim,
            not_done_at_s=job.running_s,
            looked_at_s=job.sent_s,
        )

    def urgency(self, job: Job, age_s: float) -> float:
        self._fleet.looked()
        return self._model.probability_done(job.length_s, age_s, job.running_s)

    def looked(self, job: Job, age_s: float, *, is_done: bool) -> None:
        name = str(job.number)
        if is_done:
            self._fleet.leave(job.expected_s, job.spread)
            self._model.observe(
                job.length_s, done_by_s=age_s, not_done_at_s=job.running_s, job=name
            )
        else:
            self._model.saw_running(name, job.length_s, job.running_s)


class Sdk:
    """The official SDK's way: after 1 s, then 1.5 times as long each time, up to 10 s."""

    def __init__(
        self, clock: VirtualClock, limit: VirtualLimit, _to_come: Callable[[], int]
    ) -> None:
        self._clock, self._limit = clock, limit

    def accepted(self, job: Job) -> None:
        job.step_s = 1.0
        job.sent_s = 0.0

    def due_s(self, job: Job) -> float:
        return job.sent_s + job.step_s

    def urgency(self, _job: Job, _age_s: float, /) -> float:
        return SUBMIT_URGENCY

    def looked(self, job: Job, age_s: float, *, is_done: bool) -> None:
        if is_done:
            return
        job.step_s = min(10.0, job.step_s * 1.5)
        job.sent_s = age_s


@dataclass
class Result:
    """What a batch took."""

    makespan_s: float
    videos_per_min: float  # in the middle half of the ends
    requests_per_video: float
    requests_per_video_middle: float  # of the same ends
    notice_median_s: float
    notice_p95_s: float
    worst_window: int  # most permits granted within any 60 s
    lower_bound_s: float
    bound_by: str


class Batch:
    """Plays one scenario."""

    def __init__(self, scenario: Scenario, policy: type[Aimed] | type[Sdk], seed: int) -> None:
        self._scenario = scenario
        self._clock = VirtualClock()
        self._rng = random.Random(seed)
        self._limit = VirtualLimit(scenario.limit, self._clock)
        self._policy: Policy = policy(self._clock, self._limit, lambda: len(self._waiting))
        self._waiting = jobs_of(scenario, self._rng)[::-1]
        self._work_s = [job.took_s for job in self._waiting]
        self._events: list[tuple[float, int, Callable[[Job], None], Job]] = []
        self._count = itertools.count()
        self._ends: list[tuple[float, Job]] = []
        self._begun_s = self._clock.at_s
        self._dispatch_s = 0.0  # when permits are handed out next

    def play(self) -> Result:
        """Play until the last video is done."""
        for _ in range(min(self._scenario.slots, len(self._waiting))):
            self._limit.ask(self._waiting.pop(), RequestKind.SUBMIT, SUBMIT_URGENCY)
        self._dispatch()
        while self._events:
            at_s, _number, what, job = heapq.heappop(self._events)
            self._clock.at_s = max(self._clock.at_s, at_s)
            what(job)
        return self._result()

    def _later(self, after_s: float, what: Callable[[Job], None], job: Job) -> None:
        at_s = self._clock.at_s + after_s
        heapq.heappush(self._events, (at_s, next(self._count), what, job))

    def _latency_s(self, kind: RequestKind) -> float:
        bounds_s = (0.8, 2.0) if kind is RequestKind.SUBMIT else (0.1, 0.3)
        return self._rng.uniform(*bounds_s)

    def _dispatch(self, _job: Job | None = None) -> None:
        for job, kind, took_s in self._limit.grants(self._latency_s):
            what = self._accepted
            if kind is RequestKind.POLL:
                job.sent_s = self._clock.at_s - job.accepted_s
                # the service answers with what is true half way
                is_done = self._clock.at_s + took_s / 2 >= job.ended_s
                what = self._done if is_done else self._runs
            self._later(took_s, what, job)
        next_s = self._limit.next_release_s()
        if next_s is not None and not self._clock.at_s < self._dispatch_s <= next_s:
            self._dispatch_s = next_s
            self._later(max(0.0, next_s - self._clock.at_s), self._dispatch, NOBODY)

    def _age_s(self, job: Job) -> float:
        return self._clock.at_s - job.accepted_s

    def _accepted(self, job: Job) -> None:
        job.accepted_s = self._clock.at_s
        job.ended_s = self._clock.at_s + job.took_s
        self._policy.accepted(job)
        self._wake(job)

    def _wake(self, job: Job) -> None:
        age_s = self._age_s(job)
        left_s = self._policy.due_s(job) - age_s
        if left_s >= AT_ONCE_S:
            self._later(nap_s(left_s), self._wake, job)
            return
        job.looks += 1
        self._limit.ask(job, RequestKind.POLL, self._policy.urgency(job, age_s))
        self._dispatch()

    def _runs(self, job: Job) -> None:
        job.running_s = job.sent_s
        self._policy.looked(job, self._age_s(job), is_done=False)
        self._wake(job)

    def _done(self, job: Job) -> None:
        self._policy.looked(job, self._age_s(job), is_done=True)
        self._ends.append((self._clock.at_s, job))
        if self._waiting:
            self._limit.ask(self._waiting.pop(), RequestKind.SUBMIT, SUBMIT_URGENCY)
            self._dispatch()

    def _result(self) -> Result:
        scenario, videos = self._scenario, len(self._ends)
        notices = sorted(at_s - job.ended_s for at_s, job in self._ends)
        middle = self._ends[videos // 4 : 3 * videos // 4]
        span_s = max(middle[-1][0] - middle[0][0], 1e-9)
        bounds = {
            "limit": WINDOW_S * max(0.0, 2 * videos / scenario.limit - 1),
            "slots": sum(self._work_s) / scenario.slots,
            "longest video": max(self._work_s),
        }
        bound_by = max(bounds, key=lambda name: bounds[name])
        return Result(
            makespan_s=round(self._ends[-1][0] - self._begun_s, 1),
            videos_per_min=round(len(middle) * 60 / span_s, 1),
            requests_per_video=round(len(self._limit.granted_s) / videos, 3),
            requests_per_video_middle=round(1 + statistics.mean(j.looks for _, j in middle), 3),
            notice_median_s=round(statistics.median(notices), 2),
            notice_p95_s=round(notices[int(0.95 * (videos - 1))], 2),
            worst_window=worst_window(self._limit.granted_s),
            lower_bound_s=round(bounds[bound_by], 1),
            bound_by=bound_by,
        )


def jobs_of(scenario: Scenario, rng: random.Random) -> list[Job]:
    """Videos of 1 to 30 minutes in the order of work."""
    jobs = []
    for number in range(scenario.videos):
        length_s = rng.uniform(60, 1800)
        took_s = scenario.factor * (15 + 8 * length_s / 60)
        took_s *= max(0.3, rng.gauss(1, scenario.noise))
        if rng.random() < scenario.tail:
            took_s *= rng.uniform(2, 6)
        jobs.append(Job(number, length_s, took_s))
    if scenario.order == "shortest-first":
        jobs.sort(key=lambda job: job.length_s)
    elif scenario.order == "longest-first":
        jobs.sort(key=lambda job: -job.length_s)
    return jobs


def worst_window(times_s: list[float]) -> int:
    """The most of these sorted moments within any 60 s."""
    worst = first = 0
    for last, at_s in enumerate(times_s):
        while times_s[first] <= at_s - WINDOW_S:
            first += 1
        worst = max(worst, last - first + 1)
    return worst
