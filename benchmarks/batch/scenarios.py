"""The scenarios, by name. Each gives rows for its result file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, Final

from benchmarks.batch.harness import Scenario, run
from benchmarks.batch.sdk_way import compare
from benchmarks.batch.two_processes import one_is_killed

Row = dict[str, Any]

TEN_SLOTS: Final = Scenario(name="ten_slots", videos=60, slots="10", speed=20)
SATURATED: Final = Scenario(name="saturated", videos=900, slots="auto", order="input", speed=10)
MIXED: Final = replace(TEN_SLOTS, service={"duration_s": None})
MANY: Final = Scenario(
    name="memory_10k",
    videos=10_000,
    slots="auto",
    order="input",
    speed=8,
    service={"balance_usd": "1000"},
)


def ten_slots() -> list[Row]:
    """Ten slots, 60 videos, each order."""
    return [
        run(replace(TEN_SLOTS, name=f"ten_slots_{order}", order=order))
        for order in ("longest-first", "shortest-first", "input")
    ]


def saturated() -> list[Row]:
    """The shared limit is the bottleneck: fixed and sliding window, with and without jitter."""
    return [
        run(
            replace(
                SATURATED,
                name=f"saturated_{window}_jitter_{jitter:g}",
                service={"window": window, "jitter_s": [0.0, jitter]},
            )
        )
        for window, jitter in (("fixed", 0.0), ("sliding", 0.0), ("fixed", 2.0), ("sliding", 2.0))
    ]


def steady() -> list[Row]:
    """Long enough for a steady state: 2,500 videos at a shared limit."""
    return [run(replace(SATURATED, name="steady", videos=2500))]


def independent() -> list[Row]:
    """A pool per endpoint, named in the answers and not: does `auto` find out and use it?"""
    service = {"pools": "independent", "polls": "outside"}
    numbers = service | {"names_pools": False}
    return [
        run(replace(SATURATED, name="independent", service=service)),
        run(replace(SATURATED, name="independent_by_numbers", service=numbers)),
    ]


def curve() -> list[Row]:
    """Efficiency against the lower bound for 1 to 100 slots."""
    return [
        run(replace(TEN_SLOTS, name=f"curve_{slots}", slots=str(slots), videos=videos, speed=speed))
        for slots, videos, speed in (
            (1, 12, 40),
            (2, 20, 40),
            (5, 40, 30),
            (10, 60, 20),
            (20, 120, 20),
            (50, 300, 20),
            (100, 500, 15),
        )
    ]


def two_processes() -> list[Row]:
    """Two processes with one key; one is killed: does the other take the whole limit?"""
    return [one_is_killed()]


def eta() -> list[Row]:
    """The promised time left, on lists of mixed length (30 s to 2 h)."""
    rows = [
        run(replace(MIXED, name=f"eta_{order}_seed_{seed}", order=order, seed=seed))
        for order, seed in (
            ("shortest-first", 1),
            ("shortest-first", 2),
            ("shortest-first", 3),
            ("input", 1),
            ("input", 2),
            ("longest-first", 1),
        )
    ]
    service = MIXED.service | {"latency": "field"}
    return [*rows, run(replace(MIXED, name="eta_field", order="shortest-first", service=service))]


def memory_10k() -> list[Row]:
    """10,000 videos: memory, CPU, and what a snapshot takes. Run it in a process of its own."""
    row = run(MANY)
    samples = row["more"]["samples"]
    return [row | {"cost": cost(samples, MANY.videos)}]


def cost(samples: Mapping[str, Sequence[float]], videos: int) -> dict[str, float]:
    """Memory when a tenth, half and nine tenths are done, CPU, and the time of a snapshot."""
    # before the first video is known the batch counts as through: such samples say nothing
    begun = next(number for number, active in enumerate(samples["active"]) if active)
    shares, memory = samples["fraction"][begun:], samples["rss_mb"][begun:]
    early = next(mb for share, mb in zip(shares, memory, strict=True) if share >= 0.1)
    middle = next(mb for share, mb in zip(shares, memory, strict=True) if share >= 0.5)
    late = next(mb for share, mb in zip(shares, memory, strict=True) if share >= 0.9)
    snapshots_ms = sorted(samples["snapshot_ms"])
    return {
        "rss_at_10_percent_mb": early,
        "rss_at_50_percent_mb": middle,
        "rss_at_90_percent_mb": late,
        "rss_growth_per_1000_videos_mb": round((late - early) / (0.8 * videos / 1000), 2),
        "rss_growth_per_1000_videos_later_mb": round((late - middle) / (0.4 * videos / 1000), 2),
        "cpu_s_per_1000_videos": round(samples["cpu_s"][-1] / videos * 1000, 2),
        "snapshot_median_ms": median(snapshots_ms),
        "snapshot_p95_ms": snapshots_ms[int(0.95 * len(snapshots_ms))],
        "snapshot_cpu_median_ms": median(samples["snapshot_cpu_ms"]),
    }


def sdk() -> list[Row]:
    """For comparison, the SDK's way: 10 threads with 60 videos, 300 threads with 900."""
    return [
        compare(replace(TEN_SLOTS, name="sdk_10_threads"), 10),
        compare(replace(SATURATED, name="sdk_300_threads"), 300),
    ]


SCENARIOS: Final[Mapping[str, Callable[[], list[Row]]]] = {
    each.__name__: each
    for each in (
        ten_slots,
        saturated,
        steady,
        independent,
        curve,
        two_processes,
        eta,
        memory_10k,
        sdk,
    )
}
