import datetime as dt
import io
import struct
import zipfile
from pathlib import Path

import openpyxl
import pytest
from openpyxl.worksheet.worksheet import Worksheet

from bulk_transcribe.errors import InputError
from bulk_transcribe.inputs import excel_parts
from bulk_transcribe.inputs.entry import Wanted
from bulk_transcribe.inputs.excel import excel_sheets, text_of_cell
from bulk_transcribe.inputs.links import VideoLink
from bulk_transcribe.inputs.problem import Problem
from bulk_transcribe.inputs.readers import read_file

LINKS = [f"https://youtu.be/vid0000000{number}" for number in range(9)]


def workbook() -> tuple[openpyxl.Workbook, Worksheet]:
    """A new workbook and its only sheet."""
    made = openpyxl.Workbook()
    sheet = made.active
    assert isinstance(sheet, Worksheet)
    return made, sheet


def read(path: Path) -> tuple[list[tuple[str, str, dict[str, str]]], list[Problem]]:
    """Video ids with place and other columns, and problems."""
    found = list(read_file(path))
    videos = [
        (entry.link.video_id, entry.place, dict(entry.extra))
        for entry in found
        if isinstance(entry, Wanted) and isinstance(entry.link, VideoLink)
    ]
    return videos, [entry for entry in found if isinstance(entry, Problem)]


