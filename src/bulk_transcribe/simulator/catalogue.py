"""The videos, channels and lists that exist: every well-formed id does, with facts of its own.

Some ids tell what the video is like: those that begin with PRIV, GONE, LIVE, SOON, AGED, NOCC (no
captions), SILE (nobody speaks), FAIL (its job fails), STUK (its job never ends) and LONG (3 h).
Lists: `PLn<count>_...` has that many entries, `PLprivate...` is private, `PLunknown...` is not
there. Channels: the last two characters of a video id are its channel, one of 4,096.
"""

import base64
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Final, Literal

from bulk_transcribe.simulator.config import SimulatorConfig, VideoKind
from bulk_transcribe.simulator.seeded import between, dice, number, share
from bulk_transcribe.simulator.speech import LANGUAGES, Speech, speak

_VIDEO_ID: Final = re.compile(r"[0-9A-Za-z_-]{11}")
_CHANNEL_ID: Final = re.compile(r"UC[0-9A-Za-z_-]{22}")
_LIST_ID: Final = re.compile(r"(?:PL|UU|FL|OLAK5uy_)[0-9A-Za-z_-]+")
_COUNTED: Final = re.compile(r"(?:PL|UU|FL)n(\d+)_")
_HANDLE: Final = re.compile(r"@?([\w.·-]{3,30})")

_PREFIXES: Final[dict[str, VideoKind]] = {
    "PRIV": "private",
    "GONE": "gone",
    "LIVE": "live",
    "SOON": "upcoming",
    "AGED": "age",
    "NOCC": "no_captions",
    "SILE": "silent",
    "FAIL": "failing",
    "STUK": "stuck",
    "LONG": "long",
}
_LONG_S: Final = 3 * 3600
#: Where lengths are spread: as many videos from 30 s to 4 min as from 15 min to 2 h.
_SHORTEST_S: Final = 30
_LONGEST_S: Final = 7200
_NEWEST: Final = datetime(2026, 6, 30, tzinfo=UTC)
_OLDEST_DAYS: Final = 5000
#: YouTube itself cuts a list near this length.
LONGEST_LIST: Final = 20_000
_UNAVAILABLE_SHARE: Final = 0.02
#: No captions are worth having in these: what they are about happens at the paid service.
_WITHOUT_CAPTIONS: Final = frozenset({"no_captions", "silent", "failing", "stuck"})
_ENGLISH_SHARE: Final = 0.8
_MANUAL_SHARE: Final = 0.4
_BRITISH_SHARE: Final = 0.2
_SECOND_SHARE: Final = 0.25
_GENERATED_SHARE: Final = 0.9

_FORMS: Final = (
    "lecture", "interview", "workshop", "talk", "lesson", "panel", "podcast", "webinar",
)  # fmt: skip
_TOPICS: Final = (
    "how bridges carry weight",
    "the history of paper",
    "reading old maps",
    "why rivers bend",
    "Gärten im Winter",
    "¿Qué es la luz?",
    'what "enough" means',
    "bread, salt & water",
    "数字与声音",
    "ice / snow / rain",
    "measuring time",
    "a town of 1,000 doors",
)


@dataclass(frozen=True, slots=True)
class Track:
    """A caption track. `generated`: made by machine ("asr")."""

    language: str
    generated: bool


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel."""

    channel_id: str
    title: str

    @property
    def uploads_id(self) -> str:
        """The list of its videos: the same id with UU in front."""
        return "UU" + self.channel_id[2:]


@dataclass(frozen=True, slots=True)
class Video:
    """What there is to know about a video. Length in whole seconds."""

    video_id: str
    kind: VideoKind
    title: str
    channel: Channel
    published_at: datetime
    duration_s: int
    language: str
    tracks: tuple[Track, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A place in a list. `state` tells what is left of the video there."""

    position: int
    video_id: str
    state: Literal["public", "deleted", "private"]


@dataclass(frozen=True, slots=True)
class VideoList:
    """A playlist, or a channel's uploads. `channel_id` is set for uploads."""

    list_id: str
    size: int
    channel_id: str | None


def is_video_id(text: str) -> bool:
    """Whether this is a well-formed video id."""
    return _VIDEO_ID.fullmatch(text) is not None


