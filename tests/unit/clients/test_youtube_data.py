"""The Data API: facts in fifties, lists page by page, refusals by reason."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.clients.youtube_data import (
    YouTubeDataClient,
    read_video,
    until_midnight_pacific_s,
)
from bulk_transcribe.core.ports import ListingSource, MetadataSource
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.core.video import Availability, LiveState, VideoMetadata
from bulk_transcribe.errors import (
    APIError,
    AuthError,
    ConfigError,
    InputError,
    RateLimitError,
    ServerBusyError,
    SourceBlockedError,
)
from tests.unit.clients.doubles import Bench, Handler, bench, replies

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "AIza-S3CRET"


@contextmanager
def youtube(handler: Handler) -> Iterator[tuple[YouTubeDataClient, Bench]]:
    with bench(handler) as b:
        yield YouTubeDataClient("https://yt.example/v3/", KEY, http=b.http, clock=b.clock), b


def video(video_id: str = "jNQXAC9IVRw", **parts: Any) -> dict[str, Any]:
    """An entry as the API gives it; a part given as a dict is merged into the ordinary one."""
    whole: dict[str, Any] = {
        "id": video_id,
        "snippet": {
            "publishedAt": "2005-04-24T03:31:52Z",
            "channelId": "UC4QobU6STFB0P71PMvOGN5A",
            "title": "Me at the zoo",
            "channelTitle": "jawed",
            "liveBroadcastContent": "none",
            "defaultLanguage": "fr",
            "defaultAudioLanguage": "en",
        },
        "contentDetails": {"duration": "PT19S", "caption": "true", "contentRating": {}},
        "status": {"uploadStatus": "processed", "privacyStatus": "public"},
    }
    for name, part in parts.items():
        whole[name] = {**whole.get(name, {}), **part}
    return whole


def test_the_facts_are_read() -> None:
    assert read_video(video(), NOW) == VideoMetadata(
        video_id="jNQXAC9IVRw",
        title="Me at the zoo",
        channel="jawed",
        channel_id="UC4QobU6STFB0P71PMvOGN5A",
        published_at=datetime(2005, 4, 24, 3, 31, 52, tzinfo=UTC),
        duration_s=19.0,
        language="en",
        availability=Availability.PUBLIC,
        live_state=LiveState.NONE,
        has_captions=True,
        source="data-api",
        fetched_at=NOW,
    )


@pytest.mark.parametrize(
    ("parts", "availability"),
    [
        ({"status": {"privacyStatus": "unlisted"}}, Availability.UNLISTED),
        ({"status": {"privacyStatus": "private"}}, Availability.PRIVATE),
        ({"status": {"uploadStatus": "failed"}}, Availability.FAILED),
        ({"status": {"uploadStatus": "rejected"}}, Availability.FAILED),
        ({"status": {"uploadStatus": "deleted"}}, Availability.ABSENT),
        (
            {"contentDetails": {"contentRating": {"ytRating": "ytAgeRestricted"}}},
            Availability.AGE_RESTRICTED,
        ),
        ({"contentDetails": {"regionRestriction": {"allowed": []}}}, Availability.REGION_BLOCKED),
        ({"contentDetails": {"regionRestriction": {"allowed": ["DE"]}}}, Availability.PUBLIC),
        ({"contentDetails": {"regionRestriction": {"blocked": []}}}, Availability.PUBLIC),
        ({"contentDetails": {"regionRestriction": {"blocked": ["DE"]}}}, Availability.PUBLIC),
        ({"status": {"privacyStatus": "new word"}}, Availability.UNKNOWN),
    ],
)
def test_whether_a_video_can_be_had(parts: dict[str, Any], availability: Availability) -> None:
    assert read_video(video(**parts), NOW).availability is availability


@pytest.mark.parametrize(
    ("word", "details", "state"),
    [
        ("live", {"actualStartTime": "x"}, LiveState.LIVE),
        ("upcoming", {"scheduledStartTime": "x"}, LiveState.UPCOMING),
        ("none", {"actualEndTime": "x"}, LiveState.ENDED),
        ("none", {}, LiveState.NONE),
        ("odd", {}, LiveState.UNKNOWN),
    ],
)
def test_whether_a_video_is_live(word: str, details: dict[str, str], state: LiveState) -> None:
    one = video(snippet={"liveBroadcastContent": word}, liveStreamingDetails=details)
    assert read_video(one, NOW).live_state is state


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT1H2M3S", 3723.0), ("P1DT2H", 93_600.0), ("P0D", None), ("PT0S", None), ("odd", None)],
)
def test_how_long_a_video_is(text: str, seconds: float | None) -> None:
    assert read_video(video(contentDetails={"duration": text}), NOW).duration_s == seconds


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["snippet", "contentDetails", "status", "duration", "title", "publishedAt"]
            ),
            inner,
        )
    ),
)


@given(st.dictionaries(st.sampled_from(["snippet", "contentDetails", "status"]), ANYTHING))
def test_no_entry_breaks_the_reader(entry: dict[str, Any]) -> None:
    assert read_video({"id": "jNQXAC9IVRw", **entry}, NOW).video_id == "jNQXAC9IVRw"


def ids(count: int) -> list[str]:
    return [f"video{number:06}" for number in range(count)]


def echo(request: httpx2.Request) -> httpx2.Response:
    """All videos that were asked for, in another order, twice."""
    asked = request.url.params["id"].split(",")
    return httpx2.Response(200, json={"items": [video(i) for i in [*reversed(asked), *asked]]})


def test_videos_are_asked_for_in_fifties_each_once() -> None:
    with youtube(echo) as (client, b):
        source: MetadataSource = client
        found = source.fetch([*ids(120), *ids(3)])
    assert list(found) == ids(120)
    assert [len(r.url.params["id"].split(",")) for r in b.seen] == [50, 50, 20]
    assert {p.kind for p in b.limiter.permits} == {RequestKind.DATA_API}


def test_no_videos_cost_no_request() -> None:
    with youtube(echo) as (client, b):
        assert client.fetch([]) == {}
    assert b.seen == []


def test_what_is_left_out_of_the_answer_is_absent() -> None:
    answer = httpx2.Response(200, json={"items": [video("a" * 11), {"kind": "odd"}]})
    with youtube(replies(answer)) as (client, _):
        found = client.fetch(["b" * 11, "a" * 11])
    assert found["a" * 11].availability is Availability.PUBLIC
    assert found["b" * 11].availability is Availability.ABSENT
    assert found["b" * 11].fetched_at is not None


def entry(number: int, published: str = "2026-01-01T00:00:00Z", **parts: Any) -> dict[str, Any]:
    return {
        "snippet": {
            "title": f"Video {number}",
            "videoOwnerChannelTitle": "jawed",
            **parts.get("snippet", {}),
        },
        "contentDetails": {"videoId": f"video{number:06}", "videoPublishedAt": published},
        "status": {"privacyStatus": "public", **parts.get("status", {})},
    }


def pages(*lists: list[dict[str, Any]]) -> Callable[[httpx2.Request], httpx2.Response]:
    """Pages whose token is their number."""

    def handler(request: httpx2.Request) -> httpx2.Response:
        number = int(request.url.params.get("pageToken", "0"))
        body: dict[str, Any] = {"items": lists[number]}
        if number + 1 < len(lists):
            body["nextPageToken"] = str(number + 1)
        return httpx2.Response(200, json=body)

    return handler


def test_a_list_is_read_in_order_over_all_pages() -> None:
    with youtube(pages([entry(1), entry(2)], [], [entry(3), entry(1)])) as (client, b):
        source: ListingSource = client
        found = list(source.playlist("PLx"))
    assert [item.video_id for item in found] == ["video000001", "video000002", "video000003"]
    assert (found[0].title, found[0].channel) == ("Video 1", "jawed")
    assert found[0].origin == "playlist PLx"
    assert len(b.seen) == 3


def test_a_list_is_only_read_as_far_as_it_is_wanted() -> None:
    with youtube(pages([entry(1), entry(2)], [entry(3)])) as (client, b):
        assert len(list(client.playlist("PLx", limit=2))) == 2
        assert list(client.playlist("PLx", limit=0)) == []
        next(iter(client.playlist("PLx")))
    assert len(b.seen) == 2


def test_deleted_and_private_entries_are_left_out() -> None:
    gone = {"title": "Deleted video", "videoOwnerChannelTitle": None}
    locked = {"title": "Private video", "videoOwnerChannelTitle": None}
    listed = [
        entry(1, snippet=gone),
        entry(2, snippet=locked),
        entry(3, status={"privacyStatus": "private"}),
        entry(4, snippet={"title": "Private video"}),  # somebody may really call it that
        {"odd": 1},
    ]
    with youtube(pages(listed)) as (client, _):
        assert [item.video_id for item in client.playlist("PLx")] == ["video000004"]


def test_older_videos_are_left_out_and_the_day_itself_counts() -> None:
    listed = [entry(1, "2026-01-03T00:00:00Z"), entry(2, "2026-01-02T00:00:00Z")]
    listed += [entry(3, "2026-01-01T23:59:59Z"), entry(4, "odd")]
    with youtube(pages(listed)) as (client, _):
        found = [item.video_id[-1] for item in client.playlist("PLx", since=date(2026, 1, 2))]
    assert found == ["1", "2", "4"]


def test_a_channel_is_read_until_a_page_is_too_old() -> None:
    new = [entry(n, "2026-01-02T00:00:00Z") for n in range(50)]
    old = [entry(n, "2025-01-02T00:00:00Z") for n in range(50, 100)]
    with youtube(pages(new, old, old, old)) as (client, b):
        found = list(client.channel("UC" + "x" * 22, since=date(2026, 1, 1)))
    assert len(found) == 50
    assert len(b.seen) == 2


def test_tokens_that_go_round_in_a_circle_end_the_list() -> None:
    body = {"items": [entry(1)], "nextPageToken": "again"}
    with youtube(replies(httpx2.Response(200, json=body))) as (client, b):
        assert len(list(client.playlist("PLx"))) == 1
    assert len(b.seen) == 2


def test_a_channel_s_id_needs_no_look_up() -> None:
    with youtube(pages([entry(1)])) as (client, b):
        (item,) = client.channel("UC" + "x" * 22)
    assert b.seen[0].url.params["playlistId"] == "UU" + "x" * 22
    assert item.origin == "channel UC" + "x" * 22


@pytest.mark.parametrize(
    ("channel", "name", "value"),
    [("@jawed", "forHandle", "@jawed"), ("user/jawed", "forUsername", "jawed")],
)
def test_a_channel_is_looked_up_by_its_name(channel: str, name: str, value: str) -> None:
    uploads = {"contentDetails": {"relatedPlaylists": {"uploads": "UUabc"}}}
    answers = replies(
        httpx2.Response(200, json={"items": [uploads]}),
        httpx2.Response(200, json={"items": [entry(1)]}),
    )
    with youtube(answers) as (client, b):
        assert len(list(client.channel(channel))) == 1
    assert b.seen[0].url.params[name] == value
    assert b.seen[1].url.params["playlistId"] == "UUabc"


@pytest.mark.parametrize("body", [{}, {"items": []}, {"items": [{"contentDetails": {}}]}])
def test_a_channel_that_is_not_there_is_the_input_s_fault(body: object) -> None:
    with (
        youtube(replies(httpx2.Response(200, json=body))) as (client, _),
        pytest.raises(InputError, match="@nobody"),
    ):
        list(client.channel("@nobody"))


@pytest.mark.parametrize("channel", ["c/Custom", "jawed", "UCshort", ""])
def test_a_name_that_cannot_be_looked_up_comes_with_advice(channel: str) -> None:
    with youtube(pages([])) as (client, b):
        with pytest.raises(InputError, match="@handle"):
            list(client.channel(channel))
        assert b.seen == []


@pytest.mark.parametrize("playlist", ["RDdQw4w9WgXcQ", "WL", "LL"])
def test_lists_that_nobody_can_read_cost_no_request(playlist: str) -> None:
    with youtube(pages([])) as (client, b):
        with pytest.raises(InputError):
            list(client.playlist(playlist))
        assert b.seen == []


def refusal(status: int, reason: str = "", message: str = "why", **more: Any) -> httpx2.Response:
    errors = [{"message": message, "domain": "d", "reason": reason}] if reason else []
    error = {"code": status, "message": message, "errors": errors, **more}
    return httpx2.Response(status, json={"error": error})


@pytest.mark.parametrize(
    ("answer", "family", "code"),
    [
        (refusal(403, "quotaExceeded"), SourceBlockedError, "quota_exceeded"),
        (refusal(403, "rateLimitExceeded"), RateLimitError, "rate_limited"),
        (refusal(403, "userRateLimitExceeded"), RateLimitError, "rate_limited"),
        (refusal(429), RateLimitError, "rate_limited"),
        (refusal(403, "dailyLimitExceededUnreg"), AuthError, "bad_key"),
        (refusal(400, "keyInvalid", "Bad Request"), AuthError, "bad_key"),
        (refusal(400, "badRequest", "API key not valid. Please pass"), AuthError, "bad_key"),
        (refusal(400, "badRequest", details=[{"reason": "API_KEY_INVALID"}]), AuthError, "bad_key"),
        (refusal(403, message="... is missing a valid API key."), AuthError, "bad_key"),
        (refusal(403, "accessNotConfigured"), AuthError, "bad_key"),
        (refusal(403, "ipRefererBlocked"), AuthError, "bad_key"),
        (refusal(403, "forbidden"), AuthError, "bad_key"),
        (refusal(400, "invalidFilters"), APIError, "refused"),
        (refusal(500, "backendError"), ServerBusyError, "server_busy"),
        (httpx2.Response(503, text="<html></html>"), ServerBusyError, "server_busy"),
        (httpx2.Response(403, json=["odd"]), AuthError, "bad_key"),
    ],
)
def test_refusals_are_sorted_by_their_reason(
    answer: httpx2.Response, family: type[Exception], code: str
) -> None:
    with youtube(replies(answer)) as (client, _), pytest.raises(family) as caught:
        client.fetch(ids(1))
    assert type(caught.value) is family
    assert getattr(caught.value, "code", None) == code
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (refusal(404, "playlistNotFound"), "unknown_list"),
        (refusal(404), "unknown_list"),
        (refusal(403, "playlistItemsNotAccessible"), "private_list"),
    ],
)
def test_a_list_that_cannot_be_read_is_the_input_s_fault(
    answer: httpx2.Response, code: str
) -> None:
    with youtube(replies(answer)) as (client, _), pytest.raises(InputError) as caught:
        list(client.playlist("PLx"))
    assert caught.value.code == code


def test_the_quota_s_message_comes_without_its_link() -> None:
    message = 'You have exceeded your <a href="/x">quota</a>.'
    with (
        youtube(replies(refusal(403, "quotaExceeded", message))) as (client, _),
        pytest.raises(SourceBlockedError, match="exceeded your quota") as caught,
    ):
        client.fetch(ids(1))
    assert "href" not in str(caught.value)
    assert caught.value.retry_after_s is not None


@pytest.mark.parametrize(
    ("moment", "hours"),
    [
        (datetime(2026, 1, 1, 7, 0, tzinfo=UTC), 1.0),  # winter: midnight is 08:00 UTC
        (datetime(2026, 1, 1, 8, 0, tzinfo=UTC), 24.0),
        (datetime(2026, 7, 1, 6, 0, tzinfo=UTC), 1.0),  # summer: 07:00 UTC
        (datetime(2026, 3, 8, 8, 0, tzinfo=UTC), 23.0),  # the day the clocks go forward
    ],
)
def test_the_quota_opens_at_midnight_in_california(moment: datetime, hours: float) -> None:
    assert until_midnight_pacific_s(moment) == hours * 3600


def test_a_missing_key_is_told_before_anything_starts() -> None:
    with bench(replies(httpx2.Response(200))) as b, pytest.raises(ConfigError, match="YOUTUBE"):
        YouTubeDataClient("https://yt.example", " ", http=b.http, clock=b.clock)


def test_the_key_is_not_shown() -> None:
    with youtube(echo) as (client, _):
        assert KEY not in repr(client)
