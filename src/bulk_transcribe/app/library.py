"""The finished transcripts of a session: to read, to search, and to take along."""

import re
import zipfile
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Protocol

from bulk_transcribe.app.files import with_facts
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.stage import Stage
from bulk_transcribe.core.transcript import Transcript
from bulk_transcribe.core.video import VideoItem, VideoMetadata
from bulk_transcribe.save.database import Database
from bulk_transcribe.save.export.exporter import check_formats, file_text
from bulk_transcribe.save.export.markdown import best_title
from bulk_transcribe.save.export.names import FileNames
from bulk_transcribe.save.session import Session, VideoSort
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.save.transcripts import Transcripts

#: Characters shown before and after what was searched for.
_BEFORE: Final = 60
_AFTER: Final = 90


class OnWork(Protocol):
    """Told how many videos are done, of how many; may raise to end the work."""

    def __call__(self, done: int, of: int, /) -> None: ...


def _silent(_done: int, _of: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True, kw_only=True)
class Title:
    """A finished video by name; `title` is "" where none is known."""

    video_id: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Finished videos: those shown, and how many there are in all with the same search."""

    titles: tuple[Title, ...] = ()
    total: int = 0


@dataclass(frozen=True, kw_only=True)
class Book:
    """A finished video with its words."""

    item: VideoItem
    metadata: VideoMetadata | None
    transcript: Transcript

    @property
    def title(self) -> str:
        """The best title there is, or ""."""
        return best_title(self.item, self.metadata)


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A place where the words were found; `at_s` is None where times are not known."""

    video_id: str
    title: str
    at_s: float | None
    before: str
    match: str
    after: str


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search gave.

    Args:
        hits: In the order of the input, then of time.
        videos: Videos with at least one hit.
        looked_at: Transcripts that were read.
        of: Transcripts that the session has.
        is_cut: Whether there may be more than is shown: the search ended with the last hit that
            it may give, or a video has more hits than are shown of one.
    """

    hits: tuple[Hit, ...] = ()
    videos: int = 0
    looked_at: int = 0
    of: int = 0
    is_cut: bool = False


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A ZIP file that was made, and what is in it."""

    path: Path
    videos: int
    without_transcript: int


