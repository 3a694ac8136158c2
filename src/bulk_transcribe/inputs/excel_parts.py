"""Looks into an Excel file before the library that reads it: is it safe, what is behind cells.

An .xlsx is a zip of XML files. A small one can unpack to gigabytes, and one with two cells, the
first and the last, makes a reader lay out 17 thousand million cells between them. Both end the
process in the reader's own code, where no exception reaches us, so they are found here, by
unpacking every part once to its true end and by parsing the sheets piece by piece.
"""

import copy
import posixpath
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from xml.parsers import expat

from bulk_transcribe.clients.safe_text import short
from bulk_transcribe.errors import InputError
from bulk_transcribe.inputs.sheet import column_of

#: 50,000 rows of twenty columns unpack to some 60 million bytes.
MOST_UNPACKED_BYTES: Final = 300_000_000
#: Text of all cells together, bytes. A text that many cells share is stored once in the file, and
#: laid out for each of them by the reader: 12,000 bytes on the disk became gigabytes.
MOST_SHARED_BYTES: Final = 100_000_000
#: Cells from the first used one to the last: 50,000 rows of a hundred columns.
MOST_CELLS: Final = 5_000_000
_MOST_PARTS: Final = 5_000
_CHUNK_BYTES: Final = 1 << 18
#: A hyperlink over a range counts for this many cells.
_MOST_LINKED: Final = 1_000
_LONGEST_FORMULA: Final = 8_192  # Excel's own limit
_LONGEST_NUMBER: Final = 20  # pieces of a shared text's number

_CELL: Final = re.compile(r"([A-Za-z]{1,3})(\d{1,7})")
_HYPERLINK: Final = re.compile(
    r"\s{0,9}(?:_xlfn\.)?HYPERLINK\s{0,9}\(\s{0,9}\"([^\"]+)\"", re.IGNORECASE
)
_CONTENT: Final = frozenset({"v", "is", "f", "t"})

#: Row (from 1) -> column (from 0) -> address.
Addresses = dict[int, dict[int, str]]


@dataclass(frozen=True)
class SheetFacts:
    """The addresses behind a sheet's cells: hyperlinks, and formulas that make one."""

    addresses: Mapping[int, Mapping[int, str]] = field(default_factory=dict)


