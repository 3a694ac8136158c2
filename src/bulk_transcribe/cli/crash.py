"""What a bug leaves behind: a report without secrets, and words instead of a traceback."""

import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bulk_transcribe.clients.redact import Redactor
from bulk_transcribe.config import LoadedSettings, Settings, load
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.errors import BulkTranscribeError

REPORT_NAME: Final = "crash.txt"
_SECRET_VARIABLES: Final = tuple(
    each.metadata["env"] for each in fields(Settings) if each.metadata["secret"]
)


def report(
    bug: BaseException, environ: Mapping[str, str], folder: Path, arguments: Sequence[str] = ()
) -> str:
    """Write the traceback, without secrets, and say so in one or two lines for a person.

    Args:
        bug: What nobody expected.
        environ: The environment.
        folder: The current folder, for `.env`.
        arguments: The words of the command, for `--home`.
    """
    loaded = _settings(environ, folder, _home_of(arguments))
    redact = _redactor(loaded, environ)
    told = redact("".join(traceback.format_exception(bug)))
    words = f"error: this is a bug in the program: {type(bug).__name__}."
    if loaded is None:
        return f"{words}\n{told}"
    path = loaded.settings.home / REPORT_NAME
    head = f"bulk-transcribe {version('bulk-transcribe')}, {SystemClock().now():%Y-%m-%d %H:%M} UTC"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{head}\n\n{told}", encoding="utf-8", errors="replace")
    except OSError:
        return f"{words}\n{told}"
    return (
        f"{words}\n  next: {path} tells more, without your keys; please report it. "
        "What was paid for is safe: resume goes on."
    )


def tell_of_thread(
    ended: threading.ExceptHookArgs, environ: Mapping[str, str], folder: Path
) -> None:
    """Tell of a thread that ended by a bug, without secrets, on standard error."""
    if ended.exc_value is None or isinstance(ended.exc_value, SystemExit):
        return
    told = "".join(traceback.format_exception(ended.exc_value))
    name = ended.thread.name if ended.thread else "a thread"
    redact = _redactor(_settings(environ, folder), environ)
    print(redact(f"error in {name}: {told}"), file=sys.stderr)


def _home_of(arguments: Sequence[str]) -> str | None:
    """What `--home` says; None where it is not there."""
    words = iter(arguments)
    for word in words:
        if word == "--home":
            return next(words, None)
        if word.startswith("--home="):
            return word.removeprefix("--home=")
    return None


def _settings(
    environ: Mapping[str, str], folder: Path, home: str | None = None
) -> LoadedSettings | None:
    try:
        return load({"home": home}, environ, folder)
    except BulkTranscribeError:
        return None


def _redactor(loaded: LoadedSettings | None, environ: Mapping[str, str]) -> Redactor:
    """By the settings; where they cannot be read, by the variables alone."""
    if loaded is not None:
        return Redactor(loaded.settings.secrets)
    return Redactor(environ.get(name, "") for name in _SECRET_VARIABLES)
