import csv
import json
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.outcome import Failed, Succeeded
from bulk_transcribe.core.stage import VideoState
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import OutputError, VideoUnavailableError
from bulk_transcribe.save.database import open_database
from bulk_transcribe.save.export import write_session_files
from bulk_transcribe.save.export.session_files import safe_cell
from bulk_transcribe.save.session import InputProblem, Session
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.testing import FakeClock


def test_every_video_is_in_both_lists(tmp_path: Path) -> None:
    out = tmp_path / "out"
    items = [
        VideoItem(video_id="-aaaaaaaaaa", title="=1+1", extra=MappingProxyType({"Week": "+3"})),
        VideoItem(
            video_id="bbbbbbbbbbb", title='a "b", c\nd', extra=MappingProxyType({"url": "u"})
        ),
        VideoItem(video_id="ccccccccccc"),
    ]
    problem = InputProblem(origin="a.txt:9", line=9, text="htp", message="no link")
    with open_database(tmp_path / "store.db") as database:
        manager = SessionManager(database, FakeClock())
        session_id = manager.create_session(items, problems=[problem], settings={"model": "M"})
        session = manager.open_session(session_id)
        files = (str(out / "a [-aaaaaaaaaa].md"), "/elsewhere/a.srt")
        session.finish(
            VideoState(video_id="-aaaaaaaaaa", title="=1+1"),
            Succeeded(video_id="-aaaaaaaaaa", source="captions", files=files),
        )
        error = VideoUnavailableError("private", video_id="bbbbbbbbbbb", next_step="skip it")
        session.finish(
            VideoState(video_id="bbbbbbbbbbb"), Failed(video_id="bbbbbbbbbbb", error=error)
        )
        manifest, listed = write_session_files(session, out)
        again = write_session_files(session, out)
    assert again == (manifest, listed)
    assert manifest == out / "sessions" / session_id / "manifest.json"
    whole = json.loads(manifest.read_text())
    assert whole["totals"]["done"] == 1
    assert whole["settings"] == {"model": "M"}
    assert whole["problems"][0]["origin"] == "a.txt:9"
    assert [video["video_id"] for video in whole["videos"]] == [item.video_id for item in items]
    assert whole["videos"][0]["files"] == ["a [-aaaaaaaaaa].md", "/elsewhere/a.srt"]
    assert listed.read_bytes().startswith(b"\xef\xbb\xbf")
    with listed.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["stage"] for row in rows] == ["done", "failed", "queued"]
    assert (rows[0]["video_id"], rows[0]["title"], rows[0]["Week"]) == (
        "'-aaaaaaaaaa",
        "'=1+1",
        "'+3",
    )
    assert rows[0]["url"].endswith("v=-aaaaaaaaaa")
    assert (rows[1]["title"], rows[1]["input_url"]) == ('a "b", c\nd', "u")
    assert (rows[1]["error"], rows[1]["next_step"]) == ("private", "skip it")
    assert rows[2]["Week"] == ""


def test_a_session_without_videos_has_empty_lists(tmp_path: Path) -> None:
    with open_database(tmp_path / "store.db") as database:
        manager = SessionManager(database, FakeClock())
        session = manager.open_session(manager.create_session([]))
        manifest, listed = write_session_files(session, tmp_path)
    assert json.loads(manifest.read_text())["videos"] == []
    assert len(listed.read_text().splitlines()) == 1


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with open_database(tmp_path / "store.db") as database:
        manager = SessionManager(database, FakeClock())
        session: Session = manager.open_session(manager.create_session([]))
        with pytest.raises(OutputError):
            write_session_files(session, tmp_path / "out")


@given(st.text())
def test_no_cell_is_a_formula_and_none_loses_a_letter(text: str) -> None:
    cell = safe_cell(text)
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))
    assert cell in (text, f"'{text}")
