"""YouTube's Data API v3: facts about videos, fifty at a time, and the contents of lists.

Every call costs one unit of the project's 10,000 a day, whatever it returns, so ids go in fifties
and lists are read a page at a time, only as far as they are wanted.

Source: Google's reference of `videos`, `playlistItems`, `channels` and its error pages.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from bulk_transcribe.clients.http import Call, HttpClient, Reply
from bulk_transcribe.clients.safe_text import one_line, short
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.duration import known_duration_s
from bulk_transcribe.core.request import RequestKind, Ticket
from bulk_transcribe.core.video import Availability, LiveState, VideoItem, VideoMetadata
from bulk_transcribe.errors import (
    APIError,
    AuthError,
    BulkTranscribeError,
    ConfigError,
    InputError,
    RateLimitError,
    ServerBusyError,
    SourceBlockedError,
)

DEFAULT_BASE_URL: Final = "https://www.googleapis.com/youtube/v3"
SOURCE: Final = "data-api"

_SERVICE: Final = "The YouTube Data API"
_BATCH: Final = 50  # most ids, and most entries of a page, in one call
#: YouTube itself cuts lists near 20,000 entries; a list that goes on beyond this is a loop.
_MOST_PAGES: Final = 2_000
_PLACEHOLDERS: Final = frozenset({"Deleted video", "Private video"})
_VIDEO_ID: Final = re.compile(r"[0-9A-Za-z_-]{11}")
#: What ids of lists and page tokens are made of.
_WORD: Final = re.compile(r"[\w=.+/%-]{1,500}", re.ASCII)


class YouTubeDataClient:
    """The ports `MetadataSource` and `ListingSource`. May be shared by all threads.

    Args:
        base_url: Address of the API, with or without a slash at its end.
        api_key: A key of a Google project with the API switched on.
        http: Sends the requests.
        clock: For the moment of fetching and the time until the quota opens again.

    Raises:
        ConfigError: there is no key.
    """

    def __init__(
        self, base_url: str = DEFAULT_BASE_URL, api_key: str = "", *, http: HttpClient, clock: Clock
    ) -> None:
        if not api_key.strip():
            raise ConfigError(
                "There is no key for the YouTube Data API.",
                next_step="Set YOUTUBE_DATA_API_KEY, or go without: yt-dlp is asked instead.",
                code="no_key",
            )
        self._base_url = base_url.strip().rstrip("/")
        self._key = api_key.strip()
        self._http = http
        self._clock = clock

    def __repr__(self) -> str:
        return f"YouTubeDataClient({self._base_url!r})"

    def fetch(self, video_ids: Sequence[str]) -> dict[str, VideoMetadata]:
        """Facts by id, in the order asked. No ids cost no request.

        A video that YouTube leaves out of its answer (deleted, private, never there: it does not
        say which) is `ABSENT`.

        Raises:
            AuthError: the key cannot be used.
            SourceBlockedError: the day's quota is used up; it opens at midnight in California.
            RetryableError: worth another try.
        """
        wanted = list(dict.fromkeys(video_ids))
        found: dict[str, VideoMetadata] = {}
        for start in range(0, len(wanted), _BATCH):
            found |= self._fetch_batch(wanted[start : start + _BATCH])
        return found

    def playlist(
        self, playlist_id: str, *, limit: int | None = None, since: date | None = None
    ) -> Iterator[VideoItem]:
        """The videos of a playlist in its order, read page by page as they are taken.

        Entries that are deleted or private are left out, and a video that is listed twice comes
        once. `since` counts in UTC; an entry without a date stays.

        Raises:
            InputError: there is no such list, it is private, or it is an endless mix.
            AuthError, SourceBlockedError, RetryableError: as `fetch`.
        """
        if playlist_id.startswith("RD"):
            raise InputError(
                f"{playlist_id} is a mix: YouTube makes it up endlessly for each viewer.",
                next_step="Save its videos to a playlist of your own and use that link.",
                code="endless_list",
            )
        if playlist_id in {"WL", "LL", "LM", "HL"}:
            raise InputError(
                f"{playlist_id} is a personal list that only its owner sees.",
                next_step="Copy its videos to an unlisted playlist and use that link.",
                code="private_list",
            )
        entries = self._entries(playlist_id, f"playlist {playlist_id}")
        return _wanted(entries, limit=limit, since=since, is_newest_first=False)

    def channel(
        self, channel: str, *, limit: int | None = None, since: date | None = None
    ) -> Iterator[VideoItem]:
        """A channel's uploads, newest first; reading ends with the first page older than `since`.

        Raises:
            InputError: there is no such channel, or its name cannot be looked up.
            AuthError, SourceBlockedError, RetryableError: as `fetch`.
        """
        entries = self._entries(self._uploads(channel), f"channel {channel}")
        return _wanted(entries, limit=limit, since=since, is_newest_first=True)

    def _fetch_batch(self, video_ids: Sequence[str]) -> dict[str, VideoMetadata]:
        body = self._get(
            "videos",
            {
                "part": "snippet,contentDetails,status,liveStreamingDetails",
                "id": ",".join(video_ids),
            },
        )
        at = self._clock.now()
        shown = {
            item["id"]: item for item in _items(body) if isinstance(item.get("id"), str)
        }  # compared as sets: order and doubles are not promised
        return {
            video_id: read_video(shown[video_id], at)
            if video_id in shown
            else VideoMetadata(
                video_id=video_id,
                availability=Availability.ABSENT,
                source=SOURCE,
                fetched_at=at,
            )
            for video_id in video_ids
        }

    def _entries(self, playlist_id: str, origin: str) -> "Iterator[_Entry]":
        token: str | None = None
        tokens: set[str] = set()
        seen: set[str] = set()
        for _ in range(_MOST_PAGES):
            params = {
                "part": "contentDetails,snippet,status",
                "playlistId": playlist_id,
                "maxResults": str(_BATCH),
            }
            if token is not None:
                params["pageToken"] = token
            body = self._get("playlistItems", params, subject=origin)
            for item in _items(body):
                entry = _read_entry(item, origin)
                if entry is not None and entry.item.video_id not in seen:
                    seen.add(entry.item.video_id)
                    yield entry
            following = body.get("nextPageToken")
            if not isinstance(following, str) or following in tokens:
                return
            if not _WORD.fullmatch(following):
                return
            tokens.add(following)
            token = following

    def _uploads(self, channel: str) -> str:
        """The id of a channel's list of uploads: UC… and UU… share their tail."""
        name = channel.strip()
        if name.startswith("UC") and len(name) == len("UC") + 22:
            return "UU" + name[2:]
        if name.startswith("@"):
            return self._uploads_of({"forHandle": name}, channel)
        if name.startswith("user/"):
            return self._uploads_of({"forUsername": name.removeprefix("user/")}, channel)
        raise InputError(
            f"The channel {channel!r} cannot be looked up by that name.",
            next_step="Open the channel and copy the address with its @handle.",
            code="unknown_channel",
        )

    def _uploads_of(self, which: Mapping[str, str], channel: str) -> str:
        body = self._get(
            "channels", {"part": "contentDetails", **which}, subject=f"channel {channel}"
        )
        for item in _items(body):
            lists = _dict(_dict(item.get("contentDetails")).get("relatedPlaylists"))
            uploads = lists.get("uploads")
            if isinstance(uploads, str) and _WORD.fullmatch(uploads):
                return uploads
        raise _no_such(f"channel {channel}")

    def _get(
        self, resource: str, params: Mapping[str, str], *, subject: str = ""
    ) -> Mapping[str, Any]:
        call = Call(
            kind=RequestKind.DATA_API,
            method="GET",
            url=f"{self._base_url}/{resource}",
            service=_SERVICE,
            params={**params, "key": self._key},
            explain=lambda reply: explain_refusal(reply, subject=subject, now=self._clock.now()),
        )
        return _dict(self._http.send(call, Ticket()).json())


