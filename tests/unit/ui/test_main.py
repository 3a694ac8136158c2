"""The installed script as Streamlit runs it: which session, which page, what when it cannot."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import bulk_transcribe.ui.main
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.save.database import open_database
from bulk_transcribe.save.sessions import SessionManager

SCRIPT = bulk_transcribe.ui.main.__file__


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BULK_TRANSCRIBE_HOME", str(tmp_path))
    for name in ("DEAPI_API_KEY", "BULK_TRANSCRIBE_CLOCK_SPEED"):
        monkeypatch.delenv(name, raising=False)
    st.cache_resource.clear()
    yield tmp_path
    st.cache_resource.clear()  # closes the database


def made(home: Path, *names: str) -> list[str]:
    with open_database(home / "bulk-transcribe.sqlite3") as database:
        sessions = SessionManager(database, SystemClock())
        items = [VideoItem(video_id="aaaaaaaaaaa", title="A title")]
        return [sessions.create_session(items, name=name) for name in names]


def look(session: str = "") -> AppTest:
    """One look; a second run of the same `AppTest` shows nothing where there are pages."""
    at = AppTest.from_file(SCRIPT, default_timeout=20)
    if session:
        at.query_params["session"] = session
    at.run()
    assert not at.exception
    return at


def test_an_empty_store_is_made_and_the_page_says_how_to_begin(home: Path) -> None:
    assert look().subheader[0].value == "Nothing here yet"
    assert (home / "bulk-transcribe.sqlite3").is_file()


def test_the_newest_session_is_shown_unless_the_address_names_one(home: Path) -> None:
    first, _ = made(home, "first", "second")
    assert look().subheader[0].value == "second"
    at = look(first)
    assert at.subheader[0].value == "first"
    options = at.selectbox(key="session_box").options
    assert [option.partition(" · ")[0] for option in options] == ["second", "first"]
    assert at.query_params["session"] == first


def test_a_session_that_is_not_there_is_said_and_the_newest_shown(home: Path) -> None:
    made(home, "only")
    at = look("20000101-000000-gone")
    assert "20000101" in at.warning[0].value
    assert at.subheader[0].value == "only"


def test_a_session_that_is_deleted_while_it_is_watched_gives_way(home: Path) -> None:
    (session_id,) = made(home, "watched")
    look(session_id)
    with open_database(home / "bulk-transcribe.sqlite3") as database:
        SessionManager(database, SystemClock()).delete_session(session_id)
    at = look(session_id)
    assert session_id.replace("-", "\\-") in at.warning[0].value
    assert at.subheader[0].value == "Nothing here yet"


def test_a_setting_that_cannot_be_used_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BULK_TRANSCRIBE_RATE_LIMIT_RPM", "many")
    at = look()
    assert "rate_limit_rpm" in at.error[0].value.replace("\\", "")


def test_a_store_that_cannot_be_opened_is_explained(home: Path) -> None:
    (home / "bulk-transcribe.sqlite3").write_text("not a database at all, but long enough" * 50)
    at = look()
    assert "is not a database" in at.error[0].value
    assert "Keep the file" in at.error[0].value


def test_another_data_folder_is_another_store(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(home, "here")
    assert look().subheader[0].value == "here"
    monkeypatch.setenv("BULK_TRANSCRIBE_HOME", str(home / "elsewhere"))
    assert look().subheader[0].value == "Nothing here yet"
