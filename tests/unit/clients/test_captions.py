"""Captions through the real library, against a small server that plays YouTube."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.clients.addresses import AddressGuard
from bulk_transcribe.clients.captions import (
    Answer,
    Webshare,
    YouTubeCaptions,
    choose_track,
    sort_error,
)
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.ports import CaptionFetcher
from bulk_transcribe.core.request import RequestKind, Ticket
from bulk_transcribe.core.transcript import Segment
from bulk_transcribe.errors import (
    BulkTranscribeError,
    DeadlineError,
    NetworkError,
    NoCaptionsError,
    NotYetAvailableError,
    RetryableError,
    ServerBusyError,
    SourceBlockedError,
    StoppedError,
    VideoUnavailableError,
)
from tests.unit.clients.doubles import MemoryLog, OpenLimiter

VIDEO = "dQw4w9WgXcQ"
TICKET = Ticket(video_id=VIDEO)
WATCH = '<html>"INNERTUBE_API_KEY": "AIza_test-key"</html>'
CAPTIONS = (
    '<transcript><text start="1.5" dur="2">It&amp;#39;s\nhere</text>'
    '<text start="0.0" dur="1.5">Hello &lt;i&gt;there&lt;/i&gt;</text>'
    '<text start="4">  </text></transcript>'
)


#: YouTube names tracks in two ways; the library knows one.
SIMPLE_NAME = {
    "playabilityStatus": {"status": "OK"},
    "captions": {
        "playerCaptionsTracklistRenderer": {
            "captionTracks": [{"baseUrl": "x", "name": {"simpleText": "English"}}]
        }
    },
}


@dataclass(frozen=True)
class Track:
    language_code: str
    is_generated: bool = False


def hand(code: str) -> Track:
    return Track(code)


def asr(code: str) -> Track:
    return Track(code, is_generated=True)


@pytest.mark.parametrize(
    ("tracks", "languages", "chosen"),
    [
        ([asr("en"), hand("en")], ["en"], hand("en")),
        ([hand("en-GB"), asr("en")], ["en"], hand("en-GB")),
        ([hand("en-GB"), hand("en")], ["en"], hand("en")),
        ([hand("en"), asr("de")], ["de", "en"], asr("de")),
        ([hand("en"), hand("de")], ["de", "en"], hand("de")),
        ([hand("EN-us")], ["en"], hand("EN-us")),
        ([hand("pt-BR")], ["pt_br"], hand("pt-BR")),
        ([hand("en")], ["en-GB"], None),
        ([hand("eng")], ["en"], None),
        ([hand("de")], ["en"], None),
        ([hand("de")], [], None),
        ([], ["any"], None),
        ([hand("de"), hand("en"), asr("en")], ["any"], hand("en")),
        ([hand("de"), asr("en")], ["any"], asr("en")),
        ([hand("de"), hand("en")], ["any"], hand("de")),
        ([asr("ja")], ["any"], asr("ja")),
        ([hand("fr"), asr("ja")], ["de", "any"], asr("ja")),
        ([hand("fr"), hand("de")], ["de", "any"], hand("de")),
    ],
)
def test_the_best_track_is_chosen(
    tracks: list[Track], languages: list[str], chosen: Track | None
) -> None:
    assert choose_track(tracks, languages) == chosen


TRACKS = st.lists(st.builds(Track, st.sampled_from(["en", "en-GB", "de", "ja"]), st.booleans()))


@given(TRACKS, st.lists(st.sampled_from(["en", "de", "fr", "any"])))
def test_a_choice_is_always_one_of_the_tracks_in_a_wanted_language(
    tracks: list[Track], languages: list[str]
) -> None:
    chosen = choose_track(tracks, languages)
    if chosen is None:
        assert not tracks or "any" not in languages
    else:
        assert chosen in tracks
        assert "any" in languages or any(chosen.language_code.startswith(w) for w in languages)


@given(TRACKS.filter(bool))
def test_any_language_takes_whatever_there_is(tracks: list[Track]) -> None:
    assert choose_track(tracks, ["any"]) in tracks


@dataclass
class YouTube:
    """What the server answers to each kind of request: (status, body, headers)."""

    url: str = ""
    watch: tuple[int, str, dict[str, str]] = (200, WATCH, {})
    player: tuple[int, str, dict[str, str]] = (200, "", {})
    timedtext: tuple[int, str, dict[str, str]] = (200, CAPTIONS, {})
    asked: list[str] = field(default_factory=list)
    cut: bool = False
    slow: bool = False
    cookies: list[str] = field(default_factory=list)
    on_request: Callable[[], object] | None = None

    def play(self, *tracks: Track, status: str = "OK", **more: Any) -> None:
        rows = [
            {
                "baseUrl": more.get("host", "https://www.youtube.com")
                + f"/api/timedtext?v={VIDEO}&lang={t.language_code}{more.get('query', '')}",
                "name": {"runs": [{"text": t.language_code}]},
                "languageCode": t.language_code,
                **({"kind": "asr"} if t.is_generated else {}),
            }
            for t in tracks
        ]
        body = {
            "playabilityStatus": {
                "status": status,
                "reason": more.get("reason"),
                "errorScreen": {
                    "playerErrorMessageRenderer": {
                        "subreason": {"runs": [{"text": more.get("subreason", "")}]}
                    }
                },
            },
            "captions": {"playerCaptionsTracklistRenderer": {"captionTracks": rows}},
        }
        if not tracks:
            del body["captions"]
        self.player = (200, json.dumps(body), {})


class Server(ThreadingHTTPServer):
    plan: YouTube

    def handle_error(self, *_args: object) -> None:
        """Clients hang up on purpose here."""


class Handler(BaseHTTPRequestHandler):
    @property
    def plan(self) -> YouTube:
        return cast("Server", self.server).plan

    def do_GET(self) -> None:
        self.note()
        self.answer(self.plan.watch if "/watch?" in self.path else self.plan.timedtext)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.note()
        self.answer(self.plan.player)

    def note(self) -> None:
        self.plan.asked.append(self.path)
        self.plan.cookies.append(self.headers.get("Cookie", ""))
        if self.plan.on_request is not None:
            self.plan.on_request()

    def answer(self, reply: tuple[int, str, dict[str, str]]) -> None:
        if self.plan.cut:
            self.close_connection = True
            return
        status, text, headers = reply
        body = text.encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        step = 4 if self.plan.slow else max(1, len(body))
        for start in range(0, len(body), step):
            self.wfile.write(body[start : start + step])
            if self.plan.slow:
                time.sleep(0.05)

    def log_message(self, *_args: object) -> None: ...


@contextmanager
def youtube() -> Iterator[YouTube]:
    plan = YouTube()
    plan.play(hand("en"))
    server = Server(("127.0.0.1", 0), Handler)
    server.plan = plan
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    plan.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield plan
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Desk:
    fetcher: YouTubeCaptions
    limiter: OpenLimiter
    log: MemoryLog
    plan: YouTube

    def fetch(self, *languages: str) -> Any:
        return self.fetcher.fetch(VIDEO, languages or ("any",), TICKET)

    def refused(self, family: type[BulkTranscribeError]) -> Any:
        with pytest.raises(family) as caught:
            self.fetch()
        assert type(caught.value) is family
        return caught.value


@contextmanager
def desk(plan: YouTube, **options: Any) -> Iterator[Desk]:
    limiter, log = OpenLimiter(), MemoryLog()
    with YouTubeCaptions(
        limiter=limiter, log=log, clock=SystemClock(), base_url=plan.url, **options
    ) as fetcher:
        yield Desk(fetcher, limiter, log, plan)


@pytest.fixture
def it() -> Iterator[Desk]:
    with youtube() as plan, desk(plan) as d:
        yield d


def test_a_track_is_read_in_three_requests_with_three_permits(it: Desk) -> None:
    it.plan.play(hand("en-GB"), asr("en"))
    fetcher: CaptionFetcher = it.fetcher
    transcript = fetcher.fetch(VIDEO, ["en"], TICKET)
    assert transcript.segments == (
        Segment(0.0, 1.5, "Hello there"),
        Segment(1.5, 3.5, "It's here"),
    )
    assert transcript.text == "Hello there It's here"
    assert (transcript.language, transcript.is_generated) == ("en-GB", False)
    assert [urlsplit(path).path for path in it.plan.asked] == [
        "/watch",
        "/youtubei/v1/player",
        "/api/timedtext",
    ]
    assert [p.kind for p in it.limiter.permits] == [RequestKind.CAPTIONS] * 3
    assert all(p.ticket is TICKET and p.status == 200 for p in it.limiter.permits)
    assert [(r.video_id, r.status) for r in it.log.records] == [(VIDEO, 200)] * 3


def test_a_permit_from_before_a_standstill_is_given_back_and_nothing_is_asked(it: Desk) -> None:
    it.limiter.fresh = False
    it.refused(NetworkError)
    assert it.plan.asked == []
    assert [permit.was_given_back for permit in it.limiter.permits] == [True]


def test_a_track_at_a_plain_address_needs_a_permit_too(it: Desk) -> None:
    it.plan.play(hand("en"), host=it.plan.url)
    assert it.fetch().text
    assert len(it.limiter.permits) == 3


def test_the_spoken_language_is_taken_where_any_will_do(it: Desk) -> None:
    it.plan.play(hand("de"), asr("en"))
    assert it.fetch().language == "en"
    assert parse_qs(urlsplit(it.plan.asked[-1]).query)["lang"] == ["en"]


def test_languages_that_are_not_there_are_no_captions_and_cost_no_third_request(it: Desk) -> None:
    with pytest.raises(NoCaptionsError, match="there: en"):
        it.fetch("de", "fr")
    assert len(it.plan.asked) == 2


def test_the_consent_page_is_answered_with_one_more_request(it: Desk) -> None:
    consent = '<form action="https://consent.youtube.com/s"><input name="v" value="cb.1"></form>'

    it.plan.watch = (200, consent, {})

    def agree() -> None:
        if len(it.plan.asked) == 2:
            it.plan.watch = (200, WATCH, {})

    it.plan.on_request = agree
    assert it.fetch().text
    assert "CONSENT=YES+cb.1" in it.plan.cookies[1]
    assert len(it.limiter.permits) == len(it.plan.asked) == 4


def test_a_consent_page_that_stays_is_worth_another_try(it: Desk) -> None:
    consent = '<form action="https://consent.youtube.com/s"><input name="v" value="cb.1"></form>'
    it.plan.watch = (200, consent, {})
    it.refused(RetryableError)


def test_no_captions_at_all(it: Desk) -> None:
    it.plan.play()
    assert it.refused(NoCaptionsError).code == "no_captions"


def test_an_empty_track_is_no_captions(it: Desk) -> None:
    it.plan.timedtext = (200, "<transcript><text start='1'> </text></transcript>", {})
    assert it.refused(NoCaptionsError).code == "empty_captions"


def test_a_guarded_track_is_no_captions(it: Desk) -> None:
    it.plan.play(hand("en"), query="&exp=xpe")
    assert it.refused(NoCaptionsError).code == "guarded_captions"


@pytest.mark.parametrize("where", ["watch", "player", "timedtext"])
def test_a_429_anywhere_blocks_the_source(it: Desk, where: str) -> None:
    setattr(it.plan, where, (429, "slow down", {"Retry-After": "120"}))
    error = it.refused(SourceBlockedError)
    assert (error.source, error.retry_after_s) == ("captions", 120.0)
    assert it.limiter.permits[-1].status == 429


def test_a_captcha_blocks_the_source(it: Desk) -> None:
    it.plan.watch = (200, '<div class="g-recaptcha"></div>', {})
    assert it.refused(SourceBlockedError).retry_after_s == 900.0


@pytest.mark.parametrize(
    ("status", "reason", "family", "code"),
    [
        ("LOGIN_REQUIRED", "Sign in to confirm you’re not a bot", SourceBlockedError, "blocked"),
        ("LOGIN_REQUIRED", "Sign in to confirm you're not a bot", SourceBlockedError, "blocked"),
        (
            "LOGIN_REQUIRED",
            "This video may be inappropriate for some users.",
            VideoUnavailableError,
            "age_restricted",
        ),
        ("LOGIN_REQUIRED", "Private video", VideoUnavailableError, "private_video"),
        ("LOGIN_REQUIRED", "This video is private", VideoUnavailableError, "private_video"),
        ("ERROR", "This video is unavailable", VideoUnavailableError, "unavailable"),
        ("ERROR", "Video unavailable", VideoUnavailableError, "unavailable"),
        ("UNPLAYABLE", "Join this channel to get access", VideoUnavailableError, "members_only"),
        ("LIVE_STREAM_OFFLINE", "Premieres in 2 hours", NotYetAvailableError, "upcoming"),
        ("UNPLAYABLE", None, VideoUnavailableError, "unplayable"),
        ("UNPLAYABLE", "Something quite new", VideoUnavailableError, "unplayable"),
    ],
)
def test_a_video_that_does_not_play_says_why(
    it: Desk, status: str, reason: str | None, family: type[BulkTranscribeError], code: str
) -> None:
    it.plan.play(hand("en"), status=status, reason=reason)
    assert it.refused(family).code == code


def test_the_second_line_of_a_refusal_counts_too(it: Desk) -> None:
    subreason = "The uploader has not made this video available in your country"
    it.plan.play(hand("en"), status="UNPLAYABLE", reason="Hm", subreason=subreason)
    assert it.refused(NoCaptionsError).code == "geo_blocked"


@pytest.mark.parametrize("where", ["watch", "player", "timedtext"])
def test_trouble_on_their_side_passes(it: Desk, where: str) -> None:
    setattr(it.plan, where, (503, "", {}))
    it.refused(ServerBusyError)


def test_any_other_refusal_is_worth_another_try(it: Desk) -> None:
    it.plan.timedtext = (403, "", {})
    error = it.refused(RetryableError)
    assert error.refused
    assert "403" in str(error)


@pytest.mark.parametrize(
    ("where", "body"),
    [
        ("watch", "<html>a page without a key</html>"),
        ("player", "<html>no json</html>"),
        ("player", "{}"),
        ("player", "[]"),
        ("player", json.dumps(SIMPLE_NAME)),
        ("timedtext", ""),
        ("timedtext", "<transcript><text>no start</text></transcript>"),
        ("timedtext", "<broken"),
    ],
)
def test_what_cannot_be_read_never_counts_as_no_captions(it: Desk, where: str, body: str) -> None:
    """Otherwise a change of YouTube's pages would quietly make every video a paid one."""
    setattr(it.plan, where, (200, body, {}))
    it.refused(RetryableError)


