"""SRT and WebVTT.

Written here, not by a subtitle library: the one at hand takes "{laughs}" for a formatting
command and drops it. The tests read the files back with that library.
"""

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, zip_longest

from bulk_transcribe.core.transcript import Transcript

#: How long words without an end are shown, milliseconds.
_SHOWN_MS = 2_000
#: Reading speed for words whose time is not known at all, characters a second.
_READ_PER_S = 15
#: What fits on a screen: characters a line and lines a cue, the common measure of broadcasters
#: (https://partnerhelp.netflixstudios.com/hc/en-us/articles/217350977).
_LINE_CHARACTERS, _CUE_LINES = 42, 2


@dataclass(frozen=True)
class Cue:
    """Lines on the screen from `start_ms` up to, not including, `end_ms`."""

    start_ms: int
    end_ms: int
    text: str


def cues(transcript: Transcript, *, duration_s: float | None) -> list[Cue]:
    """What is on the screen when: in order, never two at once, each for a millisecond or more.

    - A cue ends where the next one begins, if it would overlap it: automatic captions overlap
      all the time, and players would pile them up.
    - Segments that begin at the same millisecond share a cue, a line each.
    - A line that is too long for a screen is broken, and what is then more than two lines becomes
      cues of two lines each, with times in proportion to their characters.
    - Words without a length are shown for two seconds or until the next ones.
    - A transcript without segments is one cue from the beginning to `duration_s` (or as long as
      it takes to read): that is all that is known of its time. Silence gives no cue.
    """
    if not transcript.segments:
        text = _lines(transcript.text)
        reading_s = 1 + len(text) / _READ_PER_S
        end_ms = max(1, round(1000 * (duration_s or reading_s)))
        return [Cue(0, end_ms, text)] if text else []
    lines: dict[int, list[str]] = {}
    ends: dict[int, int] = {}
    for segment in transcript.segments:
        text = _lines(segment.text)
        if text:
            start_ms = max(0, round(1000 * segment.start_s))
            lines.setdefault(start_ms, []).append(text)
            ends[start_ms] = max(ends.get(start_ms, 0), round(1000 * segment.end_s))
    starts = sorted(lines)
    whole = (
        Cue(start, _end(ends[start], start, following), "\n".join(lines[start]))
        for start, following in zip_longest(starts, starts[1:])
    )
    return [part for cue in whole for part in _fitted(cue)]


def to_srt(shown: Sequence[Cue]) -> str:
    """SubRip text; empty for no cues."""
    blocks = (
        f"{number}\n{_clock(cue.start_ms, ',')} --> {_clock(cue.end_ms, ',')}\n{_plain(cue.text)}\n"
        for number, cue in enumerate(shown, start=1)
    )
    return "\n".join(blocks)


def to_vtt(shown: Sequence[Cue]) -> str:
    """WebVTT text; just its header for no cues.

    Source:
        https://www.w3.org/TR/webvtt1/, section 4.2.2: "&" and "<" are escaped, and there is no
        "-->" in a text.
    """
    blocks = (
        f"{_clock(cue.start_ms, '.')} --> {_clock(cue.end_ms, '.')}\n{_escaped(cue.text)}\n"
        for cue in shown
    )
    return "\n".join(["WEBVTT\n", *blocks])


def _end(wanted_ms: int, start_ms: int, following_ms: int | None) -> int:
    end_ms = wanted_ms if wanted_ms > start_ms else start_ms + _SHOWN_MS
    return end_ms if following_ms is None else min(end_ms, following_ms)


def _fitted(cue: Cue) -> Iterator[Cue]:
    """The cue as it fits on a screen; as it is where it fits, or is too short to be divided."""
    lines = [part for line in cue.text.split("\n") for part in _broken(line)]
    if len(lines) == cue.text.count("\n") + 1:  # nothing was broken: the source's own lines stay
        yield cue
        return
    texts = ["\n".join(lines[at : at + _CUE_LINES]) for at in range(0, len(lines), _CUE_LINES)]
    shown_ms = cue.end_ms - cue.start_ms
    share_ms = shown_ms / sum(map(len, texts))
    ends = [round(cue.start_ms + share_ms * read) for read in accumulate(map(len, texts))]
    times = list(pairwise([cue.start_ms, *ends[:-1], cue.end_ms]))
    if any(start == end for start, end in times):
        yield Cue(cue.start_ms, cue.end_ms, "\n".join(lines))
        return
    for (start, end), text in zip(times, texts, strict=True):
        yield Cue(start, end, text)


def _broken(line: str) -> list[str]:
    """The line in parts of about the same length that fit; an even number beyond two."""
    wanted = math.ceil(len(line) / _LINE_CHARACTERS)
    if wanted <= 1:
        return [line]
    wanted += wanted % _CUE_LINES if wanted > _CUE_LINES else 0
    for width in range(math.ceil(len(line) / wanted), _LINE_CHARACTERS + 1):
        parts = textwrap.wrap(line, width, break_on_hyphens=False)
        if len(parts) <= wanted:
            return parts
    return textwrap.wrap(line, _LINE_CHARACTERS, break_on_hyphens=False)


def _lines(text: str) -> str:
    """Without blank lines, which would end the cue, and without characters that nobody sees."""
    lines = (" ".join(line.split()) for line in text.replace("\0", "").splitlines())
    return "\n".join(line for line in lines if line)


def _clock(moment_ms: int, point: str) -> str:
    seconds, ms = divmod(moment_ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{point}{ms:03}"


def _plain(text: str) -> str:
    return text.replace("-->", "→")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
