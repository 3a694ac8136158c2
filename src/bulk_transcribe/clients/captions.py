"""Free captions, read as a viewer's player reads them.

The library (youtube-transcript-api) is not thread-safe, sets no timeout and knows no limit. So
each thread has its own instance and session, and every request it makes passes through `_Gate`,
which takes the permit, enforces the time, bounds the size and keeps the record.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import urlsplit, urlunsplit
from xml.etree.ElementTree import ParseError

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError as Urllib3Error
from urllib3.exceptions import NameResolutionError, NewConnectionError
from youtube_transcript_api import YouTubeTranscriptApi
from youtube_transcript_api import _errors as yta
from youtube_transcript_api.proxies import GenericProxyConfig, ProxyConfig, WebshareProxyConfig

from bulk_transcribe.clients.addresses import AddressGuard, PrivateAddressError
from bulk_transcribe.clients.http import parse_retry_after_s, real_timeout_s
from bulk_transcribe.clients.safe_text import one_line, short
from bulk_transcribe.clients.youtube_reasons import find_reason, reason_error
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.ports import Limiter, Permit, RequestLog
from bulk_transcribe.core.request import RequestKind, RequestRecord, Ticket
from bulk_transcribe.core.transcript import Segment, Transcript
from bulk_transcribe.errors import (
    BulkTranscribeError,
    NetworkError,
    NoCaptionsError,
    RetryableError,
    ServerBusyError,
    SourceBlockedError,
    VideoUnavailableError,
)

DEFAULT_BASE_URL: Final = "https://www.youtube.com"
SOURCE: Final = "captions"
ANY_LANGUAGE: Final = "any"

_CONNECT_S: Final = 10.0
_MOST_BYTES: Final = 16 * 1024 * 1024  # a watch page has 1 to 2 MB, a day's captions 3 MB
_CHUNK_BYTES: Final = 65_536
#: A blocked address is usually let in again within the hour.
_BLOCK_REST_S: Final = 900.0
_TRACK_PATH: Final = "/timedtext"
#: One caption of a track, without its tags.
_CAPTION: Final = re.compile(rb"[^<>]+")
#: "<" in every way in which XML and HTML, one inside the other, can write it.
_OPENING: Final = re.compile(rb"(?:&|amp;|#0*38;|#x0*26;)(?:lt|#0*60|#x0*3c)", re.IGNORECASE)
#: Steps that the library may take for one caption; an honest one needs some hundred.
_MOST_STEPS: Final = 2_000_000
#: Addresses of a rotating proxy that are tried for one video before it counts as a block.
_ROTATIONS: Final = 3


@dataclass(frozen=True)
class Webshare:
    """An account with Webshare's rotating residential proxies. The password is never shown."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Webshare(username={self.username!r})"


class CaptionTrack(Protocol):
    """What the choice of a track looks at."""

    @property
    def language_code(self) -> str: ...

    @property
    def is_generated(self) -> bool: ...


TrackT = TypeVar("TrackT", bound=CaptionTrack)


