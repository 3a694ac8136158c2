"""Links in the rows of a spreadsheet, whatever file it comes from: which column, which header."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bulk_transcribe.clients.safe_text import one_line, short
from bulk_transcribe.errors import InputError
from bulk_transcribe.inputs.entry import Entries, Entry
from bulk_transcribe.inputs.free_text import link_or_none, pieces, read_text
from bulk_transcribe.inputs.links import Prefer, VideoLink
from bulk_transcribe.inputs.problem import Problem

#: Rows that are looked at to find the column of links.
_SAMPLE_ROWS: Final = 200
#: A header stands in one of the first rows; above it may be a title.
_HEADER_WITHIN: Final = 10
_LONGEST_NAME: Final = 100
_LETTERS: Final = re.compile(r"[A-Za-z]{1,3}")
_WORDS: Final = re.compile(r"[^\W_]+")

_LINK_WORDS: Final = frozenset({"url", "urls", "link", "links", "href", "hyperlink"})
_VIDEO_WORDS: Final = frozenset({"video", "videos", "youtube", "yt", "watch", "webpage"})
_ID_WORDS: Final = frozenset({"id", "ids", "videoid", "ytid"})
_OTHER_WORDS: Final = frozenset(
    {"channel", "thumbnail", "image", "picture", "avatar", "playlist", "uploader", "title", "name"}
)


@dataclass(frozen=True)
class Row:
    """One row; `number` counts from 1 as the spreadsheet shows it."""

    number: int
    cells: Sequence[str]

    def cell(self, column: int) -> str:
        return self.cells[column].strip() if column < len(self.cells) else ""

    @property
    def is_blank(self) -> bool:
        return not any(cell.strip() for cell in self.cells)


@dataclass(frozen=True)
class Layout:
    """Where the links stand and what the other columns are called."""

    link_column: int
    names: tuple[str, ...]
    header: Row | None

    @property
    def holds_ids(self) -> bool:
        """Whether the header says that the column holds ids."""
        return self.header is not None and bool(_words(self.name(self.link_column)) & _ID_WORDS)

    def name(self, column: int) -> str:
        """The header of a column, or its letter."""
        return self.names[column] if column < len(self.names) else f"column {letters_of(column)}"


def read_rows(
    rows: Iterable[Row | Problem], origin: str, *, url_column: str | None, prefer: Prefer
) -> Entries:
    """What each row asks for, its other columns as `extra`. Problems pass through.

    Args:
        rows: Rows in order; blank ones are passed over.
        origin: The file.
        url_column: Header, letter or number (from 1) of the column of links; None finds it.
        prefer: What a watch link that also names a playlist stands for.

    Raises:
        InputError: there is no such column, or none that holds links. No rows at all are no error.
    """
    rows = iter(rows)
    start = list(itertools.islice(_without_blanks(rows), _SAMPLE_ROWS))
    sample = [row for row in start if isinstance(row, Row)]
    if not sample:
        yield from (row for row in start if isinstance(row, Problem))
        return
    layout = find_layout(sample, origin, url_column)
    above = 0 if layout.header is None else layout.header.number
    for row in itertools.chain(start, _without_blanks(rows)):
        if isinstance(row, Problem):
            yield row
        elif row.number > above:
            yield from _read_row(row, origin, layout, prefer)


def find_layout(sample: Sequence[Row], origin: str, url_column: str | None) -> Layout:
    """Where the links stand, judged by the first rows.

    Raises:
        InputError: there is no such column, or none that holds links.
    """
    if url_column is not None:
        return _named_layout(sample, origin, url_column)
    header = _find_header(sample)
    column = _find_column(sample, header)
    if column is None:
        cells = [short(cell, 40) for cell in (header or sample[0]).cells if cell.strip()]
        raise InputError(
            f"{origin}: no column holds YouTube links. Its first row: {', '.join(cells)}.",
            next_step="Name the column with --url-column.",
            code="no_link_column",
        )
    return Layout(column, _names(header), header)


def letters_of(column: int) -> str:
    """A column's letters: 0 is "A", 26 is "AA"."""
    text = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(ord("A") + rest) + text
    return text


def column_of(letters: str) -> int:
    """A column's number from 0: "A" is 0, "AA" is 26."""
    number = 0
    for letter in letters.upper():
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _without_blanks(rows: Iterator[Row | Problem]) -> Iterator[Row | Problem]:
    return (row for row in rows if isinstance(row, Problem) or not row.is_blank)


