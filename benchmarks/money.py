"""Does the cost limit hold, and does the real cost lie inside the forecast?

    python -m benchmarks.money [--runs 100] [--seed 1] [--videos 30] [--out FILE]

Two kinds of runs, each of the real program against the simulator in the same process, whose own
book of charges is the judge:

    limit     5 to 10 videos, all of them to be paid for, ten slots, and a cost limit that is drawn
              between nothing and more than they cost. Answers are lost, jobs fail, servers stumble,
              runs are halted midway. Each session is resumed under the same limit, then under a
              higher one. Counted: how often the charges passed the limit of the moment.
    forecast  a batch with captions for a drawn share of it: the forecast is made as `plan` makes it
              (a few quotes, a probe of 8 videos), then the batch is run. Counted: how often what
              was charged lies between its lowest and highest figure.

Prices, lengths, shares and faults are drawn from the seed. Exit code 1 if a limit was passed, or if
fewer than nine of ten forecasts held.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from bulk_transcribe.app import App, InputRequest
from bulk_transcribe.config import load
from bulk_transcribe.core.outcome import BatchResult
from bulk_transcribe.simulator import Faults, Simulator, SimulatorConfig

#: Clock seconds per real second.
SPEED = 200.0
RESULT = Path(__file__).parent / "results" / "money.json"
_WITHIN_S = 120.0
_STEP = Decimal("0.000001")


@dataclass(frozen=True, kw_only=True)
class Limited:
    """One session under a limit.

    Args:
        seed: Of everything in it.
        videos: How many.
        limits_usd: The limit of each run of the session, in order.
        charged_usd: What the service had charged in all after each of them.
        ended: Why each of them ended, "" for a run that was done.
        in_doubt: Paid requests whose answers were lost, at the end.
        paid_twice: Videos that were charged more than once.
        books_agree: Whether the session's receipts, what is in doubt put in, bound the charges.
    """

    seed: int
    videos: int
    limits_usd: tuple[Decimal, ...]
    charged_usd: tuple[Decimal, ...]
    ended: tuple[str, ...]
    in_doubt: int
    paid_twice: int
    books_agree: bool

    @property
    def passed_usd(self) -> Decimal:
        """By how much a limit was passed at most; 0 if none was."""
        over = (c - m for c, m in zip(self.charged_usd, self.limits_usd, strict=True))
        return max(Decimal(0), *over)

    @property
    def was_reached(self) -> bool:
        """Whether a limit ended a run."""
        return "cost_limit" in self.ended


@dataclass(frozen=True, kw_only=True)
class Forecasted:
    """One forecast and what became of it."""

    seed: int
    videos: int
    asked: int
    low_usd: Decimal
    likely_usd: Decimal
    high_usd: Decimal
    charged_usd: Decimal
    done: int

    @property
    def is_inside(self) -> bool:
        """Whether the charges lie in the range, its ends included."""
        return self.low_usd <= self.charged_usd <= self.high_usd


class Account:
    """A simulator and a folder; runs of the program with them."""

    def __init__(self, simulator: Simulator, folder: Path) -> None:
        self.simulator = simulator
        self._folder = folder

    def app(self, **flags: Any) -> App:
        """The program, to be opened with `with`."""
        flags = {"home": self._folder / "home", "out": self._folder / "out"} | flags
        flags = {"formats": "txt", "log_level": "error"} | flags
        settings = load(flags, self.simulator.environment(), self._folder).settings
        return App(settings, clock=self.simulator.clock)

    def charged_usd(self) -> Decimal:
        """By the simulator's own book."""
        return self.simulator.ledger().charged_usd

    def work(self, app: App, session_id: str, *, halt_at: int | None = None) -> BatchResult:
        """Run a session to its end, or halt it once so many jobs were taken."""
        pause = threading.Event()
        with app.engine(session_id) as engine:
            running = engine.start()
            until = time.monotonic() + _WITHIN_S
            while not running.is_over(wait_s=0.0):
                if halt_at is not None and len(self.simulator.ledger().jobs) >= halt_at:
                    engine.control.halt()
                if time.monotonic() > until:
                    engine.control.halt()
                    raise RuntimeError(f"session {session_id} does not end")
                pause.wait(0.01)
            return running.result()


