"""What is believed of a delivery: signature, age and body. The signatures are the simulator's."""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.clients.webhook import News, Refusal, read_delivery
from bulk_transcribe.core.job import JobState
from bulk_transcribe.simulator.webhooks import sign

SECRET = "a secret of some length"
NOW = 1_767_225_600


def body_of(event: object = "job.completed", **changes: Any) -> bytes:
    told = {"event": event, "delivery_id": "d-1", "data": {"job_request_id": "r-1"}}
    return json.dumps(told | changes).encode()


def read(
    body: bytes,
    changes: Mapping[str, str] = MappingProxyType({}),
    *,
    secret: str = SECRET,
    stamp: int = NOW,
) -> News | Refusal:
    headers = {
        "x-deapi-signature": f"sha256={sign(secret, stamp, body)}",
        "x-deapi-timestamp": str(stamp),
    }
    return read_delivery(body, {**headers, **changes}, secret=SECRET, now_s=NOW)


def test_the_signature_is_the_one_of_the_standard() -> None:
    assert sign("key", 1, b"") != sign("key", 1, b"x")
    # made with: printf '1767225600.{}' | openssl dgst -sha256 -hmac 'a secret of some length'
    assert (
        sign(SECRET, NOW, b"{}")
        == "91cc860e42eb50991fbfc16e306d49261d002a77e257566dc35cdb4ada8f21a4"
    )


@pytest.mark.parametrize(
    ("event", "state"),
    [
        ("job.completed", JobState.DONE),
        ("job.failed", JobState.FAILED),
        ("job.processing", JobState.RUNNING),
        ("job.purged", JobState.RUNNING),
        (7, JobState.RUNNING),
    ],
)
def test_a_good_delivery_tells_its_job(event: object, state: JobState) -> None:
    assert read(body_of(event)) == News(delivery_id="d-1", request_id="r-1", state=state)


@pytest.mark.parametrize("age_s", [-300, 0, 300])
def test_five_minutes_either_way_are_new_enough(age_s: int) -> None:
    assert isinstance(read(body_of(), stamp=NOW - age_s), News)


@pytest.mark.parametrize("age_s", [-301, 301, 10**9])
def test_older_and_later_ones_are_stale(age_s: int) -> None:
    assert read(body_of(), stamp=NOW - age_s) is Refusal.STALE


@pytest.mark.parametrize(
    "changes",
    [
        {"x-deapi-signature": ""},
        {"x-deapi-signature": "sha256="},
        {"x-deapi-signature": sign(SECRET, NOW, body_of())},  # no prefix
        {"x-deapi-signature": "sha1=" + sign(SECRET, NOW, body_of())},
        {"x-deapi-signature": "sha256=" + sign(SECRET, NOW, body_of())[:-1]},
        {"x-deapi-signature": "sha256=\xfc\u2028"},
        {"x-deapi-timestamp": ""},
        {"x-deapi-timestamp": str(NOW + 1)},  # not the one that was signed
        {"x-deapi-timestamp": "-1"},
        {"x-deapi-timestamp": "1e9"},
        {"x-deapi-timestamp": "٣"},
        {"x-deapi-timestamp": "9" * 400},
    ],
)
def test_what_is_not_signed_as_it_came_is_refused(changes: dict[str, str]) -> None:
    assert read(body_of(), changes) is Refusal.UNSIGNED


def test_another_secret_and_no_secret_at_all_are_refused() -> None:
    assert read(body_of(), secret="another secret") is Refusal.UNSIGNED
    headers = {
        "x-deapi-signature": f"sha256={sign('', NOW, b'{}')}",
        "x-deapi-timestamp": str(NOW),
    }
    assert read_delivery(b"{}", headers, secret="", now_s=NOW) is Refusal.UNSIGNED


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"[" * 60_000,
        body_of(data=None),
        body_of(data=[]),
        body_of(data={}),
        body_of(data={"job_request_id": "x" * 201}),
        body_of(data={"job_request_id": "a\nb"}),
        body_of(data={"job_request_id": {"a": 1}}),
        body_of(delivery_id=""),
        body_of(delivery_id=None),
    ],
)
def test_a_signed_body_of_another_shape_is_refused(body: bytes) -> None:
    assert read(body) is Refusal.UNREADABLE


@given(st.binary(max_size=200), st.text(max_size=80), st.text(max_size=20))
def test_strangers_are_never_believed_and_break_nothing(
    body: bytes, signature: str, stamp: str
) -> None:
    headers = {"x-deapi-signature": f"sha256={signature}", "x-deapi-timestamp": stamp}
    assert read_delivery(body, headers, secret=SECRET, now_s=NOW) is Refusal.UNSIGNED


@given(st.integers(0, 600), st.integers(0, 255))
def test_one_changed_byte_is_noticed(place: int, value: int) -> None:
    body = body_of()
    changed = bytearray(body)
    changed[place % len(body)] = value
    headers = {
        "x-deapi-signature": f"sha256={sign(SECRET, NOW, body)}",
        "x-deapi-timestamp": str(NOW),
    }
    found = read_delivery(bytes(changed), headers, secret=SECRET, now_s=NOW)
    assert isinstance(found, News) is (bytes(changed) == body)
