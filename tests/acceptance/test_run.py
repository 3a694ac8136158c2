"""The main job, as a user runs it."""

import json
import signal
import subprocess
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import Command
from tests.simulated import Simulated

EXAMPLES = Path(__file__).parents[2] / "examples"
LINKS = tuple(f"https://youtu.be/vid{number:08d}" for number in range(12))


def _write_links(folder: Path, links: tuple[str, ...] = LINKS) -> str:
    (folder / "links.txt").write_text("\n".join(links) + "\n")
    return "links.txt"


def test_every_video_of_the_example_list_is_paid_once_and_the_books_agree(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command

    ended = command(
        "run", str(EXAMPLES / "videos.txt"), "--sources", "deapi", "-j", "5", "--json",
        "--format", "md,srt,vtt,txt,json",
    )  # fmt: skip

    assert ended.code == 0, ended.err
    summary = ended.json
    assert summary["done"] == summary["total"] > 5
    ledger = simulated.ledger()
    assert Decimal(summary["spent_usd"]) == Decimal(ledger["charged_usd"])
    assert summary["requests"] == len(ledger["requests"])
    assert {len(ids) for ids in ledger["submits"].values()} == {1}
    out = command.folder / "transcripts"
    for suffix in (".md", ".srt", ".vtt", ".txt"):
        assert len(list(out.glob(f"*{suffix}"))) == summary["total"]
    lists = out / "sessions" / summary["session"]
    manifest = json.loads((lists / "manifest.json").read_text())
    assert len(manifest["videos"]) == summary["total"]
    assert len((lists / "items.csv").read_text().splitlines()) == summary["total"] + 1


def test_captions_come_first_and_cost_nothing(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command
    ended = command("run", *LINKS, "-j", "4", "--json")

    assert ended.code == 0, ended.err
    jobs = len(simulated.ledger()["jobs"])
    assert 0 < jobs < len(LINKS)
    states = command("status", "--json").json["videos"]
    sources = [state["source"] for state in states]
    assert sources.count("deapi") == jobs
    assert sources.count("captions") == len(LINKS) - jobs


def test_a_killed_run_is_completed_by_resume_and_nothing_is_submitted_twice(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command
    file = _write_links(command.folder)
    process = command.start("run", file, "--sources", "deapi", "-j", "6", "--json")
    _wait(lambda: sum(map(len, simulated.ledger()["submits"].values())) >= 6, process)
    process.kill()
    process.communicate()

    status = command("status", "--json").json
    assert status["status"] == "interrupted"
    ended = command("resume", "--json")

    summary = ended.json
    assert summary["total"] == 12
    assert summary["done"] + summary["in_doubt"] == 12
    twice = [video for video, ids in simulated.ledger()["submits"].items() if len(ids) > 1]
    assert twice == []
    assert ended.code == (0 if not summary["in_doubt"] else 1)


def test_one_ctrl_c_finishes_what_is_in_flight_and_resume_does_the_rest(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command
    file = _write_links(command.folder)
    process = command.start("run", file, "--sources", "deapi", "-j", "2", "--json")
    _wait(lambda: simulated.ledger()["submits"], process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=50)

    assert process.returncode == 130, err
    summary = json.loads(out.strip().splitlines()[-1])
    assert summary["done"] >= 1
    assert summary["cancelled"] + summary["done"] == 12
    ended = command("resume", "-j", "12", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["done"] == 12
    assert {len(ids) for ids in simulated.ledger()["submits"].values()} == {1}


@pytest.mark.parametrize("then", ["resume", "stop"])
def test_a_run_is_paused_and_steered_from_another_terminal(
    then: str, simulated_command: tuple[Command, Simulated]
) -> None:
    command, simulated = simulated_command
    file = _write_links(command.folder)
    process = command.start("run", file, "--sources", "deapi", "-j", "2", "--json")
    _wait(lambda: simulated.ledger()["submits"], process)
    assert command("pause", "--json").json["wish"] == "pause"
    _wait(lambda: command("status", "--json").json["status"] == "paused", process)
    assert command(then, "--json").json["wish"] == then
    out, err = process.communicate(timeout=50)

    assert process.returncode == (0 if then == "resume" else 130), err
    done = json.loads(out.strip().splitlines()[-1])["done"]
    assert done == 12 if then == "resume" else 1 <= done < 12
    nobody = command("stop")
    assert nobody.code == 2
    assert "Nobody works on" in nobody.err
    assert {len(ids) for ids in simulated.ledger()["submits"].values()} == {1}


def test_two_ctrl_c_leave_at_once_and_what_was_paid_is_fetched_by_resume(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command
    file = _write_links(command.folder)
    process = command.start("run", file, "--sources", "deapi", "-j", "12", "--json")
    _wait(lambda: len(simulated.ledger()["submits"]) == 12, process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130

    ended = command("resume", "--json", "-j", "12")
    assert ended.code == 0, ended.err
    assert {len(ids) for ids in simulated.ledger()["submits"].values()} == {1}


def test_what_another_session_has_costs_nothing_unless_refreshed(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command
    first = command("run", *LINKS[:3], "--sources", "deapi", "-j", "3", "--json")
    again = command("run", *LINKS[:3], "--sources", "deapi", "-j", "3", "--json", "-o", "two")
    assert first.code == again.code == 0, again.err
    assert again.json["requests"] == 0 or Decimal(again.json["spent_usd"]) == 0
    assert len(list((command.folder / "two").glob("*.md"))) == 3
    assert len(simulated.ledger()["jobs"]) == 3

    fresh = command("run", LINKS[0], "--sources", "deapi", "--json", "--refresh")
    assert fresh.code == 0, fresh.err
    assert len(simulated.ledger()["jobs"]) == 4


def test_bad_lines_are_reported_with_their_place_and_the_rest_is_done(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, _ = simulated_command
    ended = command("run", str(EXAMPLES / "bad-links.txt"), "-j", "10", "--json")

    assert ended.json["done"] == ended.json["total"] > 0, ended.err
    assert ended.code == 1  # all found are done, and yet not all that was asked for
    assert "bad-links.txt" in ended.err
    assert ended.json["problems"] > 10
    strict = command("run", str(EXAMPLES / "bad-links.txt"), "--strict", "--json")
    assert strict.code == 2
    assert "line" in strict.err


def test_a_spreadsheets_other_columns_reach_the_files(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, _ = simulated_command
    (command.folder / "list.csv").write_text(
        "Course,Link,Week\nPhysics,https://youtu.be/abcdefghijk,3\n"
    )
    ended = command("run", "list.csv", "--json", "--format", "md,json")
    assert ended.code == 0, ended.err
    (file,) = (command.folder / "transcripts").glob("*.md")
    assert "Physics" in file.read_text()


def test_a_wrong_key_stops_the_batch_and_says_what_to_do(
    command: Command, simulate: Callable[..., Simulated]
) -> None:
    simulated = simulate()
    command.environ.update(simulated.environment | {"DEAPI_API_KEY": "9|wrong-planted-key"})
    ended = command("run", *LINKS[:4], "--sources", "deapi", "--json")
    assert ended.code == 3
    assert "DEAPI_API_KEY" in ended.err
    assert "wrong-planted-key" not in ended.err + ended.out
    summary = ended.json
    assert summary["done"] == 0
    assert summary["cancelled"] == 4
    for path in (command.folder / "home").rglob("*"):
        if path.is_file():
            assert b"wrong-planted-key" not in path.read_bytes(), path


def test_without_a_deapi_key_the_run_says_that_it_is_captions_alone(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command
    del command.environ["DEAPI_API_KEY"]
    ended = command("run", "https://youtu.be/NOCC0000001", LINKS[0], "--json")
    assert "DEAPI_API_KEY" in ended.err
    assert simulated.ledger()["jobs"] == []
    assert ended.code == 1


def test_a_pipe_gets_plain_lines(simulated_command: tuple[Command, Simulated]) -> None:
    command, _ = simulated_command
    ended = command("run", *LINKS[:3])
    assert ended.code == 0
    assert "\x1b" not in ended.out + ended.err
    assert "3 videos: 3 done" in ended.out


def test_links_come_from_standard_input(simulated_command: tuple[Command, Simulated]) -> None:
    command, _ = simulated_command
    ended = command("run", "-", "--json", stdin="\n".join(LINKS[:2]))
    assert ended.code == 0, ended.err
    assert ended.json["total"] == 2


@pytest.mark.parametrize("words", [("run", "-"), ("run",), ("plan", "-")])
def test_an_empty_standard_input_is_a_mistake_and_says_what_to_do(
    simulated_command: tuple[Command, Simulated], words: tuple[str, ...]
) -> None:
    command, _ = simulated_command
    ended = command(*words, stdin="\n")
    assert ended.code == 2
    assert "empty" in ended.err
    assert "next:" in ended.err


def test_a_folder_that_cannot_be_written_stops_before_anything_is_paid(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command
    (command.folder / "taken").write_text("a file, not a folder")
    ended = command("run", *LINKS[:2], "--sources", "deapi", "--json", "-o", "taken/out")
    assert ended.code == 3
    assert "taken" in ended.err
    assert simulated.ledger()["jobs"] == []


def _wait(ready: Callable[[], Any], process: "subprocess.Popen[str]") -> None:
    """Real time: two processes of our own must get somewhere."""
    until_s = time.monotonic() + 30
    while not ready():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until_s
        time.sleep(0.05)


def test_a_file_that_is_not_there_is_a_usage_error(command: Command) -> None:
    ended = command("run", "missing.txt", "--json")
    assert ended.code == 2
    assert "missing.txt" in ended.err
    assert ended.json["total"] == 0


def test_what_a_dead_network_leaves_can_be_tried_again(
    command: Command, simulate: Callable[..., Simulated]
) -> None:
    command.environ["BULK_TRANSCRIBE_CLOCK_SPEED"] = "60"
    failed = command("run", *LINKS[:2], "-j", "2", "--json")
    assert failed.code == 1
    assert failed.json["failed"] == 2
    states = command("status", "--json").json["videos"]
    assert all(state["can_retry"] and state["next_step"] for state in states)

    simulated = simulate()
    command.environ.update(simulated.environment)
    again = command("retry", "--json")
    assert again.code == 0, again.err
    assert again.json["done"] == 2


def test_two_runs_of_the_same_list_pay_once_and_both_end_complete(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, simulated = simulated_command
    file = _write_links(command.folder)
    arguments = ("run", file, "--sources", "deapi", "-j", "8", "--json")
    both = [command.start(*arguments, "-o", f"out{number}") for number in range(2)]
    for process in both:
        out, err = process.communicate(timeout=55)
        assert process.returncode == 0, err
        assert json.loads(out.strip().splitlines()[-1])["done"] == len(LINKS)
    assert {len(ids) for ids in simulated.ledger()["submits"].values()} == {1}


def test_a_session_with_a_wrong_model_is_mended_by_resume(
    simulated_command: tuple[Command, Simulated],
) -> None:
    command, _ = simulated_command
    first = command("run", LINKS[0], "--sources", "deapi", "--model", "no-such", "--json")
    assert first.code == 3
    assert "--model" in first.err
    again = command("resume", "--model", "WhisperLargeV3", "-o", "elsewhere", "--json")
    assert again.code == 0, again.err
    assert list((command.folder / "elsewhere").glob("*.md"))
