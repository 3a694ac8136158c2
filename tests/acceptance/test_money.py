"""The bill as a user sees it: a cost limit, a low balance, receipts."""

import csv
import io
from collections.abc import Callable
from decimal import Decimal

from tests.acceptance.conftest import Command
from tests.simulated import Simulated

#: The simulator has captions for some of them, and none for the NOCC ones.
FREE_OR_NOT = tuple(f"https://youtu.be/vid{number:08d}" for number in range(6))
PAID = tuple(f"https://youtu.be/NOCC{number:07d}" for number in range(8))


def _rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def _sum(rows: list[dict[str, str]], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows), Decimal(0))


def test_a_cost_limit_stops_paying_lets_captions_go_on_and_is_raised_by_resume(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command
    stopped = command(
        "run", *PAID, *FREE_OR_NOT, "-j", "3", "--order", "input", "--max-cost", "0.06", "--json"
    )

    assert stopped.code == 3, stopped.err
    assert stopped.json["stopped_by"] == "cost_limit"
    assert "Cost limit reached" in stopped.err
    assert f"resume {stopped.json['session']} --max-cost USD" in stopped.err
    charged = Decimal(simulated.ledger()["charged_usd"])
    assert 0 < charged <= Decimal("0.06")
    assert stopped.json["failed"] == stopped.json["in_doubt"] == 0
    status = command("status", "--json").json
    assert (status["status"], status["max_cost_usd"]) == ("stopped", "0.06")
    assert "of at most $0.0600" in command("status").out
    sources = [video["source"] for video in status["videos"]]
    assert sources.count("captions") >= 1  # behind the paid ones, and had all the same

    # the session keeps its limit
    again = command("resume", "--json")
    assert again.code == 3
    assert Decimal(simulated.ledger()["charged_usd"]) <= Decimal("0.06")

    done = command("resume", "--max-cost", "none", "--json")
    assert done.code == 0, done.err
    assert done.json["done"] == len(PAID) + len(FREE_OR_NOT)
    ledger = simulated.ledger()
    assert {len(ids) for ids in ledger["submits"].values()} == {1}

    rows = _rows(command("receipts", "--csv").out)
    assert len(rows) == len(PAID) + len(FREE_OR_NOT)
    assert _sum(rows, "spent_usd") == _sum(rows, "charged_usd") == Decimal(ledger["charged_usd"])
    started = Decimal(50)
    assert started - _sum(rows, "spent_usd") == Decimal(ledger["balance_usd"])


def test_receipts_of_all_sessions_add_up_to_the_accounts_change(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command
    command("run", *PAID[:3], "--sources", "deapi", "-j", "3", "--name", "=1+1")
    command("run", *PAID[2:5], *FREE_OR_NOT[:3], "-j", "3")
    ledger = simulated.ledger()

    every = command("receipts", "--all", "--json").json
    assert Decimal(every["totals"]["spent_usd"]) == Decimal(ledger["charged_usd"])
    assert every["totals"]["requests"] == len(ledger["requests"])
    assert (
        every["totals"]["submits"]
        == len(ledger["jobs"])
        == sum(video["submits"] for video in every["videos"])
    )
    first = next(video for video in every["videos"] if video["submits"])
    assert first["submissions"][0]["charged_usd"] == first["charged_usd"]
    assert first["attempts"][-1]["outcome"] == "got"
    assert "deapi: got" in first["tried"]

    text = command("receipts").out  # of the newest session, for people
    assert "paid request" in text
    assert PAID[4][-11:] in text
    assert PAID[0][-11:] not in text


def test_a_balance_below_the_services_floor_sends_nothing_paid_and_names_the_figures(
    command: Command, simulate: Callable[..., Simulated]
) -> None:
    simulated = simulate("--balance", "0.31")
    command.environ.update(simulated.environment)
    ended = command("run", *PAID[:2], *FREE_OR_NOT, "-j", "4", "--json")

    assert ended.code == 3
    assert ended.json["stopped_by"] == "no_credit"
    assert "$0.3100" in ended.err
    assert "$0.4900" in ended.err
    assert simulated.ledger()["jobs"] == []
    assert simulated.ledger()["counts"].get("submit", 0) == 0
    assert ended.json["done"] >= 1  # captions are free


def test_a_limit_of_nothing_is_captions_alone_and_a_wrong_one_is_a_usage_error(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command
    for wrong in ("much", "-1", "nan"):
        refused = command("run", *PAID, f"--max-cost={wrong}")
        assert refused.code == 2
        assert "max_cost" in refused.err

    ended = command("run", *FREE_OR_NOT, *PAID[:1], "--max-cost", "0", "--json")
    assert ended.code == 3
    assert simulated.ledger()["jobs"] == []


MIXED = tuple(f"https://youtu.be/vid{number:08d}" for number in range(40))


def test_plan_asks_a_few_videos_and_gives_ranges_that_the_run_then_keeps_to(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command
    planned = command("plan", *MIXED, "-j", "8", "--max-cost", "0.20", "--json").json

    assert planned["probe"]["asked"] == 8
    assert planned["known"] == planned["probe"]["free"] > 0  # kept for the run
    low, high = map(Decimal, planned["cost_usd"])
    assert 0 < low < Decimal(planned["cost_likely_usd"]) < high
    assert 0 < planned["free_share"][0] < planned["free_share"][1] < 1
    assert planned["max_cost_usd"] == "0.20"
    assert 0 < planned["affordable"] < len(MIXED)
    counts = simulated.ledger()["counts"]
    assert counts["price"] <= 4
    assert counts["account"] == 1
    assert counts["watch"] == 8
    assert counts.get("submit", 0) == 0
    again = command("plan", *MIXED, "-j", "8", "--max-cost", "0.20", "--json").json
    assert again == planned
    without = planned["probe"]["paid"]
    assert simulated.ledger()["counts"]["watch"] == 8 + without

    ended = command("run", *MIXED, "-j", "8", "--json")
    assert ended.code == 0, ended.err
    assert low <= Decimal(ended.json["spent_usd"]) <= high
    watched = [
        request["video_id"]
        for request in simulated.ledger()["requests"]
        if request["kind"] == "watch"
    ]
    free_before = planned["probe"]["free"]
    assert len(watched) == 8 + without + len(MIXED) - free_before  # what had captions is asked once


def test_plan_for_people_says_it_in_a_few_lines(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command
    said = command("plan", *MIXED, "--max-cost", "0.20").out
    assert "of 8 asked have them; of the rest" in said
    assert "likely $" in said
    assert "$0.2000" in said
    assert "$50.00, enough" in said
    assert "if each has to be paid for" in said

    without = command("plan", *PAID, "--no-probe").out
    assert "asked" not in without
    assert "(captions for all)" in without
    assert simulated.ledger()["counts"]["watch"] == 8