def read_video(item: Mapping[str, Any], fetched_at: datetime) -> VideoMetadata:
    """One entry of `videos.list`. Whatever is missing or odd becomes None or UNKNOWN."""
    snippet, content = _dict(item.get("snippet")), _dict(item.get("contentDetails"))
    return VideoMetadata(
        video_id=str(item.get("id")),
        title=_text(snippet.get("title")),
        channel=_text(snippet.get("channelTitle")),
        channel_id=_text(snippet.get("channelId")),
        published_at=_moment(snippet.get("publishedAt")),
        duration_s=_duration_s(content.get("duration")),
        language=_text(snippet.get("defaultAudioLanguage")),
        availability=_availability(_dict(item.get("status")), content),
        live_state=_live_state(snippet, item.get("liveStreamingDetails")),
        has_captions={"true": True, "false": False}.get(str(content.get("caption")).lower()),
        source=SOURCE,
        fetched_at=fetched_at,
    )


def _availability(status: Mapping[str, Any], content: Mapping[str, Any]) -> Availability:
    """The strongest obstacle first."""
    region = _dict(content.get("regionRestriction"))
    rating = _dict(content.get("contentRating")).get("ytRating")
    if status.get("uploadStatus") in {"failed", "rejected"}:
        return Availability.FAILED
    if status.get("uploadStatus") == "deleted":
        return Availability.ABSENT
    if status.get("privacyStatus") == "private":
        return Availability.PRIVATE
    if region.get("allowed") == []:  # the key with an empty list: allowed nowhere
        return Availability.REGION_BLOCKED
    if rating == "ytAgeRestricted":
        return Availability.AGE_RESTRICTED
    known = {"public": Availability.PUBLIC, "unlisted": Availability.UNLISTED}
    return known.get(str(status.get("privacyStatus")), Availability.UNKNOWN)


