"""The first rows of a spreadsheet, so that a person can point at the column of links."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from bulk_transcribe.clients.safe_text import safe_text, short
from bulk_transcribe.errors import InputError
from bulk_transcribe.inputs.csv_file import csv_rows
from bulk_transcribe.inputs.encoding import open_text
from bulk_transcribe.inputs.excel import excel_sheets
from bulk_transcribe.inputs.lines import lines_of
from bulk_transcribe.inputs.problem import Problem
from bulk_transcribe.inputs.sheet import Layout, Row, find_layout, letters_of

#: Rows that are looked at to find the column of links, as in `read_rows`.
_SAMPLE_ROWS: Final = 200
_LONGEST_CELL: Final = 200
_TEXT_SHEETS: Final = (".csv", ".tsv")
_WORKBOOKS: Final = (".xlsx", ".xlsm")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column: `wanted` is what `url_column` takes for it, `name` what a person reads."""

    wanted: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The beginning of a spreadsheet.

    Args:
        columns: From left to right; none for an empty file.
        rows: The first rows below the header, a text for each column, cut after 200 characters.
        found: Index of the column that would be read for links, None where none holds any.
    """

    columns: tuple[Column, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    found: int | None = None


def is_spreadsheet(path: Path) -> bool:
    """Whether a file has columns to choose from."""
    return path.suffix.lower() in _TEXT_SHEETS + _WORKBOOKS


def preview(path: Path, *, rows: int = 5) -> Preview:
    """The beginning of a spreadsheet; of a workbook, that of its first sheet with rows.

    Args:
        path: A file of which `is_spreadsheet` is true.
        rows: How many rows to show.

    Raises:
        InputError: the file cannot be used as a whole.
    """
    try:
        with _sample_of(path) as sample:
            return _preview(sample, safe_text(path.name), rows)
    except OSError as error:
        raise InputError(
            f"{short(str(path.name))} cannot be read: {error.strerror or type(error).__name__}.",
            code="bad_file",
        ) from error


@contextmanager
def _sample_of(path: Path) -> Iterator[list[Row]]:
    if path.suffix.lower() in _TEXT_SHEETS:
        delimiter = "\t" if path.suffix.lower() == ".tsv" else None
        with open_text(path) as stream:
            yield _first_rows(csv_rows(lines_of(stream), path.name, delimiter=delimiter))
        return
    with excel_sheets(path) as sheets:
        samples = (_first_rows(found) for _, found in sheets)
        yield next((sample for sample in samples if sample), [])


def _first_rows(rows: Iterator[Row | Problem] | Iterator[Row]) -> list[Row]:
    filled = (row for row in rows if isinstance(row, Row) and not row.is_blank)
    return list(islice(filled, _SAMPLE_ROWS))


def _preview(sample: Sequence[Row], origin: str, rows: int) -> Preview:
    if not sample:
        return Preview()
    width = max(len(row.cells) for row in sample)
    try:
        layout = find_layout(sample, origin, None)
        found: int | None = layout.link_column
    except InputError:
        layout = find_layout(sample, origin, "1")  # any column tells the names
        found = None
    above = 0 if layout.header is None else layout.header.number
    below = [row for row in sample if row.number > above]
    return Preview(
        columns=tuple(_column(layout, number) for number in range(width)),
        rows=tuple(
            tuple(short(row.cell(number), _LONGEST_CELL) for number in range(width))
            for row in below[:rows]
        ),
        found=found,
    )


def _column(layout: Layout, number: int) -> Column:
    """A header that stands there once names its column, else the letters do."""
    name = layout.name(number)
    if layout.header is not None and (header := layout.header.cell(number)):
        texts = [cell.strip() for cell in layout.header.cells]
        if texts.count(header) == 1:
            return Column(wanted=header, name=name)
    return Column(wanted=letters_of(number), name=name)