def test_a_cut_connection_is_a_network_error(it: Desk) -> None:
    it.plan.cut = True
    it.refused(NetworkError)
    assert not it.limiter.permits[0].was_given_back
    assert it.log.records[0].error == "ConnectionError"


def test_an_answer_that_ends_too_early_is_a_network_error(it: Desk) -> None:
    it.plan.watch = (200, WATCH, {"Content-Length": "9999", "Connection": "close"})
    it.refused(NetworkError)


def test_nobody_at_home_gives_the_permit_back() -> None:
    with desk(YouTube(url="http://127.0.0.1:9")) as d:
        d.refused(NetworkError)
    assert d.limiter.permits[0].was_given_back
    assert [r.status for r in d.log.records] == [None]


def test_a_page_without_end_is_not_read_to_its_end(it: Desk) -> None:
    it.plan.watch = (200, "x" * 20_000_000, {})
    it.refused(NetworkError)


def test_a_server_that_says_nothing_is_left_in_time() -> None:
    answer = threading.Event()
    with youtube() as plan, desk(plan, timeout_s=0.2) as d:
        plan.on_request = answer.wait
        try:
            d.refused(NetworkError)
        finally:
            answer.set()
    assert d.log.records[0].error == "ReadTimeout"


def test_a_page_that_drips_in_ends_by_the_deadline() -> None:
    with youtube() as plan, desk(plan, timeout_s=0.3) as d:
        plan.slow = True
        plan.watch = (200, WATCH * 20, {})
        started_s = time.monotonic()
        d.refused(NetworkError)
        assert time.monotonic() - started_s < 2.0