class Library:
    """Reads the store only. May be shared by all threads.

    Args:
        database: The store.
        clock: Dates the files.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._sessions = SessionManager(database, clock)
        self._store = Transcripts(database, clock)
        self._clock = clock

    def shelf(self, session_id: str, *, search: str = "", most: int = 200) -> Shelf:
        """The finished videos by title, at most so many, in the order of the input.

        Raises:
            InputError: there is no such session.
        """
        session = self._sessions.open_session(session_id)
        done = [Stage.DONE]
        states = session.states(stages=done, search=search, sort=VideoSort.POSITION, limit=most)
        return Shelf(
            titles=tuple(Title(video_id=s.video_id, title=s.title or "") for s in states),
            total=session.count(stages=done, search=search),
        )

    def book(self, session_id: str, video_id: str) -> Book | None:
        """A video's transcript; None while it is not finished, or where it was deleted.

        Raises:
            InputError: there is no such session.
        """
        session = self._sessions.open_session(session_id)
        item, state = session.item(video_id), session.state(video_id)
        if item is None or state is None or state.stage is not Stage.DONE:
            return None
        transcript = self._store.find_newest(video_id, state.source)
        if transcript is None:
            return None
        facts = self._store.find_metadata([video_id]).get(video_id)
        return Book(item=item, metadata=facts, transcript=transcript)

    def search(
        self,
        session_id: str,
        words: str,
        *,
        most: int = 200,
        most_a_video: int = 5,
        on_work: OnWork = _silent,
    ) -> Found:
        """Look for words in every finished transcript, one at a time: memory stays small.

        Letter case and white space do not matter; what stands between two captions counts as
        one space. No words find nothing.

        Raises:
            InputError: there is no such session.
        """
        session = self._sessions.open_session(session_id)
        pattern = _pattern(words)
        of = session.count(stages=[Stage.DONE])
        hits: list[Hit] = []
        videos = looked_at = 0
        is_cut = False
        for book in self._books(session) if pattern is not None else ():
            if book is not None and pattern is not None:
                here = list(islice(_hits(book, pattern), most_a_video + 1))
                shown = here[: min(most_a_video, most - len(hits))]
                is_cut = is_cut or len(here) > len(shown)
                hits += shown
                videos += bool(here)
            looked_at += 1
            on_work(looked_at, of)
            if len(hits) >= most:
                is_cut = is_cut or looked_at < of
                break
        return Found(hits=tuple(hits), videos=videos, looked_at=looked_at, of=of, is_cut=is_cut)

    def file_name(self, book: Book, name: str) -> str:
        """What a video's file of the format `name` is called."""
        return f"{FileNames().stem(book.item.video_id, book.title)}.{name}"

    def file(self, book: Book, name: str) -> bytes:
        """What stands in a video's file of the format `name`.

        Raises:
            ConfigError: it is no format that can be written.
        """
        check_formats([name])
        return self._text(book, name).encode()

    def pack(
        self,
        session_id: str,
        formats: tuple[str, ...],
        path: Path,
        *,
        on_work: OnWork = _silent,
    ) -> Packed:
        """Write a ZIP with the files of every finished video, one video at a time.

        Raises:
            InputError: there is no such session.
            ConfigError: an unknown format, or none at all.
            OSError: the file cannot be written; what was written of it is there.
        """
        check_formats(formats)
        session = self._sessions.open_session(session_id)
        of = session.count(stages=[Stage.DONE])
        names = FileNames()
        videos = missing = 0
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for book in self._books(session):
                if book is None:
                    missing += 1
                else:
                    stem = names.stem(book.item.video_id, book.title)
                    for name in formats:
                        archive.writestr(f"{stem}.{name}", self._text(book, name))
                    videos += 1
                on_work(videos + missing, of)
        return Packed(path=path, videos=videos, without_transcript=missing)

    def _text(self, book: Book, name: str) -> str:
        now = self._clock.now()
        return file_text(name, book.item, book.metadata, book.transcript, transcribed_at=now)

    def _books(self, session: Session) -> Iterator[Book | None]:
        """Every finished video, None for one whose transcript is not in the store."""
        done = session.items_and_states(stages=[Stage.DONE])
        for item, state, facts in with_facts(done, self._store):
            transcript = self._store.find_newest(item.video_id, state.source)
            yield (
                None
                if transcript is None
                else Book(item=item, metadata=facts, transcript=transcript)
            )


def _pattern(words: str) -> re.Pattern[str] | None:
    parts = words.split()
    return re.compile(r"\s+".join(map(re.escape, parts)), re.IGNORECASE) if parts else None


def _hits(book: Book, pattern: re.Pattern[str]) -> Iterator[Hit]:
    """Where the words stand, with the time of the caption in which they begin."""
    segments = book.transcript.segments
    starts: list[int] = []
    length = 0
    for segment in segments:
        starts.append(length)
        length += len(segment.text) + 1
    text = " ".join(segment.text for segment in segments) if segments else book.transcript.text
    for match in pattern.finditer(text):
        begin, end = match.span()
        at_s = segments[bisect_right(starts, begin) - 1].start_s if segments else None
        yield Hit(
            video_id=book.item.video_id,
            title=book.title,
            at_s=at_s,
            before=_head(text[max(0, begin - _BEFORE) : begin], is_cut=begin > _BEFORE),
            match=" ".join(match.group().split()),
            after=_tail(text[end : end + _AFTER], is_cut=end + _AFTER < len(text)),
        )


def _head(text: str, *, is_cut: bool) -> str:
    """What stands before, from a whole word on."""
    if is_cut:
        text = "…" + (text.partition(" ")[2] or text)
    return " ".join(text.split()) + (" " if text[-1:].isspace() else "")


def _tail(text: str, *, is_cut: bool) -> str:
    """What stands behind, up to a whole word."""
    if is_cut:
        text = (text.rpartition(" ")[0] or text) + "…"
    return (" " if text[:1].isspace() else "") + " ".join(text.split())