class YouTubeCaptions:
    """The port `CaptionFetcher`. May be shared by all threads; close it, or use it with `with`.

    Args:
        limiter: Gives a permit for each request (three or four for a video).
        log: Notes each request.
        clock: For moments and durations.
        base_url: Another address in place of https://www.youtube.com, for a simulator.
        proxy: "http://user:password@host:port" for everything, or None.
        webshare: Rotating proxies instead; each request comes from another address.
        timeout_s: Seconds for one request, its body included.
        guard: Says where a request may go: YouTube's page names the address of a track; None
            lets it go anywhere. With a proxy, which resolves names by itself, it sees numbers only.
    """

    def __init__(
        self,
        *,
        limiter: Limiter,
        log: RequestLog,
        clock: Clock,
        base_url: str = DEFAULT_BASE_URL,
        proxy: str | None = None,
        webshare: Webshare | None = None,
        timeout_s: float = 30.0,
        guard: AddressGuard | None = None,
    ) -> None:
        self._guard = guard or AddressGuard(allow_private=True)
        self._limiter = limiter
        self._log = log
        self._clock = clock
        self._base_url = base_url.strip().rstrip("/")
        self._proxy = _proxy_config(proxy, webshare)
        self._timeout_s = timeout_s
        self._own = threading.local()  # .reader: this thread's
        self._lock = threading.Lock()  # guards _sessions
        self._sessions: list[requests.Session] = []

    def __enter__(self) -> "YouTubeCaptions":  # noqa: PYI034 -- not made for subclasses
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the sessions of all threads. Nobody may be fetching."""
        with self._lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()

    def fetch(self, video_id: str, languages: Sequence[str], ticket: Ticket) -> Transcript:
        """The best caption track. See `CaptionFetcher.fetch`."""
        reader = self._reader()
        reader.gate.ticket = ticket
        reader.gate.answer = None
        try:
            return _read(reader.api, video_id, languages)
        except BulkTranscribeError:  # ours, from the gate: the wish to stop among them
            raise
        except Exception as error:
            raise sort_error(error, video_id=video_id, answer=reader.gate.answer) from error

    def _reader(self) -> "_Reader":
        reader: _Reader | None = getattr(self._own, "reader", None)
        if reader is None:
            reader = self._own.reader = self._new_reader()
        return reader

    def _new_reader(self) -> "_Reader":
        session = requests.Session()
        session.trust_env = False  # proxies come from the settings, not from the environment
        api = YouTubeTranscriptApi(proxy_config=self._proxy, http_client=session)
        gate = _Gate(
            limiter=self._limiter,
            log=self._log,
            clock=self._clock,
            base_url=self._base_url,
            timeout_s=self._timeout_s,
            rotates=isinstance(self._proxy, WebshareProxyConfig),
            guard=self._guard,
            by_name=self._proxy is None,
        )
        # After the library, which mounts adapters that retry without asking for a permit.
        for prefix in ("https://", "http://"):
            session.mount(prefix, gate)
        with self._lock:
            self._sessions.append(session)
        return _Reader(api=api, gate=gate)


def choose_track(tracks: Sequence[TrackT], languages: Sequence[str]) -> TrackT | None:
    """The best of the tracks, None where nothing fits.

    Languages count in their order. For one language, a track by hand comes before a generated
    one, and the exact code ("en") before a narrower one ("en-GB"). "any" is the spoken language,
    which the generated track tells; without one the first by hand; else the first of all.
    """
    for language in languages:
        found = (
            _any_track(tracks) if language.lower() == ANY_LANGUAGE else _track_in(tracks, language)
        )
        if found is not None:
            return found
    return None


def _any_track(tracks: Sequence[TrackT]) -> TrackT | None:
    spoken = next((track for track in tracks if track.is_generated), None)
    if spoken is not None:
        return _track_in(tracks, spoken.language_code)
    return next(iter(tracks), None)


def _track_in(tracks: Sequence[TrackT], language: str) -> TrackT | None:
    wish = language.lower().replace("_", "-")

    def rank(track: TrackT) -> tuple[bool, bool]:
        return track.is_generated, track.language_code.lower() != wish

    fitting = [
        track for track in tracks if f"{track.language_code.lower()}-".startswith(f"{wish}-")
    ]
    return min(fitting, key=rank, default=None)  # the first of equals


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The status and the wish to wait of the last answer, for sorting an error."""

    status: int
    retry_after_s: float | None


