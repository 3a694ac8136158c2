"""What every page is given."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import streamlit as st

from bulk_transcribe.app.launch import Launcher
from bulk_transcribe.app.library import Library
from bulk_transcribe.config import Settings, load
from bulk_transcribe.core.clock import Clock, SystemClock
from bulk_transcribe.save.database import Database, open_database
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.ui.reading import Reading

#: The query parameter that names the session that is looked at.
SESSION_PARAMETER = "session"
_CHOSEN = "chosen_session"


@dataclass(frozen=True, kw_only=True)
class PageContext:
    """All that a page may use.

    Args:
        settings: As environment, `.env` and settings file say now.
        store: What is read.
        sessions: What is written: wishes (`open_session(...).wish`), new and deleted sessions.
        launch: Starts engines.
        library: Finished transcripts.
        clock: The time of the store.
        session_id: The session that is looked at: the one in the address, else the newest; None
            when there is none.
        go: Shows another page ("new", "monitor", "results", "sessions", "settings") with this
            session; None keeps the session. Does not return.
        origins: Where each setting comes from, in words, by its name.
        missing_id: What the address asked for and the store does not have; "" mostly.
    """

    settings: Settings
    store: Reading
    sessions: SessionManager
    launch: Launcher
    library: Library
    clock: Clock
    session_id: str | None
    go: Callable[[str, str | None], NoReturn]
    missing_id: str = ""
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


def page_context(go: Callable[[str], NoReturn]) -> PageContext:
    """The context of this run of the script.

    Args:
        go: Shows the page of this name.

    Raises:
        ConfigError: a setting cannot be used.
        StoreError: the database cannot be opened.
    """
    environ = dict(os.environ)
    folder = Path.cwd()
    loaded = load({}, environ, folder)
    settings = loaded.settings
    database = _database(settings.database)
    clock = database.clock(SystemClock(settings.clock_speed))
    sessions = SessionManager(database, clock)
    reading = Reading(database, clock)
    wanted = st.query_params.get(SESSION_PARAMETER) or st.session_state.get(_CHOSEN) or ""
    is_there = bool(wanted) and reading.has(wanted)
    if is_there:
        choose(wanted)
    found = wanted if is_there else sessions.latest()

    def go_with(path: str, session_id: str | None) -> NoReturn:
        if session_id is not None:
            choose(session_id)
        go(path)

    return PageContext(
        settings=settings,
        store=reading,
        sessions=sessions,
        launch=_launcher(settings, sessions, environ, folder),
        library=Library(database, clock),
        clock=clock,
        session_id=found,
        go=go_with,
        missing_id="" if is_there else wanted,
        origins=loaded.origins,
    )


def choose(session_id: str) -> None:
    """Look at this session from now on: in this tab, after a refresh, and where its link goes."""
    st.session_state[_CHOSEN] = session_id
    if st.query_params.get(SESSION_PARAMETER) != session_id:
        st.query_params[SESSION_PARAMETER] = session_id


@st.cache_resource(show_spinner=False, on_release=Database.close)
def _database(place: Path | str) -> Database:
    """One opening of the database for the process; it holds no state of any run."""
    return open_database(place.absolute() if isinstance(place, Path) else place)


def _launcher(
    settings: Settings, sessions: SessionManager, environ: Mapping[str, str], folder: Path
) -> Launcher:
    return Launcher(settings, sessions, environ=environ, folder=folder)
