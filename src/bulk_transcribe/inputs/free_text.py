"""Links and ids in lines of text: lists, notes, copied chats."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from bulk_transcribe.errors import InputError
from bulk_transcribe.inputs.cleaning import WIDE_PUNCTUATION, visible
from bulk_transcribe.inputs.entry import Entries, Wanted
from bulk_transcribe.inputs.lines import Line, too_long
from bulk_transcribe.inputs.links import Link, Prefer
from bulk_transcribe.inputs.problem import Problem
from bulk_transcribe.inputs.url import read_link

#: What an address is made of. A second https:// begins a new one, except inside an address.
_CHARACTER: Final = rf"(?:(?!(?<![=/&?])https?://)[^\s<>\"'`|^{{}}{WIDE_PUNCTUATION}])"
_ADDRESS: Final = re.compile(
    rf"(?:[A-Za-z][A-Za-z0-9+.-]{{0,20}}:)?//{_CHARACTER}+"
    rf"|(?<![\w.@/-])(?:[\w-]{{1,63}}\.){{0,4}}"
    rf"(?:youtu\.be|youtube(?:-nocookie|kids)?\.com)(?:[/?#]{_CHARACTER}*|(?![\w.-]))",
    re.IGNORECASE,
)
_COMMENT: Final = re.compile(r"(?:^|\s)#(?![/!])")
_SAYS_SOMETHING: Final = re.compile(r"[^\W_]")
_BETWEEN: Final = re.compile(r"[\s,;|]+")
#: Marks of a list, which say nothing: "- ", "* ", "3. ", "4) ".
_BULLET: Final = re.compile(r"^\s*(?:[-*+•–—]|\d{1,6}[.)])\s+")


def read_lines(lines: Iterable[Line], origin: str, prefer: Prefer) -> Entries:
    """What each line asks for. Blank lines and comments (from # on) ask for nothing."""
    for line in lines:
        if line.is_cut:
            yield too_long(line, origin)
        else:
            yield from read_text(_without_comment(line.text), origin, line.number, prefer)


def read_text(
    text: str,
    origin: str,
    line: int | None,
    prefer: Prefer,
    *,
    extra: Mapping[str, str] | None = None,
    is_id: bool = False,
) -> Entries:
    """What one line or cell asks for; a blank one asks for nothing.

    A text with addresses in it asks for these, whatever else it says. A text without any must
    consist of ids alone, parted by blanks, commas, semicolons or bars.
    """
    for piece in pieces(text):
        try:
            link = read_link(piece, prefer=prefer, is_id=is_id)
        except InputError as error:
            yield Problem.about(error, piece, origin, line)
        else:
            yield Wanted(link=link, origin=origin, line=line, extra=extra or {})


def pieces(text: str) -> list[str]:
    """The pieces of a text that should be links or ids, in order; a ruled line has none."""
    text = visible(text).strip()
    words = _words(text) if _SAYS_SOMETHING.search(text) else []
    if addresses := _addresses(text):
        return addresses
    if len(words) > 1 and not all(map(link_or_none, words)):
        return [text]
    return words


def link_or_none(text: str, *, is_id: bool = False) -> Link | None:
    """What a text means, or None where it is no link."""
    try:
        return read_link(text, is_id=is_id)
    except InputError:
        return None


def _without_comment(text: str) -> str:
    """The line up to its comment. "Lecture #3: https://…" has none: nothing wanted is before it."""
    text = visible(text)
    comment = _COMMENT.search(text)
    if comment is None:
        return text
    before = text[: comment.start()].strip()
    words = _words(before)
    return before if _addresses(before) or all(map(link_or_none, words)) else text


def _words(text: str) -> list[str]:
    return [word for word in _BETWEEN.split(_BULLET.sub("", text, count=1)) if word]


def _addresses(text: str) -> list[str]:
    return [match.group() for match in _ADDRESS.finditer(text)]
