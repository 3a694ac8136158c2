"""Rows of CSV and TSV text, whatever parts the columns, and in spite of stray quotes."""

import csv
import itertools
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from typing import Final

from bulk_transcribe.inputs.lines import Line, too_long
from bulk_transcribe.inputs.problem import Problem
from bulk_transcribe.inputs.sheet import Row

_DELIMITERS: Final = (",", ";", "\t", "|")
_SAMPLE_LINES: Final = 20
#: A quoted cell goes over at most this many lines; beyond, its quote was a stray one.
_MOST_LINES: Final = 50


def csv_rows(
    lines: Iterable[Line], origin: str, *, delimiter: str | None = None
) -> Iterator[Row | Problem]:
    """The rows; a row's number is that of its first line. Lines that were cut are problems.

    Args:
        lines: The file's lines with their line ends.
        origin: The file, for problems.
        delimiter: What parts columns; None finds it: comma, semicolon, tab or bar.
    """
    lines = iter(lines)
    start = list(itertools.islice(lines, _SAMPLE_LINES))
    if start and (told := _told_delimiter(start[0].text)):
        delimiter = told
        start = start[1:]
    if delimiter is None:
        delimiter = guess_delimiter([line.text for line in start])
    return _rows(itertools.chain(start, lines), origin, delimiter)


def guess_delimiter(lines: Iterable[str]) -> str:
    """What parts columns, judged by some lines: what gives most rows of equal width above 1."""
    texts = [line for line in lines if line.strip()]
    best, best_score = _DELIMITERS[0], (0, 0)
    for delimiter in _DELIMITERS:
        widths = Counter(len(_one_row(text, delimiter)) for text in texts)
        del widths[1]
        if widths:
            width, rows = widths.most_common(1)[0]
            if (rows, width) > best_score:
                best, best_score = delimiter, (rows, width)
    return best


def _told_delimiter(line: str) -> str | None:
    """The delimiter that Excel's first line "sep=;" tells."""
    line = line.strip('\ufeff\r\n"')
    return line[4:] if line.lower().startswith("sep=") and line[4:] in _DELIMITERS else None


def _rows(lines: Iterator[Line], origin: str, delimiter: str) -> Iterator[Row | Problem]:
    """Parse row by row. A quote that is never closed costs its own line, not the rest of the file.

    The lines that it swallowed are read again, so a line is read at most `_MOST_LINES` times.
    """
    feed = _Feed(lines)
    while feed.has_more():
        line = feed.peek()
        if line.is_cut:
            feed.take(1)
            yield too_long(line, origin)
        elif '"' not in line.text:
            feed.take(1)
            yield Row(line.number, line.text.rstrip("\r\n").split(delimiter))
        else:
            yield Row(line.number, _quoted_row(feed, delimiter))


def _quoted_row(feed: "_Feed", delimiter: str) -> list[str]:
    used = 0

    def texts() -> Iterator[str]:
        nonlocal used
        for line in feed.ahead(_MOST_LINES):
            if line.is_cut:
                return
            used += 1
            yield line.text

    try:
        cells = next(csv.reader(texts(), delimiter=delimiter, strict=True))
    except csv.Error:
        cells = _one_row(feed.peek().text, delimiter)
        used = 1
    feed.take(used)
    return cells


def _one_row(text: str, delimiter: str) -> list[str]:
    """One line as a row; where its quotes make no sense they are taken as they stand."""
    text = text.rstrip("\r\n")
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return [cell.strip('"') for cell in text.split(delimiter)]


class _Feed:
    """Lines that can be looked at before they are taken."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._waiting: deque[Line] = deque()

    def has_more(self) -> bool:
        return next(self.ahead(1), None) is not None

    def peek(self) -> Line:
        return self._waiting[0]

    def ahead(self, most: int) -> Iterator[Line]:
        for number in range(most):
            if number == len(self._waiting):
                line = next(self._lines, None)
                if line is None:
                    return
                self._waiting.append(line)
            yield self._waiting[number]

    def take(self, lines: int) -> None:
        for _ in range(lines):
            self._waiting.popleft()
