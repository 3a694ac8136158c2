"""YouTube's Data API v3: videos, the contents of lists, and channels."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Final

from bulk_transcribe.simulator.catalogue import Channel, Entry, Video, VideoList, is_video_id
from bulk_transcribe.simulator.messages import Answer, Asked, json_answer
from bulk_transcribe.simulator.state import State

_MOST_IDS: Final = 50
_MOST_PER_PAGE: Final = 50
_USUAL_PER_PAGE: Final = 5
#: Standard Pacific time, in which the quota's day is counted; summer time is left aside.
_PACIFIC: Final = timezone(timedelta(hours=-8))
_VIDEO_PARTS: Final = frozenset(
    [
        "id",
        "snippet",
        "contentDetails",
        "status",
        "liveStreamingDetails",
        "statistics",
        "player",
        "topicDetails",
        "localizations",
        "recordingDetails",
        "paidProductPlacementDetails",
        "brandPartner",
    ]
)
_LIST_PARTS: Final = frozenset({"id", "snippet", "contentDetails", "status"})
_CHANNEL_PARTS: Final = frozenset({"id", "snippet", "contentDetails", "statistics", "status"})
_UNSEEN: Final = frozenset({"private", "gone"})
_QUOTA_TEXT: Final = (
    "The request cannot be completed because you have exceeded your "
    '<a href="/youtube/v3/getting-started#quota">quota</a>.'
)

Json = dict[str, Any]


class DataApi:
    """The handlers of the Data API. Called with the state's lock held."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._spent = 0
        self._spent_on = ""

    def answer(self, asked: Asked) -> Answer:
        """Check the key and the quota, then answer for the resource in the path."""
        resources: Mapping[str, Callable[[Asked], Answer]] = {
            "videos": self._videos,
            "playlistItems": self._playlist_items,
            "channels": self._channels,
        }
        refused = self._check_key(asked) or self._check_quota()
        if refused is not None:
            return refused
        resource = resources.get(asked.path_values["resource"])
        if resource is None:
            return _error(404, "Not Found", "notFound")
        return resource(asked)

    def _check_key(self, asked: Asked) -> Answer | None:
        key, expected = asked.query.get("key"), self._state.config.youtube_api_key
        if not key:
            text = "Method doesn't allow unregistered callers. Please use API Key to call this API."
            return _error(403, text, "forbidden", status="PERMISSION_DENIED")
        if expected in {None, key}:
            return None
        if self._state.config.data_api_errors == "legacy":
            return _error(400, "Bad Request", "keyInvalid", domain="usageLimits")
        text = "API key not valid. Please pass a valid API key."
        details = [
            {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
        ]
        return _error(400, text, "badRequest", status="INVALID_ARGUMENT", details=details)

    def _check_quota(self) -> Answer | None:
        """Count one unit, whatever comes of it."""
        today = self._state.clock.now().astimezone(_PACIFIC).date().isoformat()
        if today != self._spent_on:
            self._spent, self._spent_on = 0, today
        self._spent += 1
        if self._state.faults.quota_exceeded or self._spent > self._state.config.quota_units:
            return _error(403, _QUOTA_TEXT, "quotaExceeded", domain="youtube.quota")
        return None

    def _videos(self, asked: Asked) -> Answer:
        parts = _parts(asked, _VIDEO_PARTS)
        if isinstance(parts, Answer):
            return parts
        if "id" not in asked.query:
            return _error(400, "No filter selected.", "missingRequiredParameter")
        if {"maxResults", "pageToken"} & set(asked.query):
            return _error(400, "Incompatible parameters specified.", "incompatibleParameters")
        ids = list(dict.fromkeys(filter(None, asked.query["id"].split(","))))
        if len(ids) > _MOST_IDS:
            return _error(400, "The request specifies too many ids.", "invalidFilters")
        found = [self._state.catalogue.video(each) for each in ids if is_video_id(each)]
        items = [self._video(video, parts) for video in found if video.kind not in _UNSEEN]
        return self._list("video", items, asked, total=len(items), per_page=len(items))

    def _playlist_items(self, asked: Asked) -> Answer:
        parts = _parts(asked, _LIST_PARTS)
        if isinstance(parts, Answer):
            return parts
        list_id = asked.query.get("playlistId")
        if not list_id:
            return _error(400, "No filter selected.", "missingRequiredParameter")
        found = self._state.catalogue.list(list_id)
        if found is None:
            text = "The playlist identified with the request's playlistId cannot be found."
            return _error(404, text, "playlistNotFound", domain="youtube.playlistItem")
        if found == "private":
            text = "The request is not properly authorized to retrieve the specified playlist."
            reason = "playlistItemsNotAccessible"
            return _error(403, text, reason, domain="youtube.playlistItem")
        per_page = min(_MOST_PER_PAGE, _whole(asked.query.get("maxResults"), _USUAL_PER_PAGE))
        start = _position(asked.query.get("pageToken"), found)
        if start is None or per_page < 0:
            return _error(400, "The page token is not valid.", "invalidPageToken")
        end = min(start + per_page, found.size)
        entries = [self._state.catalogue.entry(found, place) for place in range(start, end)]
        items = [self._entry(found, entry, parts) for entry in entries]
        token = _token(end, found) if end < found.size and per_page else None
        return self._list(
            "playlistItem", items, asked, total=found.size, per_page=per_page, token=token
        )

    def _channels(self, asked: Asked) -> Answer:
        parts = _parts(asked, _CHANNEL_PARTS)
        if isinstance(parts, Answer):
            return parts
        filters = [name for name in ("id", "forHandle", "forUsername") if asked.query.get(name)]
        if len(filters) != 1:
            return _error(400, "Exactly one filter is needed.", "missingRequiredParameter")
        value = asked.query[filters[0]]
        catalogue = self._state.catalogue
        if filters[0] == "id":
            channels = [catalogue.channel(each) for each in value.split(",")[:_MOST_IDS]]
        else:
            channels = [catalogue.channel_of_handle(value)]
        items = [_channel(channel, parts) for channel in channels if channel is not None]
        return self._list("channel", items, asked, total=len(items), per_page=len(items))

    def _list(
        self,
        kind: str,
        items: Sequence[Json],
        asked: Asked,
        *,
        total: int,
        per_page: int,
        token: str | None = None,
    ) -> Answer:
        body: Json = {"kind": f"youtube#{kind}ListResponse", "etag": "simulated"}
        if token is not None:
            body["nextPageToken"] = token
        if items or kind != "channel":  # an unknown channel has no items at all
            body["items"] = list(items)
        body["pageInfo"] = {"totalResults": total, "resultsPerPage": per_page}
        mask = asked.query.get("fields")
        return json_answer(only_fields(body, mask) if mask else body)

    def _video(self, video: Video, parts: Iterable[str]) -> Json:
        now = self._state.clock.now()
        item: Json = {"kind": "youtube#video", "etag": "simulated", "id": video.video_id}
        known: Mapping[str, Json | None] = {
            "snippet": _snippet(video),
            "contentDetails": _content(video),
            "status": {
                "uploadStatus": "processed",
                "privacyStatus": "public",
                "embeddable": True,
                "madeForKids": False,
            },
            "liveStreamingDetails": _live(video, now),
        }
        return item | {part: known[part] for part in parts if known.get(part) is not None}

    def _entry(self, video_list: VideoList, entry: Entry, parts: Iterable[str]) -> Json:
        video = self._state.catalogue.video(entry.video_id)
        is_there = entry.state == "public"
        snippet: Json = {
            "publishedAt": _moment(video.published_at),
            "title": video.title if is_there else f"{entry.state.capitalize()} video",
            "playlistId": video_list.list_id,
            "position": entry.position,
            "resourceId": {"kind": "youtube#video", "videoId": entry.video_id},
        }
        content: Json = {"videoId": entry.video_id}
        if is_there:
            snippet["videoOwnerChannelTitle"] = video.channel.title
            snippet["videoOwnerChannelId"] = video.channel.channel_id
            content["videoPublishedAt"] = _moment(video.published_at)
        privacy = {"public": "public", "private": "private"}.get(
            entry.state, "privacyStatusUnspecified"
        )
        known = {
            "snippet": snippet,
            "contentDetails": content,
            "status": {"privacyStatus": privacy},
        }
        item: Json = {"kind": "youtube#playlistItem", "etag": "simulated"}
        item["id"] = f"{video_list.list_id}.{entry.position}"
        return item | {part: known[part] for part in parts if part in known}


def iso_duration(duration_s: int) -> str:
    """A length as the API writes it: PT30S, PT5M, PT1H2M3S, P1DT1S; zero parts are left out."""
    days, rest = divmod(duration_s, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    time = "".join(
        f"{value}{unit}" for value, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if value
    )
    if days:
        return f"P{days}D" + (f"T{time}" if time else "")
    return f"PT{time or '0S'}"


def only_fields(value: Any, mask: str) -> Any:
    """What a `fields` mask such as "items(id,snippet/title),nextPageToken" leaves of a value."""
    wanted = _read_mask(mask)
    return _masked(value, wanted)


def _read_mask(mask: str) -> Json:
    """Field -> the mask of what is below it; {} below it means everything."""
    root: Json = {}
    levels: list[Json] = [root]
    current = root
    for word in re.findall(r"[^,()/]+|[,()/]", mask):
        if word == "(":
            levels.append(current)
        elif word == ")":
            current = levels.pop() if len(levels) > 1 else root
        elif word == ",":
            current = levels[-1]
        elif word != "/":
            current = current.setdefault(word.strip(), {})
    return root


def _masked(value: Any, wanted: Json) -> Any:
    if not wanted or "*" in wanted:
        return value
    if isinstance(value, list):
        return [_masked(each, wanted) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: _masked(value[name], below) for name, below in wanted.items() if name in value}


def _snippet(video: Video) -> Json:
    broadcast = {"live": "live", "upcoming": "upcoming"}.get(video.kind, "none")
    return {
        "publishedAt": _moment(video.published_at),
        "channelId": video.channel.channel_id,
        "title": video.title,
        "description": "A simulated video: nobody filmed it.",
        "thumbnails": {},
        "channelTitle": video.channel.title,
        "tags": ["simulated"],
        "categoryId": "27",
        "liveBroadcastContent": broadcast,
        "defaultAudioLanguage": video.language,
    }


def _content(video: Video) -> Json:
    is_running = video.kind in {"live", "upcoming"}
    has_manual = any(not track.generated for track in video.tracks)
    age = {"ytRating": "ytAgeRestricted"} if video.kind == "age" else {}
    return {
        "duration": "P0D" if is_running else iso_duration(video.duration_s),
        "dimension": "2d",
        "definition": "hd",
        "caption": "true" if has_manual else "false",
        "licensedContent": False,
        "contentRating": age,
    }


def _live(video: Video, now: datetime) -> Json | None:
    if video.kind == "live":
        return {"actualStartTime": _moment(now - timedelta(hours=1))}
    if video.kind == "upcoming":
        return {"scheduledStartTime": _moment(now + timedelta(hours=5))}
    return None


def _channel(channel: Channel, parts: Iterable[str]) -> Json:
    known = {
        "snippet": {"title": channel.title, "description": "A simulated channel."},
        "contentDetails": {"relatedPlaylists": {"likes": "", "uploads": channel.uploads_id}},
    }
    item: Json = {"kind": "youtube#channel", "etag": "simulated", "id": channel.channel_id}
    return item | {part: known[part] for part in parts if part in known}


def _parts(asked: Asked, legal: frozenset[str]) -> list[str] | Answer:
    parts = [each.strip() for each in asked.query.get("part", "").split(",") if each.strip()]
    if not parts:
        return _error(400, "Required parameter: part", "missingRequiredParameter")
    unknown = [part for part in parts if part not in legal]
    if unknown:
        return _error(400, f"'{unknown[0]}'", "unknownPart", domain="youtube.part")
    return parts


def _token(position: int, video_list: VideoList) -> str:
    return f"SIM{position:06d}.{video_list.list_id[-6:]}"


def _position(token: str | None, video_list: VideoList) -> int | None:
    """The place that a page token means; None for one that was not given out for this list."""
    if token is None:
        return 0
    match = re.fullmatch(r"SIM(\d{6})\..+", token)
    position = int(match[1]) if match else -1
    is_ours = 0 < position < video_list.size and token == _token(position, video_list)
    return position if is_ours else None


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _whole(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isdecimal() else otherwise


def _error(
    code: int,
    message: str,
    reason: str,
    *,
    domain: str = "global",
    status: str | None = None,
    details: Sequence[Json] | None = None,
) -> Answer:
    errors = [{"message": message, "domain": domain, "reason": reason}]
    error: Json = {"code": code, "message": message, "errors": errors}
    if status is not None:
        error["status"] = status
    if details is not None:
        error["details"] = list(details)
    return json_answer({"error": error}, code)
