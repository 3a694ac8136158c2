"""Break the command in every way we know, resume, and compare the books: `python -m tests.chaos`.

Prints each trial, then a table. Leaves with 1 when anything was lost, paid twice in silence or
counted wrong. A single trial is repeated with `--faults NAME --seed SEED`.
"""

import argparse
import sys
from pathlib import Path

from tests.chaos import program
from tests.chaos.trials import TRIALS


def main() -> int:
    """Read the wishes and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", default="1", help="same seed, same trials (default 1)")
    parser.add_argument("--faults", default="", help=f"some of: {', '.join(TRIALS)}")
    parser.add_argument("--kills", type=int, help="at least so many SIGKILLs are planned")
    parser.add_argument("--times", type=int, help="each fault so many times")
    parser.add_argument("--at-once", type=int, default=program.AT_ONCE, help="trials at a time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the table there, too")
    parser.add_argument(
        "--keep", type=Path, metavar="FILE", help="note each trial; what is there is not repeated"
    )
    wishes = parser.parse_args()
    names = [name for name in wishes.faults.split(",") if name] or list(TRIALS)
    unknown = sorted(set(names) - set(TRIALS))
    if unknown:
        parser.error(f"no such fault: {', '.join(unknown)}")
    if "." in wishes.seed:  # of one trial, as it was printed
        wanted = [(name, wishes.seed) for name in names]
    else:
        wanted = program.plan(int(wishes.seed), names, wishes.kills, times=wishes.times)
    outcomes = [] if wishes.keep is None else program.remembered(wishes.keep)
    done = {(outcome.name, outcome.seed) for outcome in outcomes}

    def tell(outcome: program.Outcome) -> None:
        print(program.said(outcome), flush=True)
        if wishes.keep is not None:
            program.remember(wishes.keep, outcome)

    commit = program.commit()  # of the code that is broken, not of what it is when that ends
    left = [each for each in wanted if each not in done]
    outcomes += program.run(left, tell, at_once=wishes.at_once)
    print()
    print(program.as_text(program.table(outcomes)))
    if wishes.json is not None:
        wishes.json.write_text(program.dump(program.as_json(wishes.seed, outcomes, commit)))
    return 0 if all(outcome.is_clean for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
