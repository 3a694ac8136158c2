"""Markdown with front matter, as Obsidian and other note programs read it."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import frontmatter

from bulk_transcribe.core.transcript import Transcript
from bulk_transcribe.core.video import VideoItem, VideoMetadata
from bulk_transcribe.save.export.paragraphs import one_line, paragraphs

#: Longer keys make YAML write them in a form that note programs do not read.
_MAX_KEY = 80

#: Programs that read front matter with the same library as we would stumble over these.
_READER_NAMES = {"content", "handler"}

#: What Markdown or Obsidian would not show as it stands: emphasis, code, links, HTML, math,
#: tags, and doubled signs for struck, marked and hidden text.
_SPECIAL = re.compile(r"[\\`*_\[\]<$]|#(?=\w)|&(?=#?\w+;)|([~=%])(?=\1)")
#: What makes a line a heading, a list, a quote, a table or a rule.
_LINE_START = re.compile(r"^(?=[-+>|#=])|^\d+(?=[.)](?:\s|$))")


def to_markdown(
    item: VideoItem,
    metadata: VideoMetadata | None,
    transcript: Transcript,
    *,
    transcribed_at: datetime,
    tags: Sequence[str],
) -> str:
    """The whole note: front matter, heading, link, and paragraphs that begin with their time."""
    facts = front_matter(item, metadata, transcript, transcribed_at=transcribed_at, tags=tags)
    blocks = [f"# {escape(str(facts['title']))}", f"[Watch on YouTube]({item.url})"]
    parts = paragraphs(transcript.segments, transcript.text)
    for part in parts:
        words = escape(_clean(part.text))
        if part.start_s is None:
            blocks.append(words)
        else:
            at_s = int(part.start_s)
            blocks.append(f"[{clock_text(at_s)}]({item.url}&t={at_s}s) {words}")
    if not parts:
        blocks.append("*No speech was found in this video.*")
    note = frontmatter.Post("\n\n".join(blocks))
    note.metadata = facts
    text: str = frontmatter.dumps(note, sort_keys=False, width=10_000)
    return text + "\n"


def front_matter(
    item: VideoItem,
    metadata: VideoMetadata | None,
    transcript: Transcript,
    *,
    transcribed_at: datetime,
    tags: Sequence[str],
) -> dict[str, Any]:
    """What is known of the video; what is not known is left out.

    Further columns of the user's spreadsheet follow under their own names. One that has the
    name of a fact of ours is called "input_" and its name, so that nothing is hidden.
    """
    known = metadata or VideoMetadata(video_id=item.video_id)
    duration_s = known.duration_s or item.duration_s
    facts: dict[str, Any] = {
        "title": one_line(_clean(best_title(item, metadata))) or item.video_id,
        "video_id": item.video_id,
        "url": item.url,
        "channel": _text(known.channel or item.channel),
        "published": known.published_at.date() if known.published_at else None,
        "duration": None if duration_s is None else clock_text(int(duration_s)),
        "duration_s": None if duration_s is None else round(duration_s),
        "language": _text(transcript.language or known.language),
        "source": transcript.source,
        "model": _text(transcript.model),
        "generated": transcript.is_generated,
        "transcribed": transcribed_at.date(),
        "tags": [_clean(tag) for tag in tags],
    }
    reserved = set(facts) | _READER_NAMES
    facts = {name: value for name, value in facts.items() if value not in (None, "")}
    return facts | _columns(item.extra, reserved)


def best_title(item: VideoItem, metadata: VideoMetadata | None) -> str:
    """YouTube's title, else the user's; "" where neither is known."""
    return (metadata.title if metadata else None) or item.title or ""


def clock_text(moment_s: int) -> str:
    """Minutes and seconds as "12:34"; "1:02:34" from an hour on."""
    minutes, seconds = divmod(max(0, moment_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def escape(text: str) -> str:
    """The words of one line, so that Markdown shows them as they stand."""
    escaped = _SPECIAL.sub(r"\\\g<0>", text)
    return _LINE_START.sub(r"\g<0>\\", escaped)


def _columns(extra: Mapping[str, str], reserved: set[str]) -> dict[str, str]:
    columns: dict[str, str] = {}
    for header, value in extra.items():
        name = one_line(_clean(header))[:_MAX_KEY] or "column"
        if name in reserved:
            name = f"input_{name}"
        wanted, number = name, 1
        while name in columns or name in reserved:
            number += 1
            name = f"{wanted}_{number}"
        columns[name] = _clean(value)
    return columns


def _text(text: str | None) -> str | None:
    return None if text is None else one_line(_clean(text))


def _clean(text: str) -> str:
    """Without halves of characters, which no file can hold."""
    return text.encode("utf-8", "replace").decode("utf-8")