def _live_state(snippet: Mapping[str, Any], details: Any) -> LiveState:
    word = snippet.get("liveBroadcastContent")
    if word == "live":
        return LiveState.LIVE
    if word == "upcoming":
        return LiveState.UPCOMING
    if _dict(details).get("actualEndTime"):
        return LiveState.ENDED
    return LiveState.NONE if word == "none" else LiveState.UNKNOWN


def _duration_s(text: Any) -> float | None:
    try:
        return known_duration_s(text if isinstance(text, str) else None)
    except InputError:
        return None


@dataclass(frozen=True)
class _Entry:
    """A list's entry and when its video was published, where known."""

    item: VideoItem
    published_at: datetime | None


def _read_entry(item: Mapping[str, Any], origin: str) -> _Entry | None:
    """An entry of `playlistItems.list`; None for a deleted or private video."""
    content, snippet = _dict(item.get("contentDetails")), _dict(item.get("snippet"))
    video_id = content.get("videoId") or _dict(snippet.get("resourceId")).get("videoId")
    privacy = _dict(item.get("status")).get("privacyStatus")
    title, owner = _text(snippet.get("title")), _text(snippet.get("videoOwnerChannelTitle"))
    is_gone = owner is None and title in _PLACEHOLDERS
    if not isinstance(video_id, str) or not _VIDEO_ID.fullmatch(video_id):  # it names files
        return None
    if is_gone or privacy == "private":
        return None
    return _Entry(
        VideoItem(video_id=video_id, title=title, channel=owner, origin=origin),
        _moment(content.get("videoPublishedAt")),
    )


def _wanted(
    entries: Iterator[_Entry], *, limit: int | None, since: date | None, is_newest_first: bool
) -> Iterator[VideoItem]:
    """Filter by date and stop at the limit, or once a page's worth in a row is too old."""
    if limit is not None and limit <= 0:
        return
    given = too_old = 0
    for entry in entries:
        if since and entry.published_at and entry.published_at.date() < since:
            too_old += 1
            # Uploads are sorted, but not strictly: premieres and late publications step out.
            if is_newest_first and too_old >= _BATCH:
                return
            continue
        too_old = 0
        yield entry.item
        given += 1
        if given == limit:
            return


@dataclass(frozen=True)
class _Cause:
    """A refusal's `reason` (or what stands for it) and what to do."""

    says: str
    next_step: str


#: Reasons for which no call with this key can succeed.
_KEY_CAUSES: Final[Mapping[str, _Cause]] = {
    "keyInvalid": _Cause("the key is not valid", "Check YOUTUBE_DATA_API_KEY."),
    "API_KEY_INVALID": _Cause("the key is not valid", "Check YOUTUBE_DATA_API_KEY."),
    "keyExpired": _Cause("the key has expired", "Make a new key."),
    "API_KEY_EXPIRED": _Cause("the key has expired", "Make a new key."),
    "dailyLimitExceededUnreg": _Cause("no key was sent", "Set YOUTUBE_DATA_API_KEY."),
    "accessNotConfigured": _Cause(
        "the API is not switched on in the key's project",
        "Switch on 'YouTube Data API v3' in the Google console and wait a few minutes.",
    ),
    "SERVICE_DISABLED": _Cause(
        "the API is not switched on in the key's project",
        "Switch on 'YouTube Data API v3' in the Google console and wait a few minutes.",
    ),
    "ipRefererBlocked": _Cause(
        "the key is restricted to other addresses", "Lift the key's restriction in the console."
    ),
    "API_KEY_SERVICE_BLOCKED": _Cause(
        "the key is restricted to other services", "Lift the key's restriction in the console."
    ),
    "forbidden": _Cause("the key may not do this", "Check the key in the Google console."),
}
_QUOTA: Final = frozenset({"quotaExceeded", "dailyLimitExceeded"})
_HURRY: Final = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
_ABSENT: Final = frozenset({"playlistNotFound", "channelNotFound", "videoNotFound"})
_PRIVATE: Final = frozenset({"playlistItemsNotAccessible", "playlistForbidden"})


