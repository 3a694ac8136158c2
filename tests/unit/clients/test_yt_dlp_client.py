"""yt-dlp behind its seam: facts, lists and refusals as the library gives them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError

from bulk_transcribe.clients.yt_dlp_client import YtDlpClient, read_info
from bulk_transcribe.core.ports import ListingSource, MetadataSource
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.core.video import Availability, LiveState
from bulk_transcribe.errors import (
    InputError,
    NetworkError,
    RetryableError,
    SourceBlockedError,
    StoppedError,
)
from bulk_transcribe.testing import FakeClock
from tests.unit.clients.doubles import MemoryLog, OpenLimiter

VIDEO = "dQw4w9WgXcQ"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
Answer = dict[str, Any] | Exception | None


@dataclass
class Library:
    """Plays yt_dlp.YoutubeDL: an answer for each address."""

    answers: dict[str, Answer]
    asked: list[str] = field(default_factory=list)
    options: Mapping[str, Any] = field(default_factory=dict)
    open_now: int = 0
    limiter: OpenLimiter = field(default_factory=OpenLimiter)
    log: MemoryLog = field(default_factory=MemoryLog)

    @contextmanager
    def make(self, options: Mapping[str, Any]) -> Iterator["Library"]:
        self.options = options
        self.open_now += 1
        try:
            yield self
        finally:
            self.open_now -= 1

    def extract_info(self, url: str, *, download: bool, process: bool) -> dict[str, Any] | None:
        assert not download
        assert not process
        assert self.open_now
        self.asked.append(url)
        answer = self.answers[url.removeprefix("https://www.youtube.com/")]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, proxy: str | None = None) -> YtDlpClient:
        return YtDlpClient(
            limiter=self.limiter, log=self.log, clock=FakeClock(), proxy=proxy, make=self.make
        )


def watch(answer: Answer) -> Library:
    return Library({f"watch?v={VIDEO}": answer})


def failure(text: str, cause: Exception | None = None) -> DownloadError:
    """As the library raises it: words with a prefix, the cause beneath."""
    root = cause or ExtractorError(text, expected=True)
    return DownloadError(f"\x1b[0;31mERROR:\x1b[0m [youtube] {VIDEO}: {text}", (None, root, None))


def test_the_facts_are_read() -> None:
    info = {
        "title": " Me at\nthe zoo ",
        "channel": "jawed",
        "channel_id": "UC4",
        "timestamp": 1_114_313_512,
        "duration": 19,
        "language": "en",
        "availability": "unlisted",
        "live_status": "was_live",
        "subtitles": {"en": [], "live_chat": []},
    }
    library = watch(info)
    source: MetadataSource = library.client()
    found = source.fetch([VIDEO, VIDEO])[VIDEO]
    assert (found.title, found.channel, found.duration_s) == ("Me at the zoo", "jawed", 19.0)
    assert found.published_at == datetime(2005, 4, 24, 3, 31, 52, tzinfo=UTC)
    assert (found.availability, found.live_state) == (Availability.UNLISTED, LiveState.ENDED)
    assert (found.language, found.has_captions, found.source) == ("en", True, "yt-dlp")
    assert len(library.asked) == 1
    assert [p.kind for p in library.limiter.permits] == [RequestKind.YT_DLP]
    assert [(r.video_id, r.error) for r in library.log.records] == [(VIDEO, None)]


def test_without_facts_everything_is_unknown() -> None:
    found = read_info(VIDEO, dict.fromkeys(["title", "duration", "timestamp", "subtitles"]), NOW)
    assert (found.title, found.duration_s, found.published_at) == (None, None, None)
    assert (found.availability, found.live_state) == (Availability.UNKNOWN, LiveState.UNKNOWN)
    assert found.has_captions is None


def test_a_day_alone_is_midnight_utc() -> None:
    found = read_info(VIDEO, {"upload_date": "20050424", "uploader": "jawed"}, NOW)
    assert found.published_at == datetime(2005, 4, 24, tzinfo=UTC)
    assert found.channel == "jawed"


KEYS = ["title", "duration", "timestamp", "upload_date", "availability", "subtitles", "channel"]
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES | st.dictionaries(st.text(), VALUES)))
def test_no_facts_break_the_reader(info: dict[str, Any]) -> None:
    found = read_info(VIDEO, info, NOW)
    assert found.duration_s is None or 0 < found.duration_s < inf


@pytest.mark.parametrize(
    ("text", "availability", "live_state"),
    [
        ("Private video. Sign in if you've been", Availability.PRIVATE, LiveState.UNKNOWN),
        ("Video unavailable. This video has been removed", Availability.ABSENT, LiveState.UNKNOWN),
        ("Sign in to confirm your age", Availability.AGE_RESTRICTED, LiveState.UNKNOWN),
        ("Join this channel to get access", Availability.MEMBERS, LiveState.UNKNOWN),
        ("Premieres in 3 hours", Availability.UNKNOWN, LiveState.UPCOMING),
        ("This live event has ended.", Availability.UNKNOWN, LiveState.ENDED),
        ("This video is DRM protected", Availability.UNKNOWN, LiveState.UNKNOWN),
    ],
)
def test_a_refusal_that_is_a_fact_about_the_video_is_told_as_one(
    text: str, availability: Availability, live_state: LiveState
) -> None:
    found = watch(failure(text)).client().fetch([VIDEO])[VIDEO]
    assert (found.availability, found.live_state) == (availability, live_state)


def test_a_country_block_is_no_fact_about_the_video() -> None:
    blocked = failure("see cause", GeoRestrictedError("The uploader said no", countries=["DE"]))
    found = watch(blocked).client().fetch([VIDEO])[VIDEO]
    assert found.availability is Availability.UNKNOWN


@pytest.mark.parametrize(
    ("text", "family", "code"),
    [
        ("Sign in to confirm you’re not a bot. Use --cookies", SourceBlockedError, "blocked"),
        ("HTTP Error 429: Too Many Requests", SourceBlockedError, "blocked"),
        ("Requested format is not available", RetryableError, "player_trouble"),
        ("Failed to resolve 'www.youtube.com'", NetworkError, "network"),
        ("The read operation timed out", NetworkError, "network"),
        ("HTTP Error 503: Service Unavailable", RetryableError, "server_busy"),
        ("Something that nobody has seen; please report this issue on", RetryableError, "yt_dlp"),
    ],
)
def test_a_refusal_that_is_none_is_raised(text: str, family: type[Exception], code: str) -> None:
    library = watch(failure(text))
    with pytest.raises(family) as caught:
        library.client().fetch([VIDEO])
    assert type(caught.value) is family
    assert getattr(caught.value, "code", None) == code
    assert "\x1b" not in str(caught.value)
    assert "report this issue" not in str(caught.value)
    assert library.log.records[0].error == "DownloadError"
    assert library.open_now == 0


@pytest.mark.parametrize("bug", [KeyError("x"), AttributeError("x"), ValueError("x")])
def test_what_leaks_out_of_the_library_is_worth_another_try(bug: Exception) -> None:
    with pytest.raises(RetryableError):
        watch(bug).client().fetch([VIDEO])


def test_nothing_at_all_is_worth_another_try() -> None:
    with pytest.raises(RetryableError):
        watch(None).client().fetch([VIDEO])


def test_a_stop_while_waiting_comes_out_and_nothing_is_asked() -> None:
    library = watch({})
    library.limiter.refusal = StoppedError("stop")
    with pytest.raises(StoppedError):
        library.client().fetch([VIDEO])
    assert library.asked == []


def test_the_library_neither_prints_nor_repeats_nor_reads_the_environment() -> None:
    library = watch({"title": "x"})
    library.client().fetch([VIDEO])
    options = library.options
    assert options["quiet"]
    assert options["noprogress"]
    assert (options["retries"], options["extractor_retries"]) == (0, 0)
    assert 0 < options["socket_timeout"] <= 5
    assert options["proxy"] == ""
    library.client(proxy="http://p:1").fetch([VIDEO])
    assert library.options["proxy"] == "http://p:1"


def entry(number: int, **more: Any) -> dict[str, Any]:
    return {
        "_type": "url",
        "ie_key": "Youtube",
        "id": f"video{number:06}",
        "url": f"https://www.youtube.com/watch?v=video{number:06}",
        "title": f"Video {number}",
        **more,
    }


def listed(*entries: Any) -> dict[str, Any]:
    return {"_type": "playlist", "entries": iter(entries)}


def test_a_list_is_read_lazily_and_in_order() -> None:
    taken: list[int] = []

    def entries() -> Iterator[dict[str, Any]]:
        for number in range(100):
            taken.append(number)
            yield entry(number, duration=number * 10.0)

    library = Library({"playlist?list=PLx": {"_type": "playlist", "entries": entries()}})
    source: ListingSource = library.client()
    found = list(source.playlist("PLx", limit=3))
    assert [(i.video_id, i.duration_s) for i in found] == [
        ("video000000", None),
        ("video000001", 10.0),
        ("video000002", 20.0),
    ]
    assert found[0].origin == "playlist PLx"
    assert taken == [0, 1, 2]


def test_placeholders_doubles_and_odd_entries_are_left_out() -> None:
    entries = [entry(1), entry(1), entry(2, title="[Private video]"), None, {"id": "short"}]
    library = Library({"playlist?list=PLx": listed(*entries)})
    assert [i.video_id for i in library.client().playlist("PLx")] == ["video000001"]


def test_older_videos_are_left_out_where_the_date_is_known() -> None:
    def at(day: int) -> float:
        return datetime(2026, 1, day, tzinfo=UTC).timestamp()

    entries = [entry(1, timestamp=at(3)), entry(2, timestamp=at(1)), entry(3)]
    library = Library({"playlist?list=PLx": listed(*entries)})
    found = library.client().playlist("PLx", since=date(2026, 1, 2))
    assert [i.video_id[-1] for i in found] == ["1", "3"]


@pytest.mark.parametrize(
    ("channel", "path"),
    [
        ("@jawed", "@jawed/videos"),
        ("c/Custom", "c/Custom/videos"),
        ("user/jawed", "user/jawed/videos"),
        ("UC" + "x" * 22, "channel/UC" + "x" * 22 + "/videos"),
    ],
)
def test_a_channel_is_read_from_its_tab_of_videos(channel: str, path: str) -> None:
    library = Library({path: listed(entry(1))})
    assert [i.origin for i in library.client().channel(channel)] == [f"channel {channel}"]


def test_a_channel_without_that_tab_is_read_through_its_nested_lists() -> None:
    host = "https://www.youtube.com"
    tab = {"_type": "url", "ie_key": "YoutubeTab", "url": f"{host}/@jawed/streams"}
    library = Library(
        {
            "@jawed/videos": failure("This channel does not have a videos tab"),
            "@jawed": listed(tab, entry(9)),
            "@jawed/streams": listed(entry(1), entry(2)),
        }
    )
    found = [i.video_id[-1] for i in library.client().channel("@jawed")]
    assert found == ["1", "2", "9"]


def test_a_page_that_sends_us_on_is_followed_but_not_for_ever() -> None:
    def sends_to(path: str) -> dict[str, Any]:
        url = f"https://www.youtube.com/{path}"
        return {"_type": "url", "ie_key": "YoutubeTab", "id": "x", "url": url}

    library = Library({"playlist?list=PLx": sends_to("a"), "a": sends_to("b"), "b": sends_to("a")})
    assert list(library.client().playlist("PLx")) == []
    assert len(library.asked) == 4


@pytest.mark.parametrize(
    ("text", "family", "code"),
    [
        ("The playlist does not exist.", InputError, "unknown_list"),
        ("This playlist is private", InputError, "private_list"),
        ("HTTP Error 404: Not Found", InputError, "unknown_list"),
        ("Sign in to confirm you're not a bot", SourceBlockedError, "blocked"),
        ("Failed to resolve 'www.youtube.com'", NetworkError, "network"),
    ],
)
def test_a_list_that_cannot_be_read_says_why(text: str, family: type[Exception], code: str) -> None:
    library = Library({"playlist?list=PLx": failure(text)})
    with pytest.raises(family) as caught:
        list(library.client().playlist("PLx"))
    assert getattr(caught.value, "code", None) == code


def test_an_endless_mix_is_refused_without_a_request() -> None:
    library = Library({})
    with pytest.raises(InputError):
        list(library.client().playlist("RDdQw4w9WgXcQ"))
    assert library.limiter.permits == []


def test_the_real_library_fails_at_once_where_nobody_answers() -> None:
    """Through a proxy on a closed port, with the library's own retries switched off."""
    client = YtDlpClient(
        limiter=OpenLimiter(), log=MemoryLog(), clock=FakeClock(), proxy="http://127.0.0.1:9"
    )
    with pytest.raises(NetworkError):
        client.fetch([VIDEO])
    with pytest.raises(NetworkError):
        list(client.channel("@jawed"))
