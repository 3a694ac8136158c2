"""Readable paragraphs out of segments of two seconds, or out of one long text."""

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bulk_transcribe.core.transcript import Segment

#: Characters after which a paragraph ends with the next sentence: five or six lines.
_GOAL = 500
#: Characters after which it ends anyway: automatic captions have no full stops.
_LIMIT = 900
#: A silence of this many seconds ends a paragraph that is not just a few words; where sentences
#: are marked, in the middle of one only a long silence does.
_PAUSE_S, _LONG_PAUSE_S = 2.5, 6.0
_FEW = 120
#: Sentences count as marked with at least one end in so many characters.
_MARKED = 600

_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？", '."', '?"', '!"', ".”", "?”", "!”")  # noqa: RUF001 -- full-width on purpose
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])\s*")  # noqa: RUF001 -- full-width on purpose
_BLANK_LINE = re.compile(r"\n\s*\n")


@dataclass(frozen=True)
class Paragraph:
    """Words that belong together; `start_s` is None where the time is not known."""

    text: str
    start_s: float | None = None


def paragraphs(segments: Sequence[Segment], text: str) -> list[Paragraph]:
    """Paragraphs of the segments, or of the plain text where there are none.

    Every word stays, in order; white space is evened out. Silence gives no paragraph.
    """
    timed = [(segment, one_line(segment.text)) for segment in segments]
    timed = [(segment, words) for segment, words in timed if words]
    if timed:
        return list(_of_segments(timed))
    return [Paragraph(part) for block in _BLANK_LINE.split(text) for part in _of_text(block)]


def one_line(text: str) -> str:
    """The text with every run of white space as one space."""
    return " ".join(text.split())


def join_words(parts: Iterable[str]) -> str:
    """Join with spaces; without, between two characters of a script that has none."""
    joined = ""
    for part in parts:
        between = "" if not joined or _needs_no_space(joined[-1], part[0]) else " "
        joined += between + part
    return joined


@dataclass(frozen=True, slots=True)
class _Piece:
    """At most one sentence of one segment."""

    text: str
    start_s: float
    end_s: float


def _of_segments(timed: Sequence[tuple[Segment, str]]) -> Iterator[Paragraph]:
    until_s = [segment.start_s for segment, _ in timed[1:]] + [math.inf]
    pieces = [
        piece
        for (segment, text), next_s in zip(timed, until_s, strict=True)
        for piece in _pieces(segment, text, next_s)
    ]
    ends = sum(piece.text.endswith(_SENTENCE_ENDS) for piece in pieces)
    is_marked = ends * _MARKED >= sum(len(text) for _, text in timed)
    words: list[str] = []
    length, start_s, end_s = 0, 0.0, 0.0
    for piece in pieces:
        silence_s = piece.start_s - end_s
        if words and _ends(words[-1], length, silence_s, is_marked=is_marked):
            yield Paragraph(join_words(words), start_s)
            words, length = [], 0
        if not words:
            start_s = piece.start_s
        words.append(piece.text)
        length += len(piece.text) + 1
        end_s = max(end_s, piece.end_s)
    yield Paragraph(join_words(words), start_s)


def _pieces(segment: Segment, text: str, next_s: float) -> Iterator[_Piece]:
    """The sentences of a segment; where one begins within it is told from its length.

    Captions stay on the screen while the next one, at `next_s`, is spoken already.
    """
    parts = [part for part in _BETWEEN_SENTENCES.split(text) if part]
    took_s = max(0.0, min(segment.end_s, next_s) - segment.start_s)
    before = 0
    for number, part in enumerate(parts, 1):
        start_s = segment.start_s + took_s * before / len(text)
        yield _Piece(part, start_s, segment.end_s if number == len(parts) else start_s)
        before += len(part) + 1


def _of_text(block: str) -> Iterator[str]:
    words: list[str] = []
    length = 0
    for sentence in _BETWEEN_SENTENCES.split(one_line(block)):
        if words and length >= _GOAL:
            yield join_words(words)
            words, length = [], 0
        if sentence:
            words.append(sentence)
            length += len(sentence) + 1
    if words:
        yield join_words(words)


def _ends(last: str, length: int, silence_s: float, *, is_marked: bool) -> bool:
    is_sentence = last.endswith(_SENTENCE_ENDS)
    pause_s = _PAUSE_S if is_sentence or not is_marked else _LONG_PAUSE_S
    is_pause = silence_s >= pause_s and length >= _FEW
    return (length >= _GOAL and is_sentence) or length >= _LIMIT or is_pause


def _needs_no_space(left: str, right: str) -> bool:
    return _is_unspaced(left) and _is_unspaced(right)


def _is_unspaced(character: str) -> bool:
    is_wide = unicodedata.east_asian_width(character) in {"W", "F"}
    # Korean is wide and puts spaces between words; so do emoji in any text
    return is_wide and unicodedata.category(character) != "So" and not _is_hangul(character)


def _is_hangul(character: str) -> bool:
    return unicodedata.name(character, "").startswith("HANGUL")
