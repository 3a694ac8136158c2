import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.errors import InputError
from bulk_transcribe.inputs.entry import Wanted
from bulk_transcribe.inputs.links import VideoLink
from bulk_transcribe.inputs.problem import Problem
from bulk_transcribe.inputs.sheet import Row, column_of, find_layout, letters_of, read_rows

LINKS = [f"https://youtu.be/vid0000000{number}" for number in range(9)]
Found = tuple[list[tuple[str, int | None, dict[str, str]]], list[Problem]]


def read(table: list[list[str]], url_column: str | None = None) -> Found:
    """Video ids with row and other columns, and problems."""
    rows = (Row(number, cells) for number, cells in enumerate(table, start=1))
    found = list(read_rows(rows, "sheet", url_column=url_column, prefer="video"))
    videos = [
        (entry.link.video_id, entry.line, dict(entry.extra))
        for entry in found
        if isinstance(entry, Wanted) and isinstance(entry.link, VideoLink)
    ]
    return videos, [entry for entry in found if isinstance(entry, Problem)]


def test_the_column_is_found_and_the_others_travel_along() -> None:
    videos, problems = read(
        [["Course", "Address", "Week", ""], ["Physics", LINKS[0], "3", "note"], ["", LINKS[1], ""]]
    )
    assert videos == [
        ("vid00000000", 2, {"Course": "Physics", "Week": "3", "column D": "note"}),
        ("vid00000001", 3, {}),
    ]
    assert problems == []


def test_without_headers_columns_are_called_by_their_letters() -> None:
    videos, _ = read([["Physics", LINKS[0]], ["Chemistry", LINKS[1]]])
    assert videos[0] == ("vid00000000", 1, {"column A": "Physics"})
    assert len(videos) == 2


@pytest.mark.parametrize(
    "header",
    [
        ["ID", "Title", "URL"],
        ["Channel URL", "Thumbnail", "Video URL"],
        ["Related link", "", "Video_URL_1"],
        ["x", "y", "z"],
    ],
)
def test_the_column_with_the_videos_wins(header: list[str]) -> None:
    table = [
        header,
        ["https://www.youtube.com/@jawed", "1", LINKS[0]],
        ["https://www.youtube.com/@jawed", "2", LINKS[1]],
    ]
    videos, problems = read(table)
    assert [video_id for video_id, _, _ in videos] == ["vid00000000", "vid00000001"]
    assert problems == []


def test_headers_decide_between_columns_that_are_alike() -> None:
    table = [["Notes", "Video link"], [LINKS[0], LINKS[1]], [LINKS[2], LINKS[3]]]
    assert [video_id for video_id, _, _ in read(table)[0]] == ["vid00000001", "vid00000003"]


def test_a_title_above_the_headers_is_passed_over() -> None:
    table = [["My videos"], ["", ""], ["Course", "Link"], ["Physics", LINKS[0]]]
    assert read(table) == ([("vid00000000", 4, {"Course": "Physics"})], [])


def test_a_bad_first_row_below_the_headers_is_a_problem_not_a_header() -> None:
    videos, problems = read([["Course", "Link"], ["Physics", "htp://bad"], ["Maths", LINKS[0]]])
    assert [row for _, row, _ in videos] == [3]
    assert [problem.line for problem in problems] == [2]


def test_a_row_without_a_link_is_a_problem_and_a_blank_one_is_not() -> None:
    table = [["Course", "Link"], ["Physics", ""], ["", " "], ["Maths", "-"], ["x", LINKS[0]]]
    videos, problems = read(table)
    assert len(videos) == 1
    assert [(problem.line, problem.text) for problem in problems] == [
        (2, "Physics"),
        (4, "Maths, -"),
    ]
    assert "'Link'" in problems[0].message


def test_a_cell_may_hold_several_links() -> None:
    videos, _ = read([["Link", "Note"], [f"{LINKS[0]}\n{LINKS[1]}", "n"]])
    assert videos == [("vid00000000", 2, {"Note": "n"}), ("vid00000001", 2, {"Note": "n"})]


def test_a_column_of_ids_may_hold_words() -> None:
    videos, problems = read([["video_id"], ["documentary"], ["'-abcdefghi1"]])
    assert [video_id for video_id, _, _ in videos] == ["documentary", "-abcdefghi1"]
    assert problems == []


@pytest.mark.parametrize("name", ["Second", " second ", "B", "b", "2"])
def test_a_column_can_be_named_by_header_letter_or_number(name: str) -> None:
    videos, _ = read([["First", "Second"], [LINKS[0], LINKS[1]]], name)
    assert videos == [("vid00000001", 2, {"First": LINKS[0]})]


@pytest.mark.parametrize("name", ["Third", "C", "3", "0", "", "²"])
def test_a_column_that_is_not_there_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(InputError, match="First, Second"):
        read([["First", "Second"], [LINKS[0], LINKS[1]]], name)


def test_a_sheet_without_links_is_refused_with_its_columns() -> None:
    with pytest.raises(InputError, match="Name, Age") as refusal:
        read([["Name", "Age"], ["Ann", "7"]])
    assert "--url-column" in refusal.value.next_step


def test_a_column_of_links_that_are_all_bad_is_still_the_column() -> None:
    videos, problems = read([["Name", "Link"], ["Ann", "htp://x"], ["Bob", "vimeo.com/1"]])
    assert videos == []
    assert [problem.line for problem in problems] == [2, 3]


def test_no_rows_and_headers_alone_ask_for_nothing() -> None:
    assert read([]) == ([], [])
    assert read([["", ""]]) == ([], [])
    assert read([["Course", "Link"]]) == ([], [])


def test_headers_that_are_alike_are_told_apart() -> None:
    videos, _ = read([["Note", "Link", "Note", "Note"], ["a", LINKS[0], "b", "c"]])
    assert videos[0][2] == {"Note": "a", "Note (2)": "b", "Note (3)": "c"}


def test_problems_of_the_file_pass_through_in_their_place() -> None:
    problem = Problem(origin="sheet", line=2, text="x", message="too long")
    rows: list[Row | Problem] = [Row(1, ["Link"]), problem, Row(3, [LINKS[0]])]
    found = list(read_rows(rows, "sheet", url_column=None, prefer="video"))
    assert found[0] is problem
    assert isinstance(found[1], Wanted)


@given(st.integers(min_value=0, max_value=20_000))
def test_letters_and_numbers_of_columns_agree(column: int) -> None:
    assert column_of(letters_of(column)) == column


@given(st.lists(st.lists(st.text(max_size=12), max_size=4), min_size=1, max_size=6))
def test_any_table_gives_a_layout_or_an_input_error(table: list[list[str]]) -> None:
    rows = [Row(number, cells) for number, cells in enumerate(table, start=1)]
    try:
        layout = find_layout(rows, "sheet", None)
    except InputError:
        return
    assert layout.link_column < max(map(len, table))
