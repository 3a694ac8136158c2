"""Compare ways to poll. Prints a table; `--json FILE` writes the figures, commit and seeds too."""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.polling.simulate import Aimed, Batch, Result, Scenario, Sdk

SCENARIOS = {
    "10 slots, 60 videos": Scenario(videos=60, slots=10),
    "50 slots, 300 videos": Scenario(videos=300, slots=50),
    "200 slots": Scenario(videos=1200, slots=200),
    "300 slots": Scenario(videos=1800, slots=300),
    "430 slots": Scenario(videos=2400, slots=430),
    "512 slots": Scenario(videos=2400, slots=512),
    "512 slots, shortest first": Scenario(videos=2400, slots=512, order="shortest-first"),
    "430 slots, 3 times faster": Scenario(videos=2400, slots=430, factor=0.33),
    "430 slots, twice as slow": Scenario(videos=2400, slots=430, factor=2.0),
    "430 slots, noise of 40 %": Scenario(videos=2400, slots=430, noise=0.4),
    "430 slots, 3 % stuck": Scenario(videos=2400, slots=430, tail=0.03),
}


def main() -> None:
    """Run all scenarios at all seeds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", default="", help="part of a scenario's name")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows = []
    print(f"{'scenario':28} {'way':6} seed  took s  bound s  videos/min", end="")
    print("  req/video (middle)  notice 50/95 %")
    for name, scenario in SCENARIOS.items():
        if arguments.only not in name:
            continue
        for seed in arguments.seeds:
            for way in (Aimed, Sdk):
                began_s = time.perf_counter()
                result = Batch(scenario, way, seed).play()
                took_s = time.perf_counter() - began_s
                print(
                    line(name, way.__name__, seed, result), f"{took_s:6.1f} s to play", flush=True
                )
                rows.append(
                    {"scenario": name, **asdict(scenario), "way": way.__name__, "seed": seed}
                    | asdict(result)
                )
    if arguments.json is not None:
        report = {"commit": commit(), "python": sys.version.split()[0], "results": rows}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def line(name: str, way: str, seed: int, result: Result) -> str:
    """One row of the table."""
    return (
        f"{name:28} {way:6} {seed:4} {result.makespan_s:7.0f}  {result.lower_bound_s:7.0f}"
        f"  {result.videos_per_min:10.1f}  {result.requests_per_video:9.2f}"
        f"   {result.requests_per_video_middle:6.2f}"
        f"  {result.notice_median_s:6.2f} {result.notice_p95_s:6.2f}"
    )


def commit() -> str:
    """The short name of the commit, "unknown" outside of a checkout."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 -- fixed words
    return found.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
