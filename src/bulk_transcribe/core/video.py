"""A video: what the user asked for (`VideoItem`) and what YouTube says of it."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

_NOTHING: Mapping[str, str] = MappingProxyType({})


def watch_url(video_id: str) -> str:
    """The plain address of a video."""
    return f"https://www.youtube.com/watch?v={video_id}"


@dataclass(frozen=True, kw_only=True)
class VideoItem:
    """One wanted video, once. Its identity is `video_id` (11 characters, case-sensitive)."""

    video_id: str
    title: str | None = None
    channel: str | None = None
    duration_s: float | None = None  # None: not known
    origin: str = ""  # where it was asked for: "videos.txt:14", "playlist PL…", "argument 1"
    extra: Mapping[str, str] = field(default_factory=lambda: _NOTHING)  # other spreadsheet columns

    @property
    def url(self) -> str:
        return watch_url(self.video_id)


class Availability(enum.StrEnum):
    """Whether a video can be had."""

    PUBLIC = "public"
    UNLISTED = "unlisted"
    PRIVATE = "private"
    ABSENT = "absent"  # deleted, never existed, or private: the Data API does not tell which
    MEMBERS = "members"
    AGE_RESTRICTED = "age_restricted"
    REGION_BLOCKED = "region_blocked"  # allowed nowhere
    FAILED = "failed"  # upload failed or was rejected
    UNKNOWN = "unknown"


class LiveState(enum.StrEnum):
    """Whether a video is, was or will be a live stream."""

    NONE = "none"
    LIVE = "live"
    UPCOMING = "upcoming"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class VideoMetadata:
    """What YouTube says of a video. Any fact can be missing (None)."""

    video_id: str
    title: str | None = None
    channel: str | None = None
    channel_id: str | None = None
    published_at: datetime | None = None
    duration_s: float | None = None  # None: not known (live, upcoming, or not told)
    language: str | None = None  # spoken language, BCP 47
    availability: Availability = Availability.UNKNOWN
    live_state: LiveState = LiveState.UNKNOWN
    has_captions: bool | None = None  # uploaded ones only; automatic captions do not count
    source: str = ""  # "data-api" or "yt-dlp"
    fetched_at: datetime | None = None
