"""How long a list of links takes to read and to plan, and how much memory.

    python benchmarks/plan_5000.py [--videos N ...]

For each size it writes a text file of links in several forms, every tenth of them twice, reads it
and plans the batch for ten slots and a limit of 300 requests a minute, each in a process of its
own, so that peak memory is that of this size alone. One JSON object a size on standard output:

    videos, lines     distinct videos, and lines of the file
    read_s, plan_s    seconds to collect the videos, and to make the plan
    peak_rss_mb       peak memory of the process, interpreter included, million bytes
    within            whether the bounds hold: 5 s and 300 MB (checked at 5,000 videos)

Exit code 1 if a bound is broken. Nothing is asked of any service; lengths are random (seed 1).
"""

import argparse
import json
import multiprocessing
import platform
import random
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from bulk_transcribe.core.order import Order
from bulk_transcribe.inputs.collect import collect
from bulk_transcribe.plan.plan import make_plan

MOST_S = 5.0
MOST_MB = 300.0
BOUND_AT = 5_000
FORMS = (
    "https://www.youtube.com/watch?v={}",
    "https://youtu.be/{}?si=abcdefghijkl",
    "youtube.com/shorts/{}",
    "- {} # a note",
    "See [this](https://www.youtube.com/watch?v={}&amp;t=90s).",
)


def write_list(path: Path, videos: int) -> int:
    """Write the links; the number of lines."""
    ids = [f"v{number:09d}_" for number in range(videos)]
    ids += ids[::10]
    lines = [FORMS[number % len(FORMS)].format(video_id) for number, video_id in enumerate(ids)]
    path.write_text("\n".join(lines), encoding="utf-8")
    return len(lines)


def measure(videos: int) -> dict[str, Any]:
    """Read and plan one list in this process."""
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "links.txt"
        lines = write_list(path, videos)
        began_s = time.perf_counter()
        collected = collect([str(path)])
        read_s = time.perf_counter() - began_s
    if len(collected.items) != videos or collected.problems:
        raise SystemExit(f"{len(collected.items)} of {videos} videos were read")
    items = [
        replace(item, duration_s=chance.lognormvariate(6.3, 1.0) if chance.random() < 0.9 else None)
        for item in collected.items
    ]
    began_s = time.perf_counter()
    plan = make_plan(items, order=Order.SHORTEST_FIRST, slots=10, rate_limit_rpm=300)
    plan_s = time.perf_counter() - began_s
    if {item.video_id for item in plan.items} != {item.video_id for item in items}:
        raise SystemExit("the plan lost a video")
    peak_mb = _peak_rss_bytes() / 1e6
    return {
        "videos": videos,
        "lines": lines,
        "read_s": round(read_s, 3),
        "plan_s": round(plan_s, 3),
        "peak_rss_mb": round(peak_mb, 1),
        "within": videos != BOUND_AT or (read_s + plan_s <= MOST_S and peak_mb <= MOST_MB),
    }


def main() -> int:
    """Measure each size in a fresh process."""
    parser = argparse.ArgumentParser(description="Time and memory of reading and planning lists.")
    parser.add_argument("--videos", type=int, nargs="+", default=[5_000, 50_000], metavar="N")
    sizes = parser.parse_args().videos
    results = []
    for videos in sizes:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            results.append(pool.apply(measure, (videos,)))
        print(json.dumps(results[-1]), flush=True)
    return 0 if all(result["within"] for result in results) else 1


def _peak_rss_bytes() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024  # kilobytes on Linux


if __name__ == "__main__":
    sys.exit(main())