def check_workbook(path: Path) -> dict[str, SheetFacts]:
    """Facts of each sheet by name, if the workbook is safe to read.

    Raises:
        InputError: it is no workbook, damaged, or larger inside than we hold.
        OSError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return _Workbook(archive, path.name).facts()
    except (zipfile.BadZipFile, zlib.error, expat.ExpatError, EOFError, ValueError) as error:
        raise _damaged(path.name) from error
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or packed in a rare way
        raise _damaged(path.name) from error


class _Workbook:
    """An opened workbook; its parts are read with one budget of unpacked bytes."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        self._archive = archive
        self._name = name
        self._budget_bytes = MOST_UNPACKED_BYTES
        self._shared_budget_bytes = MOST_SHARED_BYTES
        self._parts = {
            info.filename.lstrip("/").lower(): info for info in archive.infolist()[:_MOST_PARTS]
        }

    def facts(self) -> dict[str, SheetFacts]:
        infos = self._archive.infolist()
        if len(infos) > _MOST_PARTS or len(self._parts) != len(infos):
            raise _damaged(self._name)
        if sum(info.file_size for info in infos) > MOST_UNPACKED_BYTES:
            raise _too_big(self._name)
        sheets = self._sheets()
        shared = self._shared_texts()
        found = {}
        for part in self._parts:
            if part in shared:
                continue
            scan = _SheetScan(self._name, self._share(shared))
            is_sheet = part.startswith("xl/worksheets/") and part.endswith(".xml")
            if is_sheet:
                self._parse(part, scan.start, scan.end, scan.text)
                names = [name for name, path in sheets.items() if path == part]
                targets = self._relations(part) if scan.linked else {}
                found.update(dict.fromkeys(names, SheetFacts(scan.addresses(targets))))
            else:
                for _ in self._unpack(part):
                    pass
        return found

    def _sheets(self) -> dict[str, str]:
        """Sheet name -> part."""
        if "xl/workbook.xml" not in self._parts:
            raise _damaged(self._name)
        relations = self._relations("xl/workbook.xml")
        found: dict[str, str] = {}

        def start(tag: str, attributes: dict[str, str]) -> None:
            if _bare(tag) == "sheet":
                relation = next((v for k, v in attributes.items() if _bare(k) == "id"), "")
                target = relations.get(relation, "")
                path = posixpath.normpath(posixpath.join("/xl", target)).lstrip("/").lower()
                found[attributes.get("name", "")] = path

        self._parse("xl/workbook.xml", start)
        return found

    def _shared_texts(self) -> dict[str, list[int]]:
        """Part of shared texts -> length of each, bytes."""
        return {
            part: self._lengths(part) for part in self._parts if part.endswith("sharedstrings.xml")
        }

    def _lengths(self, part: str) -> list[int]:
        lengths: list[int] = []

        def start(tag: str, _attributes: dict[str, str]) -> None:
            if _bare(tag) == "si":
                lengths.append(0)

        def text(text: str) -> None:
            if lengths:
                lengths[-1] += len(text.encode("utf-8", "replace"))

        self._parse(part, start, text=text)
        return lengths

    def _share(self, shared: Mapping[str, list[int]]) -> Callable[[str], None]:
        """Counts what a cell with a shared text takes, told by the text's number.

        A workbook has one part of shared texts; of several the longest text counts.
        """

        def take(number: str) -> None:
            index = int(number) if number.strip().isdecimal() else -1
            sizes = [many[index] for many in shared.values() if 0 <= index < len(many)]
            self._shared_budget_bytes -= max(sizes, default=0)
            if self._shared_budget_bytes < 0:
                raise _too_big(self._name)

        return take

    def _relations(self, part: str) -> dict[str, str]:
        """Id -> target of what a part points to; {} where it points to nothing."""
        folder, _, name = part.rpartition("/")
        path = f"{folder}/_rels/{name}.rels"
        found: dict[str, str] = {}

        def start(tag: str, attributes: dict[str, str]) -> None:
            if _bare(tag) == "Relationship":
                found[attributes.get("Id", "")] = attributes.get("Target", "")

        if path in self._parts:
            self._parse(path, start)
        return found

    def _parse(
        self,
        part: str,
        start: Callable[[str, dict[str, str]], None],
        end: Callable[[str], None] | None = None,
        text: Callable[[str], None] | None = None,
    ) -> None:
        parser = expat.ParserCreate()
        parser.StartElementHandler = start
        parser.EndElementHandler = end
        parser.CharacterDataHandler = text
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        for chunk in self._unpack(part):
            parser.Parse(chunk, False)  # noqa: FBT003 -- the library's signature
        parser.Parse(b"", True)  # noqa: FBT003

    def _refuse_doctype(self, *_: object) -> None:
        """No program that writes workbooks declares entities; bombs do."""
        raise _damaged(self._name)

    def _unpack(self, part: str) -> Iterator[bytes]:
        """A part's bytes to their true end, whatever size the archive claims."""
        info = copy.copy(self._parts[part])
        claimed = info.file_size
        info.file_size = MOST_UNPACKED_BYTES + 1  # the library stops at the size that is claimed
        size = 0
        with self._archive.open(info) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                size += len(chunk)
                self._budget_bytes -= len(chunk)
                if self._budget_bytes < 0:
                    raise _too_big(self._name)
                if size > claimed:
                    raise _damaged(self._name)
                yield chunk


