import errno
import json
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk_transcribe.core.transcript import Segment, Transcript
from bulk_transcribe.core.video import Availability, VideoItem, VideoMetadata
from bulk_transcribe.errors import ConfigError, OutputError
from bulk_transcribe.save.export import FORMATS, FileExporter
from bulk_transcribe.save.export.atomic import atomic_file, explain
from bulk_transcribe.testing import FakeClock

VIDEO_ID = "dQw4w9WgXcQ"
WORDS = Transcript(
    video_id=VIDEO_ID,
    source="deapi",
    text="Hello there.",
    segments=(Segment(0.0, 1.5, "Hello"), Segment(1.5, 2.0, "there.")),
    request_id="r-1",
)


def exporter(folder: Path, *formats: str) -> FileExporter:
    return FileExporter(folder, formats or FORMATS, clock=FakeClock())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_all_formats_are_written_and_nothing_else_is_left(tmp_path: Path) -> None:
    out = tmp_path / "not" / "there yet"
    paths = exporter(out).write(VideoItem(video_id=VIDEO_ID, title="A: title"), None, WORDS)
    assert [path.name for path in paths] == [f"A title ({VIDEO_ID}).{name}" for name in FORMATS]
    assert names(out) == sorted(path.name for path in paths)
    assert paths[3].read_text() == "Hello there.\n"
    record: dict[str, Any] = json.loads(paths[4].read_text())
    assert record["transcript"]["segments"][1] == {"start_s": 1.5, "end_s": 2.0, "text": "there."}
    assert record["transcript"]["request_id"] == "r-1"
    assert record["item"]["title"] == "A: title"
    assert record["metadata"] is None


def test_the_record_has_every_fact_of_the_video(tmp_path: Path) -> None:
    facts = VideoMetadata(
        video_id=VIDEO_ID,
        title="T",
        published_at=datetime(2009, 10, 25, tzinfo=UTC),
        availability=Availability.UNLISTED,
    )
    (path,) = exporter(tmp_path, "json").write(VideoItem(video_id=VIDEO_ID), facts, WORDS)
    record = json.loads(path.read_text())
    assert record["metadata"]["published_at"] == "2009-10-25T00:00:00+00:00"
    assert record["metadata"]["availability"] == "unlisted"
    assert record["transcribed_at"] == "2026-01-01T00:00:00+00:00"


def test_writing_again_replaces_the_files_also_under_a_new_title(tmp_path: Path) -> None:
    item = VideoItem(video_id=VIDEO_ID)
    before = exporter(tmp_path).write(item, None, WORDS)
    renamed = VideoMetadata(video_id=VIDEO_ID, title="A better title")
    after = exporter(tmp_path).write(item, renamed, WORDS)  # a later run
    assert after == before
    assert names(tmp_path) == sorted(path.name for path in before)
    assert "A better title" in after[0].read_text()


def test_ids_that_differ_in_case_only_never_share_a_file(tmp_path: Path) -> None:
    writer = exporter(tmp_path, "txt")
    (one,) = writer.write(VideoItem(video_id="aaaaaaaaaaB", title="T"), None, WORDS)
    (other,) = writer.write(VideoItem(video_id="aaaaaaaaaab", title="T"), None, WORDS)
    assert one.name.casefold() != other.name.casefold()
    assert exporter(tmp_path, "txt").write(
        VideoItem(video_id="aaaaaaaaaab", title="T"), None, WORDS
    ) == (other,)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(title=st.text(st.characters(), max_size=300), text=st.text(st.characters(), max_size=50))
def test_whatever_the_title_the_files_stay_inside_the_folder(
    tmp_path: Path, title: str, text: str
) -> None:
    out = tmp_path / "out"
    before = {path for path in tmp_path.rglob("*") if out not in path.parents and path != out}
    words = Transcript(video_id=VIDEO_ID, source="captions", text=text)
    item = VideoItem(
        video_id=VIDEO_ID, title=title, extra=MappingProxyType({text: title}), origin=text
    )
    for path in exporter(out).write(item, None, words):
        assert path.parent == out
        assert path.is_file()
    after = {path for path in tmp_path.rglob("*") if out not in path.parents and path != out}
    assert after == before


def test_a_link_in_the_folder_is_replaced_and_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    (out / f"({VIDEO_ID}).txt").symlink_to(outside)
    exporter(out, "txt").write(VideoItem(video_id=VIDEO_ID), None, WORDS)
    assert outside.read_text() == "mine"


def test_many_threads_write_into_one_folder(tmp_path: Path) -> None:
    writer = exporter(tmp_path, "txt")
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        for turn in range(5):
            writer.write(VideoItem(video_id=f"v-{number}-{turn}", title="T"), None, WORDS)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names(tmp_path)) == 40


def test_an_unknown_format_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="docx"):
        exporter(tmp_path, "md", "docx")
    with pytest.raises(ConfigError, match="No format"):
        FileExporter(tmp_path, (), clock=FakeClock())


def test_a_folder_that_cannot_be_written_is_told_before_paying(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="its folder is not there") as caught:
        exporter(tmp_path / "file" / "out").prepare()
    assert caught.value.next_step
    exporter(tmp_path / "new").prepare()
    assert names(tmp_path / "new") == []


def test_a_folder_that_went_away_is_told(tmp_path: Path) -> None:
    writer = exporter(tmp_path / "out", "txt")
    writer.prepare()
    (tmp_path / "out").rmdir()
    with pytest.raises(OutputError, match="not there"):
        writer.write(VideoItem(video_id=VIDEO_ID), None, WORDS)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_told_and_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write() -> None:
        with atomic_file(path) as file:
            file.write("new")
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, file.fileno())  # from here on the disk is full
            os.close(full)

    with pytest.raises(OutputError, match="disk is full") as caught:
        write()
    assert caught.value.code == "disk_full"
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write() -> None:
        with atomic_file(path) as file:
            file.write("new")
            raise KeyError

    with pytest.raises(KeyError):
        write()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_what_a_killed_program_left_is_cleared_and_what_is_being_written_is_not(
    tmp_path: Path,
) -> None:
    old = tmp_path / ".aa.bulk-transcribe-part"
    new = tmp_path / ".bb.bulk-transcribe-part"
    for left in (old, new):
        left.write_text("half")
    os.utime(old, (1, 1))
    exporter(tmp_path).prepare()
    assert names(tmp_path) == [new.name]


@pytest.mark.parametrize(
    ("number", "word"),
    [
        (errno.ENOSPC, "disk_full"),
        (errno.EDQUOT, "disk_full"),
        (errno.EROFS, "output_read_only"),
        (errno.EACCES, "output_no_permission"),
        (errno.ENOENT, "output_gone"),
        (errno.EIO, "output"),
    ],
)
def test_each_cause_has_its_word(number: int, word: str) -> None:
    told = explain(OSError(number, os.strerror(number)), Path("/out/a.md"))
    assert told.code == word
    assert "/out/a.md" in told.message
    assert told.next_step


def test_trying_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, _data: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError) as caught:
        exporter(tmp_path).prepare()
    assert caught.value.code == "disk_full"
    assert list(tmp_path.iterdir()) == []
