"""The finished transcripts of a session: listed, read, searched one at a time, and packed."""

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk_transcribe.app.library import Book, Library, Packed
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.transcript import Transcript
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import ConfigError, InputError, StoppedError
from bulk_transcribe.save.database import Database, open_database
from bulk_transcribe.save.export.exporter import FileExporter
from bulk_transcribe.save.sessions import SessionManager
from tests.unit.ui.stage import put_session, transcript_of

A, B, C = "dQw4w9WgXcQ", "9bZkp7q19f0", "jNQXAC9IVRw"


@dataclass
class Place:
    database: Database
    sessions: SessionManager
    clock: SystemClock
    library: Library

    def put(
        self, videos: Mapping[str, tuple[str, Transcript | None]], waiting: tuple[str, ...] = ()
    ) -> str:
        return put_session(self.database, self.sessions, self.clock, videos, waiting=waiting)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    clock = SystemClock()
    with open_database(tmp_path_factory.mktemp("library") / "x.sqlite3") as database:
        sessions = SessionManager(database, clock)
        yield Place(database, sessions, clock, Library(database, clock))


def test_the_shelf_has_what_is_done_and_counts_what_it_does_not_show(place: Place) -> None:
    videos = {id_: (f"Title {id_}", transcript_of(id_, ["words"])) for id_ in (A, B, C)}
    session_id = place.put(videos, waiting=("vid00000001",))
    shelf = place.library.shelf(session_id, most=2)
    assert [title.video_id for title in shelf.titles] == [A, B]
    assert shelf.total == 3
    found = place.library.shelf(session_id, search=B)
    assert [title.title for title in found.titles] == [f"Title {B}"]


def test_a_session_that_is_not_there_is_an_error_for_people(place: Place) -> None:
    with pytest.raises(InputError, match="no session"):
        place.library.shelf("20200101-000000-none")


def test_only_finished_videos_of_the_session_can_be_read(place: Place) -> None:
    lost = "lost0000001"
    session_id = place.put(
        {A: ("One", transcript_of(A, ["hello"])), lost: ("Lost", None)}, waiting=(C,)
    )
    book = place.library.book(session_id, A)
    assert book is not None
    assert (book.title, book.transcript.text) == ("One", "hello")
    for other in (lost, C, "vid99999999"):
        assert place.library.book(session_id, other) is None


def test_words_are_found_across_captions_with_the_time_of_the_first(place: Place) -> None:
    words = ["we talk about Machine", "learning  today", "and more"]
    session_id = place.put({A: ("Talk", transcript_of(A, words))})
    found = place.library.search(session_id, "machine LEARNING today")
    (hit,) = found.hits
    assert hit.at_s == 0.0
    assert (hit.before, hit.match, hit.after) == (
        "we talk about ",
        "Machine learning today",
        " and more",
    )
    (later,) = place.library.search(session_id, "more").hits
    assert later.at_s == 20.0


def test_a_plain_text_has_hits_without_times(place: Place) -> None:
    session_id = place.put({A: ("Talk", transcript_of(A, ["one", "two"], timed=False))})
    (hit,) = place.library.search(session_id, "two").hits
    assert hit.at_s is None


def test_no_words_find_nothing_and_read_nothing(place: Place) -> None:
    session_id = place.put({A: ("Talk", transcript_of(A, ["one"]))})
    found = place.library.search(session_id, " \n ")
    assert (found.hits, found.looked_at, found.of) == ((), 0, 1)


def test_signs_of_patterns_are_words_like_others(place: Place) -> None:
    session_id = place.put({A: ("Talk", transcript_of(A, ["what (is) this.* thing?"]))})
    assert len(place.library.search(session_id, "(is) this.*").hits) == 1
    assert not place.library.search(session_id, "t.is").hits


