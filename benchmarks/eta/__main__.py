"""The forecast against the truth, in virtual time: `python -m benchmarks.eta [seeds]`.

Whole batches are played through the real monitor and job time model, in about a second each, and
asked for the time left when 25, 50 and 75 % of the time have passed. Beside each figure stands that
of an oracle (`oracle.py`), which knows the service's law: the lower bound.
"""

import argparse
import heapq
import itertools
import json
import math
import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.eta.oracle import Draw, Sight, foresee
from bulk_transcribe.core.jobtime import JobTimeModel
from bulk_transcribe.core.outcome import Succeeded
from bulk_transcribe.core.request import RequestKind, RequestRecord
from bulk_transcribe.core.stage import Stage
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.monitor import ConcurrentProgressMonitor, TimeLeft
from bulk_transcribe.testing import FakeClock

SHARES = (0.25, 0.5, 0.75)
SLOTS = 10
VIDEOS = 60
_RESULT = Path(__file__).parents[1] / "results" / "eta_virtual.json"
_NOISE = 0.15
_LATE_S = (0.3, 4.3)  # a job's end is noticed so much later
_LOOK_EVERY_S = 4.0  # for that reason: with ten slots there is room for three times as many looks
_LOOK_FROM = 0.5  # of the expected time


def mixed(rng: random.Random) -> list[float]:
    """As many from 30 s to 4 min as from 15 min to 2 h."""
    return [30 * 240 ** rng.random() for _ in range(VIDEOS)]


LISTS: dict[str, Callable[[random.Random], list[float]]] = {
    "mixed": mixed,
    "1-30 min": lambda rng: [rng.uniform(60, 1800) for _ in range(VIDEOS)],
    "clusters": lambda rng: [rng.choice((120.0, 3600.0)) for _ in range(VIDEOS)],
    "equal": lambda _rng: [600.0] * VIDEOS,
    "one giant": lambda rng: [*(rng.uniform(60, 300) for _ in range(VIDEOS - 1)), 7200.0],
}
ORDERS: dict[str, Callable[[random.Random, list[float]], list[float]]] = {
    "shortest": lambda _rng, lengths_s: sorted(lengths_s),
    "input": lambda rng, lengths_s: rng.sample(lengths_s, len(lengths_s)),
    "longest": lambda _rng, lengths_s: sorted(lengths_s, reverse=True),
}


def brief(rng: random.Random, length_s: float) -> float:
    """The brief's law with its cap."""
    return min(300.0, 15 + 8 * length_s / 60) * rng.uniform(1 - _NOISE, 1 + _NOISE)


def uncapped(rng: random.Random, length_s: float) -> float:
    """The brief's law without its cap."""
    return (15 + 8 * length_s / 60) * rng.uniform(1 - _NOISE, 1 + _NOISE)


def field(rng: random.Random, length_s: float) -> float:
    """What people report: a queue, and 2 to 7 % of the length."""
    return rng.uniform(2, 20) + 5 + rng.uniform(0.02, 0.07) * length_s


LAWS: dict[str, Callable[[random.Random, float], float]] = {
    "brief": brief,
    "uncapped": uncapped,
    "field": field,
}


@dataclass(frozen=True)
class Job:
    """What will happen to a video."""

    video_id: str
    length_s: float
    took_s: float
    late_s: float


@dataclass(frozen=True)
class Answer:
    """What was said, and what was so."""

    said: TimeLeft
    truth_s: float
    best_s: tuple[float, float, float]  # what an oracle said: low, likely, high

    @property
    def error(self) -> float:
        """As a share of the truth."""
        return self.said.likely_s / self.truth_s - 1

    @property
    def inside(self) -> bool:
        """The truth lies in the range."""
        return self.said.low_s <= self.truth_s <= self.said.high_s

    @property
    def best_error(self) -> float:
        """The oracle's, as a share of the truth."""
        return self.best_s[1] / self.truth_s - 1

    @property
    def best_inside(self) -> bool:
        """The truth lies in the oracle's range."""
        return self.best_s[0] <= self.truth_s <= self.best_s[2]


def ends_s(jobs: list[Job]) -> float:
    """When the last of these jobs is noticed."""
    free_s = [0.0] * SLOTS
    for job in jobs:
        heapq.heapreplace(free_s, free_s[0] + job.took_s + job.late_s)
    return max(free_s)


