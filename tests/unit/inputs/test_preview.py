"""What a person sees of a spreadsheet before its column of links is chosen."""

from pathlib import Path

import openpyxl
import pytest

from bulk_transcribe.errors import InputError
from bulk_transcribe.inputs.collect import collect
from bulk_transcribe.inputs.preview import Column, Preview, is_spreadsheet, preview

A, B = "dQw4w9WgXcQ", "9bZkp7q19f0"


def sheet(folder: Path, text: str, name: str = "list.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def names(shown: Preview) -> list[str]:
    return [column.name for column in shown.columns]


def test_the_column_of_links_is_found_and_the_first_rows_are_shown(tmp_path: Path) -> None:
    path = sheet(tmp_path, f"Topic,Link\nRick,https://youtu.be/{A}\nGangnam,https://youtu.be/{B}\n")
    shown = preview(path, rows=1)
    assert names(shown) == ["Topic", "Link"]
    assert shown.found == 1
    assert shown.rows == (("Rick", f"https://youtu.be/{A}"),)


def test_an_empty_file_has_no_columns(tmp_path: Path) -> None:
    assert preview(sheet(tmp_path, "")) == Preview()


def test_without_links_no_column_is_found_but_all_can_be_chosen(tmp_path: Path) -> None:
    shown = preview(sheet(tmp_path, "Topic,Where\nRick,nowhere\n"))
    assert shown.found is None
    assert names(shown) == ["Topic", "Where"]


def test_columns_without_a_header_are_called_by_their_letters(tmp_path: Path) -> None:
    shown = preview(sheet(tmp_path, f"one,https://youtu.be/{A}\ntwo,https://youtu.be/{B}\n"))
    assert shown.columns == (
        Column(wanted="A", name="column A"),
        Column(wanted="B", name="column B"),
    )
    assert len(shown.rows) == 2


def test_each_of_two_columns_with_one_name_can_be_chosen(tmp_path: Path) -> None:
    path = sheet(tmp_path, f"Link,Link\nhttps://youtu.be/{A},https://youtu.be/{B}\n")
    shown = preview(path)
    assert [column.wanted for column in shown.columns] == ["A", "B"]
    for column, video_id in zip(shown.columns, (A, B), strict=True):
        found = collect([str(path)], columns={str(path): column.wanted})
        assert [item.video_id for item in found.items] == [video_id]


def test_a_workbook_shows_its_first_sheet_with_rows(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.create_sheet("second").append(["Video URL", "Note"])
    book["second"].append([f"https://youtu.be/{A}", "x" * 500])
    path = tmp_path / "list.xlsx"
    book.save(path)
    shown = preview(path)
    assert names(shown) == ["Video URL", "Note"]
    assert shown.found == 0
    assert len(shown.rows[0][1]) <= 200


def test_a_short_row_is_filled_up(tmp_path: Path) -> None:
    shown = preview(sheet(tmp_path, f"Link,Note\nhttps://youtu.be/{A}\n"))
    assert shown.rows == ((f"https://youtu.be/{A}", ""),)


def test_a_file_that_is_gone_is_an_error_for_people(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.csv cannot be read"):
        preview(tmp_path / "gone.csv")


def test_a_workbook_that_is_none_is_an_error_for_people(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        preview(sheet(tmp_path, "no workbook", "list.xlsx"))


def test_only_spreadsheets_have_columns() -> None:
    names = ("a.CSV", "a.tsv", "a.xlsx", "a.txt", "a.json")
    assert [is_spreadsheet(Path(name)) for name in names] == [True, True, True, False, False]
