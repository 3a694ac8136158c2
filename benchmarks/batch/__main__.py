"""`python -m benchmarks.batch NAME...`: run scenarios, print and keep their results.

Without names it lists them. Results go to `benchmarks/results/NAME.json`; `plot` draws all that
are there.
"""

import sys
from pathlib import Path

from benchmarks.batch.harness import save
from benchmarks.batch.scenarios import SCENARIOS

RESULTS = Path(__file__).parents[1] / "results"


def main() -> None:
    """Run what was asked for."""
    names = sys.argv[1:]
    unknown = [name for name in names if name not in SCENARIOS and name != "plot"]
    if unknown or not names:
        print(__doc__)
        for name, scenario in SCENARIOS.items():
            print(f"  {name:14} {scenario.__doc__}")
        sys.exit(2 if unknown else 0)
    for name in names:
        if name == "plot":
            from benchmarks.batch.plot import draw  # noqa: PLC0415 -- needs the extra `bench`

            draw(RESULTS)
        else:
            save(SCENARIOS[name](), RESULTS / f"{name}.json")


if __name__ == "__main__":
    main()