@pytest.mark.parametrize("error", [StoppedError("stop"), DeadlineError("late")])
def test_what_the_wait_for_a_permit_raises_comes_out_unchanged(
    it: Desk, error: BulkTranscribeError
) -> None:
    it.limiter.refusal = error
    with pytest.raises(type(error)) as caught:
        it.fetch()
    assert caught.value is error
    assert it.plan.asked == []


def test_an_interrupt_comes_out_unchanged(it: Desk) -> None:
    it.limiter.refusal = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        it.fetch()


def test_each_thread_has_its_own_session_and_its_own_ticket(it: Desk) -> None:
    start = threading.Barrier(8)
    failures: list[BaseException] = []

    def work(number: int) -> None:
        start.wait()
        try:
            for turn in range(3):
                it.fetcher.fetch(VIDEO, ["en"], Ticket(video_id=f"{number}-{turn}"))
        except BaseException as error:  # noqa: BLE001 -- told below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    asked = [p.ticket.video_id for p in it.limiter.permits]
    assert {asked.count(f"{n}-{t}") for n in range(8) for t in range(3)} == {3}


def test_a_generic_proxy_is_asked_instead() -> None:
    """The proxy is the server itself: it sees the whole address in the request line."""
    with youtube() as plan, desk(YouTube(url="http://yt.invalid"), proxy=plan.url) as d:
        assert d.fetch("en").text
    assert plan.asked[0].startswith("http://yt.invalid/watch")
    assert len(d.limiter.permits) == 3


