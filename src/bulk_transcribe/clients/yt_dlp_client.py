"""Facts and lists through yt-dlp, for those without a key of the Data API.

It asks YouTube as a browser would: one video at a time, several requests inside of each call.
The library takes 0.2 s to import and is only imported when it is used.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime
from typing import Any, Final, Protocol, TypeGuard
from urllib.parse import urlsplit

from bulk_transcribe.clients.http import real_timeout_s
from bulk_transcribe.clients.redact import Redactor
from bulk_transcribe.clients.safe_text import one_line, short
from bulk_transcribe.clients.youtube_reasons import Reason, find_reason, reason_error
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.ports import Limiter, RequestLog
from bulk_transcribe.core.request import RequestKind, RequestRecord, Ticket
from bulk_transcribe.core.video import Availability, LiveState, VideoItem, VideoMetadata, watch_url
from bulk_transcribe.errors import (
    BulkTranscribeError,
    InputError,
    NetworkError,
    RetryableError,
    SourceBlockedError,
)

SOURCE: Final = "yt-dlp"

_HOST: Final = "https://www.youtube.com"
_VIDEO_ID: Final = re.compile(r"[A-Za-z0-9_-]{11}", re.ASCII)
_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")
_PREFIX: Final = re.compile(r"^(ERROR:\s*)?(\[[\w:+]+\]\s*)?([A-Za-z0-9_-]{11}:\s*)?")
_PLACEHOLDERS: Final = frozenset({"[Deleted video]", "[Private video]"})
_MOST_WAIT_S: Final = 5.0
_DEEPEST: Final = 3  # channel -> tab -> list
#: Stands for "no length": beyond a year it is none of a video's.
_LONGEST_S: Final = 366 * 86_400.0
#: Within an unordered or roughly dated list, this many too old ones in a row end the reading.
_TOO_OLD_IN_A_ROW: Final = 50

_AVAILABILITY: Final[Mapping[str, Availability]] = {
    "public": Availability.PUBLIC,
    "unlisted": Availability.UNLISTED,
    "private": Availability.PRIVATE,
    "premium_only": Availability.MEMBERS,
    "subscriber_only": Availability.MEMBERS,
    "needs_auth": Availability.AGE_RESTRICTED,
}
_LIVE: Final[Mapping[str, LiveState]] = {
    "not_live": LiveState.NONE,
    "is_live": LiveState.LIVE,
    "is_upcoming": LiveState.UPCOMING,
    "was_live": LiveState.ENDED,
    "post_live": LiveState.ENDED,
}


class Ydl(Protocol):
    """What we use of `yt_dlp.YoutubeDL`."""

    def extract_info(self, url: str, *, download: bool, process: bool) -> dict[str, Any] | None:
        """The facts, or None where the library skipped it."""


MakeYdl = Callable[[Mapping[str, Any]], AbstractContextManager[Ydl]]


def make_ydl(options: Mapping[str, Any]) -> AbstractContextManager[Ydl]:
    """The real library."""
    import yt_dlp  # noqa: PLC0415 -- 0.2 s, and most runs never need it

    ydl: AbstractContextManager[Ydl] = yt_dlp.YoutubeDL(dict(options))
    return ydl


class YtDlpClient:
    """The ports `MetadataSource` and `ListingSource`. May be shared by all threads.

    Each call has an instance of the library of its own.

    Args:
        limiter: Gives one permit for each call of the library.
        log: Notes each call of the library as one request.
        clock: For moments and durations.
        proxy: "http://user:password@host:port", or None to go direct.
        timeout_s: Seconds that each request inside may wait; at most 5 are used, since the
            library makes several in a row.
        redact: Takes our secrets (the proxy's password) out of what the library says.
        make: Another library, for tests.
    """

    def __init__(
        self,
        *,
        limiter: Limiter,
        log: RequestLog,
        clock: Clock,
        proxy: str | None = None,
        timeout_s: float = _MOST_WAIT_S,
        redact: Redactor | None = None,
        make: MakeYdl = make_ydl,
    ) -> None:
        self._redact = redact or Redactor()
        self._limiter = limiter
        self._log = log
        self._clock = clock
        self._make = make
        self._options: Mapping[str, Any] = {
            "quiet": True,
            "no_warnings": True,
            "noprogress": True,
            "logger": _Silence(),
            "color": "never",
            "skip_download": True,
            "noplaylist": True,
            "ignore_no_formats_error": True,
            # never the extractor that asks any address: what a list names is not ours to visit
            "allowed_extractors": ["youtube.*"],
            "cachedir": False,
            "socket_timeout": min(_MOST_WAIT_S, real_timeout_s(clock, timeout_s)),
            # retries are for the callers to decide; inside they would last minutes
            "retries": 0,
            "extractor_retries": 0,
            "fragment_retries": 0,
            "extractor_args": {"youtubetab": {"skip": ["authcheck"], "approximate_date": [""]}},
            # "" goes direct; None would read the environment, which is not for us to do
            "proxy": proxy or "",
        }

    def fetch(self, video_ids: Sequence[str]) -> dict[str, VideoMetadata]:
        """Facts by id, one call each, in the order asked.

        A video that YouTube names as private, gone, age-restricted or for members is there with
        that availability; one that cannot be seen from this country is `UNKNOWN`.

        Raises:
            SourceBlockedError: YouTube refuses this address.
            RetryableError: worth another try.
        """
        return {video_id: self._fetch_one(video_id) for video_id in dict.fromkeys(video_ids)}

    def playlist(
        self, playlist_id: str, *, limit: int | None = None, since: date | None = None
    ) -> Iterator[VideoItem]:
        """The videos of a playlist in its order, read as they are taken.

        Dates in lists are rough ("3 weeks ago"); an entry without one stays.

        Raises:
            InputError: there is no such list, it is private, or it is an endless mix.
            SourceBlockedError, RetryableError: as `fetch`.
        """
        if playlist_id.startswith("RD"):
            raise InputError(
                f"{playlist_id} is a mix: YouTube makes it up endlessly for each viewer.",
                next_step="Save its videos to a playlist of your own and use that link.",
                code="endless_list",
            )
        origin = f"playlist {playlist_id}"
        entries = self._list(f"{_HOST}/playlist?list={playlist_id}", origin)
        return _wanted(entries, origin, limit=limit, since=since, is_newest_first=False)

    def channel(
        self, channel: str, *, limit: int | None = None, since: date | None = None
    ) -> Iterator[VideoItem]:
        """A channel's uploads, newest first (videos, not streams or shorts, where it has them).

        Raises:
            InputError: there is no such channel.
            SourceBlockedError, RetryableError: as `fetch`.
        """
        name = channel.strip().strip("/")
        path = name if name.startswith(("@", "c/", "user/")) else f"channel/{name}"
        origin = f"channel {channel}"
        entries = self._channel_entries(f"{_HOST}/{path}", origin)
        return _wanted(entries, origin, limit=limit, since=since, is_newest_first=True)

    def _fetch_one(self, video_id: str) -> VideoMetadata:
        try:
            with self._ydl(video_id) as ydl:
                info = ydl.extract_info(watch_url(video_id), download=False, process=False)
        except BulkTranscribeError:
            raise
        except Exception as error:  # noqa: BLE001 -- the library raises whatever its parsers meet
            return self._refused(video_id, error)
        if not info or not isinstance(info, dict):
            raise _unreadable(video_id)
        return read_info(video_id, info, self._clock.now())

    def _refused(self, video_id: str, error: Exception) -> VideoMetadata:
        """The refusal as a fact about the video, or as an error where it is none."""
        reason = _reason_of(error)
        if reason is not None and (reason.availability or reason.live_state):
            return VideoMetadata(
                video_id=video_id,
                availability=reason.availability or Availability.UNKNOWN,
                live_state=reason.live_state or LiveState.UNKNOWN,
                source=SOURCE,
                fetched_at=self._clock.now(),
            )
        if reason is not None and reason.code in {"geo_blocked", "drm"}:
            return VideoMetadata(video_id=video_id, source=SOURCE, fetched_at=self._clock.now())
        raise _error_of(error, video_id, self._redact(_plain(error))) from error

    def _channel_entries(self, url: str, origin: str) -> Iterator[dict[str, Any]]:
        try:
            yield from self._list(f"{url}/videos", origin)
        except _NoTabError:  # a channel of streams or shorts only
            yield from self._list(url, origin)

    def _list(self, url: str, origin: str) -> Iterator[dict[str, Any]]:
        """The entries of a list page, nested ones included, as they are taken."""
        with self._ydl(None) as ydl:
            try:
                yield from _entries(ydl, url, depth=0)
            except (BulkTranscribeError, _NoTabError):
                raise
            except Exception as error:
                raise _list_error(error, origin, self._redact(_plain(error))) from error

    @contextmanager
    def _ydl(self, video_id: str | None) -> Iterator[Ydl]:
        """An instance of the library with a permit, noted as one request."""
        with (
            self._limiter.permit(RequestKind.YT_DLP, Ticket(video_id=video_id)) as permit,
            self._make(self._options) as ydl,
        ):
            sent_at, started_s = self._clock.now(), self._clock.now_s()
            failure: str | None = None
            try:
                yield ydl
            except GeneratorExit:  # the reader of a list has enough
                raise
            except BaseException as error:
                failure = type(error).__name__
                raise
            finally:
                self._log.record(
                    RequestRecord(
                        kind=RequestKind.YT_DLP,
                        video_id=video_id,
                        sent_at=sent_at,
                        waited_s=permit.waited_s,
                        took_s=self._clock.now_s() - started_s,
                        status=None,  # several requests inside, none of which is shown to us
                        error=failure,
                    )
                )


def read_info(video_id: str, info: Mapping[str, Any], fetched_at: datetime) -> VideoMetadata:
    """yt-dlp's facts as ours. Any of its keys can be missing or None."""
    return VideoMetadata(
        video_id=video_id,
        title=_text(info.get("title")),
        channel=_text(info.get("channel")) or _text(info.get("uploader")),
        channel_id=_text(info.get("channel_id")),
        published_at=_published_at(info),
        duration_s=_positive(info.get("duration")),
        language=_text(info.get("language")),
        availability=_AVAILABILITY.get(str(info.get("availability")), Availability.UNKNOWN),
        live_state=_LIVE.get(str(info.get("live_status")), LiveState.UNKNOWN),
        has_captions=_has_captions(info.get("subtitles")),
        source=SOURCE,
        fetched_at=fetched_at,
    )


class _NoTabError(Exception):
    """The channel has no tab of that name."""


class _Silence:
    """The library's logger: it would print otherwise. Errors are raised all the same."""

    def debug(self, _text: str) -> None: ...

    def info(self, _text: str) -> None: ...

    def warning(self, _text: str) -> None: ...

    def error(self, _text: str) -> None: ...


def _entries(ydl: Ydl, url: str, *, depth: int) -> Iterator[dict[str, Any]]:
    """Depth first, in order; pages are only read as entries are taken."""
    info = ydl.extract_info(url, download=False, process=False)
    if not info:
        return
    if info.get("_type") in {"url", "url_transparent"}:  # sent on to another page
        listed: Any = [info]
    else:
        listed = info.get("entries") or ()
    for entry in listed:
        if not isinstance(entry, dict):
            continue
        target = entry.get("url")
        if _is_video(entry):
            yield entry
        elif _is_on_youtube(target) and target != url and depth < _DEEPEST:
            yield from _entries(ydl, target, depth=depth + 1)


def _is_on_youtube(target: Any) -> TypeGuard[str]:
    """Whether an entry's address may be visited: YouTube's own, encrypted."""
    try:
        parts = urlsplit(target if isinstance(target, str) else "")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return False
    is_youtube = host == "youtube.com" or host.endswith(".youtube.com")
    return parts.scheme == "https" and is_youtube and port in {None, 443}


def _is_video(entry: Mapping[str, Any]) -> bool:
    return entry.get("ie_key") in {"Youtube", None} and bool(
        _VIDEO_ID.fullmatch(str(entry.get("id") or ""))
    )


def _wanted(
    entries: Iterator[dict[str, Any]],
    origin: str,
    *,
    limit: int | None,
    since: date | None,
    is_newest_first: bool,
) -> Iterator[VideoItem]:
    if limit is not None and limit <= 0:
        return
    seen: set[str] = set()
    too_old = 0
    for entry in entries:
        video_id = str(entry["id"])
        if video_id in seen or _text(entry.get("title")) in _PLACEHOLDERS:
            continue
        seen.add(video_id)
        published_at = _published_at(entry)
        if since and published_at and published_at.date() < since:
            too_old += 1
            if is_newest_first and too_old >= _TOO_OLD_IN_A_ROW:
                return
            continue
        too_old = 0
        yield VideoItem(
            video_id=video_id,
            title=_text(entry.get("title")),
            channel=_text(entry.get("channel")) or _text(entry.get("uploader")),
            duration_s=_positive(entry.get("duration")),
            origin=origin,
        )
        if limit is not None:
            limit -= 1
            if limit == 0:
                return


def _plain(error: BaseException) -> str:
    """The library's words without colours, prefix and its appeal to file a bug report."""
    text = _PREFIX.sub("", _COLOURS.sub("", one_line(str(error))))
    return re.split(r"; please report this issue|\. Use --cookies", text, maxsplit=1)[0]


def _reason_of(error: BaseException) -> Reason | None:
    """By its words, and by those of the errors beneath it."""
    beneath = getattr(error, "exc_info", None)
    root = beneath[1] if isinstance(beneath, tuple) and len(beneath) > 1 else None
    causes = (error, root, getattr(root, "cause", None), error.__cause__)
    words = [str(cause) for cause in causes if isinstance(cause, BaseException)]
    if type(root).__name__ == "GeoRestrictedError":
        words.append("not made this video available in your country")
    return find_reason(_COLOURS.sub("", " ".join(words)))


def _error_of(error: BaseException, video_id: str, says: str) -> BulkTranscribeError:
    reason = _reason_of(error)
    if reason is not None:
        return reason_error(reason, video_id=video_id, source=SOURCE)
    return RetryableError(
        f"{video_id}: yt-dlp could not read the video ({short(says, 120)}).",
        next_step="If it happens to every video, update yt-dlp: YouTube changes weekly.",
        code="yt_dlp",
    )


def _list_error(error: BaseException, origin: str, says: str) -> BaseException:
    """A list's error: blocks and network trouble as for videos, everything else is the input's."""
    text = str(error).lower()
    if "does not have a" in text and "tab" in text:
        return _NoTabError(origin)
    reason = _reason_of(error)
    if reason is not None and issubclass(reason.family, SourceBlockedError | RetryableError):
        return reason_error(reason, video_id="", source=SOURCE)
    if "private" in text:
        return InputError(
            f"The {origin} is private.",
            next_step="Make it unlisted or public, or use another list.",
            code="private_list",
        )
    return InputError(
        f"The {origin} cannot be read ({short(says, 120)}).",
        next_step="Check the link in a private browser window.",
        code="unknown_list",
    )


def _unreadable(video_id: str) -> NetworkError:
    return NetworkError(f"{video_id}: yt-dlp gave nothing.", code="unreadable_answer")


def _published_at(info: Mapping[str, Any]) -> datetime | None:
    """From `timestamp` (seconds), else from `upload_date` (YYYYMMDD, UTC)."""
    stamp = info.get("timestamp")
    if isinstance(stamp, int | float) and not isinstance(stamp, bool):
        try:
            return datetime.fromtimestamp(stamp, UTC)
        except (ValueError, OverflowError, OSError):
            return None
    try:
        return datetime.strptime(str(info.get("upload_date")), "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return None


def _has_captions(subtitles: Any) -> bool | None:
    """Tracks by hand; the chat of a stream is none. yt-dlp drops guarded tracks: no False."""
    if isinstance(subtitles, dict) and set(subtitles) - {"live_chat"}:
        return True
    return None


def _positive(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value <= _LONGEST_S else None


def _text(value: Any) -> str | None:
    return one_line(value) or None if isinstance(value, str) else None
