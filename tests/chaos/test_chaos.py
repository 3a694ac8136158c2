"""The short run: a kill at the points that matter most, a power cut, a fault of each kind.

The full run is `python -m tests.chaos`. Last come the judge's own tests: a product that breaks its
promises must not pass.
"""

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.chaos import program
from tests.chaos.trials import TRIALS

pytestmark = pytest.mark.timeout(300)  # real processes, on a machine that may be busy

SEED = "7.0"
QUICK = sorted(name for name, trial in TRIALS.items() if trial.is_quick)


@pytest.mark.parametrize("name", QUICK)
def test_nothing_is_lost_and_nothing_paid_twice_in_silence(name: str) -> None:
    outcome = program.play(name, SEED, short=True)

    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert outcome.is_clean, program.said(outcome)
    assert outcome.kills > 0 or not name.startswith("kill_")


@pytest.mark.parametrize(
    ("mutant", "name", "trouble"),
    [
        ("resend", "drop_after", "twice"),
        ("late_note", "kill_in_post_before_answer", "twice"),
        ("no_files", "deleted", "lost"),
        ("no_sync", "power_loss", "lost"),
    ],
)
def test_a_product_that_breaks_a_promise_does_not_pass(
    mutant: str, name: str, trouble: str
) -> None:
    outcome = program.play(name, SEED, mutant=mutant, short=True)

    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert not outcome.is_clean
    told = getattr(outcome.found, trouble) or outcome.broken
    assert told, program.said(outcome)


def test_the_table_adds_up_and_keeps_the_order_of_the_list() -> None:
    calm = program.Outcome("key", "1.0", TRIALS["key"].group, runs=3, kills=1)
    bad = program.Outcome("clock", "1.0", TRIALS["clock"].group, runs=2, broken=["no end"])
    bad.found.lost.append("a video")

    lines = program.table([bad, calm])

    assert [line.fault for line in lines] == [calm.group, bad.group, "all"]
    assert (lines[-1].runs, lines[-1].kills, lines[-1].lost) == (5, 1, 1)
    assert lines[-1].broken_promise == 1
    assert "no end" in program.said(bad)


def test_every_trial_stands_in_the_table_of_faults_and_no_other() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reliability.md").read_text(encoding="utf-8")
    table = text[text.index("| fault | trials |") : text.index("A trial repeats")]
    named = [name for line in table.splitlines() for name in re.findall(r"`(\w+)`", line[2:])]
    assert sorted(name for name in named if name != "NAME") == sorted(TRIALS)


def test_the_results_name_the_commit_that_was_tried() -> None:
    text = program.dump(program.as_json("1", [], "abc+changes"))
    assert json.loads(text)["commit"] == "abc+changes"
    if shutil.which("git") and (Path(__file__).parents[2] / ".git").exists():
        assert re.fullmatch(r"[0-9a-f]{40}(\+changes)?", program.commit())


def test_a_long_run_that_was_interrupted_remembers_its_trials(tmp_path: Path) -> None:
    outcome = program.Outcome("key", "1.0", TRIALS["key"].group, runs=3, notes=["a note"])
    outcome.found.lost.append("a video")
    file = tmp_path / "trials.jsonl"

    assert program.remembered(file) == []
    program.remember(file, outcome)
    program.remember(file, outcome)
    assert program.remembered(file) == [outcome, outcome]


def test_the_full_run_has_every_fault_and_two_hundred_kills() -> None:
    wanted = program.plan(1, list(TRIALS))

    assert {name for name, _ in wanted} == set(TRIALS)
    assert len(set(wanted)) == len(wanted)
    assert 3 * sum(name.startswith("kill_") for name, _ in wanted) >= 200
