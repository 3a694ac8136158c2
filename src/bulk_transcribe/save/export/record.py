"""The JSON file of a video: everything that is known, for programs."""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from bulk_transcribe.core.transcript import Transcript
from bulk_transcribe.core.video import VideoItem, VideoMetadata

#: Goes up when a field changes its meaning or goes away; new fields may come at any time.
VERSION = 1


def to_json(
    item: VideoItem,
    metadata: VideoMetadata | None,
    transcript: Transcript,
    *,
    transcribed_at: datetime,
) -> str:
    """An object with `item`, `metadata` (or null), `transcript` and its `segments`.

    Seconds are numbers, moments ISO 8601 in UTC.
    """
    asked = {
        "video_id": item.video_id,
        "url": item.url,
        "title": item.title,
        "channel": item.channel,
        "duration_s": item.duration_s,
        "origin": item.origin,
        "extra": dict(item.extra),
    }
    words = {name: value for name, value in vars(transcript).items() if name != "segments"}
    segments = [vars(segment) for segment in transcript.segments]
    whole: dict[str, Any] = {
        "version": VERSION,
        "item": asked,
        "metadata": None if metadata is None else asdict(metadata),
        "transcribed_at": transcribed_at.isoformat(),
        "transcript": words | {"segments": segments},
    }
    return json.dumps(whole, ensure_ascii=False, indent=1, default=_text) + "\n"


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no JSON form")
