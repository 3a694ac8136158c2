import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.inputs.csv_file import csv_rows, guess_delimiter
from bulk_transcribe.inputs.lines import LONGEST_LINE, lines_of
from bulk_transcribe.inputs.problem import Problem
from bulk_transcribe.inputs.sheet import Row


def rows(text: str, delimiter: str | None = None) -> list[tuple[int, list[str]]]:
    """Row numbers and cells."""
    lines = lines_of(io.StringIO(text, newline=""))
    found = []
    for row in csv_rows(lines, "list.csv", delimiter=delimiter):
        assert isinstance(row, Row)
        found.append((row.number, list(row.cells)))
    return found


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_what_parts_the_columns_is_found(delimiter: str) -> None:
    lines = [delimiter.join(cells) for cells in (["a, b", "c", "d"], ["e", "f", "g"])]
    if delimiter == ",":
        lines = ["a,c,d", "e,f,g"]
    assert guess_delimiter(lines) == delimiter


def test_a_single_column_needs_no_delimiter() -> None:
    assert guess_delimiter(["https://youtu.be/x", "https://youtu.be/y"]) == ","
    assert guess_delimiter([]) == ","


def test_excel_may_tell_the_delimiter_in_the_first_line() -> None:
    assert rows("sep=;\r\na;b,c\r\n") == [(2, ["a", "b,c"])]


def test_quoted_cells_go_over_lines_and_rows_keep_the_number_of_their_first() -> None:
    text = 'a,"b\nb ""x"", y",c\r\nd,e,f\n'
    assert rows(text) == [(1, ["a", 'b\nb "x", y', "c"]), (3, ["d", "e", "f"])]


def test_a_stray_quote_costs_its_own_line_only() -> None:
    text = 'a,b\n"stray,c\n5" pipe,d\n' + "e,f\n" * 100
    found = rows(text)
    assert found[1:3] == [(2, ["stray", "c"]), (3, ['5" pipe', "d"])]
    assert len(found) == 103


def test_a_stray_quote_in_the_last_lines_loses_nothing() -> None:
    assert rows('a,b\n"c,d\ne,f') == [(1, ["a", "b"]), (2, ["c", "d"]), (3, ["e", "f"])]


def test_a_cut_line_is_a_problem_even_between_quotes() -> None:
    text = 'a,b\n"c,d\n' + "x" * (LONGEST_LINE + 1) + "\ne,f\n"
    found = list(csv_rows(lines_of(io.StringIO(text)), "list.csv"))
    assert [row.line for row in found if isinstance(row, Problem)] == [3]
    assert [row.number for row in found if isinstance(row, Row)] == [1, 2, 4]


cells = st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=8)


@given(st.lists(st.lists(cells, min_size=2, max_size=4), min_size=1, max_size=8))
def test_what_the_csv_module_writes_is_read_back(table: list[list[str]]) -> None:
    written = io.StringIO(newline="")
    csv.writer(written, quoting=csv.QUOTE_ALL).writerows(table)
    assert [row for _, row in rows(written.getvalue(), ",")] == table


@given(st.text(st.sampled_from('ab",;\n\r'), max_size=80))
def test_no_line_of_any_text_is_lost(text: str) -> None:
    found = rows(text, ",")
    numbers = [number for number, _ in found]
    assert numbers == sorted(set(numbers))
    letters = [letter for _, row in found for letter in "".join(row) if letter in "ab"]
    assert letters == [letter for letter in text if letter in "ab"]
