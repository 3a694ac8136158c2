import io
import os
from pathlib import Path

import pytest

from bulk_transcribe.errors import InputError
from bulk_transcribe.inputs import encoding
from bulk_transcribe.inputs.entry import Entries, Wanted
from bulk_transcribe.inputs.links import VideoLink
from bulk_transcribe.inputs.problem import Problem
from bulk_transcribe.inputs.readers import read_file, read_stdin

A, B = "dQw4w9WgXcQ", "9bZkp7q19f0"
Found = tuple[list[tuple[str, str, dict[str, str]]], list[Problem]]


def sorted_out(entries: Entries) -> Found:
    """Video ids with place and other columns, and problems."""
    found = list(entries)
    videos = [
        (entry.link.video_id, entry.place, dict(entry.extra))
        for entry in found
        if isinstance(entry, Wanted) and isinstance(entry.link, VideoLink)
    ]
    return videos, [entry for entry in found if isinstance(entry, Problem)]


def read(path: Path, content: bytes, url_column: str | None = None) -> Found:
    path.write_bytes(content)
    return sorted_out(read_file(path, url_column=url_column))


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "cp1252"])
def test_a_text_is_read_in_any_common_encoding(codec: str, tmp_path: Path) -> None:
    mark = "\ufeff" if codec == "utf-16-le" else ""
    content = f"{mark}Link,Note\r\nhttps://youtu.be/{A},café €5\r\n".encode(codec)
    videos, problems = read(tmp_path / "list.csv", content)
    assert videos == [(A, "list.csv:2", {"Note": "café €5"})]
    assert problems == []


def test_bytes_that_no_encoding_knows_are_read_as_latin_1(tmp_path: Path) -> None:
    videos, _ = read(tmp_path / "list.csv", b"Link,Note\nyoutu.be/dQw4w9WgXcQ,caf\xe9\x81\n")
    assert videos[0][2] == {"Note": "caf\xe9\x81"}


def test_a_tsv_is_parted_by_tabs(tmp_path: Path) -> None:
    videos, _ = read(tmp_path / "list.TSV", f"a, b\tLink\nc, d\tyoutu.be/{A}".encode())
    assert videos == [(A, "list.TSV:2", {"a, b": "c, d"})]


@pytest.mark.parametrize("name", ["a.txt", "a.csv", "a.tsv"])
def test_an_empty_file_asks_for_nothing(name: str, tmp_path: Path) -> None:
    assert read(tmp_path / name, b"") == ([], [])
    assert read(tmp_path / name, b"\xef\xbb\xbf\r\n\r\n") == ([], [])


@pytest.mark.parametrize(
    "text",
    [
        f'["https://youtu.be/{A}", "{B}"]',
        f'\ufeff[{{"url": "https://youtu.be/{A}"}}, {{"id": "{B}"}}]',
        f'{{"videos": ["https://youtu.be/{A}", {{"Video_URL": "youtu.be/{B}"}}]}}',
        f'{{"entries": [{{"id": "{A}", "url": ""}}, {{"id": "x", "url": "youtu.be/{B}"}}]}}',
        f'["https://youtu.be/{A} https://youtu.be/{B}"]',
    ],
)
def test_json_may_be_a_list_of_texts_or_objects(text: str, tmp_path: Path) -> None:
    videos, problems = read(tmp_path / "list.json", text.encode())
    assert [video_id for video_id, _, _ in videos] == [A, B]
    assert problems == []


def test_the_other_fields_of_a_json_object_travel_along(tmp_path: Path) -> None:
    text = f'[{{"url": "youtu.be/{A}", "title": "t", "week": 3, "tags": ["a"], "none": null}}]'
    assert read(tmp_path / "list.json", text.encode())[0] == [
        (A, "list.json entry 1", {"title": "t", "week": "3", "tags": '["a"]'})
    ]


def test_a_json_field_can_be_named(tmp_path: Path) -> None:
    text = f'[{{"url": "https://example.com", "talk": "youtu.be/{A}"}}]'
    assert read(tmp_path / "list.json", text.encode(), "Talk")[0][0][0] == A


