"""Two machines, one PostgreSQL: the same limit, the same transcripts, nothing paid twice."""

import json
import re
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.acceptance.conftest import Command
from tests.postgres import GUARDED, running_server
from tests.simulated import Simulated

pytestmark = pytest.mark.postgres

OWN = [[f"https://youtu.be/NOCC{name}{number:06d}" for number in range(9)] for name in "ab"]
SHARED = [f"https://youtu.be/NOCCs{number:06d}" for number in range(3)]
LIMIT = 20


def machines(
    command: Command, simulated: Simulated, folder: Path, address: str
) -> tuple[Command, Command]:
    """Two folders with homes of their own; nothing is common but the database and the key."""
    made = []
    for name in ("one", "two"):
        (folder / name).mkdir()
        environ = command.environ | simulated.environment | {"DATABASE_URL": address}
        made.append(Command(folder / name, environ))
    return made[0], made[1]


def test_two_machines_share_limit_transcripts_and_claims(
    command: Command,
    simulate: Callable[..., Simulated],
    tmp_path: Path,
    postgres_url: str,
) -> None:
    simulated = simulate()
    one, two = machines(command, simulated, tmp_path, postgres_url)
    words = ("--sources", "deapi", "-j", "12", "--rate-limit", str(LIMIT), "--json")
    running = [
        machine.start("run", *links, *SHARED, *words)
        for machine, links in zip((one, two), OWN, strict=True)
    ]
    ended = [process.communicate(timeout=55) for process in running]

    ledger = simulated.ledger()
    assert {len(ids) for ids in ledger["submits"].values()} == {1}, ended
    assert len(ledger["submits"]) == 9 + 9 + 3
    # the limit of this test is our own: the service would take more
    paid_pool = max(ledger["worst_windows"], key=lambda pool: ledger["worst_windows"][pool])
    assert 0.8 * LIMIT <= ledger["worst_windows"][paid_pool] <= LIMIT
    assert ledger["refused_429"] == 0
    results = [json.loads(out.strip().splitlines()[-1]) for out, _ in ended]
    for process, result in zip(running, results, strict=True):
        # a shared video that the other had in hand is told as under way
        assert process.returncode in {0, 1}, ended
        assert result["total"] == 12
        assert result["done"] >= 9
    for machine, result in zip((one, two), results, strict=True):
        again = machine("retry", result["session"], "--json")
        assert again.code == 0, again.err
        assert again.json["done"] == 12
    assert {len(ids) for ids in simulated.ledger()["submits"].values()} == {1}
    # each sees both sessions, and the files of its own are in its own folder
    for machine in (one, two):
        seen = machine("sessions", "--json").json
        listed = seen["sessions"] if isinstance(seen, dict) else seen
        assert {each["session"] for each in listed} == {each["session"] for each in results}
        assert len(list((machine.folder / "transcripts").glob("*.md"))) == 12
        assert not list((machine.folder / "home").glob("*.sqlite3"))


def test_a_run_outlasts_a_database_that_starts_anew(
    command: Command, simulate: Callable[..., Simulated]
) -> None:
    simulated = simulate()
    with running_server() as server:
        server.sql("CREATE DATABASE store")
        command.environ |= simulated.environment | {"DATABASE_URL": server.url("store")}
        process = command.start("run", *OWN[0], "--sources", "deapi", "-j", "3", "--json")
        for end in (server.stop, server.kill):
            before = len(simulated.ledger()["submits"])
            for _ in range(600):
                if len(simulated.ledger()["submits"]) > before:
                    break
                time.sleep(0.05)  # another process works: there is nothing to wait on
            end()
            time.sleep(0.5)
            server.start()
        out, err = process.communicate(timeout=50)
        assert process.returncode == 0, (out, err)
        ended = json.loads(out.strip().splitlines()[-1])
        ledger = simulated.ledger()
        assert (ended["done"], ended["total"]) == (9, 9)
        assert {len(ids) for ids in ledger["submits"].values()} == {1}
        assert Decimal(ended["spent_usd"]) == Decimal(ledger["charged_usd"])


def test_the_password_of_the_database_is_written_nowhere(
    command: Command, postgres_url: str
) -> None:
    user, password = GUARDED
    wrong = postgres_url.replace("postgres@", f"{user}:{password}-not@")
    said = [command("--database", wrong, "sessions")]
    assert said[0].code == 3
    assert "refused the user or the password" in said[0].err
    command.environ["DATABASE_URL"] = wrong
    said += [command("config"), command("config", "--json"), command("doctor"), command("sessions")]
    assert said[-1].code == 3
    for each in said:
        assert password not in each.out + each.err
    kept = [path for path in (command.folder / "home").rglob("*") if path.is_file()]
    assert not [path for path in kept if password in path.read_text(errors="replace")]


def test_an_address_that_is_none_is_refused_before_anything_starts(command: Command) -> None:
    refused = command("--database", "mysql://me:right-horse@host/name", "sessions")
    assert refused.code == 2
    assert re.search("database_url is not the address of a PostgreSQL", refused.err)
    assert "right-horse" not in refused.err
