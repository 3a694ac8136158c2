import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.inputs.entry import Wanted
from bulk_transcribe.inputs.free_text import read_lines
from bulk_transcribe.inputs.lines import LONGEST_LINE, lines_of
from bulk_transcribe.inputs.links import VideoLink
from bulk_transcribe.inputs.problem import Problem

A, B, C = "dQw4w9WgXcQ", "9bZkp7q19f0", "jNQXAC9IVRw"


def read(text: str) -> tuple[list[tuple[str, int | None]], list[Problem]]:
    """Videos with their lines, and problems."""
    found = list(read_lines(lines_of(io.StringIO(text, newline="")), "list.txt", "video"))
    videos = [
        (entry.link.video_id, entry.line)
        for entry in found
        if isinstance(entry, Wanted) and isinstance(entry.link, VideoLink)
    ]
    return videos, [entry for entry in found if isinstance(entry, Problem)]


def test_lines_are_counted_with_comments_and_blanks() -> None:
    text = f"# a list\n\n{A}\n   # https://youtu.be/{B}\n\t\nhttps://youtu.be/{C}"
    assert read(text) == ([(A, 3), (C, 6)], [])


def test_all_line_ends_part_lines() -> None:
    assert read(f"{A}\r\n{B}\r{C}\n")[0] == [(A, 1), (B, 2), (C, 3)]


@pytest.mark.parametrize(
    "line",
    [
        f"https://youtu.be/{A} https://youtu.be/{B}",
        f"https://youtu.be/{A},https://youtu.be/{B};",
        f"https://youtu.be/{A}https://youtu.be/{B}",
        f"First https://youtu.be/{A}, then (youtube.com/watch?v={B}).",
        f"[one](https://youtu.be/{A})[two](https://youtu.be/{B})",
        f'<a href="https://youtu.be/{A}">x</a> <a href=//youtu.be/{B}>y</a>',
        f"{A} {B}",
        f"{A}, {B};",
        f"- {A} | {B}",
        f"12. {A}\t{B}",
        f"https://youtu.be/{A} \u2014 https://youtu.be/{B}",
        f"看这个https://youtu.be/{A}\uff0chttps://youtu.be/{B}\u3002谢谢",
    ],
)
def test_a_line_may_hold_several_links(line: str) -> None:
    assert read(line) == ([(A, 1), (B, 1)], [])


@pytest.mark.parametrize(
    "line",
    [
        f"https://youtu.be/{A} # then https://youtu.be/{B}",
        f"{A}  # {B}",
        f"{A} #first",
    ],
)
def test_a_comment_ends_a_line(line: str) -> None:
    assert read(line) == ([(A, 1)], [])


def test_a_number_sign_before_the_link_is_no_comment() -> None:
    assert read(f"Lecture #3: https://youtu.be/{A}") == ([(A, 1)], [])


def test_an_address_within_an_address_is_one_link() -> None:
    line = f"https://www.google.com/url?q=https://www.youtube.com/watch%3Fv%3D{A}&sa=U"
    assert read(line) == ([(A, 1)], [])


@pytest.mark.parametrize("line", ["----------", "=====", "* * *", "\u200b\ufeff", "___________"])
def test_a_line_without_a_letter_asks_for_nothing(line: str) -> None:
    assert read(line) == ([], [])


def test_a_bad_line_is_a_problem_with_its_place_and_the_rest_goes_on() -> None:
    videos, problems = read(f"{A}\nhttps://vimeo.com/1 https://youtu.be/{B}\njust words\n{C}")
    assert videos == [(A, 1), (B, 2), (C, 4)]
    assert [(p.origin, p.line, p.text) for p in problems] == [
        ("list.txt", 2, "https://vimeo.com/1"),
        ("list.txt", 3, "just words"),
    ]
    assert all(p.message and p.suggestion for p in problems)


def test_words_round_a_naked_id_are_a_problem_not_a_guess() -> None:
    videos, (problem,) = read(f"{A} Never Gonna Give You Up")
    assert videos == []
    assert "line of its own" in problem.suggestion


def test_a_line_without_end_is_left_out_and_the_next_one_is_read() -> None:
    videos, (problem,) = read("x" * (3 * LONGEST_LINE) + f"\n{A}\n")
    assert videos == [(A, 2)]
    assert problem.line == 1
    assert "longer" in problem.message
    assert len(problem.text) <= 200


def test_a_line_of_exactly_the_longest_length_is_whole() -> None:
    line = f"https://youtu.be/{A}".ljust(LONGEST_LINE)
    assert read(f"{line}\r\n{B}") == ([(A, 1), (B, 2)], [])


@given(st.text())
def test_any_text_gives_entries(text: str) -> None:
    videos, problems = read(text)
    assert len(videos) + len(problems) <= len(text) + 1


@given(st.lists(st.from_regex(r"[0-9A-Za-z_-]{11}", fullmatch=True), max_size=5))
def test_links_of_a_line_come_out_in_order(ids: list[str]) -> None:
    line = " and ".join(f"https://youtu.be/{video_id}" for video_id in ids)
    assert read(line) == ([(video_id, 1) for video_id in ids], [])
