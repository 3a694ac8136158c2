import unicodedata
from pathlib import PureWindowsPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulk_transcribe.save.export.names import MAX_TITLE_BYTES, FileNames, safe_title, stem_of

VIDEO_ID = "dQw4w9WgXcQ"
hostile = st.text(st.characters(), max_size=300) | st.lists(
    st.sampled_from(
        [
            "../",
            "..\\",
            "/etc/",
            "C:",
            "\0",
            "CON",
            "nul",
            ".",
            " ",
            "-",
            "\u202e",
            "🎉",
            "é",
            "\ud800",
        ]
    ),
    max_size=9,
).map("".join)


@given(hostile)
@example("../../etc/passwd")
@example("CON")
@example(":nul .x")
@example("x" * 300)
@example("日本語" * 100)
@example("...")
@example("👩‍👩‍👧‍👧" * 60)
def test_any_title_gives_a_name_that_every_file_system_takes(title: str) -> None:
    name = f"{stem_of(title, VIDEO_ID, 99)}.json"
    assert len(name.encode("utf-8")) <= 143
    assert len(safe_title(title).encode("utf-8")) <= MAX_TITLE_BYTES
    assert not set(name) & set('\\/:*?"<>|\0')
    assert all(ord(character) >= 32 for character in name)
    assert name not in {".", ".."}
    assert not name.startswith((".", " ", "-", "~"))
    assert not safe_title(title).endswith((".", " "))
    assert not any(unicodedata.bidirectional(c) in {"RLO", "LRO", "RLE", "LRE"} for c in name)
    assert f"({VIDEO_ID})" in name
    assert not PureWindowsPath(name).drive
    assert PureWindowsPath(name).name == name
    device = name.split(".", maxsplit=1)[0].strip().upper()
    assert device not in {"CON", "NUL", "AUX", "PRN", "COM1", "LPT9"}


@given(hostile)
def test_a_safe_title_is_safe_already(title: str) -> None:
    assert safe_title(safe_title(title)) == safe_title(title)


def test_a_plain_title_stays_readable() -> None:
    assert stem_of("Intro: what & why? (2/3)", VIDEO_ID) == f"Intro what & why (2 3) ({VIDEO_ID})"
    assert stem_of("日本語の動画", VIDEO_ID) == f"日本語の動画 ({VIDEO_ID})"
    assert stem_of("", VIDEO_ID) == stem_of("...", VIDEO_ID) == f"({VIDEO_ID})"


@pytest.mark.parametrize("video_id", ["", "../x", "a/b", "a\\b", "a b", "x" * 25, "a\n"])
def test_an_id_that_is_none_is_refused(video_id: str) -> None:
    with pytest.raises(ValueError, match="video id"):
        stem_of("Title", video_id)


@given(
    st.lists(st.tuples(st.sampled_from(["abc", "ABC", "aBc", "x-_", "X-_"]), hostile), max_size=12)
)
def test_each_video_has_its_own_name_without_regard_to_case(
    wanted: list[tuple[str, str]],
) -> None:
    names = FileNames()
    first: dict[str, str] = {}
    for video_id, title in wanted:
        stem = names.stem(video_id, title)
        assert first.setdefault(video_id, stem) == stem  # the name lasts
    folded = {unicodedata.normalize("NFC", stem).casefold() for stem in first.values()}
    assert len(folded) == len(first)


@given(st.lists(st.tuples(st.sampled_from(["abc", "ABC", "x-_"]), hostile), max_size=6))
def test_a_folder_that_is_read_again_gives_the_same_names(wanted: list[tuple[str, str]]) -> None:
    names = FileNames()
    stems = {video_id: names.stem(video_id, title) for video_id, title in wanted}
    again = FileNames(stems.values())
    assert {video_id: again.stem(video_id, "another title") for video_id in stems} == stems


def test_files_of_others_are_no_names_of_ours() -> None:
    names = FileNames(["notes", "(draft", "Title (abc) final", "Title [abc]", "(a b)"])
    assert names.stem("abc", "T") == "T (abc)"
