"""A stage for single pages: a store, a launcher that starts nothing, and AppTest."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import streamlit as st
from streamlit.testing.v1 import AppTest

from bulk_transcribe.app.launch import Launcher, LaunchError, Wanted
from bulk_transcribe.app.library import Library
from bulk_transcribe.config import Settings
from bulk_transcribe.core.clock import Clock, SystemClock
from bulk_transcribe.core.outcome import Succeeded
from bulk_transcribe.core.stage import VideoState
from bulk_transcribe.core.transcript import ContentKey, Segment, Transcript
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.save.database import Database, open_database
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.save.transcripts import Transcripts
from bulk_transcribe.ui.context import PageContext
from bulk_transcribe.ui.reading import Reading

#: Real seconds within which anything that a test waits for must come.
SOON_S = 20.0


class FakeLauncher(Launcher):
    """Notes what it was asked to start; `refusal` makes it refuse."""

    def __init__(self, settings: Settings, sessions: SessionManager, folder: Path) -> None:
        super().__init__(settings, sessions, environ={}, folder=folder)
        self.started: list[tuple[str, Wanted]] = []
        self.resumed: list[tuple[str, Wanted]] = []
        self.retried: list[tuple[str, Wanted]] = []
        self.refusal: LaunchError | None = None

    def start(self, session_id: str, wanted: Wanted = Wanted()) -> None:  # noqa: B008 -- frozen
        if self.refusal is not None:
            raise self.refusal
        self.started.append((session_id, wanted))

    def resume(self, session_id: str, wanted: Wanted = Wanted()) -> None:  # noqa: B008 -- frozen
        if self.refusal is not None:
            raise self.refusal
        self.resumed.append((session_id, wanted))

    def retry(self, session_id: str, wanted: Wanted = Wanted()) -> None:  # noqa: B008 -- frozen
        if self.refusal is not None:
            raise self.refusal
        self.retried.append((session_id, wanted))


@dataclass
class Stage:
    """What a page is given, and what it did."""

    settings: Settings
    database: Database
    sessions: SessionManager
    launch: FakeLauncher
    clock: SystemClock
    went: list[tuple[str, str | None]] = field(default_factory=list)

    def context(self, session_id: str | None = None) -> PageContext:
        return PageContext(
            settings=self.settings,
            store=Reading(self.database, self.clock),
            sessions=self.sessions,
            launch=self.launch,
            library=Library(self.database, self.clock),
            clock=self.clock,
            session_id=session_id or self.sessions.latest(),
            go=self._go,
        )

    def app(self, page: str, session_id: str | None = None) -> AppTest:
        """The page of this name, not run yet."""
        script = (
            "import streamlit as st\n"
            f"from bulk_transcribe.ui.pages import {page}\n"
            f"{page}.render(st.session_state['page'])\n"
        )
        at = AppTest.from_string(script, default_timeout=SOON_S)
        at.session_state["page"] = self.context(session_id)
        return at

    def _go(self, path: str, session_id: str | None) -> NoReturn:
        self.went.append((path, session_id))
        st.stop()


@contextmanager
def stage(folder: Path, **changes: Any) -> Iterator[Stage]:
    """A store in `folder`; `changes` are settings."""
    settings = Settings(**({"home": folder / "home", "out": folder / "out"} | changes))
    clock = SystemClock(settings.clock_speed)
    with open_database(settings.database_path) as database:
        sessions = SessionManager(database, clock)
        launch = FakeLauncher(settings, sessions, folder)
        yield Stage(settings, database, sessions, launch, clock)


def shown(at: AppTest) -> str:
    """All the words of a page, for tests that look for some."""
    kinds = ("title", "subheader", "markdown", "caption", "error", "warning", "info", "success")
    return "\n".join(str(each.value) for kind in kinds for each in getattr(at, kind))


def transcript_of(video_id: str, words: Sequence[str], *, timed: bool = True) -> Transcript:
    """A transcript with a segment of ten seconds for each of `words`."""
    segments = tuple(
        Segment(start_s=10.0 * n, end_s=10.0 * n + 9, text=text) for n, text in enumerate(words)
    )
    return Transcript(
        video_id=video_id,
        source="captions",
        text=" ".join(words),
        segments=segments if timed else (),
        language="en",
        is_generated=True,
    )


def put_session(
    database: Database,
    sessions: SessionManager,
    clock: Clock,
    videos: Mapping[str, tuple[str, Transcript | None]],
    *,
    waiting: Sequence[str] = (),
    name: str = "",
) -> str:
    """A session: `videos` are done (title and transcript, None: it was lost), `waiting` not."""
    items = [VideoItem(video_id=each, title=title) for each, (title, _) in videos.items()]
    items += [VideoItem(video_id=each) for each in waiting]
    session_id = sessions.create_session(items, name=name)
    session = sessions.open_session(session_id)
    store = Transcripts(database, clock)
    for video_id, (title, transcript) in videos.items():
        if transcript is not None:
            store.save_transcript(ContentKey(video_id=video_id, source="captions"), transcript)
        session.finish(
            VideoState(video_id=video_id, title=title),
            Succeeded(video_id=video_id, source="captions"),
        )
    return session_id
