"""A result of deAPI as segments: stamped text, plain text or a JSON document. Pure.

What arrives depends on the model, not on the file's name, so the content decides:

- `WhisperLargeV3` with timestamps: one string, `[0:00 - 0:05] Hello.[0:05 - 0:09] …`, with or
  without line ends between; hours as `[1:02:03 - 1:02:09]`; fractions after a point or a comma;
  minutes beyond 59 (`[75:10 - 75:14]`); ranges of no length and reversed ones.
- `WhisperLargeV3` without: plain text.
- `WhisperLargeV3Ct2`: a JSON document with `text`, `language` and `segments`.

Source: two independent production clients of the service and its official web tester.
"""

import json
import math
import re
from collections.abc import Iterable
from typing import Any, Final

from bulk_transcribe.clients.safe_text import one_line, safe_text
from bulk_transcribe.core.job import ParsedText
from bulk_transcribe.core.transcript import Segment

_STAMP: Final = r"(\d{1,6}(?::\d{1,2}){1,2}(?:[.,]\d{1,6})?)"
_RANGE: Final = re.compile(rf"\[\s*{_STAMP}\s*(?:-{{1,2}}>?|–|—)\s*{_STAMP}\s*\]", re.ASCII)
#: No recording is longer (a week); a number beyond is not a time.
_LONGEST_S: Final = 7 * 86_400.0


def parse_result(text: str) -> ParsedText:
    """Read a result. Never fails: what is neither JSON nor stamped is plain text.

    Blanks and line ends within a segment become single spaces; plain text keeps its lines.
    Segments come in time order; those without words are dropped; an end before its start is
    moved to the start. Words before the first stamp become a segment that ends there. An empty
    result is an empty text, which is legitimate (silence).
    """
    clean = safe_text(text.removeprefix("\ufeff")).strip()
    document = _document(clean)
    if document is not None:
        return _from_document(document)
    if _RANGE.search(clean) is None:
        return ParsedText(text=clean)
    return _joined(_stamped(clean))


def _stamped(text: str) -> Iterable[Segment]:
    ranges = list(_RANGE.finditer(text))
    starts = [m.start() for m in ranges[1:]] + [len(text)]
    first_s = _seconds(ranges[0][1])
    yield Segment(0.0, first_s, one_line(text[: ranges[0].start()]))
    for match, end in zip(ranges, starts, strict=True):
        yield _segment(_seconds(match[1]), _seconds(match[2]), text[match.end() : end])


def _seconds(stamp: str) -> float:
    """`M:SS`, `H:MM:SS`, either with a fraction; minutes may go beyond 59."""
    total = 0.0
    for part in stamp.replace(",", ".").split(":"):
        total = total * 60 + float(part)
    return round(total, 3)


def _segment(start_s: float, end_s: float, text: str) -> Segment:
    return Segment(start_s, max(start_s, end_s), one_line(text))


def _joined(
    segments: Iterable[Segment], *, text: str | None = None, language: str | None = None
) -> ParsedText:
    kept = sorted((s for s in segments if s.text), key=lambda s: s.start_s)
    words = " ".join(s.text for s in kept) if text is None else text
    return ParsedText(text=words, segments=tuple(kept), language=language)


def _document(text: str) -> dict[str, Any] | None:
    """The JSON document with `text` or `segments`, or None: a transcript may look like JSON."""
    if not text.startswith(("{", "[")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list) and found and all(_is_segment(entry) for entry in found):
        return {"segments": found}
    if not isinstance(found, dict):
        return None
    has_text = isinstance(found.get("text"), str)
    return found if has_text or isinstance(found.get("segments"), list) else None


def _is_segment(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("text"), str) and "start" in entry


def _from_document(document: dict[str, Any]) -> ParsedText:
    """Words, scores and characters are left out; a speaker stands before the segment's words."""
    said = document.get("text")
    language = document.get("language")
    entries = document.get("segments")
    segments = [
        _document_segment(entry)
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict)
    ]
    text = one_line(said) if isinstance(said, str) and said.strip() else None
    return _joined(
        segments,
        text=text,
        language=one_line(language) or None if isinstance(language, str) else None,
    )


def _document_segment(entry: dict[str, Any]) -> Segment:
    start_s = _number_s(entry.get("start")) or 0.0
    end_s = _number_s(entry.get("end"))
    said, speaker = entry.get("text"), entry.get("speaker")
    words = one_line(said) if isinstance(said, str) else ""
    if words and isinstance(speaker, str) and one_line(speaker):
        words = f"{one_line(speaker)}: {words}"
    return _segment(start_s, start_s if end_s is None else end_s, words)


def _number_s(value: Any) -> float | None:
    """A time in seconds, None for what is none: negative, not finite, longer than a week."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return round(seconds, 3) if math.isfinite(seconds) and 0 <= seconds <= _LONGEST_S else None
