"""Small files that unpack to more than a machine holds, read by a process that may not have it."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.fuzz.mischief import _PACKAGE, _RELATION, _SHEET, _XLSX

#: The process itself, with all it imports, has some 600 MB of addresses.
MOST_BYTES = 1_500_000_000
READ = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[2]),) * 2)
from bulk_transcribe.inputs.collect import collect
found = collect([sys.argv[1]])
print(json.dumps([len(found.items), [each.message for each in found.problems]]))
"""


def read(path: Path) -> tuple[int, list[str]]:
    """Videos and problems of a file, by a process that is short of memory."""
    ended = subprocess.run(  # noqa: S603 -- our own program
        [sys.executable, "-c", READ, str(path), str(MOST_BYTES)],
        capture_output=True,
        text=True,
        timeout=40,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    videos, problems = json.loads(ended.stdout)
    return videos, problems


def workbook(path: Path, rows: str, *, shared: str = "", more: str = "") -> Path:
    """A workbook of these rows, with shared texts and another part."""
    parts = dict(_XLSX) | {
        "xl/worksheets/sheet1.xml": f"{_SHEET}<sheetData>{rows}</sheetData></worksheet>",
        "xl/sharedStrings.xml": f"<sst>{shared}</sst>",
        "xl/theme/more.xml": more,
    }
    relations = "xl/_rels/workbook.xml.rels"
    parts[relations] = parts[relations].replace(
        "</Relationships>",
        f'<Relationship Id="rId2" Type="{_RELATION}/sharedStrings" Target="sharedStrings.xml"/>'
        "</Relationships>",
    )
    assert _PACKAGE in parts[relations]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    assert path.stat().st_size < 2_000_000
    return path


def cells(number: int, value: str) -> str:
    return "".join(f'<row r="{n}"><c r="A{n}" t="s">{value}</c></row>' for n in range(1, number))


def test_a_text_that_many_cells_share_is_counted_for_each_of_them(tmp_path: Path) -> None:
    """12,000 bytes ended the process: the reader laid the text out for every cell."""
    rows = cells(400, "<v>0</v>")
    shared = f"<si><t>{'A' * 10_000_000}</t></si>"
    videos, problems = read(workbook(tmp_path / "bomb.xlsx", rows, shared=shared))
    assert videos == 0
    assert "too big inside" in problems[0]


def test_a_text_in_many_pieces_is_counted_whole(tmp_path: Path) -> None:
    runs = f"<r><t>{'A' * 30_000}</t></r>" * 300
    rows = cells(400, "<v> 0 </v>")
    _, problems = read(workbook(tmp_path / "bomb.xlsx", rows, shared=f"<si>{runs}</si>"))
    assert "too big inside" in problems[0]


def test_a_link_that_many_cells_share_is_read(tmp_path: Path) -> None:
    rows = cells(20_000, "<v>1</v>")
    shared = "<si><t>other</t></si><si><t>https://youtu.be/jNQXAC9IVRw</t></si>"
    videos, problems = read(workbook(tmp_path / "list.xlsx", rows, shared=shared))
    assert (videos, problems) == (1, [])


def test_one_endless_cell_does_not_keep_the_reader_busy(tmp_path: Path) -> None:
    """A text of ten million characters took eight seconds for each look at it."""
    rows = cells(3, "<v>0</v>") + cells(10, "<v>1</v>")
    shared = f"<si><t>{'youtu.be/' * 1_000_000}</t></si><si><t>x</t></si>"
    videos, _ = read(workbook(tmp_path / "long.xlsx", rows, shared=shared))
    assert videos == 0


@pytest.mark.parametrize(
    "name", ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/workbook.xml"]
)
def test_entities_that_multiply_are_refused(name: str, tmp_path: Path) -> None:
    lol = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "lol" * 10}">' for n in range(12))
    parts = dict(_XLSX) | {
        "xl/worksheets/sheet1.xml": (
            f"{_SHEET}<sheetData>{cells(3, '<v>0</v>')}</sheetData></worksheet>"
        ),
        "xl/sharedStrings.xml": "<sst><si><t>x</t></si></sst>",
    }
    parts[name] = f"<!DOCTYPE x [{lol}]>" + parts[name].replace("<v>0", "<v>&l11;")
    path = tmp_path / "lol.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    _, problems = read(path)
    assert "not an Excel file that can be read" in problems[0]


def test_a_part_that_unpacks_to_gigabytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zip.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, content in _XLSX.items():
            archive.writestr(part, content)
        with archive.open("xl/worksheets/sheet1.xml", "w", force_zip64=True) as stream:
            for _ in range(400):
                stream.write(b"<" + b"a" * 1_000_000)
    _, problems = read(path)
    assert "too big inside" in problems[0] or "not an Excel file" in problems[0]


def test_a_json_text_of_millions_of_characters_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(json.dumps(["youtu.be/" * 2_000_000, "https://youtu.be/jNQXAC9IVRw"]))
    videos, problems = read(path)
    assert videos == 1
    assert "longer than" in problems[0]


@pytest.mark.parametrize("bomb", ["[" * 5_000_000, '{"a":' * 2_000_000, "9" * 5_000_000])
def test_json_that_is_all_depth_is_refused(bomb: str, tmp_path: Path) -> None:
    path = tmp_path / "list.json"
    path.write_text(bomb)
    _, problems = read(path)
    assert problems
