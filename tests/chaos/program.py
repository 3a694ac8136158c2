"""Runs trials, two at a time, and adds up what they found."""

import json
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.chaos.judge import Findings, judge
from tests.chaos.trials import TRIALS, BrokenPromiseError, SkippedError
from tests.chaos.world import HungError, World

#: Trials at a time: a kill should meet a program at work, not one that waits for a processor.
AT_ONCE: Final = 2
#: Doubts that the end of a run settled: as the command says, they are for the next resume.
_FREED: Final = (
    "SELECT 1 FROM videos JOIN submissions USING (video_id) WHERE stage = 'cancelled' "
    "AND state = 'refused' AND detail LIKE '%the balance shows that it was not paid%'"
)
#: Videos of a short trial.
_FEW: Final = 8


@dataclass
class Outcome:
    """What one trial came to. `seed` and `name` repeat it."""

    name: str
    seed: str
    group: str
    runs: int = 0
    kills: int = 0
    took_s: float = 0.0
    found: Findings = field(default_factory=Findings)
    broken: list[str] = field(default_factory=list)
    skipped: str = ""
    notes: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return self.found.is_clean and not self.broken


@dataclass
class Line:
    """One line of the table: all trials of a fault."""

    fault: str
    trials: int = 0
    runs: int = 0
    kills: int = 0
    lost: int = 0
    submitted_twice: int = 0
    in_doubt: int = 0
    in_doubt_paid: int = 0
    wrong_count: int = 0
    over_limit: int = 0
    broken_promise: int = 0
    skipped: str = ""

    def add(self, outcome: Outcome) -> None:
        found = outcome.found
        self.trials += not outcome.skipped
        self.skipped = self.skipped or outcome.skipped
        self.runs += outcome.runs
        self.kills += outcome.kills
        self.lost += len(found.lost)
        self.submitted_twice += len(found.twice)
        self.in_doubt += found.in_doubt
        self.in_doubt_paid += found.in_doubt_paid
        self.wrong_count += len(found.wrong)
        self.over_limit += found.over_limit
        self.broken_promise += len(outcome.broken)


def play(name: str, seed: str, *, mutant: str | None = None, short: bool = False) -> Outcome:
    """One trial in a world of its own, and the judge's word.

    A short one breaks once, and has few videos.
    """
    trial = TRIALS[name]
    outcome = Outcome(name, seed, trial.group)
    began_s = time.monotonic()
    with World.make(
        f"{seed}/{name}",
        videos=min(_FEW, trial.videos) if short else trial.videos,
        turns=1 if short else 3,
        mutant=mutant,
        **trial.service,
    ) as world:
        try:
            trial.play(world)
            if world.rows(_FREED):
                world.note("then resume: the balance showed a doubt to be unpaid")
                world.run()
        except SkippedError as error:
            outcome.skipped = str(error)
        except (BrokenPromiseError, HungError) as error:
            outcome.broken.append(str(error))
        if not outcome.skipped:
            outcome.found = judge(world)
        outcome.runs, outcome.kills, outcome.notes = world.runs, world.kills, world.notes
        outcome.said = [] if outcome.is_clean else world.said
    outcome.took_s = round(time.monotonic() - began_s, 1)
    return outcome


def plan(
    seed: int, names: Sequence[str], kills: int | None = None, *, times: int | None = None
) -> list[tuple[str, str]]:
    """Which trials, each with its seed: all times of all names, and more kills where asked for."""
    wanted = [
        (name, f"{seed}.{number}")
        for name in names
        for number in range(times or TRIALS[name].times)
    ]
    killers = [name for name in names if name.startswith("kill_")]
    rng = random.Random(seed)
    rng.shuffle(wanted)
    if kills is not None and killers:
        # the named points first, all of them; then as many as it takes, three kills each
        number = 100
        while 3 * sum(name.startswith("kill_") for name, _ in wanted) < kills:
            wanted.append((rng.choice(killers), f"{seed}.{number}"))
            number += 1
    return wanted