def rewritten(path: Path, part: str, content: bytes) -> None:
    """Replace a part of a workbook."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, old in (parts | {part: content}).items():
            archive.writestr(name, content if name == part else old)


def test_rows_keep_their_numbers_and_cells_become_text(tmp_path: Path) -> None:
    made, sheet = workbook()
    for column, header in enumerate(["Link", "Week", "Day", "Done"], start=2):
        sheet.cell(3, column, header)
    sheet.cell(5, 2, LINKS[0])
    sheet.cell(5, 3, 3)
    sheet.cell(5, 4, dt.date(2026, 1, 31))
    sheet.cell(5, 5, value=True)
    made.save(tmp_path / "list.xlsx")
    assert read(tmp_path / "list.xlsx") == (
        [("vid00000000", "list.xlsx:5", {"Week": "3", "Day": "2026-01-31", "Done": "yes"})],
        [],
    )


def test_addresses_behind_cells_count(tmp_path: Path) -> None:
    made, sheet = workbook()
    sheet.append(["Video", "Note"])
    sheet.append(["Watch this", "a"])
    sheet.cell(2, 1).hyperlink = LINKS[0]
    sheet.append([f'=HYPERLINK("{LINKS[1]}","a talk")', "b"])
    sheet.append([LINKS[2], "the text counts if it is a link"])
    sheet.cell(4, 1).hyperlink = LINKS[3]
    sheet.append([f'=_xlfn.HYPERLINK("{LINKS[4]}")'])
    made.save(tmp_path / "list.xlsx")
    videos, problems = read(tmp_path / "list.xlsx")
    assert [video_id for video_id, _, _ in videos] == [
        "vid00000000",
        "vid00000001",
        "vid00000002",
        "vid00000004",
    ]
    assert problems == []


def test_a_hyperlink_over_several_cells_belongs_to_each(tmp_path: Path) -> None:
    made, sheet = workbook()
    for text in ("Video", "one", "two"):
        sheet.append([text])
    sheet.cell(2, 1).hyperlink = LINKS[0]
    made.save(tmp_path / "list.xlsx")
    with zipfile.ZipFile(tmp_path / "list.xlsx") as archive:
        xml = archive.read("xl/worksheets/sheet1.xml").replace(b'ref="A2"', b'ref="A2:A3"')
    rewritten(tmp_path / "list.xlsx", "xl/worksheets/sheet1.xml", xml)
    assert [place for _, place, _ in read(tmp_path / "list.xlsx")[0]] == [
        "list.xlsx:2",
        "list.xlsx:3",
    ]


def test_all_visible_sheets_are_read_and_one_without_links_is_passed_over(tmp_path: Path) -> None:
    made, sheet = workbook()
    sheet.title = "First"
    sheet.append(["Link"])
    sheet.append([LINKS[0]])
    made.create_sheet("Notes").append(["nothing", "here"])
    second = made.create_sheet("Second & last")
    second.append([LINKS[1]])
    hidden = made.create_sheet("Hidden")
    hidden.append([LINKS[2]])
    hidden.sheet_state = "hidden"
    made.save(tmp_path / "list.xlsx")
    videos, problems = read(tmp_path / "list.xlsx")
    assert [place for _, place, _ in videos] == [
        "list.xlsx (First):2",
        "list.xlsx (Second & last):1",
    ]
    assert problems == []


def test_a_workbook_without_any_link_is_refused_and_an_empty_one_is_not(tmp_path: Path) -> None:
    made, sheet = workbook()
    made.save(tmp_path / "empty.xlsx")
    assert read(tmp_path / "empty.xlsx") == ([], [])
    sheet.append(["nothing", "here"])
    made.save(tmp_path / "list.xlsx")
    with pytest.raises(InputError, match="nothing, here"):
        read(tmp_path / "list.xlsx")


def test_two_cells_in_far_corners_do_not_take_the_memory_of_all_between(tmp_path: Path) -> None:
    """The library would lay out 17 thousand million cells and end the process."""
    made, sheet = workbook()
    sheet["A1"] = LINKS[0]
    sheet["XFD1048576"] = "x"
    made.save(tmp_path / "list.xlsx")
    with pytest.raises(InputError, match="too big inside"):
        read(tmp_path / "list.xlsx")


def test_formats_down_to_the_last_row_are_no_cells(tmp_path: Path) -> None:
    made, sheet = workbook()
    sheet["A1"] = LINKS[0]
    sheet["XFD1048576"].number_format = "0.00"
    made.save(tmp_path / "list.xlsx")
    assert len(read(tmp_path / "list.xlsx")[0]) == 1


def test_a_workbook_that_unpacks_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, sheet = workbook()
    sheet.append([LINKS[0]])
    made.save(tmp_path / "list.xlsx")
    rewritten(tmp_path / "list.xlsx", "xl/media/image1.png", b"\0" * 3_000_000)
    assert (tmp_path / "list.xlsx").stat().st_size < 20_000
    assert len(read(tmp_path / "list.xlsx")[0]) == 1
    monkeypatch.setattr(excel_parts, "MOST_UNPACKED_BYTES", 2_000_000)
    with pytest.raises(InputError, match="too big inside"):
        read(tmp_path / "list.xlsx")


def test_a_part_that_is_larger_than_it_claims_is_refused(tmp_path: Path) -> None:
    made, sheet = workbook()
    sheet.append([LINKS[0]])
    made.save(tmp_path / "list.xlsx")
    rewritten(tmp_path / "list.xlsx", "xl/media/image1.png", b"\0" * 3_000_000)
    content = (tmp_path / "list.xlsx").read_bytes()
    assert content.count(struct.pack("<I", 3_000_000)) == 2  # before the part, and in the index
    smaller = content.replace(struct.pack("<I", 3_000_000), struct.pack("<I", 1_000))
    (tmp_path / "list.xlsx").write_bytes(smaller)
    with pytest.raises(InputError, match="not an Excel file"):
        read(tmp_path / "list.xlsx")


def test_entities_are_refused_before_they_grow(tmp_path: Path) -> None:
    made, sheet = workbook()
    sheet.append([LINKS[0]])
    made.save(tmp_path / "list.xlsx")
    bomb = (
        b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><worksheet>&b;</worksheet>'
    )
    rewritten(tmp_path / "list.xlsx", "xl/worksheets/sheet1.xml", bomb)
    with pytest.raises(InputError, match="not an Excel file that can be read"):
        read(tmp_path / "list.xlsx")


def not_workbooks() -> dict[str, bytes]:
    """Contents that are not workbooks, by what they are."""
    other_zip = io.BytesIO()
    with zipfile.ZipFile(other_zip, "w") as archive:
        archive.writestr("a.txt", "text")
    made, sheet = workbook()
    sheet.append([LINKS[0]])
    whole = io.BytesIO()
    made.save(whole)
    return {
        "nothing": b"",
        "text": b"https://youtu.be/dQw4w9WgXcQ",
        "another zip": other_zip.getvalue(),
        "half a workbook": whole.getvalue()[:3000],
        "a locked one": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600,
    }


@pytest.mark.parametrize("kind", list(not_workbooks()))
def test_what_is_no_workbook_is_refused(kind: str, tmp_path: Path) -> None:
    (tmp_path / "list.xlsx").write_bytes(not_workbooks()[kind])
    with pytest.raises(InputError, match=r"list\.xlsx is not an Excel file") as refusal:
        read(tmp_path / "list.xlsx")
    assert ".csv" in refusal.value.next_step


@pytest.mark.parametrize("flip", range(100, 4000, 150))
def test_a_damaged_workbook_is_read_or_refused(flip: int, tmp_path: Path) -> None:
    made, sheet = workbook()
    sheet.append([LINKS[0]])
    made.save(tmp_path / "list.xlsx")
    content = bytearray((tmp_path / "list.xlsx").read_bytes())
    content[flip % len(content)] ^= 0xFF
    (tmp_path / "list.xlsx").write_bytes(content)
    try:
        read(tmp_path / "list.xlsx")
    except InputError:
        return


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (3.0, "3"),
        (3.5, "3.5"),
        (False, "no"),
        (dt.datetime(2026, 1, 31), "2026-01-31"),  # noqa: DTZ001 -- a cell has no zone
        (dt.datetime(2026, 1, 31, 9, 5), "2026-01-31 09:05:00"),  # noqa: DTZ001
        (dt.timedelta(hours=1, minutes=2), "1:02:00"),
        ("text", "text"),
        (1e300, str(int(1e300))),
        (float("inf"), "inf"),
    ],
)
def test_a_cell_as_text(cell: str | float | dt.date | dt.timedelta, text: str) -> None:
    assert text_of_cell(cell) == text


def test_sheets_are_read_as_they_are_taken(tmp_path: Path) -> None:
    made, sheet = workbook()
    sheet.append([LINKS[0]])
    made.save(tmp_path / "list.xlsx")
    with excel_sheets(tmp_path / "list.xlsx") as sheets:
        name, rows = next(sheets)
        assert name == ""
        assert next(rows).cells == [LINKS[0]]
