"""Whole runs of the real program against the simulator in another process, and what came out.

Durations are the clock's seconds; the clock runs `speed` times faster than life. The simulator
is the judge: requests, 429s, the fullest 60 seconds and when a finished job was noticed are its
figures, read from its ledger.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Self

from bulk_transcribe.app import App, InputRequest
from bulk_transcribe.app.memory import share_one_heap
from bulk_transcribe.config import Settings, load
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.stage import Stage
from bulk_transcribe.monitor.snapshot import Snapshot

WINDOW_S = 60.0
#: Kinds of requests that count against the limit.
LIMITED = frozenset({"submit", "poll", "price"})
_LEAST_FOR_STEADY = 30


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A batch and the service it meets.

    Args:
        name: For the result file.
        videos: How many.
        slots: Videos in flight at once, as for `-j`.
        order: Order of work.
        speed: Clock seconds per real second.
        service: Fields of `SimulatorConfig`.
        settings: Further settings.
    """

    name: str
    videos: int
    slots: str = "10"
    order: str = "longest-first"
    speed: float = 20.0
    seed: int = 1
    service: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one run gave. Times in the clock's seconds."""

    scenario: str
    videos: int
    done: int
    in_doubt: int
    elapsed_s: float
    lower_bound_s: float
    efficiency: float  # lower bound / elapsed
    videos_per_min: float
    steady_videos_per_min: float  # between a third and two thirds of the ends
    steady_requests_per_video: float  # likewise
    requests_per_video: float
    refused_429: int
    fullest_60s: int  # requests in the fullest 60 s of the limited pool, as the service saw them
    breaches: int  # requests beyond a full 60 s, in the service's own count
    noticed_median_s: float
    noticed_p95_s: float
    submitted_twice: int
    spent_usd: str
    charged_usd: str
    time_left: dict[str, dict[str, float]]  # see `time_left_at`
    apart_after_s: float | None  # from the first submit until pools were believed apart
    fullest_60s_of_all: int  # requests in the fullest 60 s of all limited pools together
    sent_by_minute: dict[str, list[int]]  # kind -> requests in each minute since the first submit
    commit: str
    seed: int
    more: dict[str, Any] = field(default_factory=dict)


def video_links(count: int) -> list[str]:
    """`count` links; the simulator knows every well-formed id."""
    return [f"https://www.youtube.com/watch?v=bench{number:06d}" for number in range(count)]


