"""YouTube's own words about a video that cannot be had, and what each leads to: one table.

The caption library and yt-dlp pass on the same sentences. They are YouTube's and may change or
come in another language, so they are compared as substrings, in lower case, with the curly
apostrophe made straight. The first row that fits counts: blocks come first, since a block also
says "sign in".

Source: the source and tests of yt-dlp 2026.10 and youtube-transcript-api 1.2.5, and what users of
both report.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from bulk_transcribe.core.video import Availability, LiveState
from bulk_transcribe.errors import (
    BulkTranscribeError,
    NetworkError,
    NextSourceError,
    NoCaptionsError,
    NotYetAvailableError,
    RetryableError,
    SourceBlockedError,
    VideoUnavailableError,
)

_REST = "Wait an hour, lower captions_rpm, or set a proxy."
_BLOCK_REST_S = 900.0  # blocks of an address last minutes to an hour; ask again after a quarter


@dataclass(frozen=True, kw_only=True)
class Reason:
    """One cause.

    Args:
        code: Stable word.
        words: Alternatives; each is a tuple of substrings that all have to be there.
        family: What the pipeline does about it.
        says: The cause in our words.
        next_step: What the user can do.
        availability: The same as a fact about the video, where it is one.
        live_state: The same as a fact about the video, where it is one.
        can_retry: Whether a later attempt may succeed without any change by the user.
    """

    code: str
    words: tuple[tuple[str, ...], ...]
    family: type[BulkTranscribeError]
    says: str
    next_step: str = ""
    availability: Availability | None = None
    live_state: LiveState | None = None
    can_retry: bool = False


REASONS: Final[tuple[Reason, ...]] = (
    Reason(
        code="blocked",
        words=(
            ("not a bot",),
            ("content isn't available, try again later",),
            ("rate-limited by youtube",),
            ("ip is likely being blocked",),
            ("requiring a captcha challenge",),
            ("http error 429",),
            ("too many requests",),
        ),
        family=SourceBlockedError,
        says="YouTube refuses requests from this address for now",
        next_step=_REST,
    ),
    Reason(
        code="age_restricted",
        words=(("confirm your age",), ("age-restricted",), ("inappropriate",)),
        family=VideoUnavailableError,
        says="the video is age-restricted",
        next_step="It needs a signed-in viewer; leave it out.",
        availability=Availability.AGE_RESTRICTED,
    ),
    Reason(
        code="private_video",
        words=(("private video",), ("video is private",)),
        family=VideoUnavailableError,
        says="the video is private",
        next_step="Ask its owner to make it public or unlisted.",
        availability=Availability.PRIVATE,
    ),
    Reason(
        code="members_only",
        words=(("join this channel",), ("members-only",), ("available to this channel's members",)),
        family=VideoUnavailableError,
        says="the video is for members of the channel only",
        next_step="Leave it out.",
        availability=Availability.MEMBERS,
    ),
    Reason(
        code="geo_blocked",
        words=(
            ("not made this video available in your country",),
            ("not available in your country",),
            ("blocked it in your country",),
        ),
        family=NextSourceError,
        says="the video cannot be seen from this country",
        next_step="Use a proxy in a country where it can be seen.",
    ),
    Reason(
        code="upcoming",
        words=(("premieres in",), ("live event will begin",), ("premiere will begin",)),
        family=NotYetAvailableError,
        says="the video has not been shown yet",
        next_step="Retry after its premiere.",
        live_state=LiveState.UPCOMING,
        can_retry=True,
    ),
    Reason(
        code="live",
        words=(("live stream is currently",), ("is currently live",)),
        family=NotYetAvailableError,
        says="the video is live now",
        next_step="Retry when the stream has ended.",
        live_state=LiveState.LIVE,
        can_retry=True,
    ),
    Reason(
        code="live_ended",
        words=(("live event has ended",), ("recording is not available",)),
        family=NotYetAvailableError,
        says="the stream has ended and its recording is not there (yet)",
        next_step="Retry tomorrow; some recordings never appear.",
        live_state=LiveState.ENDED,
        can_retry=True,
    ),
    Reason(
        code="drm",
        words=(("drm protected",),),
        family=VideoUnavailableError,
        says="the video is copy-protected",
        next_step="Leave it out.",
    ),
    Reason(
        code="unavailable",
        words=(
            ("video unavailable",),
            ("video is unavailable",),
            ("video is not available",),
            ("video isn't available",),
            ("video is no longer available",),
            ("has been removed",),
            ("account", "terminated"),
            ("incomplete youtube id",),
        ),
        family=VideoUnavailableError,
        says="the video is gone: deleted, or never there",
        next_step="Check the link.",
        availability=Availability.ABSENT,
    ),
    Reason(
        code="player_trouble",
        words=(("requested format is not available",),),
        family=RetryableError,
        says="YouTube gave no playable format",
        next_step="Update yt-dlp: YouTube changes weekly.",
        can_retry=True,
    ),
    Reason(
        code="network",
        words=(
            ("failed to resolve",),
            ("name or service not known",),
            ("temporary failure in name resolution",),
            ("getaddrinfo failed",),
            ("connection refused",),
            ("timed out",),
            ("network is unreachable",),
            ("unable to connect to proxy",),
            ("connection reset",),
            ("connection aborted",),
            ("remote end closed connection",),
        ),
        family=NetworkError,
        says="YouTube could not be reached",
        next_step="Check the network and the proxy.",
        can_retry=True,
    ),
    Reason(
        code="server_busy",
        words=(("http error 5",),),
        family=RetryableError,
        says="YouTube is in trouble",
        can_retry=True,
    ),
)


def find_reason(text: str) -> Reason | None:
    """The first row that fits, or None. "" fits nothing."""
    plain = text.replace("\u2019", "'").lower()
    for reason in REASONS:
        if any(all(word in plain for word in words) for words in reason.words):
            return reason
    return None


def reason_error(reason: Reason, *, video_id: str, source: str) -> BulkTranscribeError:
    """The error that a row leads to, for one video asked of one source."""
    build = _BUILDERS.get(reason.family)
    message = (
        f"{video_id}: {reason.says}." if video_id else f"{reason.says[0].upper()}{reason.says[1:]}."
    )
    if build is not None:
        return build(message, reason, video_id)
    if reason.family is SourceBlockedError:
        return SourceBlockedError(
            f"{reason.says}.",
            source=source,
            retry_after_s=_BLOCK_REST_S,
            next_step=reason.next_step,
            code=reason.code,
        )
    return reason.family(message, next_step=reason.next_step, code=reason.code)


_Builder = Callable[[str, Reason, str], BulkTranscribeError]


def _video_error(family: type[VideoUnavailableError] | type[NotYetAvailableError]) -> _Builder:
    def build(message: str, reason: Reason, video_id: str) -> BulkTranscribeError:
        return family(
            message,
            video_id=video_id,
            next_step=reason.next_step,
            code=reason.code,
            can_retry=reason.can_retry,
        )

    return build


def _next_source(message: str, reason: Reason, _video_id: str) -> BulkTranscribeError:
    return NoCaptionsError(message, next_step=reason.next_step, code=reason.code)


_BUILDERS: Final[dict[type[BulkTranscribeError], _Builder]] = {
    VideoUnavailableError: _video_error(VideoUnavailableError),
    NotYetAvailableError: _video_error(NotYetAvailableError),
    NextSourceError: _next_source,
}