def test_hits_are_capped_in_all_and_for_each_video_and_it_is_said(place: Place) -> None:
    ids = [f"vid{n:08d}" for n in range(6)]
    session_id = place.put({i: (i, transcript_of(i, ["yes yes yes"])) for i in ids})
    whole = place.library.search(session_id, "yes")
    assert (len(whole.hits), whole.videos, whole.looked_at, whole.is_cut) == (18, 6, 6, False)
    few_each = place.library.search(session_id, "yes", most_a_video=2)
    assert (len(few_each.hits), few_each.is_cut) == (12, True)
    few = place.library.search(session_id, "yes", most=4)
    assert (len(few.hits), few.looked_at, few.of, few.is_cut) == (4, 2, 6, True)
    exact = place.library.search(session_id, "yes", most=18)
    assert (len(exact.hits), exact.is_cut) == (18, False)


def test_a_search_reads_on_only_as_far_as_it_is_let(place: Place) -> None:
    ids = [f"vid{n:08d}" for n in range(5)]
    session_id = place.put({i: (i, transcript_of(i, ["word"])) for i in ids})
    told: list[tuple[int, int]] = []

    def stop_at_two(done: int, of: int, /) -> None:
        told.append((done, of))
        if done == 2:
            raise StoppedError("enough")

    with pytest.raises(StoppedError):
        place.library.search(session_id, "word", on_work=stop_at_two)
    assert told == [(1, 5), (2, 5)]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=12), max_size=6), st.text(max_size=6))
def test_any_text_can_be_searched(words: list[str], wanted: str) -> None:
    from bulk_transcribe.app import library  # noqa: PLC0415 -- its inner function is the law here

    book = Book(item=VideoItem(video_id=A), metadata=None, transcript=transcript_of(A, words))
    pattern = library._pattern(wanted)
    if pattern is None:
        assert not wanted.split()
        return
    text = " ".join(words)
    hits = list(library._hits(book, pattern))
    assert len(hits) == len(pattern.findall(text))
    for hit in hits:
        assert hit.at_s is not None
        assert hit.at_s % 10 == 0


def names_in(path: Path) -> list[str]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return sorted(archive.namelist())


def test_a_zip_has_the_files_that_the_exporter_would_write(place: Place, tmp_path: Path) -> None:
    transcript = transcript_of(A, ["hello", "world"])
    session_id = place.put({A: ("One / Two", transcript)}, waiting=(B,))
    path = tmp_path / "x.zip"
    packed = place.library.pack(session_id, ("txt", "srt"), path)
    assert packed == Packed(path=path, videos=1, without_transcript=0)
    exporter = FileExporter(tmp_path / "out", ("txt", "srt"), clock=place.clock)
    item = VideoItem(video_id=A, title="One / Two")
    written = exporter.write(item, None, transcript)
    assert names_in(path) == sorted(each.name for each in written)
    with zipfile.ZipFile(path) as archive:
        for each in written:
            assert archive.read(each.name) == each.read_bytes()


def test_hostile_titles_stay_inside_of_the_zip(place: Place, tmp_path: Path) -> None:
    session_id = place.put({A: ("../../etc/passwd\\..", transcript_of(A, ["x"]))})
    place.library.pack(session_id, ("md",), tmp_path / "x.zip")
    (name,) = names_in(tmp_path / "x.zip")
    assert "/" not in name
    assert "\\" not in name
    assert not name.startswith(".")


def test_a_zip_of_nothing_is_a_zip_without_files(place: Place, tmp_path: Path) -> None:
    session_id = place.put({}, waiting=(A,))
    assert place.library.pack(session_id, ("md",), tmp_path / "x.zip").videos == 0
    assert names_in(tmp_path / "x.zip") == []


def test_a_lost_transcript_is_counted_and_the_rest_is_packed(place: Place, tmp_path: Path) -> None:
    session_id = place.put({"lost0000000": ("Gone", None), A: ("There", transcript_of(A, ["x"]))})
    packed = place.library.pack(session_id, ("txt",), tmp_path / "x.zip")
    assert (packed.videos, packed.without_transcript) == (1, 1)


def test_an_unknown_format_or_none_is_refused(place: Place, tmp_path: Path) -> None:
    session_id = place.put({A: ("One", transcript_of(A, ["x"]))})
    book = place.library.book(session_id, A)
    assert book is not None
    with pytest.raises(ConfigError, match="pdf"):
        place.library.file(book, "pdf")
    with pytest.raises(ConfigError, match="No format"):
        place.library.pack(session_id, (), tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()
