"""How long everyone rests, also across a new start of the machine."""

from datetime import UTC, datetime, timedelta

import pytest

from bulk_transcribe.limit.facts import Moment, Pause
from bulk_transcribe.limit.headers import read_headers

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def moment(reading_s: float, after_noon_s: float) -> Moment:
    return Moment(reading_s=reading_s, at=NOON + timedelta(seconds=after_noon_s))


def test_a_pause_runs_by_the_monotonic_clock() -> None:
    pause = Pause(since=moment(5_000, 0), length_s=60)
    assert pause.left_s(moment(5_000, 0)) == 60
    assert pause.left_s(moment(5_045, 44)) == 15
    assert pause.left_s(moment(5_060, 60)) == 0


def test_after_a_new_start_of_the_machine_the_calendar_says_how_long_ago_it_began() -> None:
    pause = Pause(since=moment(90_000, 0), length_s=86_400, is_daily=True)
    assert pause.left_s(moment(30, 3_600)) == 82_800
    assert pause.left_s(moment(95_000, 80_000)) == 6_400, "long after the start, as well"


@pytest.mark.parametrize("step_s", [-100_000.0, -60.0, 100_000.0])
def test_a_step_of_the_calendar_never_makes_a_pause_longer_than_it_was(step_s: float) -> None:
    pause = Pause(since=moment(5_000, 0), length_s=60)
    assert pause.left_s(moment(5_010, 10 + step_s)) <= 60


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("60", 60.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("-5", 0.0),
        ("999999999", 86_400.0),
        ("inf", 86_400.0),
        ("nan", None),
        ("", None),
        ("soon", None),
        ("Thu, 01 Jan 2026 12:00:37 GMT", 37.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("Thu, 01 Jan 2026 12:00:37 -0000", 37.0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert read_headers({"retry-after": text}, NOON).retry_after_s == seconds


def test_all_headers_are_read() -> None:
    headers = {
        "x-ratelimit-limit": "1",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-daily-limit": "10",
        "x-ratelimit-daily-remaining": "9",
        "x-ratelimit-type": "Daily",
        "x-ratelimit-source": " whisper ",
    }
    read = read_headers(headers, NOON)
    assert (read.limit, read.remaining, read.daily_limit, read.daily_remaining) == (1, 0, 10, 9)
    assert read.is_daily
    assert read.source == "whisper"
