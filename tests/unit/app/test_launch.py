"""Engines as processes of their own: real children, a simulator, a store in a temporary folder."""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bulk_transcribe.app import App, InputRequest
from bulk_transcribe.app.launch import Launcher, LaunchError, Wanted, last_words
from bulk_transcribe.config import load
from bulk_transcribe.errors import ConfigError, InputError
from bulk_transcribe.save.session import SessionInfo, SessionStatus, Wish
from bulk_transcribe.simulator import Simulator, SimulatorConfig

SPEED = 60.0
SOON_S = 30.0
KEY = "77|a-key-that-nobody-may-see"

pytestmark = pytest.mark.timeout(120)
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


class Desk:
    """A store, a simulator, and what starts engines for them."""

    def __init__(self, app: App, environ: dict[str, str], folder: Path) -> None:
        self.app = app
        self.environ = environ
        self.folder = folder
        self.launcher = self.another_launcher()

    def another_launcher(self) -> Launcher:
        return Launcher(
            self.app.settings, self.app.sessions, environ=self.environ, folder=self.folder
        )

    def batch(self, count: int) -> str:
        """A new session of videos that need the paid service."""
        links = tuple(f"https://youtu.be/NOCC{number:07d}" for number in range(count))
        gathered = self.app.gather(InputRequest(arguments=links), stdin=None)
        return self.app.new_session(gathered, name="launched")

    def info(self, session_id: str) -> SessionInfo:
        return self.app.sessions.open_session(session_id).info()

    def until(self, session_id: str, holds: Callable[[SessionInfo], bool]) -> SessionInfo:
        until_s = time.monotonic() + SOON_S
        while time.monotonic() < until_s:
            info = self.info(session_id)
            if holds(info):
                return info
            time.sleep(0.02)
        pytest.fail(f"it did not come to that: {self.info(session_id)}")

    def end(self, session_id: str) -> None:
        """Stop whatever still works on it."""
        if self.info(session_id).is_live:
            self.app.sessions.open_session(session_id).wish(Wish.STOP, "now")
            self.until(session_id, lambda info: not info.is_live)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Simulator(SimulatorConfig(clock_speed=SPEED)) as simulator:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        environ = kept | simulator.environment()
        environ |= {
            "BULK_TRANSCRIBE_CLOCK_SPEED": str(SPEED),
            "BULK_TRANSCRIBE_HOME": str(tmp_path / "home"),
            "BULK_TRANSCRIBE_MAX_CONCURRENT": "5",
            "BULK_TRANSCRIBE_OUT": str(tmp_path / "out"),
        }
        with App(load({}, environ, tmp_path).settings) as app:
            made = Desk(app, environ, tmp_path)
            yield made
            for info in app.sessions.list_sessions():
                made.end(info.session_id)


def test_an_engine_takes_the_session_and_works_it_to_its_end(desk: Desk) -> None:
    session_id = desk.batch(3)
    desk.launcher.start(session_id)
    info = desk.until(session_id, lambda info: info.status is SessionStatus.FINISHED)
    assert info.totals.done == 3
    assert info.engine_pid != os.getpid()
    assert len(list((desk.folder / "out").glob("*.md"))) == 3


@on_linux
def test_an_engine_stands_alone_and_its_keys_are_on_no_command_line(desk: Desk) -> None:
    session_id = desk.batch(40)
    with (desk.folder / "ours.txt").open("w") as ours:
        os.set_inheritable(ours.fileno(), True)  # noqa: FBT003 -- os' own shape
        desk.launcher.start(session_id)
        pid = desk.until(session_id, lambda info: info.is_live).engine_pid
    assert pid is not None
    assert os.getsid(pid) == pid != os.getsid(0)
    proc = Path("/proc") / str(pid)
    files = {str(each.readlink()) for each in (proc / "fd").iterdir() if each.exists()}
    assert not any(name.endswith("ours.txt") for name in files)
    words = (proc / "cmdline").read_bytes().decode().split("\0")
    assert session_id in words
    assert not [word for word in words if desk.environ["DEAPI_API_KEY"] in word]


def test_a_session_that_is_worked_on_gets_no_second_engine(desk: Desk) -> None:
    session_id = desk.batch(40)
    start = threading.Barrier(3)

    def launch() -> None:
        launcher = desk.another_launcher()
        start.wait(SOON_S)
        launcher.start(session_id)

    with ThreadPoolExecutor(3) as pool:
        for each in [pool.submit(launch) for _ in range(3)]:
            each.result(SOON_S)
    first = desk.until(session_id, lambda info: info.is_live)
    desk.launcher.resume(session_id)
    desk.launcher.retry(session_id)
    again = desk.info(session_id)
    assert (again.engine_pid, again.engine_owner) == (first.engine_pid, first.engine_owner)


