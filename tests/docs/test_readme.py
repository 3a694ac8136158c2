"""The README names every command and setting, and what it says can be run."""

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from bulk_transcribe.cli.main import app
from bulk_transcribe.config import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = sorted(
    command.name or command.callback.__name__
    for command in app.registered_commands
    if command.callback is not None
)


def test_every_command_is_in_the_table_and_nothing_else() -> None:
    assert sorted(re.findall(r"^\| `([a-z]+)` \|", README, re.MULTILINE)) == sorted(
        COMMANDS + [each.name for each in fields(Settings) if "_" not in each.name]
    )


@pytest.mark.parametrize("each", fields(Settings), ids=lambda each: each.name)
def test_every_setting_is_documented_with_its_variable(each: object) -> None:
    name, env = each.name, each.metadata["env"]  # type: ignore[attr-defined]  # a dataclass field
    assert f"| `{name}` | `{env}` |" in README


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"bulk-transcribe {command}" in result.output
    assert ("--json" in result.output) is (
        command not in {"ui", "worker"}
    )  # they end with no result


def test_every_command_line_of_the_readme_is_understood() -> None:
    group = typer.main.get_command(app)
    lines = re.findall(r"^(?:\.venv/bin/)?bulk-transcribe (.+)$", README, re.MULTILINE)
    assert len(lines) >= 2
    for line in lines:
        words = shlex.split(line, comments=True)
        command = group.commands[words[0]]  # type: ignore[attr-defined]  # a click group
        with command.make_context(words[0], words[1:], resilient_parsing=False):
            pass


def test_every_file_that_the_readme_links_to_exists() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_two_commands_are_targets_of_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "check"):
        assert f"make {target}" in README
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_the_changelog_has_its_unreleased_part_on_top() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (.+)$", changelog, re.MULTILINE).group(1) == "Unreleased"  # type: ignore[union-attr]  # asserted by the test
