"""A page that is served, and the processes around it."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Simulated:
    """A simulated YouTube and deAPI."""

    url: str
    environment: Mapping[str, str]

    def ledger(self) -> Any:
        """What it counted."""
        with urllib.request.urlopen(f"{self.url}/_sim/ledger", timeout=10) as answer:  # noqa: S310 -- 127.0.0.1
            return json.load(answer)

    def faults(self, **faults: object) -> None:
        """Break something at the simulator."""
        request = urllib.request.Request(  # noqa: S310 -- 127.0.0.1
            f"{self.url}/_sim/faults",
            data=json.dumps(faults).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 -- 127.0.0.1

    def wait_for_held(self, number: int) -> None:
        """Return when so many requests are held (see the fault `hold`)."""
        held = 0
        for _ in range(300):
            with urllib.request.urlopen(f"{self.url}/_sim/health", timeout=10) as answer:  # noqa: S310 -- 127.0.0.1
                held = json.load(answer)["held"]
            if held >= number:
                return
            time.sleep(0.1)  # another process works: there is nothing to wait on
        pytest.fail(f"no {number} requests come, only {held}")


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