def run(
    wanted: Iterable[tuple[str, str]], tell: Callable[[Outcome], None], *, at_once: int = AT_ONCE
) -> list[Outcome]:
    """Play them all; `tell` hears of each as it ends."""
    done: list[Outcome] = []
    with ThreadPoolExecutor(at_once) as pool:
        for outcome in pool.map(lambda each: play(*each), wanted):
            tell(outcome)
            done.append(outcome)
    return done


def commit() -> str:
    """The commit that is tried, with "+changes" where files differ from it; "" outside of git."""
    git = shutil.which("git")
    if git is None:
        return ""
    said = []
    for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no")):
        ended = subprocess.run(  # noqa: S603 -- our own words
            [git, *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
        if ended.returncode:
            return ""
        said.append(ended.stdout.strip())
    head, changes = said
    return head + ("+changes" if changes else "")


def remembered(path: Path) -> list[Outcome]:
    """What an earlier run of the same plan wrote to this file; nothing where there is none."""
    if not path.exists():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Outcome(**(line | {"found": Findings(**line["found"])})) for line in lines]


def remember(path: Path, outcome: Outcome) -> None:
    """Add a line to that file."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(outcome)) + "\n")


def table(outcomes: Iterable[Outcome]) -> list[Line]:
    """One line a fault, in the order of the list, and their sum."""
    lines: dict[str, Line] = {trial.group: Line(trial.group) for trial in TRIALS.values()}
    total = Line("all")
    for outcome in outcomes:
        lines[outcome.group].add(outcome)
        total.add(outcome)
    total.skipped = ""
    return [line for line in lines.values() if line.runs or line.skipped] + [total]


def as_text(lines: Sequence[Line]) -> str:
    """The table for people."""
    heads = (
        "fault", "trials", "runs", "kills", "lost", "twice", "doubt", "(paid)", "wrong", "over",
        "broken",
    )  # fmt: skip
    rows = [heads] + [
        (
            line.fault + (f" (skipped: {line.skipped})" if line.skipped else ""),
            *(
                str(value)
                for value in (
                    line.trials, line.runs, line.kills, line.lost, line.submitted_twice,
                    line.in_doubt, line.in_doubt_paid, line.wrong_count, line.over_limit,
                    line.broken_promise,
                )
            ),
        )
        for line in lines
    ]  # fmt: skip
    widths = [max(len(row[column]) for row in rows) for column in range(len(heads))]
    return "\n".join(_aligned(row, widths) for row in rows)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    numbers = (cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
    return "  ".join([row[0].ljust(widths[0]), *numbers])


def as_json(seed: str, outcomes: Sequence[Outcome], commit: str) -> dict[str, Any]:
    """The table for machines; trials that are not clean come with everything."""
    return {
        "seed": seed,
        "commit": commit,
        "faults": [asdict(line) for line in table(outcomes)],
        "not_clean": [asdict(each) for each in outcomes if not each.is_clean],
    }


def said(outcome: Outcome) -> str:
    """One trial in a line, and its troubles below it."""
    found = outcome.found
    word = "skip" if outcome.skipped else ("ok  " if outcome.is_clean else "BAD ")
    head = (
        f"{word} {outcome.name} seed {outcome.seed}: {outcome.runs} runs, {outcome.kills} kills, "
        f"{found.in_doubt} in doubt, {outcome.took_s} s  [{'; '.join(outcome.notes)}]"
    )
    troubles = [
        *(f"lost: {each}" for each in found.lost),
        *(f"twice: {each}" for each in found.twice),
        *(f"wrong: {each}" for each in found.wrong),
        *([f"over the limit by {found.over_limit}"] if found.over_limit else []),
        *(f"broken: {each}" for each in outcome.broken),
        *([f"skipped: {outcome.skipped}"] if outcome.skipped else []),
        *(f"command said {each}" for each in outcome.said),
    ]
    return "\n    ".join([head, *troubles])


def dump(data: dict[str, Any]) -> str:
    """JSON with one line a fault, so that a change is easy to see."""
    faults = ",\n  ".join(json.dumps(each) for each in data["faults"])
    rest = json.dumps(data["not_clean"], indent=1)
    seed, commit = json.dumps(data["seed"]), json.dumps(data["commit"])
    head = f'{{"seed": {seed}, "commit": {commit}, "faults": [\n  {faults}\n ],\n'
    return f'{head} "not_clean": {rest}}}\n'
