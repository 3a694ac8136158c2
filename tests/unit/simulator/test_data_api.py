"""YouTube's Data API as its reference describes it."""

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.duration import parse_duration_s
from bulk_transcribe.simulator import Faults
from bulk_transcribe.simulator.data_api import iso_duration, only_fields
from tests.unit.simulator.asking import Asker, Reply

PARTS = "snippet,contentDetails,status,liveStreamingDetails"


def _get(asker: Asker, resource: str, **fields: str) -> Reply:
    sent = {"part": PARTS, "key": "simulated-youtube-key"} | fields
    query = urlencode({name: value for name, value in sent.items() if value})
    return asker.get(f"/youtube/v3/{resource}?{query}", headers={})


def _video(video_id: str, **config: Any) -> Any:
    (item,) = _get(Asker(**config), "videos", id=video_id).json["items"]
    return item


def _reason(reply: Reply) -> tuple[int, str]:
    error = reply.json["error"]
    assert error["code"] == reply.status
    return reply.status, error["errors"][0]["reason"]


def test_a_video_has_its_facts() -> None:
    item = _video("abcdefghijk", durations_s={"abcdefghijk": 3_723})
    assert item["id"] == "abcdefghijk"
    assert item["contentDetails"]["duration"] == "PT1H2M3S"
    assert item["contentDetails"]["caption"] in {"true", "false"}
    assert item["snippet"]["title"].startswith("Simulated")
    assert item["snippet"]["publishedAt"].endswith("Z")
    assert item["snippet"]["liveBroadcastContent"] == "none"
    assert item["status"]["privacyStatus"] == "public"
    assert "liveStreamingDetails" not in item


def test_only_the_asked_parts_come() -> None:
    reply = _get(Asker(), "videos", id="abcdefghijk", part="contentDetails")
    assert set(reply.json["items"][0]) == {"kind", "etag", "id", "contentDetails"}


def test_what_cannot_be_seen_is_silently_absent_and_doubles_collapse() -> None:
    ids = "abcdefghijk,GONEaaaaaaa,PRIVaaaaaaa,short,abcdefghijk,AGEDaaaaaaa"
    items = _get(Asker(), "videos", id=ids).json["items"]
    assert [item["id"] for item in items] == ["abcdefghijk", "AGEDaaaaaaa"]
    assert items[1]["contentDetails"]["contentRating"] == {"ytRating": "ytAgeRestricted"}


def test_live_and_coming_videos_have_no_length() -> None:
    live, coming = _video("LIVEaaaaaaa"), _video("SOONaaaaaaa")
    assert live["contentDetails"]["duration"] == coming["contentDetails"]["duration"] == "P0D"
    assert live["snippet"]["liveBroadcastContent"] == "live"
    assert "actualStartTime" in live["liveStreamingDetails"]
    assert coming["snippet"]["liveBroadcastContent"] == "upcoming"
    assert "scheduledStartTime" in coming["liveStreamingDetails"]


def test_fifty_ids_are_the_most() -> None:
    asker = Asker()
    ids = [f"vid{n:08d}" for n in range(51)]
    assert len(_get(asker, "videos", id=",".join(ids[:50])).json["items"]) == 50
    assert _reason(_get(asker, "videos", id=",".join(ids))) == (400, "invalidFilters")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"part": ""}, "missingRequiredParameter"),
        ({"part": "snippet,gossip"}, "unknownPart"),
        ({}, "missingRequiredParameter"),
        ({"id": "abcdefghijk", "maxResults": "5"}, "incompatibleParameters"),
    ],
)
def test_a_bad_call_says_what_is_wrong(fields: dict[str, str], reason: str) -> None:
    assert _reason(_get(Asker(), "videos", **fields)) == (400, reason)


def test_a_key_is_needed_and_must_be_right() -> None:
    assert _get(Asker(), "videos", key="").status == 403
    assert _reason(_get(Asker(), "videos", key="x")) == (400, "keyInvalid")
    modern = _get(Asker(data_api_errors="modern"), "videos", key="x")
    assert _reason(modern) == (400, "badRequest")
    assert modern.json["error"]["details"][0]["reason"] == "API_KEY_INVALID"
    free = Asker(youtube_api_key=None)
    assert _get(free, "videos", key="x", id="abcdefghijk").status == 200


def test_every_call_costs_a_unit_and_the_quota_comes_back_the_next_day() -> None:
    asker = Asker(quota_units=2)
    assert _get(asker, "videos", id="abcdefghijk").status == 200
    assert _get(asker, "videos").status == 400
    assert _reason(_get(asker, "videos", id="abcdefghijk")) == (403, "quotaExceeded")
    asker.clock.advance(86_400)
    assert _get(asker, "videos", id="abcdefghijk").status == 200