def sort_error(
    error: Exception, *, video_id: str, answer: Answer | None = None
) -> BulkTranscribeError:
    """What an exception out of the library means.

    Its own exceptions, those of `requests`, and what leaks when YouTube's page has changed:
    a page that cannot be read says nothing about the video, so it is worth another try and never
    counts as "no captions" (which would quietly pay for every video).

    Args:
        error: What came out.
        video_id: The video.
        answer: The last answer YouTube gave, None where it gave none.
    """
    for family, build in _SIMPLE.items():
        if isinstance(error, family):
            return build(video_id)
    if isinstance(error, PrivateAddressError):
        return _private_track(error, video_id)
    if isinstance(error, yta.VideoUnplayable):
        return _unplayable(error, video_id)
    if isinstance(error, yta.RequestBlocked | yta.YouTubeRequestFailed):
        return _refused(error, video_id, answer)
    is_network = isinstance(error, requests.RequestException | Urllib3Error | OSError)
    if is_network and not isinstance(error, requests.exceptions.JSONDecodeError):
        return NetworkError(
            f"{video_id}: YouTube could not be reached ({type(error).__name__}).",
            next_step="Check the network and the proxy.",
        )
    return _unreadable(error, video_id)


def _no_captions(says: str, code: str) -> Callable[[str], BulkTranscribeError]:
    return lambda video_id: NoCaptionsError(f"{video_id}: {says}.", code=code)


def _gone(code: str, says: str, next_step: str) -> Callable[[str], BulkTranscribeError]:
    return lambda video_id: VideoUnavailableError(
        f"{video_id}: {says}.", video_id=video_id, next_step=next_step, code=code
    )


#: Exceptions of the library that carry all they say in their name.
_SIMPLE: Final[Mapping[type[Exception], Callable[[str], BulkTranscribeError]]] = {
    yta.TranscriptsDisabled: _no_captions("the video has no captions", "no_captions"),
    yta.NoTranscriptFound: _no_captions("no captions in a wanted language", "no_language"),
    yta.NotTranslatable: _no_captions("no captions in a wanted language", "no_language"),
    yta.TranslationLanguageNotAvailable: _no_captions(
        "no captions in a wanted language", "no_language"
    ),
    yta.PoTokenRequired: _no_captions("its captions are guarded by a token", "guarded_captions"),
    yta.AgeRestricted: _gone(
        "age_restricted",
        "the video is age-restricted",
        "It needs a signed-in viewer; leave it out.",
    ),
    yta.VideoUnavailable: _gone(
        "unavailable", "the video is gone: deleted, or never there", "Check the link."
    ),
    yta.InvalidVideoId: _gone("unavailable", "that is no video id", "Check the link."),
}


def _private_track(error: PrivateAddressError, video_id: str) -> BulkTranscribeError:
    return VideoUnavailableError(
        f"{video_id}: its captions are said to be at {short(error.host, 80)}, an address in a "
        "private network: it was not asked.",
        video_id=video_id,
        next_step="If that is meant to be so, set allow_private_addresses, then retry.",
        code="private_address",
        can_retry=True,
    )


def _unplayable(error: yta.VideoUnplayable, video_id: str) -> BulkTranscribeError:
    # whatever the page holds there; the library hands it on unseen
    said = one_line(" ".join(str(part) for part in (error.reason, *error.sub_reasons) if part))
    reason = find_reason(said)
    if reason is not None:
        return reason_error(reason, video_id=video_id, source=SOURCE)
    # Whether a paid service would be let in is not known; asking it costs money, so stop here.
    return VideoUnavailableError(
        f'{video_id}: YouTube does not play the video: "{short(said or "no reason given")}".',
        video_id=video_id,
        next_step="Check that it plays without signing in.",
        code="unplayable",
        can_retry=True,
    )


def _refused(error: Exception, video_id: str, answer: Answer | None) -> BulkTranscribeError:
    status = answer.status if answer else 0
    after_s = answer.retry_after_s if answer else None
    if isinstance(error, yta.RequestBlocked):
        return SourceBlockedError(
            "YouTube refuses captions to this address for now.",
            source=SOURCE,
            retry_after_s=after_s or _BLOCK_REST_S,
            next_step="Wait an hour, lower captions_rpm, or set a proxy.",
        )
    if status >= 500:  # noqa: PLR2004
        return ServerBusyError(
            f"{video_id}: YouTube is in trouble ({status}).", retry_after_s=after_s
        )
    return RetryableError(
        f"{video_id}: YouTube refused a request for its captions ({status}).",
        retry_after_s=after_s,
        next_step="If it happens to every video, set a proxy.",
        code="request_refused",
        refused=True,
    )


