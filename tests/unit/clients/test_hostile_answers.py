"""What the fuzzer found in answers of services, each as the smallest answer that showed it."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import httpx2
import pytest

from bulk_transcribe.clients.deapi import DeapiClient
from bulk_transcribe.clients.http import parse_retry_after_s
from bulk_transcribe.clients.youtube_data import YouTubeDataClient, read_video
from bulk_transcribe.clients.yt_dlp_client import read_info
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.errors import NetworkError, RetryableError
from tests.unit.clients.doubles import bench, replies
from tests.unit.clients.test_yt_dlp_client import Library, watch

VIDEO = "dQw4w9WgXcQ"
TICKET = Ticket(video_id=VIDEO)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LIST = "PLFgquLnL59alCl_2TQvOiD5Vgm1hCaGSI"


def test_a_number_that_no_decimal_can_hold_is_an_answer_that_cannot_be_read() -> None:
    """`Decimal` raises an ArithmeticError for such exponents, which came out as a crash."""
    body = b'{"data": {"price": 1e9999999999999999999}}'
    with bench(replies(httpx2.Response(200, content=body))) as b:
        client = DeapiClient(api_key="1|x", http=b.http)
        with pytest.raises(NetworkError, match="not JSON"):
            client.price_usd(60.0, TICKET)


@pytest.mark.parametrize("amount", ["1E+999999999", "-1e12", '"1e400"', "1" * 200])
def test_an_amount_that_no_account_holds_is_none(amount: str) -> None:
    """Formatting 1E+999999999 with four digits would have filled the memory with zeros."""
    body = f'{{"data": {{"balance": {amount}}}}}'.encode()
    with bench(replies(httpx2.Response(200, content=body))) as b:
        client = DeapiClient(api_key="1|x", http=b.http)
        with pytest.raises(RetryableError, match="no balance"):
            client.balance_usd(TICKET)


@pytest.mark.parametrize(
    ("amount", "usd"), [("1e-999999", "0"), ("0.0052", "0.0052"), ("-0.5", "-0.5")]
)
def test_small_amounts_keep_the_digits_that_matter(amount: str, usd: str) -> None:
    body = f'{{"data": {{"balance": {amount}}}}}'.encode()
    with bench(replies(httpx2.Response(200, content=body))) as b:
        balance = DeapiClient(api_key="1|x", http=b.http).balance_usd(TICKET)
    assert balance == Decimal(usd)


@pytest.mark.parametrize("request_id", ["\ud800", "a\u0000b", "x" * 201, "a\nb"])
def test_an_id_that_can_be_neither_stored_nor_asked_for_is_none(request_id: str) -> None:
    """The id was kept, and the first look at the job crashed: paid for and out of reach."""
    body = json.dumps({"data": {"request_id": request_id, "id": "fine-1"}})
    with bench(replies(httpx2.Response(200, text=body))) as b:
        assert DeapiClient(api_key="1|x", http=b.http).submit("u", TICKET) == "fine-1"


@pytest.mark.parametrize("video_id", ["../../etc/passwd", "jNQXAC9IVR", "dQw4w9WgXcQ\n", "a b", 5])
def test_entries_of_a_list_without_a_video_id_are_left_out(video_id: Any) -> None:
    """The id names files later on, where it stopped the video with a traceback."""
    entries = [{"contentDetails": {"videoId": each}} for each in (video_id, VIDEO)]
    with bench(replies(httpx2.Response(200, json={"items": entries}))) as b:
        client = YouTubeDataClient(api_key="k", http=b.http, clock=b.clock)
        assert [item.video_id for item in client.playlist(LIST)] == [VIDEO]


def test_a_page_token_that_cannot_be_sent_ends_the_list() -> None:
    body = {"items": [{"contentDetails": {"videoId": VIDEO}}], "nextPageToken": "\ud800"}
    with bench(replies(httpx2.Response(200, text=json.dumps(body)))) as b:
        client = YouTubeDataClient(api_key="k", http=b.http, clock=b.clock)
        assert len(list(client.playlist(LIST))) == 1


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_moment_beyond_the_calendar_is_not_known(at: str) -> None:
    """Such a moment could be read, and overflowed when it was stored in UTC."""
    assert read_video({"id": VIDEO, "snippet": {"publishedAt": at}}, NOW).published_at is None


def test_a_moment_without_a_zone_is_utc() -> None:
    facts = read_video({"id": VIDEO, "snippet": {"publishedAt": "2005-04-24T03:31:52"}}, NOW)
    assert facts.published_at == datetime(2005, 4, 24, 3, 31, 52, tzinfo=UTC)


def test_a_date_too_far_for_the_machine_is_no_retry_after() -> None:
    assert parse_retry_after_s("9999999999999 Jan 2020 0:0:0 GMT", NOW) is None


def test_nobody_waits_longer_than_a_day_for_a_header() -> None:
    assert parse_retry_after_s("999999999", NOW) == 86_400.0
    assert parse_retry_after_s("Fri, 01 Jan 2100 00:00:00 GMT", NOW) == 86_400.0


def test_a_length_that_no_video_has_is_not_known() -> None:
    assert read_info(VIDEO, {"duration": 10**400}, NOW).duration_s is None
    assert read_info(VIDEO, {"duration": 1e300}, NOW).duration_s is None


def test_facts_that_are_no_dictionary_are_an_answer_that_cannot_be_read() -> None:
    library = watch(["not", "facts"])  # type: ignore[arg-type]  # what is tested
    library.answers[f"watch?v={VIDEO}"] = library.answers.popitem()[1]
    with pytest.raises(NetworkError):
        library.client().fetch([VIDEO])


def test_an_odd_title_in_a_list_is_no_title() -> None:
    """A title that is a list cannot be looked up in a set: the whole list ended in a traceback."""
    library = Library({f"playlist?list={LIST}": {"entries": [{"id": VIDEO, "title": ["x"]}]}})
    (item,) = library.client().playlist(LIST, since=date(2020, 1, 1))
    assert item.title is None


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://www.youtube.com/playlist?list=x",
        "https://www.youtube.com:8443/x",
        "https://www.youtube.com@127.0.0.1/",
        "https://[",
        "https://youtube.com.evil.example/",
        "file:///etc/passwd",
    ],
)
def test_a_list_leads_nowhere_but_to_youtube(target: str) -> None:
    entries = [{"_type": "url", "id": "x", "url": target}, {"id": VIDEO}]
    library = Library({f"playlist?list={LIST}": {"entries": entries}})
    assert [item.video_id for item in library.client().playlist(LIST)] == [VIDEO]
    assert len(library.asked) == 1


def test_the_library_may_only_ask_youtube() -> None:
    library = watch({})
    with pytest.raises(NetworkError):
        library.client().fetch([VIDEO])
    assert library.options["allowed_extractors"] == ["youtube.*"]
