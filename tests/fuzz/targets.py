"""The edges of the product, each with the input it gets and what must hold of the answer."""

import asyncio
import io
import ipaddress
import math
import re
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from unittest import mock
from urllib.parse import urlsplit

import httpx2
import requests
import urllib3
from requests.adapters import HTTPAdapter
from starlette.applications import Starlette
from typer.testing import CliRunner

from bulk_transcribe.app.webhooks import Deliveries, application
from bulk_transcribe.cli import logs
from bulk_transcribe.cli.main import app
from bulk_transcribe.clients.addresses import AddressGuard, PrivateAddressError, origin_of
from bulk_transcribe.clients.captions import DEFAULT_BASE_URL, YouTubeCaptions
from bulk_transcribe.clients.deapi import DeapiClient
from bulk_transcribe.clients.deapi_text import parse_result
from bulk_transcribe.clients.http import HttpClient
from bulk_transcribe.clients.safe_text import safe_text
from bulk_transcribe.clients.webhook import MOST_BYTES
from bulk_transcribe.clients.youtube_data import YouTubeDataClient
from bulk_transcribe.clients.yt_dlp_client import YtDlpClient
from bulk_transcribe.config import Settings, load
from bulk_transcribe.core.job import JobState
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.core.transcript import Segment, Transcript
from bulk_transcribe.core.video import VideoItem, VideoMetadata, watch_url
from bulk_transcribe.errors import BulkTranscribeError, InputError
from bulk_transcribe.inputs.collect import Collected, collect
from bulk_transcribe.inputs.url import ChannelLink, PlaylistLink, VideoLink, read_link
from bulk_transcribe.save.export import FORMATS, FileExporter
from bulk_transcribe.save.export.names import FileNames, safe_title
from bulk_transcribe.simulator.webhooks import sign
from bulk_transcribe.testing import FakeClock
from tests.fuzz.harness import Sandbox, Target
from tests.fuzz.mischief import Mischief
from tests.unit.clients.doubles import MemoryLog, OpenLimiter

_ID: Final = re.compile(r"[0-9A-Za-z_-]{11}")
_LIST: Final = re.compile(r"[0-9A-Za-z_-]{13,64}")
_CHANNEL: Final = re.compile(r"UC[0-9A-Za-z_-]{22}|@[\w.·-]{1,30}|(c|user)/[\w.·-]{1,100}")
#: Hosts that may stand in an address that is understood.
_YOUTUBE: Final = re.compile(
    r"(.+\.)?(youtube\.com|youtu\.be|youtube-nocookie\.com|youtubekids\.com|ytimg\.com|googleusercontent\.com"
    r"|google\.[a-z.]{2,6}|googleapis\.com|yt\.be|youtube\.googleapis\.com|y2u\.be)\.?"
)
_VIDEO: Final = "jNQXAC9IVRw"
_NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)


# --- links and files


def _links(mischief: Mischief, _sandbox: Sandbox) -> None:
    text = mischief.link()
    link = read_link(
        text, prefer=mischief.one_of(("video", "playlist")), is_id=mischief.chance(0.1)
    )
    match link:
        case VideoLink(video_id):
            assert _ID.fullmatch(video_id)
            assert read_link(watch_url(video_id)) == link
        case PlaylistLink(playlist_id):
            assert _LIST.fullmatch(playlist_id)
        case ChannelLink(channel):
            assert _CHANNEL.fullmatch(channel)


def _hosts(mischief: Mischief, _sandbox: Sandbox) -> None:
    """An address whose host a strict parser calls something else than YouTube is refused."""
    address = mischief.address()
    with suppress(ValueError):
        parsed = urlsplit(address if "//" in address else f"//{address}")
        host = (parsed.hostname or "").lower()
        is_plain = parsed.scheme in {"http", "https"} and host and "\\" not in address
        if is_plain and not _YOUTUBE.fullmatch(host):
            _refused(lambda: read_link(address), address)
    read_link(address)


def _refused(call: Callable[[], object], what: object) -> None:
    try:
        found = call()
    except InputError:
        return
    raise AssertionError(f"{what!r} was taken for {found!r}")


def _collected(path: Path, mischief: Mischief) -> Collected:
    found = collect(
        [str(path)], url_column=mischief.one_of((None, None, "url", "A", "3", mischief.text(8)))
    )
    for item in found.items:
        assert _ID.fullmatch(item.video_id)
        assert all(isinstance(text, str) for pair in item.extra.items() for text in pair)
    for problem in found.problems:
        assert len(problem.text) <= 200
        assert "\n" not in problem.text
    return found


