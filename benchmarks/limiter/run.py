"""How close to the limit, never above it, and how fast. See README.md."""

import argparse
import bisect
import json
import random
import socket
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.permit import PermitStore
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.errors import StoppedError
from bulk_transcribe.limit import DistributedRateLimiter, FixedPolicy, MemoryPermitStore, RateLimit
from bulk_transcribe.save.database import open_database
from bulk_transcribe.save.permits import DatabasePermitStore

LIMIT = 300
WINDOW_S = 60.0
SPEED = 20.0  # a minute lasts three seconds
WINDOWS = 6
THREADS = 160  # of each process: more than half of the limit
DELAY_S = (0.2, 1.0)  # clock seconds on each way; half of it there, half of it back
SUBMITS = frozenset({RequestKind.SUBMIT})


class Service(socketserver.ThreadingTCPServer):
    """Notes when it saw each request, by its own clock."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(self, seed: int) -> None:
        super().__init__(("127.0.0.1", 0), _Line)
        self.seed = seed
        self.seen_s: list[float] = []
        self.took_s: list[float] = []


class _Line(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        if not isinstance(self.server, Service):
            raise TypeError(type(self.server))
        chance = random.Random(f"{self.server.seed} {self.client_address}")
        while self.request.recv(1):
            began_s = time.monotonic()
            time.sleep(chance.uniform(*DELAY_S) / SPEED)
            self.server.seen_s.append(time.monotonic())
            time.sleep(chance.uniform(*DELAY_S) / SPEED)
            self.server.took_s.append(time.monotonic() - began_s)
            self.request.sendall(b"!")


@contextmanager
def opened_store(path: str) -> Iterator[PermitStore]:
    """The shared book, or with "" the one of a single process."""
    if not path:
        yield MemoryPermitStore()
        return
    with open_database(Path(path)) as database:
        yield DatabasePermitStore(database)


def send_all_the_time(path: str, port: int) -> None:
    """A process that sends what its limiter lets it, until its standard input ends."""
    clock = SystemClock(SPEED)
    control = RunControl(clock)
    with opened_store(path) as store:
        limiter = DistributedRateLimiter(
            FixedPolicy({SUBMITS: RateLimit(LIMIT, WINDOW_S)}),
            clock=clock,
            store=store,
            account="benchmark",
            control=control,
        )

        def work() -> None:
            with socket.create_connection(("127.0.0.1", port)) as line:
                while True:
                    try:
                        with limiter.permit(RequestKind.SUBMIT) as permit:
                            line.sendall(b"?")
                            line.recv(1)
                            permit.answered(200, {})
                    except (StoppedError, OSError):
                        return

        workers = [threading.Thread(target=work) for _ in range(THREADS)]
        for worker in workers:
            worker.start()
        sys.stdin.read()
        control.halt()
        for worker in workers:
            worker.join()


def worst_window(seen_s: list[float]) -> int:
    """The most requests in any window, wherever it begins."""
    times_s = sorted(seen_s)
    window_s = WINDOW_S / SPEED
    return max(
        bisect.bisect_left(times_s, at_s + window_s) - place for place, at_s in enumerate(times_s)
    )


def mean_cycle_s(seen_s: list[float]) -> float:
    """Clock seconds after which a whole limit's worth of requests has gone again.

    Not a count within a span of time: requests come in bursts, and a span may end just before one.
    """
    times_s = sorted(seen_s)
    cycles = len(times_s) // LIMIT - 1
    spans_s = [
        later - sooner for sooner, later in zip(times_s, times_s[cycles * LIMIT :], strict=False)
    ]
    return statistics.mean(spans_s) / cycles * SPEED


def measure_limit(processes: int, kind: str, seed: int) -> dict[str, Any]:
    """Whole windows under full load, counted where the service stands."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        path = "" if kind == "memory" else str(Path(folder) / "store.db")
        if path:
            open_database(Path(path)).close()
        service = stack.enter_context(Service(seed))
        threading.Thread(target=service.serve_forever, args=(0.05,), daemon=True).start()
        command = [sys.executable, __file__, "--child", path, str(service.server_address[1])]
        children = [
            subprocess.Popen(command, stdin=subprocess.PIPE)  # noqa: S603 -- this file
            for _ in range(processes)
        ]
        while not service.seen_s:
            time.sleep(0.01)
        time.sleep(WINDOWS * WINDOW_S / SPEED)
        for child in children:
            child.communicate()
        service.shutdown()
        cycle_s = mean_cycle_s(service.seen_s)
        trip_s = statistics.mean(service.took_s) * SPEED
        worst = worst_window(service.seen_s)
    return {
        "processes": processes,
        "store": kind,
        "limit": LIMIT,
        "seed": seed,
        "worst_window": worst,
        "breaches": max(0, worst - LIMIT),
        "rate_of_limit": round(WINDOW_S / cycle_s, 3),
        "upper_bound": round(WINDOW_S / (WINDOW_S + trip_s), 3),
        "mean_trip_s": round(trip_s, 2),
    }


def measure_speed(threads: int, kind: str, acquires: int = 4_000) -> dict[str, Any]:
    """Permits taken and answered a second when none has to wait."""
    with tempfile.TemporaryDirectory() as folder:
        path = "" if kind == "memory" else str(Path(folder) / "store.db")
        with opened_store(path) as store:
            limiter = DistributedRateLimiter(
                FixedPolicy({SUBMITS: RateLimit(10 * acquires, WINDOW_S)}),
                clock=SystemClock(),
                store=store,
            )

            def work() -> None:
                for _ in range(acquires // threads):
                    with limiter.permit(RequestKind.SUBMIT) as permit:
                        permit.answered(200, {})

            workers = [threading.Thread(target=work) for _ in range(threads)]
            began_s = time.perf_counter()
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            took_s = time.perf_counter() - began_s
    return {"store": kind, "threads": threads, "acquires_per_s": round(acquires / took_s)}


def main() -> int:
    """Run all; 1 where a limit was exceeded."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--child", nargs=2, metavar=("DATABASE", "PORT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        send_all_the_time(options.child[0], int(options.child[1]))
        return 0
    results: dict[str, Any] = {"limit": [], "speed": []}
    for processes, kind in ((1, "memory"), (1, "sqlite"), (2, "sqlite")):
        found = measure_limit(processes, kind, options.seed)
        results["limit"].append(found)
        print(
            f"{processes} process(es), {kind}: worst window {found['worst_window']} of {LIMIT} "
            f"({found['breaches']} breaches), rate {found['rate_of_limit']:.1%} of the limit; "
            f"no more than {found['upper_bound']:.1%} is safe with answers after "
            f"{found['mean_trip_s']} s"
        )
    for kind in ("memory", "sqlite"):
        for threads in (1, 8, 100):
            fast = measure_speed(threads, kind)
            results["speed"].append(fast)
            print(f"{kind}, {threads} threads: {fast['acquires_per_s']} permits/s")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 1 if any(found["breaches"] for found in results["limit"]) else 0


if __name__ == "__main__":
    sys.exit(main())