def limited(seed: int, folder: Path) -> Limited:
    """One session under a limit, resumed twice."""
    chance = random.Random(f"limit {seed}")
    videos = chance.randint(5, 10)
    service = _service(chance, seed, videos)
    links = [f"https://youtu.be/pay{number:08d}" for number in range(videos)]
    with Simulator(service, faults=_faults(chance)) as simulator:
        account = Account(simulator, folder)
        whole = sum(
            (_price(service, length) for length in service.durations_s.values()), Decimal(0)
        )
        first = (whole * Decimal(str(chance.uniform(0.0, 1.1)))).quantize(_STEP)
        limits = (first, first, first + (whole * Decimal(str(chance.random()))).quantize(_STEP))
        flags: dict[str, Any] = {"sources": "deapi", "max_concurrent": 10}
        flags["order"] = chance.choice(["input", "shortest-first", "longest-first"])
        halt_at = chance.choice([None, None, chance.randint(1, videos)])
        charged: list[Decimal] = []
        ended: list[str] = []
        session_id, in_doubt = "", 0
        for number, limit_usd in enumerate(limits):
            with account.app(**flags, max_cost_usd=str(limit_usd)) as app:
                if not session_id:
                    gathered = app.gather(InputRequest(arguments=tuple(links)), stdin=None)
                    session_id = app.new_session(gathered)
                else:
                    app.sessions.prepare_resume(session_id, retry_failed=True)
                result = account.work(app, session_id, halt_at=halt_at if not number else None)
                charged.append(account.charged_usd())
                in_doubt, stopped = result.totals.in_doubt, result.stopped_by
                ended.append(stopped.code if stopped else "halted" * result.was_interrupted)
        with account.app(**flags) as app:
            bill = app.receipts.of_session(session_id).money
        ledger = simulator.ledger()
        low, high = bill.spent_usd, bill.spent_usd + bill.at_risk_usd
        return Limited(
            seed=seed,
            videos=videos,
            limits_usd=limits,
            charged_usd=tuple(charged),
            ended=tuple(ended),
            in_doubt=in_doubt,
            paid_twice=len(_twice(ledger.duplicates, ledger.jobs)),
            books_agree=low <= ledger.charged_usd <= high + videos * _STEP,
        )


def _twice(duplicates: Any, jobs: Any) -> list[str]:
    """Videos paid again although no earlier job of theirs had failed."""
    failed = {job.video_id for job in jobs if job.state == "error"}
    return [video_id for video_id in duplicates if video_id not in failed]


def forecasted(seed: int, folder: Path, *, videos: int = 30) -> Forecasted:
    """One forecast, and the run of the same list."""
    chance = random.Random(f"forecast {seed}")
    lengths = {f"mix{seed % 1000:03d}{number:05d}": _length_s(chance) for number in range(videos)}
    service = SimulatorConfig(
        seed=seed,
        clock_speed=SPEED,
        caption_share=chance.uniform(0.1, 0.95),
        base_price_usd=Decimal(chance.randint(0, 9000)) * _STEP,
        price_usd_per_s=Decimal(chance.randint(20, 300)) / 10_000_000,
        durations_s=lengths,
    )
    links = tuple(f"https://youtu.be/{video_id}" for video_id in lengths)
    with Simulator(service) as simulator:
        account = Account(simulator, folder)
        with account.app(max_concurrent="20") as app:
            gathered = app.gather(InputRequest(arguments=links), stdin=None)
            forecast = app.plan(gathered.items).forecast
            result = account.work(app, app.new_session(gathered))
        low, high = forecast.cost_usd or (Decimal(-1), Decimal(-1))
        return Forecasted(
            seed=seed,
            videos=videos,
            asked=forecast.probe.asked if forecast.probe else 0,
            low_usd=low,
            likely_usd=forecast.cost_likely_usd or Decimal(0),
            high_usd=high,
            charged_usd=account.charged_usd(),
            done=result.totals.done,
        )


