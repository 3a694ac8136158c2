"""A page that is served, and the processes around it."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.simulated import Simulated

#: Of this process's environment, what the commands get; keys and settings stay out.
_KEPT = frozenset({"PATH", "LANG", "SYSTEMROOT", "PYTHONPATH"})


@dataclass
class Served:
    """A simulator and a page that run, and the environment that commands need to join them."""

    url: str
    simulator: Simulated
    folder: Path
    environment: Mapping[str, str]
    processes: list["subprocess.Popen[str]"] = field(default_factory=list)

    def command(self, *arguments: str, **environ: str) -> Any:
        """Run `bulk-transcribe ... --json` to its end; the last line it printed."""
        finished = subprocess.run(  # noqa: S603 -- our own command
            [sys.executable, "-m", "bulk_transcribe", *arguments],
            cwd=self.folder,
            env={**self.environment, **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        lines = finished.stdout.strip().splitlines()
        assert lines, finished.stderr
        return json.loads(lines[-1])

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        """Begin a command and leave it running; it is ended with the server."""
        process = spawn(self.folder, {**self.environment, **environ}, *arguments)
        self.processes.append(process)
        return process

    def simulate(self, *arguments: str, **environ: str) -> Simulated:
        """Another simulator; it is ended with the server."""
        process = self.start("simulate", "--json", *arguments, **environ)
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        return Simulated(ready["url"], ready["environment"])

    def wait_for_jobs(self, prefix: str) -> None:
        """Return when the service has accepted a video whose id begins like that."""
        for _ in range(300):
            submits = self.simulator.ledger()["submits"]
            if any(video_id.startswith(prefix) for video_id in submits):
                return
            time.sleep(0.1)  # another process works: there is nothing to wait on
        pytest.fail(f"no job for {prefix} comes")

    def faults(self, **faults: object) -> None:
        """Break something at the simulator."""
        self.simulator.faults(**faults)

    def wait_for_held(self, number: int) -> None:
        """Return when so many requests are held at the simulator."""
        self.simulator.wait_for_held(number)


@contextlib.contextmanager
def serving(folder: Path, *, speed: float, **settings: str) -> Iterator[Served]:
    """A simulator and a page in a folder, and what joins them; all of it ends with the block.

    Args:
        folder: Home, output and everything else.
        speed: Clock seconds in a real one.
        settings: Further variables of the environment.
    """
    environment = {k: v for k, v in os.environ.items() if k in _KEPT} | {
        "BULK_TRANSCRIBE_HOME": str(folder / "home"),
        "BULK_TRANSCRIBE_OUT": str(folder / "transcripts"),
        "BULK_TRANSCRIBE_CLOCK_SPEED": str(speed),
        "HOME": str(folder),
        **settings,
    }
    with contextlib.ExitStack() as parts:
        simulator = spawn(folder, environment, "simulate", "--json")
        parts.callback(end, simulator)
        assert simulator.stdout is not None
        ready = json.loads(simulator.stdout.readline())
        simulated = Simulated(ready["url"], ready["environment"])
        environment |= ready["environment"]
        port = free_port()
        page = spawn(folder, environment, "ui", "--no-browser", "--port", str(port))
        parts.callback(end, page)
        served = Served(f"http://127.0.0.1:{port}", simulated, folder, environment)
        wait_until_up(f"{served.url}/_stcore/health", page)
        try:
            yield served
        finally:
            for process in served.processes:
                end(process)


def spawn(folder: Path, environment: Mapping[str, str], *arguments: str) -> "subprocess.Popen[str]":
    """The installed command, in a process of its own, its output in pipes and files."""
    return subprocess.Popen(  # noqa: S603 -- our own command
        [sys.executable, "-m", "bulk_transcribe", *arguments],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def free_port() -> int:
    """A port that nobody has right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_until_up(url: str, process: "subprocess.Popen[str]") -> None:
    """Return when the page answers."""
    for _ in range(300):
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 -- 127.0.0.1
            return
        if process.poll() is not None:
            pytest.fail(f"the page ended at once: {process.stdout and process.stdout.read()}")
        time.sleep(0.1)  # another process starts: there is nothing to wait on
    pytest.fail("the page does not come up")


def end(process: "subprocess.Popen[str]") -> None:
    """End a process of ours as Ctrl-C would."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    try:
        process.communicate(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