def _unreadable(error: Exception, video_id: str) -> BulkTranscribeError:
    says = (
        "its captions came empty or broken"
        if isinstance(error, ParseError)
        else "its page could not be read"
    )
    return RetryableError(
        f"{video_id}: {says} ({type(error).__name__}).",
        next_step="If it happens to every video, update youtube-transcript-api: "
        "YouTube has changed its pages.",
        code="unreadable_captions",
    )


def _read(api: YouTubeTranscriptApi, video_id: str, languages: Sequence[str]) -> Transcript:
    tracks = list(api.list(video_id))
    track = choose_track(tracks, languages)
    if track is None:
        there = ", ".join(sorted({t.language_code for t in tracks})) or "none"
        raise NoCaptionsError(
            f"{video_id}: no captions in {', '.join(languages)} (there: {there}).",
            code="no_language",
        )
    fetched = track.fetch()
    segments = _segments(fetched.snippets)
    if not segments:
        raise NoCaptionsError(f"{video_id}: the caption track is empty.", code="empty_captions")
    return Transcript(
        video_id=video_id,
        source=SOURCE,
        text=" ".join(segment.text for segment in segments),
        segments=segments,
        language=track.language_code,
        is_generated=track.is_generated,
    )


def _segments(snippets: Sequence[Any]) -> tuple[Segment, ...]:
    """In time order; snippets without words are dropped. Generated ones overlap: that stays."""
    found = []
    for snippet in snippets:
        text = one_line(snippet.text)
        if text:
            start_s = max(0.0, round(snippet.start, 3))
            end_s = max(start_s, round(snippet.start + snippet.duration, 3))
            found.append(Segment(start_s, end_s, text))
    return tuple(sorted(found, key=lambda segment: segment.start_s))


def _proxy_config(proxy: str | None, webshare: Webshare | None) -> ProxyConfig | None:
    if webshare is not None:
        return WebshareProxyConfig(
            proxy_username=webshare.username,
            proxy_password=webshare.password,
            retries_when_blocked=_ROTATIONS,
        )
    return GenericProxyConfig(http_url=proxy, https_url=proxy) if proxy else None


@dataclass(frozen=True, kw_only=True)
class _Reader:
    """One thread's instance of the library and the gate that its requests pass."""

    api: YouTubeTranscriptApi
    gate: "_Gate"