class Catalogue:
    """All that exists. Holds nothing but the seed; may be shared by all threads."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self._seed = config.seed
        # a poll and the following download ask for the same text
        self._speak = lru_cache(maxsize=64)(self._speak_now)

    def video(self, video_id: str) -> Video:
        """The video of a well-formed id."""
        kind = self._kind(video_id)
        title_number = number(self._seed, "title", video_id)
        form = _FORMS[title_number % len(_FORMS)]
        topic = _TOPICS[title_number // len(_FORMS) % len(_TOPICS)]
        language = self._language(video_id)
        age = timedelta(seconds=int(between(0, _OLDEST_DAYS * 86_400, self._seed, "age", video_id)))
        return Video(
            video_id=video_id,
            kind=kind,
            title=f"Simulated {form} {title_number % 10_000}: {topic}",
            channel=self.channel_of(video_id[-2:]),
            published_at=_NEWEST - age,
            duration_s=self._duration_s(video_id, kind),
            language=language,
            tracks=self._tracks(video_id, kind, language),
        )

    def speech(self, video: Video, language: str | None = None) -> Speech:
        """What is said in the video, or its translation. Nothing in a silent one."""
        silent = video.kind == "silent" or (
            video.kind == "plain"
            and share(self._seed, "silent", video.video_id) < self._config.silent_share
        )
        duration_s = 0 if silent else video.duration_s
        return self._speak(video.video_id, duration_s, language or video.language)

    def channel_of(self, tail: str) -> Channel:
        """The channel whose videos end in these two characters."""
        middle = _id_text(20, self._seed, "channel", tail)
        return Channel(f"UC{middle}{tail}", f"Simulated channel {_id_number(tail)}")

    def channel(self, channel_id: str) -> Channel | None:
        """The channel of an id, None where it is malformed or begins with UCunknown."""
        if not _CHANNEL_ID.fullmatch(channel_id) or channel_id.startswith("UCunknown"):
            return None
        return Channel(channel_id, f"Simulated channel {_id_number(channel_id[-2:])}")

    def channel_of_handle(self, handle: str) -> Channel | None:
        """The channel of "@name" or "name"; None where it is malformed or begins with unknown."""
        match = _HANDLE.fullmatch(handle)
        if match is None or match[1].lower().startswith("unknown"):
            return None
        return self.channel_of(_id_text(2, self._seed, "handle", match[1].lower()))

    def list(self, list_id: str) -> VideoList | Literal["private"] | None:
        """The list of an id; None where there is none."""
        if not _LIST_ID.fullmatch(list_id) or list_id[2:].startswith("unknown"):
            return None
        if list_id[2:].startswith("private"):
            return "private"
        counted = _COUNTED.match(list_id)
        size = int(counted[1]) if counted else int(between(5, 120, self._seed, "size", list_id))
        channel = self.channel("UC" + list_id[2:]) if list_id.startswith("UU") else None
        if list_id.startswith("UU") and channel is None:
            return None
        return VideoList(list_id, min(size, LONGEST_LIST), channel.channel_id if channel else None)

    def entry(self, video_list: VideoList, position: int) -> Entry:
        """One place of the list. A list of uploads holds videos of its channel."""
        about = (video_list.list_id, position)
        tail = video_list.channel_id[-2:] if video_list.channel_id else ""
        video_id = _id_text(11 - len(tail), self._seed, "entry", *about) + tail
        chance = share(self._seed, "unavailable", *about)
        if tail or chance >= _UNAVAILABLE_SHARE:
            return Entry(position, video_id, "public")
        if chance < _UNAVAILABLE_SHARE / 2:
            return Entry(position, "GONE" + video_id[4:], "deleted")
        return Entry(position, "PRIV" + video_id[4:], "private")

    def _kind(self, video_id: str) -> VideoKind:
        return self._config.special.get(video_id) or _PREFIXES.get(video_id[:4], "plain")

    def _duration_s(self, video_id: str, kind: VideoKind) -> int:
        given = self._config.durations_s.get(video_id)
        if given is not None:
            return round(given)
        if kind == "long":
            return _LONG_S
        if self._config.duration_s is not None:
            return round(between(*self._config.duration_s, self._seed, "length", video_id))
        spread = between(
            math.log(_SHORTEST_S), math.log(_LONGEST_S), self._seed, "length", video_id
        )
        return round(math.exp(spread))

    def _language(self, video_id: str) -> str:
        chance = share(self._seed, "spoken", video_id)
        if chance < _ENGLISH_SHARE:
            return "en"
        others = LANGUAGES[1:]
        return others[int((chance - _ENGLISH_SHARE) / (1 - _ENGLISH_SHARE) * len(others))]

    def _tracks(self, video_id: str, kind: VideoKind, language: str) -> tuple[Track, ...]:
        rng = dice(self._seed, "tracks", video_id)
        if kind in _WITHOUT_CAPTIONS or rng.random() >= self._config.caption_share:
            return ()
        tracks: list[Track] = []
        if rng.random() < _MANUAL_SHARE:
            british = language == "en" and rng.random() < _BRITISH_SHARE
            tracks.append(Track("en-GB" if british else language, generated=False))
        if rng.random() < _SECOND_SHARE:
            other = rng.choice([each for each in LANGUAGES if each != language])
            tracks.append(Track(other, generated=False))
        if not any(t.language == language for t in tracks) or rng.random() < _GENERATED_SHARE:
            tracks.append(Track(language, generated=True))
        return tuple(tracks)

    def _speak_now(self, video_id: str, duration_s: int, language: str) -> Speech:
        return speak(self._seed, video_id, duration_s, language)


def _id_text(length: int, *about: object) -> str:
    """Characters of an id, derived from what it is for."""
    text = "\x1f".join(map(str, about))
    digest = blake2b(text.encode(), digest_size=24).digest()
    return base64.urlsafe_b64encode(digest).decode()[:length]


def _id_number(tail: str) -> int:
    """The channel's number: 0 to 4,095."""
    return int.from_bytes(base64.urlsafe_b64decode(tail + "A="), "big") >> 4