def test_json_entries_without_a_link_are_problems(tmp_path: Path) -> None:
    text = f'[5, null, {{}}, {{"title": "x"}}, {{"url": 7}}, "", "\\ud800", ["{A}"], "{A}"]'
    videos, problems = read(tmp_path / "list.json", text.encode())
    assert [place for _, place, _ in videos] == ["list.json entry 9"]
    assert [problem.origin for problem in problems] == [
        f"list.json entry {number}" for number in range(1, 9)
    ]
    for problem in problems:
        problem.text.encode()  # can be stored


@pytest.mark.parametrize(
    "text", ["", "{", '{"videos": 5}', '{"a": []}', "5", "null", "[" * 100_000, '["a" "b"]']
)
def test_what_is_no_list_in_json_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"list\.json"):
        read(tmp_path / "list.json", text.encode())


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", b"PK\x03\x04rest", "Excel or zip"),
        ("a.csv", b"\xd0\xcf\x11\xe0rest", "old Office file"),
        ("a.txt", b"%PDF-1.7", "PDF"),
        ("a.txt", b"\x1f\x8b\x08", "compressed"),
        ("a.txt", b"\x89PNG\r\n", "picture"),
        ("a.json", b"abc\0def", "not text"),
        ("a.csv", os.urandom(100) + b"\0", "is"),
        ("a.exe", b"MZ", r"ends in \.exe"),
        ("a", b"youtu.be/dQw4w9WgXcQ", "no ending"),
        ("a.ods", b"PK", r"Save it as \.xlsx"),
        ("a.xls", b"x", r"Save it as \.xlsx"),
        ("a.docx", b"PK", r"\.txt"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_what_it_is(
    name: str, content: bytes, says: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=says):
        read(tmp_path / name, content)


def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="There is no file"):
        list(read_file(tmp_path / "missing.txt"))
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        list(read_file(tmp_path / "folder.txt"))
    os.mkfifo(tmp_path / "pipe.txt")
    with pytest.raises(InputError, match="not a plain file"):
        list(read_file(tmp_path / "pipe.txt"))


@pytest.mark.parametrize("name", ["a.txt", "a.json", "a.xlsx"])
def test_a_file_that_is_too_big_is_refused_unread(name: str, tmp_path: Path) -> None:
    with (tmp_path / name).open("wb") as file:
        file.truncate(encoding.MOST_BYTES + 1)  # takes no room on the disk
    with pytest.raises(InputError, match="million bytes"):
        list(read_file(tmp_path / name))


def test_standard_input_is_lines_or_json() -> None:
    assert sorted_out(read_stdin(io.StringIO(f"{A}\nyoutu.be/{B}"))) == (
        [(A, "standard input:1", {}), (B, "standard input:2", {})],
        [],
    )
    assert sorted_out(read_stdin(io.StringIO(f' ["{A}"]\n'))) == (
        [(A, "standard input entry 1", {})],
        [],
    )
    markdown = sorted_out(read_stdin(io.StringIO(f"[a](https://youtu.be/{A})")))
    assert markdown == ([(A, "standard input:1", {})], [])
    assert sorted_out(read_stdin(io.StringIO(""))) == ([], [])


def test_bytes_on_standard_input_are_decoded_like_a_file() -> None:
    def stream(content: bytes) -> io.TextIOWrapper:
        return io.TextIOWrapper(io.BytesIO(content), encoding="utf-8")

    videos, problems = sorted_out(read_stdin(stream(f"{A}\ncaf\xe9".encode("latin-1"))))
    assert [video_id for video_id, _, _ in videos] == [A]
    assert [problem.text for problem in problems] == ["café"]
    with pytest.raises(InputError, match="not text"):
        list(read_stdin(stream(b"\0\1\2")))


def test_too_much_on_standard_input_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoding, "MOST_BYTES", 10)
    with pytest.raises(InputError, match="million bytes"):
        list(read_stdin(io.TextIOWrapper(io.BytesIO(b"x" * 11))))
