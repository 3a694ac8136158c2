"""The page as a person uses it: headless Chromium, the installed command, a simulator, a folder.

One simulator and one page for all tests of a worker; each test makes sessions of its own. The
clocks of all of them run thirty times faster than life, with the same arithmetic.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

#: Clock seconds in a real one.
SPEED = 30
#: Real milliseconds within which anything that a test waits for must be on the page.
SOON_MS = 15_000
_NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
_FLAGS = (
    "--no-sandbox",  # root has no sandbox to go into
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str | None:
    """The browser of this machine; None if there is none."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder drives a browser, in one process, and takes its time."""
    here = Path(__file__).parent
    missing = None if chromium() else "no Chromium on this machine: install chromium to run these"
    for item in items:
        if here not in item.path.parents:
            continue
        item.add_marker(pytest.mark.browser)
        item.add_marker(pytest.mark.timeout(120))
        if missing:
            item.add_marker(pytest.mark.skip(reason=missing))


@dataclass
class Served:
    """A simulator and a page that run, and the environment that commands need to join them."""

    url: str
    simulator_url: str
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

    def ledger(self) -> Any:
        """What the simulator counted."""
        with urllib.request.urlopen(f"{self.simulator_url}/_sim/ledger", timeout=10) as answer:  # noqa: S310 -- 127.0.0.1
            return json.load(answer)

    def faults(self, **faults: object) -> None:
        """Break something at the simulator."""
        request = urllib.request.Request(  # noqa: S310 -- 127.0.0.1
            f"{self.simulator_url}/_sim/faults",
            data=json.dumps(faults).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        urllib.request.urlopen(request, timeout=10).close()  # noqa: S310 -- 127.0.0.1


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


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The simulator and the page, for all tests of this worker."""
    folder = tmp_path_factory.mktemp("page")
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "LANG", "SYSTEMROOT"}}
    environment = kept | {
        "BULK_TRANSCRIBE_HOME": str(folder / "home"),
        "BULK_TRANSCRIBE_OUT": str(folder / "out"),
        "BULK_TRANSCRIBE_CLOCK_SPEED": str(SPEED),
        "HOME": str(folder),
        "COLUMNS": "120",
    }
    simulator = spawn(folder, environment, "simulate", "--json")
    try:
        assert simulator.stdout is not None
        ready = json.loads(simulator.stdout.readline())
        environment |= ready["environment"]
        port = free_port()
        page = spawn(folder, environment, "ui", "--no-browser", "--port", str(port))
        there = Served(f"http://127.0.0.1:{port}", ready["url"], folder, environment)
        try:
            wait_until_up(f"{there.url}/_stcore/health", page)
            yield there
        finally:
            for process in (*there.processes, page):
                end(process)
    finally:
        end(simulator)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=chromium(), args=list(_FLAGS))
    expect.set_options(timeout=SOON_MS)
    yield browser
    browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A person's browser: its tabs share it."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(SOON_MS)
    yield context
    context.close()


@pytest.fixture
def tab(context: BrowserContext) -> Callable[[], Page]:
    """Open tabs. A page that fails in the browser fails the test."""
    return context.new_page