def _read_row(row: Row, origin: str, layout: Layout, prefer: Prefer) -> Iterator[Entry]:
    column = layout.link_column
    extra = {
        layout.name(number): cell.strip()
        for number, cell in enumerate(row.cells)
        if number != column and cell.strip()
    }
    found = read_text(
        row.cell(column), origin, row.number, prefer, extra=extra, is_id=layout.holds_ids
    )
    first = next(found, None)
    if first is None:
        yield Problem(
            origin=origin,
            line=row.number,
            text=short(", ".join(cell for cell in row.cells if cell.strip())),
            message=f"This row has no link in {layout.name(column)!r}.",
        )
        return
    yield first
    yield from found


def _named_layout(sample: Sequence[Row], origin: str, url_column: str) -> Layout:
    wanted = one_line(url_column).casefold()
    for row in sample[:_HEADER_WITHIN]:
        for number, cell in enumerate(row.cells):
            if one_line(cell).casefold() == wanted:
                return Layout(number, _names(row), row)
    header = _find_header(sample)
    if wanted.isdecimal() and wanted.isascii():
        number = int(wanted) - 1
    else:
        number = column_of(wanted) if _LETTERS.fullmatch(wanted) else -1
    if not 0 <= number < max(len(row.cells) for row in sample):
        names = [short(cell, 40) for cell in (header or sample[0]).cells if cell.strip()]
        raise InputError(
            f"{origin} has no column {short(url_column, 40)!r}. Its columns: {', '.join(names)}.",
            next_step="Give --url-column a header, a letter or a number.",
            code="no_such_column",
        )
    return Layout(number, _names(header), header)


def _find_header(sample: Sequence[Row]) -> Row | None:
    """The row of headers: one that names a column of links, else the first if it has no link."""
    for row in sample[:_HEADER_WITHIN]:
        if _has_link(row):
            break
        if any(_rank(cell) > 1 for cell in row.cells):
            return row
    return None if _has_link(sample[0]) else sample[0]


def _has_link(row: Row) -> bool:
    return any(map(_is_data, row.cells))


def _is_data(cell: str) -> bool:
    """Whether a cell has a link; "Video_URL_1" has the form of an id, yet it is a header."""
    is_address = "." in cell or "/" in cell
    return (is_address or not _rank(cell)) and any(link_or_none(piece) for piece in pieces(cell))


def _find_column(sample: Sequence[Row], header: Row | None) -> int | None:
    """The column with most videos, or with most lists if there are no videos; headers count.

    Of columns that hold at least half as many as the fullest, the one whose header says "link"
    wins, then the fuller, then the first.
    """
    below = [row for row in sample if header is None or row.number > header.number]
    width = max(len(row.cells) for row in sample)
    ranks = [_rank(header.cell(number)) if header else 0 for number in range(width)]
    hits = [_hits(below, number) for number in range(width)]
    has_videos = any(videos for videos, _ in hits)
    counts = [videos if has_videos else lists for videos, lists in hits]
    most = max(counts, default=0)
    if most:
        full = [number for number in range(width) if counts[number] * 2 >= most]
        return max(full, key=lambda number: (ranks[number], counts[number], -number))
    best = max(range(width), key=lambda number: (ranks[number], -number), default=None)
    return best if best is not None and ranks[best] > 1 else None


def _hits(rows: Iterable[Row], column: int) -> tuple[int, int]:
    """How many cells of a column hold videos, and how many playlists or channels."""
    videos = lists = 0
    for row in rows:
        links = [link_or_none(piece) for piece in pieces(row.cell(column))]
        has_video = any(isinstance(link, VideoLink) for link in links)
        videos += has_video
        lists += not has_video and any(links)
    return videos, lists


def _rank(name: str) -> int:
    """How surely a header names a column of links: 3 surely, 2 likely, 1 perhaps, 0 not."""
    words = _words(name)
    has_link, has_video, has_id = (
        bool(words & known) for known in (_LINK_WORDS, _VIDEO_WORDS, _ID_WORDS)
    )
    if words & _OTHER_WORDS or "://" in name:
        return 0
    if (has_video and (has_link or has_id)) or "videoid" in words:
        return 3
    return 2 if has_link or words == {"youtube"} else int(has_video or has_id)


def _words(name: str) -> set[str]:
    return {word.lower() for word in _WORDS.findall(name[:_LONGEST_NAME])}


def _names(header: Row | None) -> tuple[str, ...]:
    """A name for each column, no two alike."""
    names: list[str] = []
    for number, cell in enumerate(header.cells if header else ()):
        name = short(cell, _LONGEST_NAME) or f"column {letters_of(number)}"
        same = 1
        while name in names:
            same += 1
            name = f"{short(cell, _LONGEST_NAME)} ({same})".strip()
        names.append(name)
    return tuple(names)
