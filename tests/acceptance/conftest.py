"""The installed command as a user runs it: subprocesses, real files, a simulator of its own."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.simulated import Simulated

#: A minute of the clock in one real second: the arithmetic is the same, the test is short.
SPEED = 60


@dataclass
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last line of standard output."""
        return json.loads(self.out.strip().splitlines()[-1])


@dataclass
class Command:
    """Runs `bulk-transcribe` in a folder of its own, with an environment of its own."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k in {"PATH", "LANG", "SYSTEMROOT"}}
        home = str(self.folder / "home")
        return kept | {"BULK_TRANSCRIBE_HOME": home, "COLUMNS": "120"} | self.environ

    def start(self, *arguments: str, **more: Any) -> "subprocess.Popen[str]":
        """Begin a command and leave it running."""
        return subprocess.Popen(  # noqa: S603 -- our own command
            [sys.executable, "-m", "bulk_transcribe", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=more.pop("stdin", subprocess.DEVNULL),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **more,
        )

    def __call__(self, *arguments: str, stdin: str | None = None) -> Finished:
        """Run a command to its end."""
        process = self.start(
            *arguments, stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE
        )
        out, err = process.communicate(stdin, timeout=55)
        return Finished(process.returncode, out, err)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    """The command without any key and without a service to talk to."""
    nowhere = "http://127.0.0.1:9"  # the discard port: refuses at once
    return Command(
        tmp_path,
        {
            "DEAPI_BASE_URL": nowhere,
            "YOUTUBE_API_BASE_URL": nowhere,
            "YOUTUBE_BASE_URL": nowhere,
        },
    )


@pytest.fixture
def simulate(tmp_path: Path) -> Iterator[Callable[..., Simulated]]:
    """Start simulators, each a process; all are gone at the end."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> Simulated:
        command = Command(tmp_path, {"BULK_TRANSCRIBE_CLOCK_SPEED": str(SPEED)})
        process = command.start("simulate", "--json", *arguments)
        running.append(process)
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        return Simulated(ready["url"], ready["environment"])

    yield start
    for process in running:
        process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise


@pytest.fixture
def simulated_command(command: Command, simulate: Callable[..., Simulated]) -> Any:
    """The command and the simulator that it talks to."""
    simulated = simulate()
    command.environ.update(simulated.environment)
    return command, simulated