class _SheetScan:
    """Follows a sheet's XML: how far its cells reach, and what addresses stand behind them."""

    def __init__(self, name: str, take_shared: Callable[[str], None]) -> None:
        self._name = name
        self._take_shared = take_shared
        self._is_shared = False
        self._value: list[str] | None = None
        self._row = self._column = 0  # of the cell at hand: row from 1, column from 0
        self._corners: tuple[int, int, int, int] | None = None  # first and last row and column
        self._formula: list[str] | None = None
        self._formulas: Addresses = {}
        self.linked: list[tuple[str, str]] = []  # cells, id of the relation

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = _bare(tag)
        if tag == "c":
            self._is_shared = attributes.get("t") == "s"
            self._begin_cell(attributes.get("r"))
        elif tag in _CONTENT:
            self._use_cell()
            self._formula = [] if tag == "f" else None
            self._value = [] if tag == "v" and self._is_shared else None
        elif tag == "row":
            self._row = int(attributes.get("r") or self._row + 1)
            self._column = -1
        elif tag == "hyperlink":
            relation = next((v for k, v in attributes.items() if k.endswith(":id")), None)
            if relation:
                self.linked.append((attributes.get("ref", ""), relation))

    def end(self, tag: str) -> None:
        if self._value is not None and _bare(tag) == "v":
            self._take_shared("".join(self._value))
            self._value = None
        if self._formula is None or _bare(tag) != "f":
            return
        if match := _HYPERLINK.match("".join(self._formula)):
            self._formulas.setdefault(self._row, {})[self._column] = match.group(1)
        self._formula = None

    def text(self, text: str) -> None:
        if self._formula is not None and len(self._formula) < _LONGEST_FORMULA:
            self._formula.append(text)
        if self._value is not None and len(self._value) < _LONGEST_NUMBER:
            self._value.append(text)

    def addresses(self, targets: Mapping[str, str]) -> Addresses:
        """Addresses by row and column; `targets` are those of the hyperlinks by relation."""
        found = self._formulas
        for cells, relation in self.linked:
            if target := targets.get(relation):
                for row, column in _cells(cells):
                    found.setdefault(row, {})[column] = target
        return found

    def _begin_cell(self, reference: str | None) -> None:
        match = _CELL.fullmatch(reference) if reference else None
        if match:
            self._column, self._row = column_of(match.group(1)), int(match.group(2))
        elif reference:
            raise _damaged(self._name)
        else:
            self._column += 1

    def _use_cell(self) -> None:
        row, column = self._row, self._column
        top, bottom, left, right = self._corners or (row, row, column, column)
        self._corners = (min(top, row), max(bottom, row), min(left, column), max(right, column))
        top, bottom, left, right = self._corners
        if (bottom - top + 1) * (right - left + 1) > MOST_CELLS:
            raise _too_big(self._name)


def _cells(reference: str) -> Iterator[tuple[int, int]]:
    """The cells of "B2" or "B2:C9", row by row, a thousand at most."""
    corners = [_CELL.fullmatch(corner) for corner in reference.split(":", 1)]
    if not all(corners):
        return
    columns = [column_of(corner.group(1)) for corner in corners if corner]
    rows = [int(corner.group(2)) for corner in corners if corner]
    left = _MOST_LINKED
    for row in range(min(rows), max(rows) + 1):
        for column in range(min(columns), max(columns) + 1):
            left -= 1
            if left < 0:
                return
            yield row, column


def _bare(tag: str) -> str:
    return tag.rpartition(":")[2]


def _damaged(name: str) -> InputError:
    return InputError(
        f"{short(name)} is not an Excel file that can be read.",
        next_step="Open it in a spreadsheet program and save it again as .xlsx without a password, "
        "or as .csv.",
        code="bad_workbook",
    )


def _too_big(name: str) -> InputError:
    return InputError(
        f"{short(name)} is too big inside: at most {MOST_CELLS:,} cells are read, "
        f"{MOST_UNPACKED_BYTES // 1_000_000} million bytes unpacked.",
        next_step="Save the column of links as .csv or .txt.",
        code="too_big",
    )
