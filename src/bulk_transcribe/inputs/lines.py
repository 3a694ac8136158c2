"""Lines of bounded length, so that no file can fill the memory with one line."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TextIO

from bulk_transcribe.clients.safe_text import short
from bulk_transcribe.inputs.problem import Problem

#: Characters of a line that are read. A link has some hundred, a row with notes some thousand.
LONGEST_LINE: Final = 65_536
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Line:
    """One line with its line end; `is_cut` when it was longer than what is read of it."""

    number: int  # from 1
    text: str
    is_cut: bool = False


def lines_of(stream: TextIO) -> Iterator[Line]:
    """The lines of a text, however long they are. An empty text has none."""
    number = 0
    while text := stream.readline(LONGEST_LINE):
        number += 1
        is_cut = not _has_end(text) and len(text) == LONGEST_LINE and _skip_rest(stream)
        yield Line(number, text, is_cut)


def too_long(line: Line, origin: str) -> Problem:
    """The problem that a cut line is."""
    return Problem(
        origin=origin,
        line=line.number,
        text=short(line.text[:_SHOWN]),
        message=f"The line is longer than {LONGEST_LINE:,} characters and was left out.",
        suggestion="Put each link on a line of its own.",
    )


def _has_end(text: str) -> bool:
    return text.endswith(("\n", "\r"))


def _skip_rest(stream: TextIO) -> bool:
    """Read on to the end of the line; whether more than a line end was left."""
    has_more = False
    while rest := stream.readline(LONGEST_LINE):
        has_more = has_more or rest not in {"\n", "\r", "\r\n"}
        if _has_end(rest):
            break
    return has_more
