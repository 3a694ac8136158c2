"""Rows of an Excel file: every visible sheet, with the addresses behind its cells."""

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, SheetTypeEnum
from python_calamine import SheetVisibleEnum as Visible

from bulk_transcribe.clients.safe_text import safe_text, short
from bulk_transcribe.errors import InputError
from bulk_transcribe.inputs.excel_parts import SheetFacts, check_workbook
from bulk_transcribe.inputs.free_text import link_or_none, pieces
from bulk_transcribe.inputs.lines import LONGEST_LINE
from bulk_transcribe.inputs.sheet import Row

#: Bytes of the file as it lies on disk.
_MOST_BYTES: Final = 50_000_000

Cell = str | float | bool | dt.date | dt.time | dt.timedelta


@contextmanager
def excel_sheets(path: Path) -> Iterator[Iterator[tuple[str, Iterator[Row]]]]:
    """The visible sheets of a workbook: name ("" for an only one) and rows, read as they are taken.

    Raises:
        InputError: it is not a workbook, is locked, or would unpack to more than we hold.
        OSError: it cannot be read.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise InputError(
            f"{short(path.name)} has more than {_MOST_BYTES // 1_000_000} million bytes.",
            next_step="Save the column of links as .csv or .txt.",
            code="too_big",
        )
    facts = check_workbook(path)  # before the library sees it
    try:
        with CalamineWorkbook.from_path(path) as workbook:
            yield _sheets(workbook, facts)
    except CalamineError as error:
        raise InputError(
            f"{short(path.name)} cannot be read as an Excel file.",
            next_step="Open it in a spreadsheet program, save it again as .xlsx without a "
            "password, or as .csv.",
            code="bad_workbook",
        ) from error


def _sheets(
    workbook: CalamineWorkbook, facts: Mapping[str, SheetFacts]
) -> Iterator[tuple[str, Iterator[Row]]]:
    names = [
        sheet.name
        for sheet in workbook.sheets_metadata
        if sheet.visible is Visible.Visible and sheet.typ is SheetTypeEnum.WorkSheet
    ]
    for name in names:
        rows = _rows(workbook.get_sheet_by_name(name), facts.get(name, SheetFacts()))
        yield (name if len(names) > 1 else ""), rows


def _rows(sheet: CalamineSheet, facts: SheetFacts) -> Iterator[Row]:
    number = 0
    if sheet.start is not None:
        # rows come from the top of the sheet on, columns only from the first that is used
        before = [""] * sheet.start[1]
        for number, cells in enumerate(sheet.iter_rows(), start=1):
            texts = before + [text_of_cell(cell) for cell in cells]
            yield _row(number, texts, facts)
    for below in sorted(row for row in facts.addresses if row > number):
        yield _row(below, [], facts)  # an address behind a cell without any text


def _row(number: int, texts: list[str], facts: SheetFacts) -> Row:
    for column, address in facts.addresses.get(number, {}).items():
        _put_address(texts, column, address)
    return Row(number, texts)


def _put_address(texts: list[str], column: int, address: str) -> None:
    """Put the address behind a cell in the place of its text, unless the text is a link itself."""
    texts.extend([""] * (column + 1 - len(texts)))
    if not any(link_or_none(piece) for piece in pieces(texts[column])):
        texts[column] = address


def text_of_cell(cell: Cell) -> str:
    """A cell as text: 3.0 is "3", a day is "2026-01-31", a length of time "1:02:03".

    What goes on beyond any line that is read elsewhere is cut (Excel holds half of that).
    """
    match cell:
        case bool():
            return "yes" if cell else "no"
        case float() if cell.is_integer():
            return str(int(cell))
        case dt.datetime() if cell.time() == dt.time():
            return cell.date().isoformat()
        case dt.datetime():
            return cell.isoformat(sep=" ", timespec="seconds")
        case _:
            return safe_text(str(cell)[:LONGEST_LINE])
