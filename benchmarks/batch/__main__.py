"""`python -m benchmarks.batch NAME...`: run scenarios, print and keep their results.

Without names it lists them. Results go to `benchmarks/results/NAME.json`.
"""

import sys
from dataclasses import replace
from pathlib import Path

from benchmarks.batch import sdk_way
from benchmarks.batch.harness import (
    Outcome,
    Scenario,
    commit,
    ledger,
    run,
    save,
    simulator,
    video_links,
)

RESULTS = Path(__file__).parents[1] / "results"

TEN_SLOTS = Scenario(name="ten_slots", videos=60, slots="10", speed=20)
SATURATED = Scenario(name="saturated", videos=900, slots="auto", order="input", speed=10)
INDEPENDENT = replace(
    SATURATED, name="independent", service={"pools": "independent", "polls": "outside"}
)


def ten_slots() -> list[Outcome]:
    """Ten slots, 60 videos, each order."""
    return [
        run(replace(TEN_SLOTS, name=f"ten_slots_{order}", order=order))
        for order in ("longest-first", "shortest-first", "input")
    ]


def saturated() -> list[Outcome]:
    """The shared limit is the bottleneck: fixed and sliding window, with and without jitter."""
    return [
        run(
            replace(
                SATURATED,
                name=f"saturated_{window}_{jitter}",
                service={"window": window, "jitter_s": [0.0, jitter]},
            )
        )
        for window, jitter in (("fixed", 0.0), ("sliding", 0.0), ("fixed", 2.0), ("sliding", 2.0))
    ]


def independent() -> list[Outcome]:
    """A pool per endpoint: does `auto` find out and use it?"""
    return [run(INDEPENDENT)]


def curve() -> list[Outcome]:
    """Efficiency against the lower bound for 1 to 100 slots."""
    return [
        run(replace(TEN_SLOTS, name=f"curve_{slots}", slots=str(slots), videos=videos, speed=speed))
        for slots, videos, speed in (
            (1, 12, 60),
            (2, 20, 60),
            (5, 40, 40),
            (10, 60, 20),
            (20, 120, 20),
            (50, 250, 20),
            (100, 400, 20),
        )
    ]


def sdk() -> list[dict[str, object]]:
    """The SDK's way: 10 threads with 60 videos, 300 threads with 900."""
    rows = []
    for threads, videos, speed in ((10, 60, 20.0), (300, 900, 10.0)):
        scenario = Scenario(name="sdk", videos=videos, speed=speed)
        with simulator(scenario) as (url, environment):
            user = sdk_way.SdkUser(url, environment["DEAPI_API_KEY"], speed)
            tally, elapsed_s = user.run(video_links(videos), threads)
            book = ledger(url)
        limited = [r for r in book["requests"] if r["kind"] in {"submit", "poll"}]
        rows.append(
            {
                "scenario": f"sdk_{threads}_threads",
                "videos": videos,
                "done": tally.done,
                "lost": tally.lost,
                "lost_paid": tally.lost_paid,
                "elapsed_s": round(elapsed_s, 1),
                "videos_per_min": round(tally.done / elapsed_s * 60, 1),
                "requests_per_video": round(len(limited) / videos, 2),
                "refused_429": sum(r["status"] == 429 for r in limited),
                "submitted_twice": sum(len(ids) > 1 for ids in book["submits"].values()),
                "commit": commit(),
            }
        )
    return rows


SCENARIOS = {each.__name__: each for each in (ten_slots, saturated, independent, curve, sdk)}


def main() -> None:
    """Run what was asked for."""
    names = sys.argv[1:]
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown or not names:
        print(__doc__)
        for name, scenario in SCENARIOS.items():
            print(f"  {name:12} {scenario.__doc__}")
        sys.exit(2 if unknown else 0)
    for name in names:
        save(SCENARIOS[name](), RESULTS / f"{name}.json")


if __name__ == "__main__":
    main()