def test_with_rotating_proxies_a_429_is_tried_from_other_addresses_with_a_permit_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from youtube_transcript_api.proxies import WebshareProxyConfig  # noqa: PLC0415

    with youtube() as plan:
        monkeypatch.setattr(WebshareProxyConfig, "url", property(lambda _: plan.url))
        account = Webshare(username="u", password="p")
        with desk(YouTube(url="http://yt.invalid"), webshare=account) as d:
            plan.watch = (429, "", {})
            d.refused(SourceBlockedError)
    assert len(plan.asked) == len(d.limiter.permits) == 3
    # the pool is not paused: the next address may be let in
    assert all(p.status is None for p in d.limiter.permits)


def test_the_password_is_not_shown() -> None:
    assert "S3CRET" not in repr(Webshare(username="u", password="S3CRET"))


@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.RetryError("too many 429"),
        requests.exceptions.SSLError("x"),
        requests.exceptions.ReadTimeout("x"),
        requests.exceptions.ChunkedEncodingError("x"),
        OSError("x"),
    ],
)
def test_leaks_of_the_network_are_network_errors(error: Exception) -> None:
    sorted_error = sort_error(error, video_id=VIDEO, answer=Answer(status=200, retry_after_s=None))
    assert type(sorted_error) is NetworkError


