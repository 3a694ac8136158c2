import pytest

from bulk_transcribe.clients.youtube_reasons import REASONS, find_reason, reason_error
from bulk_transcribe.core.video import Availability
from bulk_transcribe.errors import (
    Action,
    NetworkError,
    NoCaptionsError,
    NotYetAvailableError,
    RetryableError,
    SourceBlockedError,
    VideoUnavailableError,
    action_for,
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ERROR: [youtube] x: Sign in to confirm you’re not a bot. Use --cookies", "blocked"),
        ("Sign in to confirm you're not a bot", "blocked"),
        ("This content isn't available, try again later.", "blocked"),
        ("This content isn’t available, try again later.", "blocked"),
        ("The current session has been rate-limited by YouTube for up to an hour", "blocked"),
        ("Your IP is likely being blocked by YouTube", "blocked"),
        ("YouTube is requiring a captcha challenge before playback", "blocked"),
        ("HTTP Error 429: Too Many Requests", "blocked"),
        ("Private video. Sign in if you've been granted access to this video", "private_video"),
        ("Sign in to confirm your age. This video may be inappropriate", "age_restricted"),
        ("This video may be inappropriate for some users.", "age_restricted"),
        ("Join this channel to get access to members-only content", "members_only"),
        ("The uploader has not made this video available in your country", "geo_blocked"),
        ("Premieres in 3 hours", "upcoming"),
        ("This live event will begin in a few moments.", "upcoming"),
        ("This live event has ended.", "live_ended"),
        ("This live stream recording is not available.", "live_ended"),
        ("This video is DRM protected", "drm"),
        ("Video unavailable", "unavailable"),
        ("This video has been removed by the uploader", "unavailable"),
        (
            (
                "This video is no longer available because the YouTube account associated with "
                "this video has been terminated."
            ),
            "unavailable",
        ),
        ("Incomplete YouTube ID abc. URL looks truncated.", "unavailable"),
        ("Requested format is not available", "player_trouble"),
        ("Failed to resolve 'www.youtube.com'", "network"),
        ("HTTP Error 503: Service Unavailable", "server_busy"),
    ],
)
def test_youtube_s_words_are_sorted(text: str, code: str) -> None:
    reason = find_reason(text)
    assert reason is not None
    assert reason.code == code


@pytest.mark.parametrize("text", ["", "Something new that nobody has seen"])
def test_unknown_words_are_nobody_s_reason(text: str) -> None:
    assert find_reason(text) is None


@pytest.mark.parametrize(
    ("code", "family"),
    [
        ("blocked", SourceBlockedError),
        ("private_video", VideoUnavailableError),
        ("geo_blocked", NoCaptionsError),
        ("upcoming", NotYetAvailableError),
        ("player_trouble", RetryableError),
        ("network", NetworkError),
    ],
)
def test_a_reason_becomes_its_error(code: str, family: type[Exception]) -> None:
    reason = next(r for r in REASONS if r.code == code)
    error = reason_error(reason, video_id="dQw4w9WgXcQ", source="captions")
    assert type(error) is family
    assert error.code == code


def test_every_reason_leads_to_something_and_says_what() -> None:
    for reason in REASONS:
        error = reason_error(reason, video_id="dQw4w9WgXcQ", source="captions")
        assert action_for(error) is not None
        assert error.message


def test_a_block_rests_the_source_it_came_from() -> None:
    reason = find_reason("not a bot")
    assert reason is not None
    error = reason_error(reason, video_id="dQw4w9WgXcQ", source="yt-dlp")
    assert isinstance(error, SourceBlockedError)
    assert (error.source, action_for(error)) == ("yt-dlp", Action.REST_SOURCE)
    assert error.retry_after_s is not None


def test_a_country_block_says_nothing_about_the_video_elsewhere() -> None:
    reason = find_reason("not made this video available in your country")
    assert reason is not None
    assert reason.availability is None
    assert Availability.REGION_BLOCKED not in {r.availability for r in REASONS}
