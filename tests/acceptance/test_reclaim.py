"""`reclaim` and `abandon` as a user runs them."""

import time
from pathlib import Path

from tests.acceptance.conftest import Command
from tests.simulated import Simulated

LINKS = [f"https://youtu.be/late{number:07d}" for number in range(4)]


def _killed(command: Command, simulated: Simulated) -> None:
    """A run that dies when all of its jobs are paid for and known."""
    process = command.start("run", *LINKS, "--sources", "deapi", "-j", "4", "-o", "out")
    until_s = time.monotonic() + 50
    while len([r for r in simulated.ledger()["requests"] if r["kind"] == "poll"]) < 1 or (
        len(simulated.ledger()["jobs"]) < len(LINKS)
    ):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until_s
        time.sleep(0.02)
    process.kill()
    process.communicate()


def test_reclaim_fetches_what_a_killed_run_had_paid_for(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command
    _killed(command, simulated)

    ended = command("reclaim", "--json")

    found = ended.json
    assert found["fetched"] + found["in_doubt"] >= 1
    assert ended.code == 0, ended.err
    assert found["fetched"] == len(found["jobs"])
    assert all(Path(path).exists() for job in found["jobs"] for path in job["files"])
    assert len(simulated.ledger()["jobs"]) == len(LINKS)
    again = command("reclaim", "--json")
    assert (again.code, again.json["jobs"]) == (0, [])


def test_abandon_asks_first_and_without_a_terminal_wants_a_yes(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command
    simulated.faults(stuck_jobs=True)
    _killed(command, simulated)
    (some, *_) = simulated.ledger()["jobs"]

    unsure = command("abandon", some["request_id"])
    assert unsure.code == 2
    assert "--yes" in unsure.err
    sure = command("abandon", some["request_id"], "--yes", "--json")
    assert sure.code == 0
    assert [job["request_id"] for job in sure.json["abandoned"]] == [some["request_id"]]
    gone = command("abandon", some["request_id"], "--yes")
    assert gone.code == 2
    assert "no video and no job" in gone.err


def test_without_a_key_reclaim_says_what_to_do(command: Command) -> None:
    ended = command("reclaim")
    assert ended.code == 2
    assert "DEAPI_API_KEY" in ended.err
