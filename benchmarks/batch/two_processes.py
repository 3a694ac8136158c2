"""Two of the program's processes share one key and one limit; one of them is killed."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.batch.harness import (
    LIMITED,
    WINDOW_S,
    Scenario,
    commit,
    ledger,
    simulator,
    video_links,
)

SCENARIO: Final = Scenario(name="two_processes", videos=1500, slots="auto", order="input", speed=8)
_KILLED_AFTER_S, _WATCHED_S = 270.0, 150.0


def one_is_killed(scenario: Scenario = SCENARIO) -> dict[str, Any]:
    """Both run for a while, one is killed with SIGKILL, the other is watched and then ended too."""
    links = video_links(scenario.videos)
    with tempfile.TemporaryDirectory() as folder, simulator(scenario) as (url, environment):
        lists = links[: scenario.videos // 2], links[scenario.videos // 2 :]
        processes = [
            _start(Path(folder), name, part, environment, scenario)
            for name, part in zip(("first", "second"), lists, strict=True)
        ]
        try:
            _sleep(_KILLED_AFTER_S, scenario)
            alive = [process.poll() is None for process in processes]
            killed_at_s = time.monotonic() * scenario.speed  # the simulator's reading, too
            processes[0].send_signal(signal.SIGKILL)
            _sleep(_WATCHED_S, scenario)
            alive.append(processes[1].poll() is None)
        finally:
            for process in processes:
                process.kill()
                process.wait()
        return _row(scenario, ledger(url), killed_at_s, lists, are_in_order=all(alive))


def _start(
    folder: Path,
    name: str,
    links: Sequence[str],
    environment: dict[str, str],
    scenario: Scenario,
) -> "subprocess.Popen[bytes]":
    listed = folder / f"{name}.txt"
    listed.write_text("\n".join(links))
    command = [sys.executable, "-m", "bulk_transcribe", "run", str(listed)]
    command += ["--sources", "deapi", "-j", scenario.slots, "--order", scenario.order]
    command += ["--out", str(folder / name), "--format", "txt", "--quiet"]
    return subprocess.Popen(  # noqa: S603 -- our own command
        command,
        env=os.environ | environment | {"BULK_TRANSCRIBE_HOME": str(folder / "home")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd=folder,
    )


def _sleep(clock_s: float, scenario: Scenario) -> None:
    time.sleep(clock_s / scenario.speed)


def _row(
    scenario: Scenario,
    book: Any,
    killed_at_s: float,
    lists: Iterable[Sequence[str]],
    *,
    are_in_order: bool,
) -> dict[str, Any]:
    first, second = ({link[-11:] for link in part} for part in lists)
    limited = [r for r in book["requests"] if r["kind"] in LIMITED]

    def sent(by: set[str], from_s: float) -> int:
        """Requests of a process in the minute that begins so long after the kill."""
        begin_s = killed_at_s + from_s
        return sum(r["video_id"] in by and 0 <= r["at_s"] - begin_s < WINDOW_S for r in limited)

    every_s = [10.0 * k for k in range(-18, int(_WATCHED_S - WINDOW_S) // 10 + 1)]
    return {
        "scenario": scenario.name,
        "videos": scenario.videos,
        "ran_to_plan": are_in_order,
        "limit": scenario.service.get("rate_limit_rpm", 300),
        "first_in_minute_before": sent(first, -WINDOW_S),
        "second_in_minute_before": sent(second, -WINDOW_S),
        "first_after_kill": sent(first, 0.0),
        "second_in_minute_after": sent(second, 0.0),
        "second_in_next_minute": sent(second, WINDOW_S),
        "refused_429": sum(r["status"] == 429 for r in limited),
        "fullest_60s": book["worst_window"],
        "breaches": book["breaches"],
        "submitted_twice": sum(len(ids) > 1 for ids in book["submits"].values()),
        "commit": commit(),
        "seed": scenario.seed,
        "more": {
            "minute_from_s": every_s,
            "first": [sent(first, at_s) for at_s in every_s],
            "second": [sent(second, at_s) for at_s in every_s],
        },
    }


if __name__ == "__main__":
    print(json.dumps(one_is_killed()))