def _service(chance: random.Random, seed: int, videos: int) -> SimulatorConfig:
    return SimulatorConfig(
        seed=seed,
        clock_speed=SPEED,
        base_price_usd=Decimal(chance.randint(0, 9000)) * _STEP,
        price_usd_per_s=Decimal(chance.randint(20, 300)) / 10_000_000,
        durations_s={f"pay{number:08d}": _length_s(chance) for number in range(videos)},
        jitter_s=(0.0, chance.choice([0.0, 0.5])),
    )


def _faults(chance: random.Random) -> Faults:
    names = ("drop_answer_after", "drop_answer_before", "html_502_after", "server_error_500")
    faults = Faults(failing_jobs=chance.choice([0.0, 0.0, 0.3]))
    if chance.random() < 0.5:
        faults.update({chance.choice(names): chance.choice([0.1, 0.3])})
    return faults


def _length_s(chance: random.Random) -> float:
    return float(round(min(10_800.0, 20.0 + chance.lognormvariate(6.0, 1.1))))


def _price(service: SimulatorConfig, length_s: float) -> Decimal:
    return service.base_price_usd + service.price_usd_per_s * Decimal(str(length_s))


def main() -> int:
    """Run both kinds, print what came out as JSON, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=100, help="of each kind")
    parser.add_argument("--seed", type=int, default=1, help="of the first run")
    parser.add_argument("--videos", type=int, default=30, help="in a forecast's batch")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    limits: list[Limited] = []
    forecasts: list[Forecasted] = []
    for number in range(given.runs):
        seed = given.seed + number
        with ExitStack() as parts:
            folders = [Path(parts.enter_context(tempfile.TemporaryDirectory())) for _ in range(2)]
            limits.append(limited(seed, folders[0]))
            forecasts.append(forecasted(seed, folders[1], videos=given.videos))
        if sys.stderr.isatty() or number % 10 == 9:
            passed = sum(each.passed_usd > 0 for each in limits)
            inside = sum(each.is_inside for each in forecasts)
            print(f"{number + 1}: passed {passed}, inside {inside}", file=sys.stderr, flush=True)
    found = _found(limits, forecasts, seed=given.seed)
    text = json.dumps(found, default=str, indent=1)
    given.out.write_text(text + "\n", encoding="utf-8")
    print(json.dumps({name: found[name] for name in ("limit", "forecast")}, default=str))
    is_good = not found["limit"]["passed"] and found["forecast"]["inside_share"] >= 0.9
    return 0 if is_good else 1


def _found(limits: list[Limited], forecasts: list[Forecasted], *, seed: int) -> dict[str, Any]:
    reached = [each for each in limits if each.was_reached]
    return {
        "seed": seed,
        "cpus": os.cpu_count(),
        "limit": {
            "sessions": len(limits),
            "runs": sum(len(each.limits_usd) for each in limits),
            "passed": sum(each.passed_usd > 0 for each in limits),
            "reached": len(reached),
            "with_doubts": sum(each.in_doubt > 0 for each in limits),
            "paid_twice": sum(each.paid_twice for each in limits),
            "books_agree": sum(each.books_agree for each in limits),
        },
        "forecast": {
            "batches": len(forecasts),
            "inside": sum(each.is_inside for each in forecasts),
            "inside_share": sum(each.is_inside for each in forecasts) / max(1, len(forecasts)),
            "below": sum(each.charged_usd < each.low_usd for each in forecasts),
            "above": sum(each.charged_usd > each.high_usd for each in forecasts),
            "mean_width": _mean_width(forecasts),
        },
        "sessions": [asdict(each) for each in limits],
        "batches": [asdict(each) for each in forecasts],
    }


def _mean_width(forecasts: list[Forecasted]) -> float:
    """Of the range, in shares of its highest figure."""
    widths = [
        float((each.high_usd - each.low_usd) / each.high_usd) for each in forecasts if each.high_usd
    ]
    return round(sum(widths) / max(1, len(widths)), 3)


if __name__ == "__main__":
    sys.exit(main())
