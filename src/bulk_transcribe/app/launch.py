"""Starts engines: each a process of its own that outlives whoever started it."""

import contextlib
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any, Final

from bulk_transcribe.clients.redact import Redactor
from bulk_transcribe.config import Settings, Slots
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.errors import BulkTranscribeError, ConfigError
from bulk_transcribe.save.session import SessionInfo, SessionStatus
from bulk_transcribe.save.sessions import SessionManager

_LOOK_EVERY_S: Final = 0.05
#: How much of the end of a log is read for its reason.
_TAIL_BYTES: Final = 8_000
_MOST_WORDS: Final = 500


class LaunchError(BulkTranscribeError):
    """The engine did not take the session; the message says why."""

    default_code = "not_started"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a start changes for this run; None and "" leave what the session was made with.

    Args:
        concurrency: Videos in flight at once.
        in_doubt: "resend" or "skip" settles paid requests whose answer was lost; "ask" leaves
            them alone, for nobody sits before the engine.
        overrides: Names of `Settings` -> value as text, passed on by environment. A setting
            that the session keeps goes before it.
    """

    concurrency: Slots | None = None
    in_doubt: str = "ask"
    overrides: Mapping[str, str] | None = None


_AS_IT_WAS: Final = Wanted()


class Launcher:
    """Starts `bulk-transcribe resume` and `retry` as detached processes. Shared by all threads.

    A started engine gets the environment (keys come by it alone, never by the command line),
    no open file of this process, and a session of its own, so that neither a closed terminal
    nor the end of the page reaches it. What it prints goes to "engines/SESSION.log" in the data
    folder.

    Args:
        settings: Of the page; its data folder and its secrets are used.
        sessions: The store.
        environ: Passed on.
        folder: The current folder, where `.env` and the settings file are looked for.
        patience_s: Real seconds that an engine may take to claim its session.
    """

    def __init__(
        self,
        settings: Settings,
        sessions: SessionManager,
        *,
        environ: Mapping[str, str],
        folder: Path,
        patience_s: float = 30.0,
    ) -> None:
        self._home = settings.home.absolute()
        self._secrets = settings.secrets
        self._sessions = sessions
        self._environ = dict(environ)
        self._folder = folder
        self._patience_s = patience_s
        self._clock = SystemClock()  # a process takes real time to start, whatever the run's speed

    def start(self, session_id: str, wanted: Wanted = _AS_IT_WAS) -> None:
        """Work what is left of a session, a new one included; returns when an engine has it.

        A session that somebody works on already is left to them.

        Raises:
            LaunchError: the engine ended at once, or did not claim the session in time.
            InputError: there is no such session.
        """
        self._launch("resume", session_id, wanted)

    def resume(self, session_id: str, wanted: Wanted = _AS_IT_WAS) -> None:
        """The same as `start`, for a session that was stopped or interrupted."""
        self._launch("resume", session_id, wanted)

    def retry(self, session_id: str, wanted: Wanted = _AS_IT_WAS) -> None:
        """The same, and what failed or was skipped is tried again where that can help."""
        self._launch("retry", session_id, wanted)

    def log_path(self, session_id: str) -> Path:
        """Where an engine's words go."""
        return self._home / "engines" / f"{session_id}.log"

    def _launch(self, command: str, session_id: str, wanted: Wanted) -> None:
        before = self._sessions.open_session(session_id).info()
        if before.is_live:
            return
        child = self._spawn(command, session_id, wanted)
        # waits for its end, so that it leaves no zombie; ends with the process
        threading.Thread(target=child.wait, name=f"engine {child.pid}", daemon=True).start()
        self._await_claim(child, session_id, before)

    def _spawn(self, command: str, session_id: str, wanted: Wanted) -> "subprocess.Popen[bytes]":
        words = [sys.executable, "-m", "bulk_transcribe", "--home", str(self._home)]
        words += [command, session_id, "--quiet"]
        if wanted.concurrency is not None:
            words += ["--concurrency", str(wanted.concurrency)]
        if wanted.in_doubt != "ask":
            words += ["--in-doubt", wanted.in_doubt]
        environ = self._environ | _as_environment(wanted.overrides or {})
        path = self.log_path(session_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as log:
                return _detached(words, environ, self._folder, log)
        except OSError as error:
            raise LaunchError(
                f"No engine could be started: {error.strerror or error}.",
                next_step=f"Check {path.parent} and the Python at {sys.executable}.",
            ) from error

    def _await_claim(
        self, child: "subprocess.Popen[bytes]", session_id: str, before: SessionInfo
    ) -> None:
        until_s = self._clock.now_s() + self._patience_s
        while self._clock.now_s() < until_s:
            code = child.poll()
            now = self._sessions.open_session(session_id).info()
            if now.is_live or _was_worked(before, now):
                return
            if code is not None:  # every engine that works claims first, whatever its code says
                raise self._died(session_id, code)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_LOOK_EVERY_S)
        raise LaunchError(
            f"The engine (process {child.pid}) did not take the session "
            f"within {self._patience_s:.0f} seconds.",
            next_step=f"It may still do so. Its words are in {self.log_path(session_id)}.",
        )

    def _died(self, session_id: str, code: int) -> LaunchError:
        log = self.log_path(session_id)
        message, next_step = last_words(log, self._secrets)
        cause = message or f"exit code {code}, without a word"
        return LaunchError(
            f"The engine ended before it took the session: {cause}",
            next_step=next_step
            or f"Run `bulk-transcribe doctor`, then try again. The engine's words are in {log}.",
        )


def last_words(path: Path, secrets: Sequence[str]) -> tuple[str, str]:
    """Why an engine ended, and what to do: from the end of its log, with `***` for each secret.

    Both are "" where the log is empty or cannot be read.
    """
    try:
        with path.open("rb") as log:
            log.seek(0, 2)
            log.seek(max(0, log.tell() - _TAIL_BYTES))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return "", ""
    text = Redactor(secrets)(text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    reasons = [
        line.removeprefix(word)
        for line in lines
        for word in ("error: ", "stopped: ")
        if line.startswith(word)
    ]
    steps = [line.removeprefix("next: ") for line in lines if line.startswith("next: ")]
    message = reasons[-1] if reasons else lines[-1] if lines else ""
    return message[:_MOST_WORDS], steps[-1][:_MOST_WORDS] if steps else ""


def _was_worked(before: SessionInfo, now: SessionInfo) -> bool:
    """A run so short that it was never seen alive: it ended after we had looked."""
    ended = {SessionStatus.FINISHED, SessionStatus.STOPPED}
    return now.status in ended and now.ended_at != before.ended_at


def _as_environment(overrides: Mapping[str, str]) -> dict[str, str]:
    names = {each.name: each.metadata["env"] for each in fields(Settings)}
    for name in overrides:
        if name not in names:
            raise ConfigError(f"There is no setting {name!r}.")
    return {names[name]: value for name, value in overrides.items()}


def _detached(
    words: Sequence[str], environ: Mapping[str, str], folder: Path, log: IO[bytes]
) -> "subprocess.Popen[bytes]":
    """A child with nothing of ours: no file, no terminal, no console window."""
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":  # pragma: no cover -- needs Windows
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
        apart = {"creationflags": flags}
    return subprocess.Popen(  # noqa: S603 -- our own command, words of our own making
        list(words),
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        close_fds=True,
        **apart,
    )