def explain_refusal(reply: Reply, *, subject: str, now: datetime) -> BulkTranscribeError:
    """The error for an answer that is not 2xx: by its reason first, by its status last.

    Args:
        reply: The answer.
        subject: The list or channel that was asked for; "" for videos.
        now: The moment, for the time until the quota opens again.
    """
    reasons, message = _read_error(reply)
    tail = f': "{message}".' if message else "."
    if reasons & _QUOTA:
        return SourceBlockedError(
            f"{_SERVICE} has given out its quota for today{tail}",
            source=SOURCE,
            retry_after_s=until_midnight_pacific_s(now),
            next_step="It opens at midnight in California. Until then yt-dlp can be asked instead.",
            code="quota_exceeded",
        )
    if reasons & _HURRY or reply.status == 429:  # noqa: PLR2004
        return RateLimitError(
            f"{_SERVICE} wants us to slow down{tail}",
            retry_after_s=reply.retry_after_s,
            refused=True,
        )
    if reasons & _PRIVATE:
        return InputError(
            f"The {subject or 'list'} is private.",
            next_step="Make it unlisted or public, or use another list.",
            code="private_list",
        )
    if reasons & _ABSENT or (reply.status == 404 and subject):  # noqa: PLR2004
        return _no_such(subject or "list")
    return _by_key_or_status(reply, reasons, message)


def _by_key_or_status(reply: Reply, reasons: frozenset[str], message: str) -> BulkTranscribeError:
    tail = f': "{message}".' if message else "."
    says_key = "api key" in message.lower()
    cause = next((_KEY_CAUSES[r] for r in sorted(reasons) if r in _KEY_CAUSES), None)
    if cause is None and (says_key or reply.status in {401, 403}):
        cause = _KEY_CAUSES["keyInvalid" if says_key else "forbidden"]
    if cause is not None:
        return AuthError(
            f"{_SERVICE} refused ({reply.status}): {cause.says}{tail}", next_step=cause.next_step
        )
    if reply.status >= 500 or "backendError" in reasons:  # noqa: PLR2004
        return ServerBusyError(
            f"{_SERVICE} is in trouble ({reply.status}){tail}", retry_after_s=reply.retry_after_s
        )
    return APIError(
        f"{_SERVICE} refused the request ({reply.status}){tail}", video_id="", code="refused"
    )


def _read_error(reply: Reply) -> tuple[frozenset[str], str]:
    """All reasons it gives, and its message; Google has two shapes and mixes them."""
    try:
        body = json.loads(reply.text)
    except (ValueError, RecursionError):
        return frozenset(), "" if reply.is_html else short(reply.text)
    error = _dict(body).get("error")
    if not isinstance(error, dict):
        return frozenset(), short(str(error or ""))
    entries = [*_list(error.get("errors")), *_list(error.get("details"))]
    reasons = {str(e["reason"]) for e in entries if isinstance(e, dict) and e.get("reason")}
    return frozenset(reasons), _without_tags(short(str(error.get("message") or ""), 300))


def _without_tags(text: str) -> str:
    """The quota message holds a link in HTML."""
    kept, depth = [], 0
    for char in text:
        depth += char == "<"
        if not depth:
            kept.append(char)
        depth -= char == ">" and depth > 0
    return one_line("".join(kept))


def until_midnight_pacific_s(now: datetime) -> float | None:
    """Seconds until the quota opens; None where the machine has no time zones."""
    try:
        zone = ZoneInfo("America/Los_Angeles")
    except ZoneInfoNotFoundError:
        return None
    local = now.astimezone(zone)
    midnight = datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), tzinfo=zone)
    return (midnight.astimezone(UTC) - now).total_seconds()


def _no_such(subject: str) -> InputError:
    return InputError(
        f"There is no {subject}, or nobody but its owner may see it.",
        next_step="Check the link in a private browser window.",
        code="unknown_list",
    )


def _moment(value: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
        if at is None:
            return None
        return (at if at.tzinfo is not None else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):  # the first hours of year 1 are in year 0 elsewhere
        return None


def _text(value: Any) -> str | None:
    return one_line(value) or None if isinstance(value, str) else None


def _items(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [item for item in _list(body.get("items")) if isinstance(item, dict)]


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
