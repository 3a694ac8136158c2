"""What a video's facts decide."""

from datetime import UTC, datetime, timedelta

import pytest

from bulk_transcribe.core.video import Availability, LiveState, VideoMetadata
from bulk_transcribe.errors import NotYetAvailableError, VideoUnavailableError
from bulk_transcribe.process.verdict import (
    are_old_bad_news,
    is_bad_news,
    may_pay,
    refusal,
    without_news,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOPELESS = {
    Availability.PRIVATE: "private_video",
    Availability.ABSENT: "unavailable",
    Availability.MEMBERS: "members_only",
    Availability.REGION_BLOCKED: "geo_blocked",
    Availability.FAILED: "upload_failed",
}


def _facts(
    availability: Availability = Availability.PUBLIC,
    live_state: LiveState = LiveState.NONE,
    fetched_at: datetime | None = NOW,
) -> VideoMetadata:
    return VideoMetadata(
        video_id="v0000000001",
        title="A title",
        availability=availability,
        live_state=live_state,
        fetched_at=fetched_at,
    )


@pytest.mark.parametrize("availability", Availability)
def test_only_what_nobody_can_get_is_refused_for_good(availability: Availability) -> None:
    error = refusal(_facts(availability))
    assert (error.code if error else None) == HOPELESS.get(availability)
    if error is not None:
        assert isinstance(error, VideoUnavailableError)
        assert error.next_step
        assert not error.can_retry


@pytest.mark.parametrize("live_state", LiveState)
def test_live_and_upcoming_videos_come_later(live_state: LiveState) -> None:
    error = refusal(_facts(live_state=live_state))
    assert (error is not None) == (live_state in {LiveState.LIVE, LiveState.UPCOMING})
    if error is not None:
        assert isinstance(error, NotYetAvailableError)
        assert error.can_retry


def test_nothing_is_paid_for_age_restricted_videos() -> None:
    facts = _facts(Availability.AGE_RESTRICTED)
    assert not may_pay(facts)
    assert refusal(facts) is None
    assert is_bad_news(facts)


@pytest.mark.parametrize("metadata", [None, _facts(), _facts(Availability.UNKNOWN)])
def test_unknown_and_public_videos_may_be_paid_for(metadata: VideoMetadata | None) -> None:
    assert may_pay(metadata)


def test_bad_news_grow_old_and_good_news_do_not() -> None:
    bad = _facts(Availability.PRIVATE)
    assert not are_old_bad_news(bad, NOW + timedelta(minutes=15))
    assert are_old_bad_news(bad, NOW + timedelta(minutes=16))
    assert are_old_bad_news(_facts(Availability.PRIVATE, fetched_at=None), NOW)
    assert not are_old_bad_news(_facts(), NOW + timedelta(days=99))


def test_without_news_only_the_title_and_the_like_stay() -> None:
    facts = without_news(_facts(Availability.PRIVATE, LiveState.LIVE))
    assert facts.title == "A title"
    assert refusal(facts) is None
    assert may_pay(facts)
