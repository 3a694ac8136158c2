"""`plan` is where a user looks before paying: what is wrong has to be said there."""

import socket
from dataclasses import replace
from pathlib import Path

from tests.acceptance.conftest import Command
from tests.simulated import Simulated

ONE = "9bZkp7q19f0"


def with_also(command: Command, **environ: str) -> Command:
    return replace(command, environ=command.environ | environ)


def test_a_refused_key_is_said_with_its_next_step(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, _ = simulated_command
    ended = with_also(command, DEAPI_API_KEY="999|wrong")("plan", ONE)
    assert ended.code == 3
    assert "not known: deAPI gave no prices" in ended.out
    assert "error: " in ended.err
    assert "DEAPI_API_KEY" in ended.err
    assert "999|wrong" not in ended.out + ended.err


def test_a_service_that_is_away_is_said(simulated_command: tuple[Command, Simulated]) -> None:
    command, _ = simulated_command
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    away = with_also(command, DEAPI_BASE_URL=f"http://127.0.0.1:{port}")
    ended = away("plan", ONE, "--no-probe", "--json")
    assert ended.code == 1
    assert ended.json["cost_usd"] is None
    assert ended.json["price_error"]


def test_without_a_key_it_says_what_cannot_be_done(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, _ = simulated_command
    ended = with_also(command, DEAPI_API_KEY="")("plan", ONE)
    assert ended.code == 0
    assert "0 of 1 asked have them" in ended.out
    assert "cannot be done without a deAPI key" in ended.out


def test_an_empty_list_is_a_usage_error(
    simulated_command: tuple[Command, Simulated], tmp_path: Path
) -> None:
    command, _ = simulated_command
    empty = tmp_path / "empty.txt"
    empty.write_text("# nothing yet\n")
    for words in (("plan", str(empty)), ("run", str(empty))):
        ended = command(*words)
        assert ended.code == 2
        assert "No video was found" in ended.err


def test_lines_that_were_not_understood_are_in_the_json(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, _ = simulated_command
    ended = command("plan", ONE, "https://youtu.be/short", "--no-probe", "--json")
    [line] = ended.json["not_understood"]
    assert line["text"] == "https://youtu.be/short"
    assert line["message"]


def test_a_language_that_is_none_is_refused(simulated_command: tuple[Command, Simulated]) -> None:
    command, _ = simulated_command
    ended = command("plan", ONE, "-l", "english please")
    assert ended.code == 2
    assert "english please" in ended.err


def test_a_taken_port_is_no_bug(simulated_command: tuple[Command, Simulated]) -> None:
    command, _ = simulated_command
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ended = command("simulate", "--port", str(taken.getsockname()[1]))
    assert ended.code == 2
    assert "cannot listen" in ended.err
    assert "--port" in ended.err


def test_quiet_tells_the_end_alone(
    simulated_command: tuple[Command, Simulated], tmp_path: Path
) -> None:
    command, _ = simulated_command
    ended = command("run", ONE, "-q", "-o", str(tmp_path / "out"))
    assert ended.code == 0
    assert ended.out.startswith("1 video: 1 done")