def test_the_quota_can_be_spent_at_will() -> None:
    reply = _get(Asker(Faults(quota_exceeded=True)), "videos", id="abcdefghijk")
    assert _reason(reply) == (403, "quotaExceeded")


def test_a_list_is_read_page_by_page_each_entry_once() -> None:
    asker = Asker()
    found: list[Any] = []
    token = ""
    pages = 0
    while pages == 0 or token:
        body = _get(
            asker,
            "playlistItems",
            part="snippet,contentDetails,status",
            playlistId="PLn120_x",
            maxResults="50",
            pageToken=token,
        ).json
        found += body["items"]
        token = body.get("nextPageToken", "")
        pages += 1
        assert body["pageInfo"]["totalResults"] == 120
    assert pages == 3
    assert [item["snippet"]["position"] for item in found] == list(range(120))
    assert len({item["contentDetails"]["videoId"] for item in found}) == 120
    lost = [i for i in found if i["snippet"]["title"] in {"Deleted video", "Private video"}]
    assert 0 < len(lost) < 12
    assert not any("videoOwnerChannelTitle" in item["snippet"] for item in lost)


def test_a_page_has_five_entries_unless_told_and_fifty_at_most() -> None:
    asker = Asker()
    fields = {"part": "contentDetails", "playlistId": "PLn120_x"}
    assert len(_get(asker, "playlistItems", **fields).json["items"]) == 5
    assert len(_get(asker, "playlistItems", **fields, maxResults="99").json["items"]) == 50


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"playlistId": "PLunknown_x"}, (404, "playlistNotFound")),
        ({"playlistId": "PLprivate_x"}, (403, "playlistItemsNotAccessible")),
        ({"playlistId": "PLn9_x", "pageToken": "SIM000005.other"}, (400, "invalidPageToken")),
        ({"playlistId": "PLn9_x", "pageToken": "nonsense"}, (400, "invalidPageToken")),
        ({}, (400, "missingRequiredParameter")),
    ],
)
def test_a_list_that_cannot_be_read_says_why(
    fields: dict[str, str], expected: tuple[int, str]
) -> None:
    assert _reason(_get(Asker(), "playlistItems", part="contentDetails", **fields)) == expected


def test_a_handle_leads_to_the_channel_and_its_uploads() -> None:
    asker = Asker()
    (channel,) = _get(
        asker, "channels", part="id,contentDetails,snippet", forHandle="@someone"
    ).json["items"]
    uploads = channel["contentDetails"]["relatedPlaylists"]["uploads"]
    assert uploads == "UU" + channel["id"][2:]
    items = _get(asker, "playlistItems", part="snippet", playlistId=uploads).json["items"]
    assert {i["snippet"]["videoOwnerChannelId"] for i in items} == {channel["id"]}
    (again,) = _get(asker, "channels", part="snippet", id=channel["id"]).json["items"]
    assert again["snippet"] == channel["snippet"]


def test_an_unknown_channel_has_no_items_at_all() -> None:
    reply = _get(Asker(), "channels", part="id", forUsername="unknown-one")
    assert reply.status == 200
    assert "items" not in reply.json


def test_an_unknown_resource_is_404() -> None:
    assert _get(Asker(), "captions").status == 404


def test_a_mask_leaves_what_it_names() -> None:
    reply = _get(
        Asker(), "videos", id="abcdefghijk", fields="items(id,contentDetails/duration),pageInfo"
    )
    assert set(reply.json) == {"items", "pageInfo"}
    assert set(reply.json["items"][0]) == {"id", "contentDetails"}
    assert set(reply.json["items"][0]["contentDetails"]) == {"duration"}


@pytest.mark.parametrize(
    ("mask", "left"),
    [
        ("a", {"a": {"b": 1, "c": 2}}),
        ("a/b", {"a": {"b": 1}}),
        ("a(b,c),d", {"a": {"b": 1, "c": 2}, "d": [{"e": 3, "f": 4}]}),
        ("a/b,d/e", {"a": {"b": 1}, "d": [{"e": 3}]}),
        ("d(f)", {"d": [{"f": 4}]}),
        ("*", {"a": {"b": 1, "c": 2}, "d": [{"e": 3, "f": 4}]}),
        ("nothing", {}),
    ],
)
def test_masks_of_every_form(mask: str, left: object) -> None:
    assert only_fields({"a": {"b": 1, "c": 2}, "d": [{"e": 3, "f": 4}]}, mask) == left


@given(st.integers(1, 400_000))
def test_lengths_can_be_read_back(duration_s: int) -> None:
    assert parse_duration_s(iso_duration(duration_s)) == duration_s


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(0, "PT0S"), (30, "PT30S"), (300, "PT5M"), (3_603, "PT1H3S"), (86_400, "P1D"),
     (86_401, "P1DT1S")],
)  # fmt: skip
def test_lengths_are_written_as_youtube_writes_them(duration_s: int, text: str) -> None:
    assert iso_duration(duration_s) == text