@pytest.mark.parametrize("error", [KeyError("x"), AttributeError("x"), TypeError("x")])
def test_leaks_of_the_parser_are_worth_another_try(error: Exception) -> None:
    assert type(sort_error(error, video_id=VIDEO)) is RetryableError


@pytest.mark.parametrize(
    "text",
    [each * 50_000 for each in ("&lt;", "&amp;lt;", "&#60;", "&#x3C;")]
    + [f"<![CDATA[{'<' * 50_000}]]>"],
    ids=["lt", "amp lt", "number", "hex", "cdata"],
)
def test_a_tangle_of_brackets_is_refused_before_it_keeps_a_thread_busy(text: str, it: Desk) -> None:
    """The library's pattern needs a step for each pair of brackets: an hour for a long caption."""
    it.plan.timedtext = (
        200,
        f'<transcript><text start="0" dur="1">{text}</text></transcript>',
        {},
    )
    began_s = time.process_time()
    with pytest.raises(NoCaptionsError, match="tangle"):
        it.fetch("en")
    assert time.process_time() - began_s < 5


def test_some_brackets_in_a_long_caption_are_words(it: Desk) -> None:
    text = "a &lt;b&gt; and so on, if x &lt; 3 then " * 50
    it.plan.timedtext = (
        200,
        f'<transcript><text start="0" dur="1">{text}</text></transcript>',
        {},
    )
    assert "and so on" in it.fetch("en").text


def test_a_track_inside_the_own_network_is_not_asked_for() -> None:
    """YouTube's page names the address of a track: a forged one must not lead us anywhere."""
    asked: list[str] = []
    guard = AddressGuard(trusted=("https://www.youtube.com",))
    with youtube() as inside, youtube() as plan:
        inside.on_request = lambda: asked.append("inside")
        plan.play(hand("en"), host=inside.url)
        trusting = AddressGuard(trusted=(plan.url,))
        for one in (guard, trusting):
            with (
                YouTubeCaptions(
                    limiter=OpenLimiter(),
                    log=MemoryLog(),
                    clock=SystemClock(),
                    base_url=plan.url,
                    guard=one,
                ) as captions,
                pytest.raises(VideoUnavailableError) as caught,
            ):
                captions.fetch(VIDEO, ["en"], TICKET)
            assert caught.value.code == "private_address"
    assert asked == []
    assert len(plan.asked) == 2  # the page and the player, by the guard that knows the base


def test_reasons_that_are_no_text_are_told_as_they_are(it: Desk) -> None:
    """Found by the fuzzer: the page may hold anything there."""
    it.plan.play(status="ERROR", reason=True, subreason=5)
    assert "True" in str(it.refused(VideoUnavailableError))