@contextmanager
def simulator(scenario: Scenario) -> Iterator[tuple[str, dict[str, str]]]:
    """The simulator in a process of its own: its address and the environment to use."""
    fields = {
        "clock_speed": scenario.speed,
        "seed": scenario.seed,
        "duration_s": [60, 1800],
        "latency": "brief",
    } | scenario.service
    code = (
        "import json, sys, threading\n"
        "from bulk_transcribe.simulator import SimulatorConfig, serve\n"
        "given = json.loads(sys.argv[1])\n"
        "fields = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}\n"
        "stop = threading.Event()\n"
        "threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()\n"
        "serve(SimulatorConfig(**fields), stop=stop, on_ready=lambda s: print(json.dumps("
        "[s.url, s.environment()]), flush=True))\n"
    )
    process = subprocess.Popen(  # noqa: S603 -- our own code
        [sys.executable, "-c", code, json.dumps(fields)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None  # noqa: S101 -- it is a pipe
        url, environment = json.loads(process.stdout.readline())
        yield url, environment
    finally:
        assert process.stdin is not None  # noqa: S101 -- it is a pipe
        process.stdin.close()
        process.wait(30)


def ledger(url: str, *, requests: bool = True) -> Any:
    """What the simulator counted."""
    address = f"{url}/_sim/ledger?requests={int(requests)}"
    with urllib.request.urlopen(address) as answer:  # noqa: S310 -- 127.0.0.1
        return json.load(answer)


def settings_for(scenario: Scenario, environment: dict[str, str], folder: Path) -> Settings:
    """Settings of the program under test."""
    flags = {
        "home": folder / "home",
        "out": folder / "out",
        "formats": "txt",
        "sources": "deapi",
        "max_concurrent": scenario.slots,
        "order": scenario.order,
        "log_level": "warning",
    } | scenario.settings
    return load(flags, environment, folder).settings


class Watcher:
    """Takes a snapshot of the monitor twice a real second, and notes what it cost."""

    def __init__(self, snapshot: Callable[[], Snapshot], pools: Callable[[], int]) -> None:
        self.samples: list[dict[str, float]] = []
        self._snapshot = snapshot
        self._pools = pools
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.5):
            asked_s, cpu_s = time.perf_counter(), time.thread_time()
            shot = self._snapshot()
            sample = {
                "elapsed_s": shot.elapsed_s,
                "fraction": shot.fraction,
                "active": float(shot.totals.active),
                "low_s": shot.time_left.low_s,
                "likely_s": shot.time_left.likely_s,
                "high_s": shot.time_left.high_s,
                "snapshot_ms": (time.perf_counter() - asked_s) * 1000,
                "snapshot_cpu_ms": (time.thread_time() - cpu_s) * 1000,
                "pools": float(self._pools()),
                "rss_mb": resident_mb(),
                "cpu_s": cpu_used_s(),
            }
            self.samples.append({name: round(value, 2) for name, value in sample.items()})


def pools_believed(app: App) -> int:
    """How many pools the program believes the account has; 0 while it believes nothing."""
    return sum(len(belief["pools"]) for belief in app.limiter_beliefs())


def resident_mb() -> float:
    """Memory of this process now, in MB; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * resource.getpagesize() / 1e6


def cpu_used_s() -> float:
    """CPU seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def run(scenario: Scenario) -> dict[str, Any]:
    """Run the program once, to its end; what came out, as a row of the results."""
    share_one_heap()
    with tempfile.TemporaryDirectory() as folder, simulator(scenario) as (url, environment):
        settings = settings_for(scenario, environment, Path(folder))
        clock = SystemClock(scenario.speed)
        with App(settings, clock=clock) as app:
            request = InputRequest(arguments=tuple(video_links(scenario.videos)))
            gathered = app.gather(request, stdin=None)
            session_id = app.new_session(gathered)
            with (
                app.engine(session_id) as engine,
                Watcher(engine.snapshot, lambda: pools_believed(app)) as watcher,
            ):
                result = engine.run()
            row = asdict(_outcome(scenario, result, ledger(url), watcher.samples))
            return row | {"not_done": not_done(app, session_id)}


def lower_bound_s(
    jobs_s: Sequence[float], slots: int, limit: int, *, requests_each: int = 2
) -> float:
    """No program ends sooner: the longest job, the work over the slots, the fewest requests.

    Args:
        jobs_s: The service's own times of this very run, from its ledger.
        slots: Videos at once.
        limit: Requests in 60 s of the pool that has the most of them.
        requests_each: Of them, those that every video needs: a submit and a look, or one of both.
    """
    # a full budget may go at once, the rest at the limit's pace
    limited_s = max(0.0, (requests_each * len(jobs_s) - limit) / limit * WINDOW_S)
    return max(max(jobs_s, default=0.0), sum(jobs_s) / slots, limited_s)


def steady_part(book: Any) -> tuple[float, float]:
    """Videos a minute, and requests a video, between a third and two thirds of the ends."""
    ends = sorted(j["seen_done_at_s"] for j in book["jobs"] if j["seen_done_at_s"] is not None)
    if len(ends) < _LEAST_FOR_STEADY:
        return 0.0, 0.0
    first_s, last_s = ends[len(ends) // 3], ends[2 * len(ends) // 3]
    videos = 2 * len(ends) // 3 - len(ends) // 3
    sent = sum(
        request["kind"] in LIMITED and first_s <= request["at_s"] < last_s
        for request in book["requests"]
    )
    return videos / (last_s - first_s) * 60.0, sent / videos


def not_done(app: App, session_id: str) -> dict[str, str]:
    """Video -> why it is not done."""
    states = (state for _, state in app.sessions.open_session(session_id).items_and_states())
    return {
        state.video_id: f"{state.stage.value}: {state.error}"
        for state in states
        if state.stage is not Stage.DONE
    }


def fullest_window(times_s: Sequence[float]) -> int:
    """The most of these moments within 60 s; they are in order."""
    most = first = 0
    for number, at_s in enumerate(times_s):
        while times_s[first] <= at_s - WINDOW_S:
            first += 1
        most = max(most, number - first + 1)
    return most


def by_minute(requests: Sequence[dict[str, Any]]) -> dict[str, list[int]]:
    """Submits and looks in each minute since the first submit."""
    began_s = next((r["at_s"] for r in requests if r["kind"] == "submit"), 0.0)
    minutes = [(int((r["at_s"] - began_s) // WINDOW_S), r["kind"]) for r in requests]
    last = max((minute for minute, _ in minutes), default=-1)
    return {
        kind: [minutes.count((minute, kind)) for minute in range(last + 1)]
        for kind in ("submit", "poll")
    }


def time_left_at(samples: list[dict[str, float]], elapsed_s: float) -> dict[str, dict[str, float]]:
    """What was promised when 25, 50 and 75 % of the run's time had passed, and what was true.

    `error` is the likely time less the true one, as a share of the true one; `in_range` is 1
    where the truth lay between low and high.
    """
    told = {}
    for percent in (25, 50, 75):
        passed = [s for s in samples if s["elapsed_s"] <= elapsed_s * percent / 100]
        if not passed or passed[-1]["elapsed_s"] <= 0:
            continue
        at = passed[-1]
        left_s = elapsed_s - at["elapsed_s"]
        told[str(percent)] = {
            "left_s": round(left_s, 1),
            "low_s": at["low_s"],
            "likely_s": at["likely_s"],
            "high_s": at["high_s"],
            "error": round(at["likely_s"] / left_s - 1, 4),
            "in_range": float(at["low_s"] <= left_s <= at["high_s"]),
        }
    return told


def _outcome(
    scenario: Scenario,
    result: Any,
    book: Any,
    samples: list[dict[str, float]],
) -> Outcome:
    slots = 512 if scenario.slots == "auto" else int(scenario.slots)
    limit = int(scenario.service.get("rate_limit_rpm", 300))
    jobs_s = [j["done_at_s"] - j["submitted_at_s"] for j in book["jobs"] if j["done_at_s"]]
    has_one_pool = scenario.service.get("pools", "shared") == "shared"
    bound_s = lower_bound_s(jobs_s, slots, limit, requests_each=2 if has_one_pool else 1)
    steady_per_min, steady_requests = steady_part(book)
    noticed = sorted(
        job["noticed_after_s"] for job in book["jobs"] if job["noticed_after_s"] is not None
    )
    limited = [r for r in book["requests"] if r["kind"] in LIMITED]
    return Outcome(
        scenario=scenario.name,
        videos=scenario.videos,
        done=result.totals.done,
        in_doubt=result.totals.in_doubt,
        elapsed_s=round(result.elapsed_s, 1),
        lower_bound_s=round(bound_s, 1),
        efficiency=round(bound_s / result.elapsed_s, 4) if result.elapsed_s else 1.0,
        videos_per_min=round(result.totals.done / result.elapsed_s * 60, 1),
        steady_videos_per_min=round(steady_per_min, 1),
        steady_requests_per_video=round(steady_requests, 3),
        requests_per_video=round(len(limited) / max(1, scenario.videos), 3),
        refused_429=sum(r["status"] == 429 for r in limited),
        fullest_60s=book["worst_window"],
        breaches=book["breaches"],
        noticed_median_s=round(median(noticed), 2) if noticed else 0.0,
        noticed_p95_s=round(noticed[int(len(noticed) * 0.95)], 2) if noticed else 0.0,
        submitted_twice=sum(len(ids) > 1 for ids in book["submits"].values()),
        spent_usd=str(result.spent_usd),
        charged_usd=book["charged_usd"],
        commit=commit(),
        seed=scenario.seed,
        time_left=time_left_at(samples, result.elapsed_s),
        apart_after_s=next((s["elapsed_s"] for s in samples if s["pools"] > 1), None),
        fullest_60s_of_all=fullest_window([r["at_s"] for r in limited]),
        sent_by_minute=by_minute(limited),
        more={"samples": thinned(samples)},
    )


def commit() -> str:
    """The commit that was measured."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],  # noqa: S607 -- whichever git is there
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return done.stdout.strip() or "unknown"


def thinned(samples: list[dict[str, float]], most: int = 120) -> dict[str, list[float]]:
    """Evenly chosen samples, the last one among them, as columns."""
    step = max(1, -(-len(samples) // most))
    kept = samples[::-step][::-1]
    return {name: [sample[name] for sample in kept] for name in (kept[0] if kept else ())}


def save(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Write results as JSON, one a line, and print them without the samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ",\n".join(json.dumps(row) for row in rows)
    path.write_text(f'{{"machine": {json.dumps(machine())}, "results": [\n{lines}\n]}}\n')
    for row in rows:
        print(json.dumps({name: value for name, value in row.items() if name != "more"}))


def machine() -> dict[str, Any]:
    """What it ran on."""
    return {
        "cores": os.cpu_count(),
        "python": sys.version.split()[0],
        "at": time.strftime("%Y-%m-%d"),
    }
