"""What a video's facts decide before any source is asked."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from bulk_transcribe.core.video import Availability, LiveState, VideoMetadata
from bulk_transcribe.errors import APIError, NotYetAvailableError, VideoUnavailableError

#: Bad news are asked for again after this long: a private video may be public by now.
BAD_NEWS_LAST: Final = timedelta(minutes=15)


@dataclass(frozen=True)
class _Hopeless:
    code: str
    says: str
    next_step: str


#: Videos that no source can get. The words are those that the sources use for the same cause.
_HOPELESS: Final = {
    Availability.PRIVATE: _Hopeless(
        "private_video",
        "the video is private",
        "Ask its owner to make it public or unlisted.",
    ),
    Availability.ABSENT: _Hopeless(
        "unavailable",
        "YouTube does not show the video: deleted, private, or never there",
        "Check the link.",
    ),
    Availability.MEMBERS: _Hopeless(
        "members_only",
        "the video is for members of the channel only",
        "Leave it out.",
    ),
    Availability.REGION_BLOCKED: _Hopeless(
        "geo_blocked",
        "the video cannot be seen in any country",
        "Leave it out.",
    ),
    Availability.FAILED: _Hopeless(
        "upload_failed",
        "the video's upload failed or was rejected",
        "Check the link.",
    ),
}

_NOT_YET: Final = {
    LiveState.LIVE: ("live", "the video is live now", "Retry when the stream has ended."),
    LiveState.UPCOMING: (
        "upcoming",
        "the video has not been shown yet",
        "Retry after its premiere.",
    ),
}


def refusal(metadata: VideoMetadata) -> APIError | None:
    """Why no source needs to be asked, or None.

    Returns:
        `VideoUnavailableError` for good, `NotYetAvailableError` for live and upcoming ones.
    """
    hopeless = _HOPELESS.get(metadata.availability)
    video_id = metadata.video_id
    if hopeless is not None:
        return VideoUnavailableError(
            f"{video_id}: {hopeless.says}.",
            video_id=video_id,
            next_step=hopeless.next_step,
            code=hopeless.code,
        )
    if metadata.live_state in _NOT_YET:
        code, says, next_step = _NOT_YET[metadata.live_state]
        return NotYetAvailableError(
            f"{video_id}: {says}.",
            video_id=video_id,
            next_step=next_step,
            code=code,
            can_retry=True,
        )
    return None


def may_pay(metadata: VideoMetadata | None) -> bool:
    """Whether a paid source has a chance.

    deAPI ends the jobs of age-restricted videos with an error, and whether it charges for that is
    not known: for those only free sources are asked.

    Source:
        deAPI's documentation of webhooks, job error codes (AGE_RESTRICTED).
    """
    return metadata is None or metadata.availability is not Availability.AGE_RESTRICTED


def is_bad_news(metadata: VideoMetadata) -> bool:
    """Whether the facts would keep a video from being tried in full."""
    return refusal(metadata) is not None or not may_pay(metadata)


def are_old_bad_news(metadata: VideoMetadata, now: datetime) -> bool:
    """Whether bad news should be asked for again before anything is decided on them."""
    if not is_bad_news(metadata):
        return False
    return metadata.fetched_at is None or now - metadata.fetched_at > BAD_NEWS_LAST


def without_news(metadata: VideoMetadata) -> VideoMetadata:
    """The facts that do not change with time; availability and live state unknown."""
    return replace(metadata, availability=Availability.UNKNOWN, live_state=LiveState.UNKNOWN)
