"""What an account may ask, and how it is told."""

from datetime import UTC, datetime, timedelta

import pytest

from bulk_transcribe.simulator import Faults
from bulk_transcribe.simulator.pools import until_midnight_s
from bulk_transcribe.testing import FakeClock
from tests.unit.simulator.asking import HEADERS, V1, V2, Asker, Reply


def _poll(asker: Asker) -> Reply:
    return asker.get(f"{V2}/jobs/x")


def _price(asker: Asker) -> Reply:
    form = {"duration_seconds": "60", "model": "WhisperLargeV3"}
    return asker.post(f"{V2}/audio/transcriptions/price", form=form)


def test_every_limited_answer_shows_what_is_left() -> None:
    asker = Asker()
    shown = [asker.submit("abcdefghijk"), _poll(asker), _price(asker)]
    assert [reply.headers["x-ratelimit-remaining"] for reply in shown] == ["299", "298", "297"]
    assert {reply.headers["x-ratelimit-limit"] for reply in shown} == {"300"}
    assert {reply.headers["x-ratelimit-source"] for reply in shown} == {"premium"}
    assert "x-ratelimit-daily-limit" not in shown[0].headers


def test_the_numbers_may_be_missing_on_success_but_not_on_a_refusal() -> None:
    asker = Asker(headers_on_success=False, rate_limit_rpm=1)
    assert "x-ratelimit-limit" not in _poll(asker).headers
    assert _poll(asker).headers["x-ratelimit-limit"] == "1"


def test_the_pools_may_have_no_names() -> None:
    asker = Asker(names_pools=False)
    headers = _poll(asker).headers
    assert headers["x-ratelimit-remaining"] == "299"
    assert "x-ratelimit-source" not in headers


def test_a_refusal_says_for_how_long_and_is_not_counted() -> None:
    asker = Asker(rate_limit_rpm=2)
    _poll(asker)
    asker.clock.advance(20.5)
    _poll(asker)
    for _ in range(3):
        reply = _poll(asker)
        assert (reply.status, reply.json) == (429, {"message": "Too Many Attempts."})
        assert reply.headers["retry-after"] == "40"
        assert reply.headers["x-ratelimit-type"] == "minute"
        assert reply.headers["x-ratelimit-remaining"] == "0"
    asker.clock.advance(39.5)
    assert [_poll(asker).status for _ in range(3)] == [404, 404, 429]


def test_a_sliding_limit_gives_back_one_place_at_a_time() -> None:
    asker = Asker(rate_limit_rpm=2, window="sliding")
    _poll(asker)
    asker.clock.advance(20.5)
    _poll(asker)
    assert _poll(asker).headers["retry-after"] == "40"
    asker.clock.advance(39.5)
    assert [_poll(asker).status for _ in range(2)] == [404, 429]
    asker.clock.advance(20.5)
    assert _poll(asker).status == 404


def test_an_unauthorised_or_unlimited_request_uses_nothing_up() -> None:
    asker = Asker(rate_limit_rpm=1)
    asker.get(f"{V2}/jobs/x", headers=HEADERS | {"authorization": "Bearer 2|x"})
    for path in (f"{V2}/account/balance", f"{V2}/models", f"{V1}/balance", f"{V1}/models"):
        assert asker.get(path).status == 200
    assert _poll(asker).status == 404
    assert _poll(asker).status == 429


def test_a_refused_field_is_counted() -> None:
    asker = Asker(rate_limit_rpm=1)
    assert asker.submit("abcdefghijk", model="nothing").status == 422
    assert asker.submit("abcdefghijk").status == 429
    assert asker.ledger().jobs == ()


def test_status_calls_may_be_outside_the_shared_limit() -> None:
    asker = Asker(rate_limit_rpm=1, polls="outside")
    assert asker.submit("abcdefghijk").status == 200
    assert _poll(asker).headers["x-ratelimit-source"] == "jobs"
    assert [_poll(asker).status, _price(asker).status] == [429, 429]