@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_a_killed_engine_is_interrupted_reaped_and_taken_up_again(desk: Desk) -> None:
    session_id = desk.batch(12)
    desk.launcher.start(session_id)
    info = desk.until(session_id, lambda info: info.totals.done > 0)
    assert info.engine_pid is not None
    os.kill(info.engine_pid, signal.SIGKILL)
    killed = desk.until(session_id, lambda info: not info.is_live)
    assert killed.status is SessionStatus.INTERRUPTED
    _until_gone(info.engine_pid)
    desk.launcher.resume(session_id, Wanted(concurrency=10, in_doubt="skip"))
    ended = desk.until(session_id, lambda info: info.status is SessionStatus.FINISHED)
    assert ended.totals.done + ended.totals.in_doubt + ended.totals.failed == 12
    assert ended.engine_pid != info.engine_pid


def test_what_is_wanted_for_this_run_reaches_the_engine(desk: Desk) -> None:
    session_id = desk.batch(1)
    with pytest.raises(LaunchError, match="lets nothing through"):
        desk.launcher.start(session_id, Wanted(overrides={"rate_limit_rpm": "0"}))
    with pytest.raises(LaunchError, match="outside 1 to"):
        desk.launcher.start(session_id, Wanted(concurrency=5000))
    with pytest.raises(ConfigError, match="no setting"):
        desk.launcher.start(session_id, Wanted(overrides={"speed": "1"}))
    assert desk.info(session_id).status is SessionStatus.NEW


def test_an_engine_that_dies_says_why_without_secrets(desk: Desk) -> None:
    session_id = desk.batch(1)
    key = desk.app.settings.deapi_api_key
    with pytest.raises(LaunchError) as caught:
        desk.launcher.start(session_id, Wanted(overrides={"rate_limit_mode": f"like {key}"}))
    assert "is not a limit mode" in str(caught.value)
    assert key not in str(caught.value)
    assert "***" in str(caught.value)


@pytest.mark.parametrize("code", [0, 1, 7])
def test_an_engine_that_crashes_before_it_claims_is_an_error_whatever_its_code(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Exit code 1 used to pass for "worked", and the page stayed at "New" without a word."""
    session_id = desk.batch(1)
    key = desk.app.settings.deapi_api_key
    broken = desk.folder / "broken-python"
    broken.write_text(f"#!/bin/sh\necho 'ImportError: no module for {key}' >&2\nexit {code}\n")
    broken.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(LaunchError, match="before it took the session: ImportError") as caught:
        desk.launcher.start(session_id)
    assert "doctor" in caught.value.next_step
    assert f"{session_id}.log" in caught.value.next_step
    assert key not in f"{caught.value} {caught.value.next_step}"
    assert desk.info(session_id).status is SessionStatus.NEW


def test_an_unknown_session_is_refused(desk: Desk) -> None:
    with pytest.raises(InputError, match="no session"):
        desk.launcher.start("20000101-000000-none")


def test_a_python_that_is_not_there_is_an_error_with_a_next_step(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(desk.folder / "no-python"))
    with pytest.raises(LaunchError, match="No engine could be started") as caught:
        desk.launcher.start(desk.batch(1))
    assert "no-python" in caught.value.next_step


def test_the_last_words_are_the_reason_and_the_step(tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_text(
        "1 paid request in doubt\nstopped: No credit is left.\n  next: Add credit.\n"
        "  then: bulk-transcribe resume 1\n"
    )
    assert last_words(log, ()) == ("No credit is left.", "Add credit.")
    log.write_text(f"Traceback\nValueError: {KEY}\n")
    assert last_words(log, (KEY, "", "abc")) == ("ValueError: ***", "")
    log.write_bytes(b"\xff" * 20_000 + b"\nerror: the end\n")
    assert last_words(log, ()) == ("the end", "")
    log.write_text("")
    assert last_words(log, ()) == ("", "")
    assert last_words(tmp_path / "none", ()) == ("", "")


def _until_gone(pid: int) -> None:
    """Until the process is reaped: a zombie would still be there."""
    until_s = time.monotonic() + SOON_S
    while time.monotonic() < until_s:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.02)
    pytest.fail(f"process {pid} is still there")
