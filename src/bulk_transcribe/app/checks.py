"""Is everything there that a run needs, and if not, what to do: `doctor` and the page show it."""

import platform
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bulk_transcribe.app.app import App
from bulk_transcribe.config import Settings
from bulk_transcribe.core.figures import money
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.errors import BulkTranscribeError, NextSourceError

#: Below this the database and the files of a large batch may not fit.
_LOW_DISK_BYTES: Final = 500_000_000
#: The first video of YouTube: 19 s long, public since 2005, with captions.
_PROBE_VIDEO: Final = "jNQXAC9IVRw"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One finding: `state` is ok, off (not set up, not needed), warn or fail."""

    name: str
    state: str
    text: str
    next_step: str = ""


def is_bad(found: Iterable[Check]) -> bool:
    """Whether a run would fail."""
    return any(check.state == "fail" for check in found)


def all_checks(settings: Settings) -> Iterator[Check]:
    """Every check, each done when it is asked for; some ask the services, none costs money."""
    yield _versions()
    yield _disk("data folder", settings.home)
    yield _disk("output folder", settings.out)
    if settings.clock_speed != 1.0:
        yield Check(
            name="clock",
            state="warn",
            text=f"runs {settings.clock_speed:g} times faster than life",
            next_step="For real work unset BULK_TRANSCRIBE_CLOCK_SPEED.",
        )
    try:
        with App(settings) as app:
            yield Check(name="database", state="ok", text=app.database_place)
            yield from _services(app)
    except BulkTranscribeError as error:
        yield _failed("database", error)


def _services(app: App) -> Iterator[Check]:
    yield _attempt("YouTube captions", lambda: _captions(app))
    if app.data_api is None:
        yield Check(
            name="YouTube Data API",
            state="off",
            text="no key: titles and lists come from yt-dlp, one at a time",
            next_step="Set YOUTUBE_DATA_API_KEY for lists of thousands.",
        )
    else:
        yield _attempt("YouTube Data API", lambda: _data_api(app))
    if app.deapi is None:
        yield Check(
            name="deAPI",
            state="off",
            text="no key: only videos with captions can be done",
            next_step="Set DEAPI_API_KEY to have the rest transcribed.",
        )
    else:
        yield _attempt("deAPI", lambda: _deapi(app))


def _attempt(name: str, check: Callable[[], Check]) -> Check:
    try:
        return check()
    except BulkTranscribeError as error:
        return _failed(name, error)


def _failed(name: str, error: BulkTranscribeError) -> Check:
    return Check(name=name, state="fail", text=error.message, next_step=error.next_step)


def _versions() -> Check:
    names = ("bulk-transcribe", "yt-dlp", "youtube-transcript-api", "httpx2", "sqlalchemy")
    shown = ", ".join(f"{name} {version(name)}" for name in names)
    return Check(name="versions", state="ok", text=f"Python {platform.python_version()}, {shown}")


def _disk(name: str, folder: Path) -> Check:
    there = folder.expanduser().absolute()
    while not there.exists():
        there = there.parent
    free_bytes = shutil.disk_usage(there).free
    text = f"{folder}, {free_bytes / 1e9:.1f} GB free"
    if free_bytes < _LOW_DISK_BYTES:
        return Check(
            name=name, state="warn", text=text, next_step="Make room before a large batch."
        )
    return Check(name=name, state="ok", text=text)


def _captions(app: App) -> Check:
    try:
        app.captions.fetch(_PROBE_VIDEO, ("any",), Ticket())
    except NextSourceError as error:
        return Check(name="YouTube captions", state="warn", text=f"reachable, but {error.message}")
    return Check(name="YouTube captions", state="ok", text="reachable")


def _data_api(app: App) -> Check:
    assert app.data_api is not None  # noqa: S101 -- the caller asked
    app.data_api.fetch([_PROBE_VIDEO])
    return Check(name="YouTube Data API", state="ok", text="the key works")


def _deapi(app: App) -> Check:
    assert app.deapi is not None  # noqa: S101 -- the caller asked
    slugs = {model.slug for model in app.deapi.models()}
    wanted = app.settings.model
    if wanted not in slugs:
        return Check(
            name="deAPI",
            state="fail",
            text=f"there is no model {wanted!r}",
            next_step=f"Choose one of: {', '.join(sorted(slugs))}.",
        )
    balance = app.deapi.balance_usd(Ticket())
    shown = "this key may not read it" if balance is None else money(balance)
    return Check(name="deAPI", state="ok", text=f"the key works, balance: {shown}")
