"""Transcripts as a page shows them. Pure; whatever words are in them, they stay words."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from typing import Final

from bulk_transcribe.app.library import Book, Found, Hit
from bulk_transcribe.core.figures import count
from bulk_transcribe.core.video import watch_url
from bulk_transcribe.save.export.markdown import clock_text
from bulk_transcribe.save.export.paragraphs import Paragraph, paragraphs

#: Paragraphs that are shown at once: half an hour of speech.
PART: Final = 60
_SOURCES: Final = {"captions": "captions of YouTube", "deapi": "deAPI"}


def parts_of(book: Book) -> list[list[Paragraph]]:
    """The paragraphs of a transcript in parts; a silent video has none."""
    whole = paragraphs(book.transcript.segments, book.transcript.text)
    return [whole[start : start + PART] for start in range(0, len(whole), PART)]


def part_at(parts: Sequence[Sequence[Paragraph]], at_s: float | None) -> int:
    """The part that holds this moment; the first one where times are not known."""
    starts = [part[0].start_s or 0.0 for part in parts]
    return max((n for n, start_s in enumerate(starts) if start_s <= (at_s or 0.0)), default=0)


def time_link(video_id: str, at_s: float) -> str:
    """A moment as a link into the video, in HTML."""
    moment_s = max(0, int(at_s))
    address = escape(f"{watch_url(video_id)}&t={moment_s}s")
    return f'<a href="{address}" target="_blank" rel="noopener">{clock_text(moment_s)}</a>'


def transcript_html(part: Iterable[Paragraph], video_id: str) -> str:
    """Paragraphs that begin with their time, where it is known."""
    rows = []
    for each in part:
        time = "" if each.start_s is None else f"{time_link(video_id, each.start_s)} "
        rows.append(f"<p>{time}{escape(each.text)}</p>")
    return "".join(rows)


def hits_html(hits: Iterable[Hit]) -> str:
    """What was found in one video, with the words marked."""
    rows = []
    for hit in hits:
        time = "" if hit.at_s is None else f"{time_link(hit.video_id, hit.at_s)} "
        words = f"{escape(hit.before)}<mark>{escape(hit.match)}</mark>{escape(hit.after)}"
        rows.append(f"<p>{time}{words}</p>")
    return "".join(rows)


def by_video(found: Found) -> list[tuple[str, list[Hit]]]:
    """The hits of each video, in order."""
    return [(video, list(hits)) for video, hits in groupby(found.hits, key=lambda h: h.video_id)]


def found_text(found: Found) -> str:
    """What a search gave, in words."""
    if not found.of:
        return "This session has no transcripts yet."
    if not found.hits:
        return f"Nothing found in {count(found.looked_at, 'transcript')}."
    text = f"{count(len(found.hits), 'place')} in {count(found.videos, 'video')}"
    if not found.is_cut:
        return f"{text}, of {count(found.looked_at, 'transcript')}."
    if found.looked_at < found.of:
        seen = f"the first {found.looked_at:,} of {count(found.of, 'transcript')}"
        return f"The first {text}. There may be more: only {seen} were looked at."
    return f"The first {text}. Some videos have more than is shown."


def facts_of(book: Book) -> list[str]:
    """What is known of a transcript, a line each; the words are as they came."""
    transcript, facts = book.transcript, book.metadata
    channel = (facts.channel if facts else None) or book.item.channel
    duration_s = (facts.duration_s if facts else None) or book.item.duration_s
    made = {True: " (by machine)", False: " (by hand)", None: ""}[transcript.is_generated]
    source = _SOURCES.get(transcript.source, transcript.source)
    model = f", {transcript.model}" if transcript.model else ""
    lines = [
        channel or "",
        f"Length {clock_text(int(duration_s))}" if duration_s else "",
        f"From {source}{made}{model}",
        f"Language {transcript.language}" if transcript.language else "",
        count(len(transcript.text.split()), "word"),
    ]
    return [line for line in lines if line]