def _put(sandbox: Sandbox, name: str, content: bytes) -> Path:
    path = sandbox.inputs / name
    path.write_bytes(content)
    return path


def _text_files(mischief: Mischief, sandbox: Sandbox) -> None:
    lines = [mischief.link() for _ in range(mischief.rng.randrange(12))]
    content = mischief.encoded(mischief.one_of(("\n", "\r\n", "\r", "\u2028", ", ")).join(lines))
    if mischief.chance(0.3):
        content = mischief.damaged_bytes(content)
    name = f"list.{mischief.one_of(('txt', 'md', 'TXT'))}"
    if mischief.chance(0.1):
        collect(["-"], stdin=io.TextIOWrapper(io.BytesIO(content)))
    _collected(_put(sandbox, name, content), mischief)


def _tables(mischief: Mischief, sandbox: Sandbox) -> None:
    delimiter = mischief.one_of((",", ";", "\t", "|", mischief.text(2)))
    rows = [["title", "url", mischief.text(10)]]
    rows += [
        [mischief.text(20), mischief.link(), mischief.one_of(('"', '""', mischief.text(30)))]
        for _ in range(mischief.rng.randrange(8))
    ]
    content = mischief.encoded("\n".join(delimiter.join(row) for row in rows))
    name = mischief.one_of(("list.csv", "list.tsv"))
    _collected(_put(sandbox, name, mischief.damaged_bytes(content)), mischief)


def _json_files(mischief: Mischief, sandbox: Sandbox) -> None:
    template = mischief.one_of(
        (
            [f"https://youtu.be/{_VIDEO}", _VIDEO],
            [{"url": f"https://youtu.be/{_VIDEO}", "title": "A", "n": 5}, {"id": _VIDEO}],
            {"videos": [{"video_id": _VIDEO, "tags": ["a", "b"], "more": {"x": 1}}]},
        )
    )
    _collected(_put(sandbox, "list.json", mischief.body(template)), mischief)


def _workbooks(mischief: Mischief, sandbox: Sandbox) -> None:
    cells = [["title", "url"]]
    cells += [[mischief.text(20), mischief.link()] for _ in range(mischief.rng.randrange(5))]
    content = mischief.workbook(cells)
    _collected(
        _put(sandbox, mischief.one_of(("list.xlsx", "list.xlsm", "list.xls", "list.ods")), content),
        mischief,
    )


def _arguments(mischief: Mischief, sandbox: Sandbox) -> None:
    arguments = [
        mischief.one_of((mischief.link(), mischief.text(300), str(sandbox.inputs)))
        for _ in range(3)
    ]
    collect(
        arguments,
        prefer=mischief.one_of(("video", "playlist")),
        limit=mischief.one_of((None, 0, 1)),
    )


# --- HTTP answers


@contextmanager
def _answered(mischief: Mischief, template: Any) -> Iterator[HttpClient]:
    """An `HttpClient` to which every request is answered by something hostile."""

    def handler(_request: httpx2.Request) -> httpx2.Response:
        headers = {
            "content-type": mischief.one_of(
                ("application/json", "text/html", mischief_header(mischief))
            ),
            "retry-after": mischief.one_of(
                (
                    "1",
                    "-1",
                    "1e9",
                    "9" * 40,
                    "Wed, 21 Oct 99999 07:28:00 GMT",
                    mischief_header(mischief),
                )
            ),
            "x-ratelimit-remaining": mischief_header(mischief),
            "content-length": mischief.one_of(("5", "0", "-1", "99999999999999999999")),
            "content-encoding": mischief.one_of(
                ("identity", "identity", "identity", "gzip", "br", "deflate", "gzip, gzip", "x")
            ),
            "location": mischief.one_of(
                (
                    "http://127.0.0.1/",
                    "//[",
                    "http://169.254.169.254/latest",
                    mischief_header(mischief),
                )
            ),
        }
        kept = {name: value for name, value in headers.items() if mischief.chance(0.3)}
        status = mischief.one_of(
            (
                200,
                200,
                200,
                200,
                201,
                204,
                302,
                307,
                400,
                401,
                402,
                403,
                404,
                408,
                422,
                429,
                500,
                502,
                521,
                599,
            )
        )
        raw = [(name.encode(), value.encode("latin-1")) for name, value in kept.items()]
        return httpx2.Response(status, headers=raw, stream=_Body(mischief.body(template)))

    with HttpClient(
        limiter=OpenLimiter(),
        log=MemoryLog(),
        clock=FakeClock(),
        transport=httpx2.MockTransport(handler),
    ) as http:
        yield http


