"""The paid client against recorded shapes of both versions."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.clients.deapi import (
    DeapiClient,
    Model,
    Webhook,
    read_progress,
    read_status,
)
from bulk_transcribe.core.job import JobState
from bulk_transcribe.core.ports import PaidService
from bulk_transcribe.core.request import RequestKind, Ticket
from bulk_transcribe.errors import (
    AuthError,
    ConfigError,
    CreditSpentError,
    NetworkError,
    RateLimitError,
    RetryableError,
    ServerBusyError,
    SourceBlockedError,
    VideoUnavailableError,
)
from tests.unit.clients.doubles import Bench, Handler, bench, replies

VIDEO = "dQw4w9WgXcQ"
URL = f"https://www.youtube.com/watch?v={VIDEO}"
TICKET = Ticket(video_id=VIDEO)
KEY = "123|abcDEF"
ID = "c08a339c-73e5-4d67-a4d5-231302fbff9a"
ACCEPTED = httpx2.Response(200, json={"data": {"request_id": ID}})


@contextmanager
def service(
    handler: Handler, *, api_version: str = "v2", **options: Any
) -> Iterator[tuple[DeapiClient, Bench]]:
    with bench(handler) as b:
        base_url, key = options.pop("base_url", "https://api.deapi.example/"), KEY
        yield DeapiClient(base_url, key, http=b.http, api_version=api_version, **options), b


def form(request: httpx2.Request) -> dict[str, str]:
    """The fields of a multipart body."""
    boundary = request.headers["content-type"].split("boundary=")[1]
    fields = {}
    for part in request.content.decode().split(f"--{boundary}")[1:-1]:
        head, _, value = part.strip("\r\n").partition("\r\n\r\n")
        fields[head.split('name="')[1].split('"')[0]] = value
    return fields


def test_v2_submits_a_form_even_for_a_link() -> None:
    with service(replies(ACCEPTED)) as (client, b):
        paid: PaidService = client
        assert paid.submit(URL, TICKET) == ID
    (request,) = b.seen
    assert (request.method, str(request.url)) == (
        "POST",
        "https://api.deapi.example/api/v2/audio/transcriptions",
    )
    assert request.headers["content-type"].startswith("multipart/form-data")
    assert form(request) == {
        "source_url": URL,
        "model": "WhisperLargeV3",
        "include_ts": "1",
        "return_result_in_response": "1",
    }
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert b.limiter.permits[0].kind is RequestKind.SUBMIT
    assert b.limiter.permits[0].ticket is TICKET


def test_v1_submits_json() -> None:
    options: dict[str, Any] = {
        "api_version": "v1",
        "include_ts": False,
        "inline_result": False,
        "model": "M",
    }
    with service(replies(ACCEPTED), **options) as (client, b):
        assert client.submit(URL, TICKET) == ID
    assert b.seen[0].url.path == "/api/v1/client/vid2txt"
    assert json.loads(b.seen[0].content) == {
        "video_url": URL,
        "model": "M",
        "include_ts": False,
        "return_result_in_response": False,
    }


def test_a_request_with_a_nonce_asks_for_webhooks_as_its_version_wants_them() -> None:
    hook = Webhook(base_url="https://me.example/hooks", secret="planted secret")
    assert "planted" not in repr(hook)
    with service(replies(ACCEPTED, ACCEPTED), webhook=hook) as (client, b):
        client.submit(URL, TICKET, nonce="n0nce")
        client.submit(URL, TICKET)
    assert form(b.seen[0])["webhook_url"] == "https://me.example/hooks/n0nce"
    assert form(b.seen[0])["webhook_secret"] == "planted secret"
    assert not {"webhook_url", "webhook_secret"} & set(form(b.seen[1]))
    with service(replies(ACCEPTED), webhook=hook, api_version="v1") as (client, b):
        client.submit(URL, TICKET, nonce="n0nce")
    asked = json.loads(b.seen[0].content)
    assert asked["webhook_url"] == "https://me.example/hooks/n0nce"
    assert "webhook_secret" not in asked
    with service(replies(ACCEPTED)) as (client, b):  # webhooks were switched off meanwhile
        client.submit(URL, TICKET, nonce="n0nce")
    assert "webhook_url" not in form(b.seen[0])


@pytest.mark.parametrize(
    "base_url", ["https://x.example", "https://x.example//", " https://x.example/ "]
)
def test_a_slash_at_the_end_of_the_address_does_not_matter(base_url: str) -> None:
    with service(replies(ACCEPTED), base_url=base_url) as (client, b):
        client.submit(URL, TICKET)
    assert str(b.seen[0].url) == "https://x.example/api/v2/audio/transcriptions"


@pytest.mark.parametrize(
    "body", [{}, {"data": {}}, {"data": []}, [], {"data": {"request_id": ""}}, {"data": None}]
)
def test_a_success_without_an_id_may_have_been_paid(body: object) -> None:
    with (
        service(replies(httpx2.Response(200, json=body))) as (client, _),
        pytest.raises(NetworkError) as caught,
    ):
        client.submit(URL, TICKET)
    assert (caught.value.refused, caught.value.never_sent) == (False, False)


def test_nothing_is_ever_sent_twice() -> None:
    failures: list[httpx2.Response | Exception] = [
        httpx2.ReadTimeout("x"),
        httpx2.ConnectError("x"),
        httpx2.Response(500),
        httpx2.Response(429),
    ]
    for failure in failures:
        with service(replies(failure)) as (client, b):
            with pytest.raises(RetryableError):
                client.submit(URL, TICKET)
            assert len(b.seen) == 1


@pytest.mark.parametrize(
    ("answer", "family", "certain"),
    [
        (httpx2.Response(429), RateLimitError, True),
        (httpx2.ConnectError("x"), NetworkError, True),
        (httpx2.ReadTimeout("x"), NetworkError, False),
        (httpx2.Response(503), ServerBusyError, False),
        (httpx2.Response(200, text="<html>"), NetworkError, False),
    ],
)
def test_a_submit_says_whether_it_was_certainly_not_accepted(
    answer: httpx2.Response | Exception, family: type[RetryableError], *, certain: bool
) -> None:
    with service(replies(answer)) as (client, _), pytest.raises(family) as caught:
        client.submit(URL, TICKET)
    assert (caught.value.refused or caught.value.never_sent) is certain


@pytest.mark.parametrize(
    ("status", "body", "family"),
    [
        (401, {"message": "Unauthenticated."}, AuthError),
        (422, {"errors": {"balance": ["Not enough"]}}, CreditSpentError),
        (422, {"message": "Private video"}, VideoUnavailableError),
    ],
)
def test_a_refused_submit_names_its_cause(
    status: int, body: object, family: type[Exception]
) -> None:
    answer = httpx2.Response(status, json=body)
    with service(replies(answer)) as (client, _), pytest.raises(family):
        client.submit(URL, TICKET)


def test_a_key_with_the_gateway_s_prefix_is_used_without_it() -> None:
    with bench(replies(ACCEPTED)) as b:
        DeapiClient("https://x.example", f" dpn-sk-{KEY}\n", http=b.http).submit(URL, TICKET)
    assert b.seen[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", ["", "  ", "dpn-sk-", "12|ab cd", "12|ä", "12|a\nb"])
def test_a_key_that_is_none_is_told_before_anything_starts(key: str) -> None:
    with bench(replies(ACCEPTED)) as b, pytest.raises(ConfigError) as caught:
        DeapiClient("https://x.example", key, http=b.http)
    assert key.strip() == "" or key not in str(caught.value)


@pytest.mark.parametrize("address", ["", "api.deapi.ai", "ftp://x", "https://"])
def test_an_address_that_is_none_is_told_before_anything_starts(address: str) -> None:
    with bench(replies(ACCEPTED)) as b, pytest.raises(ConfigError, match="DEAPI_BASE_URL"):
        DeapiClient(address, KEY, http=b.http)


def test_an_unknown_version_is_told_before_anything_starts() -> None:
    with bench(replies(ACCEPTED)) as b, pytest.raises(ConfigError, match="v3"):
        DeapiClient("https://x.example", KEY, http=b.http, api_version="v3")


def test_the_key_is_never_shown() -> None:
    with service(replies(httpx2.Response(401, json={"message": "Unauthenticated."}))) as (
        client,
        b,
    ):
        with pytest.raises(AuthError) as caught:
            client.submit(URL, TICKET)
        assert KEY not in f"{client!r} {caught.value} {caught.value!r} {b.log.records!r}"


@pytest.mark.parametrize(
    ("version", "path"), [("v1", "/api/v1/client/request-status/"), ("v2", "/api/v2/jobs/")]
)
def test_each_version_asks_at_its_place(version: str, path: str) -> None:
    answer = httpx2.Response(200, json={"data": {"status": "processing", "progress": 45.5}})
    with service(replies(answer), api_version=version) as (client, b):
        status = client.job("a/b", TICKET)
    assert b.seen[0].url.raw_path.decode() == f"{path}a%2Fb"
    assert (status.state, status.progress, status.request_id) == (JobState.RUNNING, 0.455, "a/b")
    assert b.limiter.permits[0].kind is RequestKind.POLL


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("pending", JobState.RUNNING),
        ("queued", JobState.RUNNING),
        ("in_queue", JobState.RUNNING),
        ("brewing", JobState.RUNNING),
        ("done", JobState.DONE),
        (" Done ", JobState.DONE),
        ("completed", JobState.DONE),
        ("error", JobState.FAILED),
        ("failed", JobState.FAILED),
    ],
)
def test_unknown_words_count_as_running(word: str, state: JobState) -> None:
    assert read_status({"data": {"status": word}}, request_id="r").state is state


@pytest.mark.parametrize(
    ("fields", "text", "url"),
    [
        ({"result": "Hi", "result_url": None}, "Hi", None),
        ({"result": None, "result_url": "https://s/x"}, None, "https://s/x"),
        ({"result": "", "result_url": "https://s/x"}, None, "https://s/x"),
        ({"result": "Hi", "result_url": "https://s/x"}, "Hi", "https://s/x"),
        ({"result": "", "result_url": ""}, "", None),
        ({}, "", None),
        ({"result": {"text": "Hi", "segments": []}}, '{"text": "Hi", "segments": []}', None),
    ],
)
def test_a_finished_job_has_a_text_or_an_address_or_is_silence(
    fields: Mapping[str, object], text: str | None, url: str | None
) -> None:
    status = read_status({"data": {"status": "done", **fields}}, request_id="r")
    assert (status.text, status.result_url) == (text, url)


def test_a_running_job_has_no_result_yet() -> None:
    body = {"data": {"status": "processing", "result": "half", "price": {"amount": 1}}}
    status = read_status(body, request_id="r")
    assert (status.text, status.result_url, status.charged_usd) == (None, None, None)


@pytest.mark.parametrize(
    ("price", "charged"),
    [
        ({"amount": Decimal("0.005247"), "is_estimated": False}, Decimal("0.005247")),
        ({"amount": "0.02", "is_estimated": False}, Decimal("0.02")),
        ({"amount": Decimal("0.5"), "is_estimated": True}, None),
        (Decimal("0.1"), Decimal("0.1")),
        ("much", None),
        (True, None),
        (None, None),
        ("NaN", None),
    ],
)
def test_what_was_charged_is_told_where_it_is_final(price: object, charged: object) -> None:
    body = {"data": {"status": "done", "price": price}}
    assert read_status(body, request_id="r").charged_usd == charged


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"error_code": "WORKER_TIMEOUT", "error_message": "slow"}, "WORKER_TIMEOUT", "slow"),
        ({"error": "it broke"}, None, "it broke"),
        ({"error": {"code": "X", "message": "it broke"}}, "X", "it broke"),
        ({}, None, None),
    ],
)
def test_a_failed_job_says_why_in_any_of_its_shapes(
    fields: Mapping[str, object], code: str | None, message: str | None
) -> None:
    status = read_status({"data": {"status": "error", **fields}}, request_id="r")
    assert (status.error_code, status.error_message) == (code, message)


def test_the_spoken_language_is_kept() -> None:
    body = {"data": {"status": "done", "transcription": {"language": "de"}}}
    assert read_status(body, request_id="r").language == "de"


@pytest.mark.parametrize("body", [None, [], "x", {}, {"data": None}, {"data": {"status": 3}}])
def test_an_answer_without_a_status_is_worth_another_look(body: object) -> None:
    with pytest.raises(NetworkError):
        read_status(body, request_id="r")


@pytest.mark.parametrize(
    ("value", "fraction"),
    [
        (0, 0.0),
        (100, 1.0),
        ("45.5", 0.455),
        ("45 %", 0.45),
        (250, 1.0),
        (-3, 0.0),
        (None, None),
        (True, None),
        ("soon", None),
        ("nan", None),
        ((), None),
        (10**400, None),
    ],
)
def test_progress_is_a_number_or_a_text(value: object, fraction: float | None) -> None:
    assert read_progress(value) == fraction


@given(st.one_of(st.floats(), st.integers(), st.text(max_size=8), st.none(), st.decimals()))
def test_no_progress_breaks_the_reader(value: object) -> None:
    fraction = read_progress(value)
    assert fraction is None or 0.0 <= fraction <= 1.0


def test_an_unknown_job_is_for_the_caller_to_judge() -> None:
    answer = httpx2.Response(404, json={"message": "Request not found."})
    with service(replies(answer)) as (client, _), pytest.raises(RetryableError) as caught:
        client.job(ID, TICKET)
    assert caught.value.code == "job_not_found"


def test_an_edge_block_during_a_poll_rests_the_source() -> None:
    answer = httpx2.Response(403, text="<!DOCTYPE html><title>Attention</title>")
    with service(replies(answer)) as (client, _), pytest.raises(SourceBlockedError):
        client.job(ID, TICKET)


def test_the_result_is_fetched_without_the_key() -> None:
    url = "https://store.example/result/x.txt?X-Amz-Signature=abc"
    with service(replies(httpx2.Response(200, text="[0:00 - 0:01] Hi"))) as (client, b):
        assert client.download(url, TICKET) == "[0:00 - 0:01] Hi"
    assert "authorization" not in b.seen[0].headers
    assert str(b.seen[0].url) == url
    assert b.limiter.permits[0].kind is RequestKind.DOWNLOAD


def test_the_result_store_may_send_us_on_and_never_gets_the_key() -> None:
    answers = replies(
        httpx2.Response(302, headers={"Location": "https://cdn.example/y"}),
        httpx2.Response(200, text="Hi"),
    )
    with service(answers) as (client, b):
        assert client.download("https://store.example/x", TICKET) == "Hi"
    assert [r.url.host for r in b.seen] == ["store.example", "cdn.example"]
    assert all("authorization" not in r.headers for r in b.seen)


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_an_expired_address_asks_for_another_look(status: int) -> None:
    answer = httpx2.Response(status, text="<Error><Code>AccessDenied</Code></Error>")
    with service(replies(answer)) as (client, _), pytest.raises(RetryableError) as caught:
        client.download("https://store.example/x?sig=SECRET", TICKET)
    assert caught.value.code == "expired_url"
    assert "SECRET" not in str(caught.value)


def test_a_web_page_is_no_transcript() -> None:
    answer = httpx2.Response(200, text="<!doctype html><p>Please log in")
    with service(replies(answer)) as (client, _), pytest.raises(NetworkError):
        client.download("https://store.example/x", TICKET)


@pytest.mark.parametrize("url", ["", "nonsense", "file:///etc/passwd", "http://[bad"])
def test_an_address_that_is_none_is_worth_another_look(url: str) -> None:
    with service(replies(httpx2.Response(200))) as (client, b):
        with pytest.raises(RetryableError) as caught:
            client.download(url, TICKET)
        assert b.seen == []
    assert caught.value.code == "expired_url"


@pytest.mark.parametrize("body", [{"data": {"price": 0.005247}}, {"price": "0.005247"}])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_quote_is_exact(body: object, version: str) -> None:
    answer = httpx2.Response(200, json=body)
    with service(replies(answer), api_version=version) as (client, b):
        assert client.price_usd(18.2, TICKET) == Decimal("0.005247")
    request = b.seen[0]
    sent = json.loads(request.content) if version == "v1" else form(request)
    assert str(sent["duration_seconds"]) == "19"
    assert request.url.path.endswith("/price-calculation" if version == "v1" else "/price")


def test_a_quote_without_a_price_is_worth_another_try() -> None:
    answer = httpx2.Response(200, json={"data": {"request_id": ID}})
    with service(replies(answer)) as (client, _), pytest.raises(NetworkError, match="price"):
        client.price_usd(60.0, TICKET)


@pytest.mark.parametrize(
    "body", [{"balance": 19.72}, {"data": {"balance": 19.72}}, {"data": {"balance": "19.72"}}]
)
def test_the_balance_is_read_in_all_its_shapes(body: object) -> None:
    with service(replies(httpx2.Response(200, json=body))) as (client, b):
        assert client.balance_usd(TICKET) == Decimal("19.72")
    assert b.seen[0].url.path == "/api/v2/account/balance"


@pytest.mark.parametrize(
    "body",
    [
        {"message": "No", "code": "insufficient_permissions"},
        {"message": "You may not read the balance", "code": "insufficient_permissions"},
        {"message": "You may not read the balance"},
        {"message": "This action is unauthorized."},
    ],
)
def test_a_key_that_may_not_read_the_balance_may_still_transcribe(body: object) -> None:
    with service(replies(httpx2.Response(403, json=body))) as (client, _):
        assert client.balance_usd(TICKET) is None


def test_a_bad_key_is_bad_for_the_balance_too() -> None:
    answer = httpx2.Response(401, json={"message": "Unauthenticated."})
    with service(replies(answer)) as (client, _), pytest.raises(AuthError):
        client.balance_usd(TICKET)


def entry(slug: str, info: object = None, types: object = None) -> dict[str, object]:
    return {"slug": slug, "name": slug, "inference_types": types or [], "info": info}


def test_all_pages_of_models_are_read() -> None:
    answers = replies(
        httpx2.Response(
            200,
            json={
                "data": [entry("A", {"limits": {"max": 1}}, ["video2text"])],
                "meta": {"last_page": 2},
            },
        ),
        httpx2.Response(200, json={"data": [entry("B", [])], "meta": {"last_page": 2}}),
    )
    with service(answers, api_version="v1") as (client, b):
        first, second = client.models()
    assert (first.slug, dict(first.limits), first.transcribes) == ("A", {"max": 1}, True)
    assert (second, second.transcribes) == (Model(slug="B", name="B"), False)
    assert [dict(r.url.params) for r in b.seen] == [
        {"page": "1", "per_page": "50"},
        {"page": "2", "per_page": "50"},
    ]


@pytest.mark.parametrize(
    ("bodies", "slugs"),
    [
        ([{"data": [entry("A", types={"audio2text": {}})], "links": {"next": None}}], ["A"]),
        ([{"data": {"data": [entry("A")]}}, {"data": {"data": []}}], ["A"]),
        ([{"data": [entry("A")]}, {"data": [entry("A")]}], ["A"]),
        ([{"data": []}], []),
        ([{}], []),
        ([[entry("A"), "x", {}]], ["A"]),
    ],
)
def test_models_are_read_in_all_their_shapes(bodies: list[object], slugs: list[str]) -> None:
    answers = replies(*(httpx2.Response(200, json=body) for body in bodies))
    with service(answers) as (client, b):
        assert [model.slug for model in client.models()] == slugs
    assert dict(b.seen[0].url.params)["limit"] == "50"