def play(jobs: list[Job], law: str) -> list[Answer]:
    """Play a batch; the answers at the shares of its time."""
    clock, model = FakeClock(), JobTimeModel()
    monitor = ConcurrentProgressMonitor(
        clock, model, slots=SLOTS, requests_per_min=300, quick_share=0.0
    )
    monitor.add(VideoItem(video_id=j.video_id, duration_s=j.length_s) for j in jobs)
    begin_s, end_s = clock.now_s(), ends_s(jobs)
    waiting = jobs[::-1]
    running: dict[str, tuple[float, float]] = {}  # length and start
    answers: list[Answer] = []
    # (moment, kind: 0 look, 1 done, 2 ask; a tie-breaker; job; its start; its last look)
    events: list[tuple[float, int, int, Job | None, float, list[float]]] = []
    number = 0

    def start(at_s: float) -> None:
        nonlocal number
        job = waiting.pop()
        running[job.video_id] = job.length_s, at_s
        for stage in (Stage.CAPTIONS, Stage.SUBMITTING, Stage.TRANSCRIBING):
            monitor.record(job.video_id, stage)
        monitor.request_log.record(_request(clock, RequestKind.SUBMIT, job.video_id))
        seen_s = [0.0]
        expected_s = model.predict(job.length_s).mean_s
        found_s = job.took_s + job.late_s
        looks = math.ceil((found_s - _LOOK_FROM * expected_s) / _LOOK_EVERY_S)
        looks_s = [at_s + found_s - n * _LOOK_EVERY_S for n in range(looks - 1, 0, -1)]
        for look_s in looks_s:
            number += 1
            heapq.heappush(events, (look_s, 0, number, job, at_s, seen_s))
        number += 1
        heapq.heappush(events, (at_s + found_s, 1, number, job, at_s, seen_s))

    for share in SHARES:
        heapq.heappush(events, (begin_s + share * end_s, 2, number := number + 1, None, 0.0, []))
    for _ in range(min(SLOTS, len(waiting))):
        start(begin_s)
    while events:
        at_s, kind, _number, job, from_s, seen_s = heapq.heappop(events)
        clock.advance(max(0.0, at_s - clock.now_s()))
        if job is None:
            sight = Sight(
                [(length_s, at_s - begun_s) for length_s, begun_s in running.values()],
                [waits.length_s for waits in reversed(waiting)],
                SLOTS,
            )
            best_s = foresee(sight, _slot_s(law), len(answers))
            answers.append(Answer(monitor.time_left(), begin_s + end_s - at_s, best_s))
        elif kind == 0:
            seen_s[0] = at_s - from_s
            model.saw_running(job.video_id, job.length_s, at_s - from_s)
            monitor.request_log.record(_request(clock, RequestKind.POLL, job.video_id))
        else:
            model.observe(
                job.length_s,
                done_by_s=at_s - from_s,
                not_done_at_s=seen_s[0],
                job=job.video_id,
            )
            del running[job.video_id]
            monitor.finish(job.video_id, Succeeded(video_id=job.video_id, source="deapi"))
            if waiting:
                start(at_s)
    return answers


def _slot_s(law: str) -> Draw:
    """How long a job occupies its slot: until its end is noticed."""
    return lambda rng, length_s: LAWS[law](rng, length_s) + rng.uniform(*_LATE_S)


def _request(clock: FakeClock, kind: RequestKind, video_id: str) -> RequestRecord:
    return RequestRecord(
        kind=kind,
        video_id=video_id,
        sent_at=clock.now(),
        waited_s=0.0,
        took_s=0.1,
        status=200,
    )


def batch(law: str, lengths: str, order: str, seed: int) -> list[Job]:
    """The jobs of one batch; the same for the same names and seed."""
    rng = random.Random(f"{law} {lengths} {order} {seed}")
    lengths_s = ORDERS[order](rng, LISTS[lengths](rng))
    return [
        Job(f"video{n:06d}", length_s, LAWS[law](rng, length_s), rng.uniform(*_LATE_S))
        for n, length_s in enumerate(lengths_s)
    ]


def main() -> None:
    """Print a table, and write it to `benchmarks/results/eta_virtual.json` where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="?", type=int, default=20)
    parser.add_argument("--lists", nargs="*", choices=LISTS, default=list(LISTS))
    parser.add_argument("--write", action="store_true", help="keep the figures as JSON")
    asked = parser.parse_args()
    titles = "".join(f" | at {share:.0%}: bias  med  p90   in (best: med  p90)" for share in SHARES)
    print(f"{'':28}{titles}")
    rows = []
    for law, lengths, order in itertools.product(LAWS, asked.lists, ORDERS):
        played = [play(batch(law, lengths, order, seed), law) for seed in range(asked.seeds)]
        at_share = [_figures(answers) for answers in zip(*played, strict=True)]
        print(f"{law:9}{lengths:10}{order:9}{''.join(map(_column, at_share))}", flush=True)
        times = {f"{share:.0%}": figures for share, figures in zip(SHARES, at_share, strict=True)}
        rows.append({"law": law, "list": lengths, "order": order, "seeds": asked.seeds} | times)
    if asked.write:
        _RESULT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def _figures(answers: tuple[Answer, ...]) -> dict[str, float]:
    """Of one share of the time: shares of the truth, and of the truths."""
    errors = sorted(abs(answer.error) for answer in answers)
    best = sorted(abs(answer.best_error) for answer in answers)
    tenth = min(len(errors) - 1, round(0.9 * len(errors)))
    found = {
        "bias": statistics.median(answer.error for answer in answers),
        "median_error": statistics.median(errors),
        "p90_error": errors[tenth],
        "in_range": statistics.fmean(answer.inside for answer in answers),
        "best_median_error": statistics.median(best),
        "best_p90_error": best[tenth],
        "best_in_range": statistics.fmean(answer.best_inside for answer in answers),
    }
    return {name: round(value, 4) for name, value in found.items()}


def _column(found: dict[str, float]) -> str:
    said = f"{found['bias']:+5.0%} {found['median_error']:4.0%} {found['p90_error']:4.0%}"
    best = f"{found['best_median_error']:4.0%} {found['best_p90_error']:4.0%}"
    return f" |         {said} {found['in_range']:4.0%} (      {best})"


if __name__ == "__main__":
    main()