class _Body(httpx2.SyncByteStream):
    """A body as it comes over a wire: in pieces, with whatever length the header claims."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._content), 65_536):
            yield self._content[at : at + 65_536]


def mischief_header(mischief: Mischief) -> str:
    """A value that a server can put on the wire."""
    return re.sub(r"[^\x20-\x7e\x80-\xff]", "", mischief.text(30))


_JOB: Final[Mapping[str, Any]] = {
    "data": {
        "id": "123e4567",
        "request_id": "123e4567",
        "status": "done",
        "progress": "45.5",
        "preview": None,
        "result_url": "https://results.example/x?X-Amz-Signature=1",
        "result": "[0:00 - 0:05] Hello.",
        "price": 0.0052,
        "balance": "12.5",
        "error_code": "X",
        "error_message": "y",
        "error": {"code": "A", "message": "b"},
        "transcription": {"language": "en"},
    }
}
_MODELS: Final[Mapping[str, Any]] = {
    "data": [
        {
            "slug": "WhisperLargeV3",
            "name": "W",
            "inference_types": ["video2text"],
            "info": {"limits": {"a": 1}, "features": []},
        }
    ],
    "meta": {"last_page": 1},
    "links": {"next": None},
}
_REFUSAL: Final[Mapping[str, Any]] = {
    "message": "The model field is invalid.",
    "errors": {"model": ["The selected model is invalid."], "balance": "not enough"},
    "data": None,
    "error": {"code": "x", "message": "y"},
    "statusCode": 422,
}


def _deapi(mischief: Mischief, _sandbox: Sandbox) -> None:
    template = mischief.one_of((_JOB, _JOB, _JOB, _MODELS, _REFUSAL))
    ticket = Ticket(video_id=_VIDEO)
    with _answered(mischief, template) as http:
        client = DeapiClient(
            api_key="1|planted-key", http=http, api_version=mischief.one_of(("v1", "v2"))
        )
        match mischief.rng.randrange(6):
            case 0:
                request_id = client.submit(watch_url(_VIDEO), ticket)
                assert request_id.strip() == request_id != ""
                client.job(request_id, ticket)
            case 1 | 2:
                status = client.job(
                    mischief.one_of(("123e4567", "../../balance", "a b?c#d%2f")), ticket
                )
                assert status.progress is None or 0.0 <= status.progress <= 1.0
                assert status.charged_usd is None or status.charged_usd.is_finite()
                if status.text is not None:
                    _sound(parse_result(status.text).segments)
                if status.result_url is not None:
                    client.download(status.result_url, ticket)
            case 3:
                price = client.price_usd(mischief.one_of((0.0, 0.3, 7e5)), ticket)
                assert price.is_finite()
                assert len(f"{price:,.4f}") < 40
            case 4:
                balance = client.balance_usd(ticket)
                assert balance is None or balance.is_finite()
            case _:
                assert all(model.slug for model in client.models())


_VIDEOS: Final[Mapping[str, Any]] = {
    "items": [
        {
            "id": _VIDEO,
            "snippet": {
                "title": "Me at the zoo",
                "channelTitle": "jawed",
                "channelId": "UC4QobU6STFB0P71PMvOGN5A",
                "publishedAt": "2005-04-24T03:31:52Z",
                "liveBroadcastContent": "none",
                "defaultAudioLanguage": "en",
            },
            "contentDetails": {
                "duration": "PT19S",
                "caption": "true",
                "regionRestriction": {"allowed": []},
                "contentRating": {"ytRating": "x"},
                "relatedPlaylists": {"uploads": "UU4QobU6STFB0P71PMvOGN5A"},
                "videoId": _VIDEO,
                "videoPublishedAt": "2005-04-24T03:31:52Z",
            },
            "status": {"uploadStatus": "processed", "privacyStatus": "public"},
            "liveStreamingDetails": {"actualEndTime": "2005-04-24T03:31:52Z"},
        }
    ],
    "nextPageToken": "CAUQAA",
}
_GOOGLE_REFUSAL: Final[Mapping[str, Any]] = {
    "error": {
        "code": 403,
        "message": 'quota <a href="/x">exceeded</a>',
        "errors": [{"reason": "quotaExceeded"}],
        "details": [{"reason": "API_KEY_INVALID"}],
        "status": "PERMISSION_DENIED",
    }
}


def _data_api(mischief: Mischief, sandbox: Sandbox) -> None:
    template = mischief.one_of((_VIDEOS, _VIDEOS, _GOOGLE_REFUSAL))
    with _answered(mischief, template) as http:
        client = YouTubeDataClient(api_key="AIza-planted", http=http, clock=FakeClock())
        if mischief.chance(0.4):
            facts = client.fetch([_VIDEO, "AAAAAAAAAAA"])
            for each in facts.values():
                _plausible(each)
            return
        ask = mischief.one_of((client.playlist, client.channel))
        name = mischief.one_of(
            (
                "PLFgquLnL59alCl_2TQvOiD5Vgm1hCaGSI",
                "@jawed",
                "UC4QobU6STFB0P71PMvOGN5A",
                "user/x",
                safe_text(mischief.text(20)),
            )
        )
        for item in ask(name, limit=200, since=_NOW.date() if mischief.chance(0.3) else None):
            _takeable(item, sandbox)


def _plausible(facts: VideoMetadata) -> None:
    """Facts that every later step can use: stored in UTC, estimated, written."""
    assert facts.duration_s is None or (math.isfinite(facts.duration_s) and facts.duration_s > 0)
    if facts.published_at is not None:
        assert facts.published_at.astimezone(UTC).isoformat()


def _takeable(item: VideoItem, sandbox: Sandbox) -> None:
    """A video from a list can be asked for and written."""
    assert _ID.fullmatch(item.video_id), item.video_id
    assert FileNames().stem(item.video_id, item.title or "")
    assert item.duration_s is None or math.isfinite(item.duration_s)
    assert sandbox.out.is_dir()


_INFO: Final[Mapping[str, Any]] = {
    "id": _VIDEO,
    "title": "Me at the zoo",
    "channel": "jawed",
    "uploader": "jawed",
    "channel_id": "UC4QobU6STFB0P71PMvOGN5A",
    "timestamp": 1114313512,
    "upload_date": "20050424",
    "duration": 19,
    "language": "en",
    "availability": "public",
    "live_status": "not_live",
    "subtitles": {"en": [{"url": "x"}]},
    "_type": "playlist",
    "ie_key": "Youtube",
    "url": "https://www.youtube.com/watch?v=jNQXAC9IVRw",
    "entries": [
        {
            "id": _VIDEO,
            "title": "A",
            "ie_key": "Youtube",
            "duration": 5,
            "timestamp": 1,
            "url": "http://127.0.0.1/x",
        },
        {"_type": "url", "url": "http://169.254.169.254/latest", "ie_key": "Generic", "id": "x"},
    ],
}


class _Ydl:
    """yt-dlp that answers with odd dicts; asked for an address of another site, it complains."""

    def __init__(self, mischief: Mischief) -> None:
        self._mischief = mischief

    def extract_info(self, url: str, *, download: bool, process: bool) -> Any:
        assert not download
        assert not process
        assert urlsplit(url).hostname == "www.youtube.com", f"asked for {url}"
        if self._mischief.chance(0.1):
            raise self._mischief.one_of((KeyError, RecursionError, ValueError, TypeError))(
                self._mischief.text()
            )
        return _read(self._mischief, self._mischief.warped(_INFO, 0.1))


def _read(mischief: Mischief, value: Any) -> Any:
    """A drawn value as Python sees it after a lax JSON parser: NaN and infinities included."""
    if isinstance(value, dict):
        return {name: _read(mischief, inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_read(mischief, inner) for inner in value]
    if isinstance(value, str) and value.startswith("\ue000raw:"):
        return mischief.one_of((math.nan, math.inf, -math.inf, 10**400, -(10**400), 1e308, -1, 0))
    return value


def _yt_dlp(mischief: Mischief, sandbox: Sandbox) -> None:
    @contextmanager
    def make(options: Mapping[str, Any]) -> Iterator[_Ydl]:
        assert options["skip_download"]
        yield _Ydl(mischief)

    client = YtDlpClient(limiter=OpenLimiter(), log=MemoryLog(), clock=FakeClock(), make=make)
    if mischief.chance(0.4):
        for facts in client.fetch([_VIDEO]).values():
            _plausible(facts)
        return
    ask = mischief.one_of((client.playlist, client.channel))
    name = mischief.one_of(
        ("PLFgquLnL59alCl_2TQvOiD5Vgm1hCaGSI", "@jawed", "c/x", mischief.text(20))
    )
    for item in ask(name, limit=200, since=_NOW.date() if mischief.chance(0.3) else None):
        _takeable(item, sandbox)


_PLAYER: Final[Mapping[str, Any]] = {
    "playabilityStatus": {
        "status": "OK",
        "reason": "x",
        "errorScreen": {"playerErrorMessageRenderer": {"subreason": {"runs": [{"text": "y"}]}}},
    },
    "captions": {
        "playerCaptionsTracklistRenderer": {
            "captionTracks": [
                {
                    "baseUrl": "https://www.youtube.com/api/timedtext?v=x",
                    "name": {"runs": [{"text": "English"}]},
                    "languageCode": "en",
                    "kind": "asr",
                    "isTranslatable": True,
                }
            ],
            "translationLanguages": [
                {"languageCode": "de", "languageName": {"runs": [{"text": "German"}]}}
            ],
        }
    },
}


def _captions(mischief: Mischief, _sandbox: Sandbox) -> None:
    """The real library, its requests answered by something hostile; each is within YouTube."""
    track = "\n".join(mischief.lines("captions.xml"))

    def answer(
        _adapter: HTTPAdapter, request: requests.PreparedRequest, **_: Any
    ) -> requests.Response:
        url = request.url or ""
        host = urlsplit(url).hostname or ""
        assert not re.fullmatch(
            r"127\..*|169\.254\..*|localhost|::1|10\..*|0x7f\.1|\d+|.*::ffff:.*", host
        ), f"asked for {url}"
        if "timedtext" in url:
            body = mischief.xml(track).encode("utf-8", "replace")
        elif "player" in url:
            body = mischief.body(_player(mischief))
        else:
            body = mischief.one_of(
                (b'<html>"INNERTUBE_API_KEY": "AIza_test-key"</html>', mischief.body({}))
            )
        return _response(request, mischief, body)

    with (
        mock.patch.object(HTTPAdapter, "send", answer),
        YouTubeCaptions(
            limiter=OpenLimiter(),
            log=MemoryLog(),
            clock=FakeClock(),
            guard=AddressGuard(trusted=(DEFAULT_BASE_URL,), resolve=_system),
        ) as captions,
    ):
        transcript = captions.fetch(_VIDEO, ("en", "any"), Ticket(video_id=_VIDEO))
    _sound(transcript.segments)
    assert transcript.text


def _system(host: str, _port: int) -> list[str]:
    """Numbers as a system reads them, names of this machine, and public ones for the rest."""
    with suppress(ValueError):
        return [str(ipaddress.ip_address(host.partition("%")[0]))]
    with suppress(OSError, ValueError):
        return [socket.inet_ntoa(socket.inet_aton(host))]
    inside = host.endswith(("localhost", "internal"))
    return ["127.0.0.1"] if inside else ["142.250.1.1", "2607:f8b0::1"]


def _addresses(mischief: Mischief, _sandbox: Sandbox) -> None:
    """What the guard lets through leads to no network of ours, by a second opinion."""
    guard = AddressGuard(trusted=("https://www.youtube.com",), resolve=_system)
    address = mischief.one_of((mischief.address(), f"http://{_number(mischief)}/x"))
    try:
        guard.check(address)
    except (PrivateAddressError, OSError):
        return
    origin = origin_of(address)
    assert origin is not None
    if origin == ("www.youtube.com", 443):
        return
    for text in _system(*origin):
        number = ipaddress.ip_address(text)
        assert not any(number in network for network in _OURS if network.version == number.version)


_OURS: Final = tuple(
    ipaddress.ip_network(network)
    for network in """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.168.0.0/16
    224.0.0.0/3 ::/127 fc00::/7 fe80::/10 ff00::/8 ::ffff:7f00:0/104 ::ffff:a00:0/104
    2002:7f00::/24 2002:a00::/24 64:ff9b::7f00:0/104 ::7f00:0/104 ::ffff:a9fe:0/112
    """.split()  # noqa: SIM905 -- a list of networks is easier to read so
)


def _number(mischief: Mischief) -> str:
    """An IPv4 address, most of them private, in one of its many spellings."""
    start = mischief.one_of((0, 10, 100, 127, 169, 172, 192, 224, 255, mischief.rng.randrange(256)))
    second = mischief.one_of((0, 16, 64, 168, 254, mischief.rng.randrange(256)))
    value = (start << 24) | (second << 16) | mischief.rng.randrange(65_536)
    dotted = str(ipaddress.IPv4Address(value))
    octal = ".".join(f"0{int(part):o}" for part in dotted.split("."))
    return mischief.one_of(
        (
            *(dotted, str(value), hex(value), octal, f"{start}.{value & 0xFFFFFF}"),
            f"[::ffff:{dotted}]",
            f"[64:ff9b::{value >> 16:x}:{value & 0xFFFF:x}]",
            f"[2002:{value >> 16:x}:{value & 0xFFFF:x}::1]",
            f"[::{dotted}]",
            f"{dotted}.",
        )
    )


def _player(mischief: Mischief) -> Any:
    player: Any = mischief.warped(_PLAYER, 0.05)
    if mischief.chance(0.3):
        with suppress(KeyError, IndexError, TypeError):
            tracks = player["captions"]["playerCaptionsTracklistRenderer"]["captionTracks"]
            tracks[0]["baseUrl"] = mischief.address()
    return player


def _response(
    request: requests.PreparedRequest, mischief: Mischief, body: bytes
) -> requests.Response:
    response = requests.Response()
    response.status_code = mischief.one_of((200,) * 16 + (302, 403, 404, 429, 500))
    response.request = request
    response.url = request.url or ""
    response.encoding = "utf-8"
    if response.status_code == 302:
        response.headers["location"] = mischief.one_of(
            ("http://127.0.0.1/", "http://169.254.169.254/", mischief.address())
        )
    if mischief.chance(0.2):
        response.headers["retry-after"] = mischief.one_of(
            ("5", "9" * 40, mischief_header(mischief))
        )
    response.raw = urllib3.HTTPResponse(
        body=io.BytesIO(body),
        headers=response.headers,
        status=response.status_code,
        preload_content=False,
    )
    return response


# --- results and files


def _sound(segments: tuple[Segment, ...]) -> None:
    """What the subtitle writers rely on."""
    before_s = 0.0
    for segment in segments:
        assert math.isfinite(segment.start_s)
        assert math.isfinite(segment.end_s)
        assert before_s <= segment.start_s <= segment.end_s
        assert segment.text.strip()
        segment.text.encode("utf-8")
        before_s = segment.start_s


def _results(mischief: Mischief, _sandbox: Sandbox) -> None:
    _sound(parse_result(_result_text(mischief)).segments)


def _result_text(mischief: Mischief) -> str:
    kind = mischief.rng.randrange(4)
    line = mischief.one_of(mischief.lines("results.txt"))
    if kind == 0:
        return mischief.text(400)
    if kind == 1:
        return mischief.body(
            {"text": "Hi", "segments": [{"start": 0, "end": 1, "text": "Hi", "speaker": "S"}]}
        ).decode("utf-8", "replace")
    return mischief.damaged(line * mischief.one_of((1, 2, 300)))


def _names(mischief: Mischief, _sandbox: Sandbox) -> None:
    names = FileNames()
    ids = ["AAAAAAAAAAA", "aaaaaaaaaaa", "AAAAaaaaAAA", mischief.video_id()]
    stems = {video_id: names.stem(video_id, mischief.text(200)) for video_id in ids}
    assert len({stem.casefold() for stem in stems.values()}) == len(stems)
    for stem in stems.values():
        name = f"{stem}.json"
        assert len(name.encode("utf-8")) <= 143
        assert not re.search(r'[\x00-\x1f\x7f<>:"/\\|?*]', name), name
        assert not name.startswith((".", "-", "~", " "))
        assert not re.match(r"(?i)(con|prn|aux|nul|com\d|lpt\d)\s*(\.|$)", name), name
    title = mischief.text(200)
    assert safe_title(safe_title(title)) == safe_title(title)
    with suppress(ValueError):
        strange = mischief.text(12)
        stem = names.stem(strange, "")
        assert re.fullmatch(r"[A-Za-z0-9_()-]+", stem), strange


def _export(mischief: Mischief, sandbox: Sandbox) -> None:
    parsed = parse_result(_result_text(mischief))
    video_id = mischief.video_id()
    item = VideoItem(
        video_id=video_id,
        title=mischief.text(300),
        origin=mischief.text(20),
        extra={mischief.text(20): mischief.text(50) for _ in range(3)},
    )
    facts = VideoMetadata(
        video_id=video_id, channel=mischief.text(50), published_at=_NOW, duration_s=60.0
    )
    transcript = Transcript(
        video_id=video_id,
        source="deapi",
        text=parsed.text,
        segments=parsed.segments,
        language=parsed.language,
    )
    exporter = FileExporter(sandbox.out, FORMATS, clock=FakeClock())
    for path in exporter.write(item, facts, transcript):
        assert path.is_file()
        assert path.parent == sandbox.out
        path.unlink()
    assert not list(sandbox.out.iterdir())


# --- settings and commands


def _settings(mischief: Mischief, sandbox: Sandbox) -> None:
    folder = sandbox.inputs
    toml = "\n".join(mischief.damaged(line) for line in mischief.lines("settings.toml"))
    if mischief.chance(0.3):
        setting = mischief.one_of(fields(Settings)).name
        words = (
            "~nobody-here/x",
            "nan",
            "inf",
            "http://[::1",
            "http://a:99999999",
            "a\\u0000b",
            "true",
            f"http://{'a' * 70}.example",
        )
        deep = mischief.one_of((50, 3_000))
        value = mischief.one_of(
            (
                f'"{mischief.one_of(words)}"',
                "[" * deep + "]" * deep,
                "nan",
                "inf",
                "-inf",
                "9" * 400,
                "1e400",
                "{ a = 1 }",
                "[[]]",
                "true",
                "1979-05-27",
                "''",
            )
        )
        toml = f"{setting} = {value}"
    dotenv = "\n".join(mischief.damaged(line) for line in mischief.lines("settings.env"))
    (folder / "bulk-transcribe.toml").write_bytes(
        mischief.encoded(toml) if mischief.chance(0.2) else toml.encode("utf-8", "replace")
    )
    (folder / ".env").write_bytes(
        mischief.encoded(dotenv) if mischief.chance(0.2) else dotenv.encode("utf-8", "replace")
    )
    each = mischief.one_of(fields(Settings))
    environ = {
        each.metadata["env"]: mischief.one_of(
            (mischief.text(20), mischief.address(), "~nobody-here", "nan", "inf", "9" * 5000)
        )
    }
    settings = load({"home": sandbox.root / "home"}, environ, folder).settings
    assert settings.public()
    assert math.isfinite(settings.request_timeout_s)
    assert math.isfinite(settings.clock_speed)
    for secret in settings.secrets:
        assert len(secret) < 4 or secret not in repr(settings)


_COMMANDS: Final = (
    "run",
    "plan",
    "resume",
    "retry",
    "status",
    "sessions",
    "export",
    "config",
    "nonsense",
    "--version",
)
_OPTIONS: Final = (
    "--limit",
    "--since",
    "--url-column",
    "--sources",
    "--languages",
    "-j",
    "--order",
    "--rate-limit",
    "--rate-mode",
    "--when-blocked",
    "--model",
    "--in-doubt",
    "--out",
    "--format",
    "--name",
    "--json",
    "--quiet",
    "--strict",
    "--playlist",
    "-x",
    "--",
)


def _commands(mischief: Mischief, sandbox: Sandbox) -> None:
    """The command line in this process: whatever is typed, it ends with one of its exit codes."""
    arguments = ["--home", str(sandbox.root / "home"), mischief.one_of(_COMMANDS)]
    for _ in range(mischief.rng.randrange(5)):
        arguments.append(mischief.one_of(_OPTIONS))
        if mischief.chance(0.7):
            arguments.append(
                mischief.one_of(
                    (
                        mischief.text(30),
                        "0",
                        "-1",
                        "auto",
                        "9" * 30,
                        "nan",
                        "2026-13-45",
                        "~nobody-here/x",
                        str(sandbox.inputs),
                        str(sandbox.out),
                        "captions",
                        "md,exe",
                        "\udcff",
                    )
                )
            )
    # a NUL cannot be typed, and words that name a place would make files there, rightly
    arguments = [argument.replace("\0", "") for argument in arguments]
    places = [n + 1 for n, argument in enumerate(arguments[:-1]) if argument in {"--out", "--home"}]
    for at in places[1:]:
        arguments[at] = mischief.one_of(
            (str(sandbox.out), str(sandbox.out / safe_title(arguments[at])[:30]), "~nobody-here/x")
        )
    environ = {
        "DEAPI_BASE_URL": "http://127.0.0.1:9",
        "YOUTUBE_BASE_URL": "http://127.0.0.1:9",
        "YOUTUBE_API_BASE_URL": "http://127.0.0.1:9",
        "YOUTUBE_DATA_API_KEY": "AIza-planted",
        "BULK_TRANSCRIBE_CLOCK_SPEED": "200",
        "BULK_TRANSCRIBE_OUT": str(sandbox.out),
        "TERM": "dumb",
    }
    result = CliRunner().invoke(
        app, arguments, env=environ, input=mischief.encoded(mischief.text(60))
    )
    logs.stop()
    error = result.exception
    if error is not None and not isinstance(error, SystemExit | BulkTranscribeError):
        raise error


# --- webhooks

_HOOK_SECRET: Final = "planted webhook secret"
_NONCE: Final = "n0nce-of-18-bytes-and-so"
_DELIVERY: Final[Mapping[str, Any]] = {
    "event": "job.completed",
    "delivery_id": "0b1f7a52-0000-4000-8000-000000000001",
    "timestamp": "2026-01-01T00:00:00.000Z",
    "data": {
        "job_request_id": "c08a339c-73e5-4d67-a4d5-231302fbff9a",
        "status": "done",
        "previous_status": "processing",
        "result_url": "http://169.254.169.254/latest",
    },
}


def _webhooks(mischief: Mischief, _sandbox: Sandbox) -> None:
    """Bodies, headers and paths of anybody; now and then of somebody who knows the secret."""
    clock = FakeClock()
    told: list[tuple[str, str]] = []

    def note(nonce: str, request_id: str, state: JobState) -> None:
        assert isinstance(state, JobState)
        told.append((nonce, request_id))

    deliveries = Deliveries(note, _HOOK_SECRET, clock)
    body = mischief.body(_DELIVERY)
    if mischief.chance(0.05):
        body *= 1 + MOST_BYTES // max(1, len(body))
    stamp = mischief.one_of((str(int(clock.now().timestamp())), "0", mischief_header(mischief)))
    knows_secret = mischief.chance(0.4) and stamp.isdecimal() and stamp.isascii()
    signature = sign(_HOOK_SECRET, int(stamp), body) if knows_secret else mischief.text(64)
    headers = {
        "content-type": mischief.one_of(("application/json", mischief_header(mischief))),
        "content-length": mischief.one_of((str(len(body)), "-1", "x", str(10**9))),
        "x-deapi-signature": mischief.one_of(("sha256=", "SHA256=", "")) + signature,
        "x-deapi-timestamp": stamp,
        "x-deapi-event": mischief_header(mischief),
        "x-deapi-delivery-id": mischief_header(mischief),
    }
    path = mischief.one_of((f"/hooks/{_NONCE}", f"//{_NONCE}", f"/{mischief.text(40)}", "/%00/.."))
    status = asyncio.run(_post(application(deliveries), path, headers, body, mischief))
    assert status in {200, 400, 401, 404, 405, 413, 422}, status
    if told:
        assert knows_secret
        assert len(told) == 1
        nonce, request_id = told[0]
        assert "/" not in nonce
        assert 0 < len(request_id) <= 200
        assert request_id.isprintable()


async def _post(
    app: Starlette, path: str, headers: Mapping[str, str], body: bytes, mischief: Mischief
) -> int:
    """Give a request to the receiver as the server does: in pieces, or broken off."""
    pieces = [body[at : at + 20_000] for at in range(0, len(body), 20_000)] or [b""]
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": True} for piece in pieces
    ]
    if mischief.chance(0.1):
        messages.append({"type": "http.disconnect"})
    else:
        messages[-1]["more_body"] = False
    statuses: list[int] = []

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": mischief.one_of(("POST", "POST", "POST", "GET", "PATCH")),
        "scheme": "http",
        "path": path,
        "raw_path": path.encode("utf-8", "replace"),
        "root_path": "",
        "query_string": mischief.text(20).encode("utf-8", "replace"),
        "headers": [
            (name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()
        ],
        "client": ("203.0.113.9", 1),
        "server": ("127.0.0.1", 80),
    }
    await app(scope, receive, send)
    return statuses[0]


TARGETS: Final = (
    Target(name="links", feed=_links, share=22),
    Target(name="hosts", feed=_hosts, share=8),
    Target(name="arguments", feed=_arguments, share=4),
    Target(name="text files", feed=_text_files, share=8),
    Target(name="csv", feed=_tables, share=8),
    Target(name="json files", feed=_json_files, share=6),
    Target(name="workbooks", feed=_workbooks, share=7),
    Target(name="deapi answers", feed=_deapi, share=12),
    Target(name="data api answers", feed=_data_api, share=8),
    Target(name="yt-dlp results", feed=_yt_dlp, share=6),
    Target(name="addresses", feed=_addresses, share=6),
    Target(name="captions", feed=_captions, share=7),
    Target(name="result texts", feed=_results, share=6),
    Target(name="file names", feed=_names, share=6),
    Target(name="export", feed=_export, share=4),
    Target(name="settings", feed=_settings, share=5),
    Target(name="webhooks", feed=_webhooks, share=8),
    Target(name="commands", feed=_commands, share=2, may_call=("127.0.0.1:9",)),
)
