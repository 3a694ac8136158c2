"""`python -m tests.fuzz`: many hostile inputs, a table of what they led to, exit code 1 if any."""
# ruff: noqa: T201 -- a program that prints its table

import argparse
import resource
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.harness import Row, run_target, shares
from tests.fuzz.targets import TARGETS

_HEAD = ("target", "inputs", "tracebacks", "hangs", "escapes", "slowest")


def main() -> int:
    """Run all targets, or one input again."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000, help="of all targets together")
    parser.add_argument("--seed", type=int, default=1, help="same seed, same inputs")
    parser.add_argument("--only", help="one target")
    parser.add_argument("--number", type=int, help="one input of it, as a report names it")
    parser.add_argument("--show", type=int, default=3, help="reports shown for each target")
    given = parser.parse_args()
    targets = [target for target in TARGETS if given.only in {None, target.name}]
    if not targets:
        parser.error(f"targets: {', '.join(target.name for target in TARGETS)}")
    started_s = time.monotonic()
    rows = []
    print(_line(_HEAD))
    with tempfile.TemporaryDirectory(prefix="bulk-transcribe-fuzz-") as folder:
        for target, count in zip(targets, shares(targets, given.inputs), strict=True):
            numbers = range(count) if given.number is None else [given.number]
            row = run_target(
                target, seed=given.seed, numbers=numbers, root=Path(folder), with_alarm=True
            )
            rows.append(row)
            print(_line(_cells(row)), flush=True)
    whole = Row("all")
    for row in rows:
        whole.inputs += row.inputs
        whole.tracebacks += row.tracebacks
        whole.hangs += row.hangs
        whole.escapes += row.escapes
        whole.slowest_s = max(whole.slowest_s, row.slowest_s)
    print(_line(_cells(whole)))
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"seed {given.seed}, {time.monotonic() - started_s:.0f} s, peak memory {peak_mb:.0f} MB")
    for row in rows:
        for report in row.reports[: given.show]:
            print(f"\n{report}", file=sys.stderr)
    return 0 if whole.is_clean else 1


def _cells(row: Row) -> tuple[str, ...]:
    counts = (row.inputs, row.tracebacks, row.hangs, row.escapes)
    return (row.name, *(f"{count:,}" for count in counts), f"{row.slowest_s:.2f} s")


def _line(cells: tuple[str, ...]) -> str:
    return f"{cells[0]:18}" + "".join(f"{cell:>12}" for cell in cells[1:])


if __name__ == "__main__":
    sys.exit(main())