def test_independent_endpoints_do_not_wait_for_each_other() -> None:
    asker = Asker(rate_limit_rpm=1, pools="independent")
    body = {"video_url": "https://youtu.be/abcdefghijk", "include_ts": True}
    replies = [
        asker.submit("abcdefghijk"),
        asker.post(f"{V1}/vid2txt", json_body=body),
        _price(asker),
        _poll(asker),
    ]
    assert len({reply.headers["x-ratelimit-source"] for reply in replies}) == 4
    assert all(reply.status != 429 for reply in replies)
    assert asker.submit("abcdefghijk").status == 429


def test_a_basic_account_submits_once_a_minute_in_both_versions_together() -> None:
    asker = Asker(plan="basic")
    reply = asker.submit("abcdefghijk")
    assert reply.headers["x-ratelimit-limit"] == "1"
    assert reply.headers["x-ratelimit-daily-limit"] == "10"
    assert reply.headers["x-ratelimit-daily-remaining"] == "9"
    body = {"video_url": "https://youtu.be/abcdefghijk", "include_ts": True}
    assert asker.post(f"{V1}/vid2txt", json_body=body).status == 429
    poll = _poll(asker)
    assert (poll.headers["x-ratelimit-limit"], poll.headers["x-ratelimit-daily-limit"]) == (
        "50",
        "200",
    )


def test_a_basic_account_submits_ten_times_a_day() -> None:
    asker = Asker(plan="basic")
    for n in range(10):
        assert asker.submit(f"vid{n:08d}").status == 200
        asker.clock.advance(60)
    reply = asker.submit("abcdefghijk")
    assert reply.status == 429
    assert reply.headers["x-ratelimit-type"] == "daily"
    assert reply.headers["retry-after"] == str(86_400 - 600)
    # the minute's limit was charged before the day's limit refused
    assert asker.submit("abcdefghijk").headers["x-ratelimit-type"] == "minute"
    asker.clock.advance(86_400 - 600)
    assert asker.submit("abcdefghijk").status == 200


def test_a_day_may_end_at_midnight_instead() -> None:
    asker = Asker(daily_limit=1, daily_reset="midnight")
    asker.clock.advance(86_400 - 100)  # the test clock starts at midnight
    assert asker.submit("abcdefghijk").status == 200
    assert asker.submit("abcdefghijk").headers["retry-after"] == "100"
    asker.clock.advance(100)
    assert asker.submit("abcdefghijk").status == 200


def test_at_midnight_the_next_one_is_a_day_away() -> None:
    clock = FakeClock()
    assert until_midnight_s(clock) == 86_400
    clock.advance(86_399.5)
    assert until_midnight_s(clock) == 0.5


@pytest.mark.parametrize("kind", ["minute", "daily"])
def test_a_storm_refuses_whatever_the_count(kind: str) -> None:
    faults = Faults(storm_429=2, storm_retry_after_s=17, storm_type=kind)  # type: ignore[arg-type]
    asker = Asker(faults)
    for _ in range(2):
        reply = asker.submit("abcdefghijk")
        assert reply.status == 429
        assert reply.headers["retry-after"] == "17"
        assert reply.headers["x-ratelimit-type"] == kind
    assert asker.submit("abcdefghijk").status == 200
    assert len(asker.ledger().jobs) == 1


def test_a_storm_may_not_say_for_how_long() -> None:
    reply = _poll(Asker(Faults(storm_429=True, storm_retry_after_s=None)))
    assert reply.status == 429
    assert "retry-after" not in reply.headers


def test_a_reset_time_is_the_end_of_the_wait() -> None:
    asker = Asker(rate_limit_rpm=1)
    _poll(asker)
    asker.clock.advance(15)
    reply = _poll(asker)
    ends_at = datetime.fromtimestamp(int(reply.headers["x-ratelimit-reset"]), UTC)
    assert ends_at - asker.clock.now() == timedelta(seconds=45)