class _Gate(HTTPAdapter):
    """Every request of one thread: one permit, one record, a timeout. Belongs to that thread."""

    def __init__(
        self,
        *,
        limiter: Limiter,
        log: RequestLog,
        clock: Clock,
        base_url: str,
        timeout_s: float,
        rotates: bool,
        guard: AddressGuard,
        by_name: bool,
    ) -> None:
        super().__init__(pool_connections=2, pool_maxsize=2, max_retries=0)
        self.ticket = Ticket()
        self.answer: Answer | None = None
        self._limiter = limiter
        self._log = log
        self._clock = clock
        self._base_url = base_url
        self._real_timeout_s = real_timeout_s(clock, timeout_s)
        self._rotates = rotates
        self._guard = guard
        self._by_name = by_name

    def send(  # type: ignore[override]  # the rest is passed on as it came
        self, request: requests.PreparedRequest, **kwargs: Any
    ) -> requests.Response:
        """Wait for a permit, send, and read the whole body within the time."""
        request.url = self._redirected(request.url or "")
        kwargs["timeout"] = (min(_CONNECT_S, self._real_timeout_s), self._real_timeout_s)
        kwargs["stream"] = True  # the body is read below, under the same deadline
        with self._limiter.permit(RequestKind.CAPTIONS, self.ticket) as permit:
            sent_at, started_s = self._clock.now(), self._clock.now_s()
            status: int | None = None
            failure: str | None = None
            try:
                self._look_at(request.url)
                _refuse_old(permit)
                response = super().send(request, **kwargs)
                status = response.status_code
                headers = {name.lower(): value for name, value in response.headers.items()}
                self.answer = Answer(
                    status=status,
                    retry_after_s=parse_retry_after_s(headers.get("retry-after"), sent_at),
                )
                # a 429 to one of many rotating addresses is no reason for all to pause
                if not (self._rotates and status == 429):  # noqa: PLR2004
                    permit.answered(status, headers)
                self._read_body(response, started_s)
            except BaseException as error:
                failure = type(error).__name__
                if _never_left(error):
                    permit.unsent()
                raise
            finally:
                self._log.record(
                    RequestRecord(
                        kind=RequestKind.CAPTIONS,
                        video_id=self.ticket.video_id,
                        sent_at=sent_at,
                        waited_s=permit.waited_s,
                        took_s=self._clock.now_s() - started_s,
                        status=status,
                        error=failure,
                    )
                )
        return response

    def _look_at(self, url: str) -> None:
        """Redirects pass here, too: each hop is a request of its own.

        Raises:
            PrivateAddressError: it leads into a private network.
            ConnectionError: its host has no address.
        """
        try:
            self._guard.check(url, by_name=self._by_name)
        except OSError as error:
            raise requests.exceptions.ConnectTimeout(str(error)) from error

    def _redirected(self, url: str) -> str:
        """The same path at `base_url`, for addresses of youtube.com only."""
        if self._base_url == DEFAULT_BASE_URL or not url.startswith(f"{DEFAULT_BASE_URL}/"):
            return url
        base, asked = urlsplit(self._base_url), urlsplit(url)
        return urlunsplit(
            (base.scheme, base.netloc, base.path + asked.path, asked.query, asked.fragment)
        )

    def _read_body(self, response: requests.Response, started_s: float) -> None:
        """Read the body now, with what is left of the time, at most `_MOST_BYTES`."""
        until_s = started_s + self._real_timeout_s * self._clock.speed
        body = bytearray()
        # read1 gives what is there; iter_content would wait until a whole chunk has dripped in
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            body += chunk
            if len(body) > _MOST_BYTES:
                response.close()
                raise requests.exceptions.ContentDecodingError("the page is too long")
            if self._clock.now_s() > until_s:
                response.close()
                raise requests.exceptions.ReadTimeout("the page came too slowly")
        if _TRACK_PATH in (response.url or ""):
            _refuse_tangled(body, self.ticket.video_id or "")
        response._content = bytes(body)  # noqa: SLF001 -- requests has no other way to hand it in


def _refuse_tangled(body: bytes | bytearray, video_id: str) -> None:
    """Refuse captions that would keep the library busy for hours.

    It takes tags out of each caption with a pattern that reads on to the caption's end from
    every "<" that is never closed: whoever uploads a hundred thousand of them stops the thread.

    Raises:
        NoCaptionsError: a caption is of that kind.
    """
    steps = (len(_OPENING.findall(text)) * len(text) for text in _CAPTION.findall(body))
    # brackets inside CDATA need no escaping; YouTube never writes it
    if b"<![CDATA[" in body or max(steps, default=0) > _MOST_STEPS:
        raise NoCaptionsError(
            f"{video_id}: its captions are not words but a tangle of brackets.",
            code="unreadable_captions",
        )


def _refuse_old(permit: Permit) -> None:
    """A process that stood still since does not send on a permit of before."""
    if not permit.is_fresh():
        raise requests.exceptions.ConnectTimeout("this process stood still")


def _never_left(error: BaseException) -> bool:
    """Whether no byte of the request went out."""
    if isinstance(
        error,
        requests.exceptions.ConnectTimeout | requests.exceptions.ProxyError | PrivateAddressError,
    ):
        return True
    cause = error.args[0] if isinstance(error, requests.ConnectionError) and error.args else None
    return isinstance(getattr(cause, "reason", None), NewConnectionError | NameResolutionError)
