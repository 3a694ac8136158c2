"""What an answer says about limits. A header that makes no sense counts as absent."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: No service asks for more than a day (deAPI's daily limit: up to 86,400 s).
_LONGEST_PAUSE_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class RateHeaders:
    """The rate-limit headers of one answer; None where there is none.

    Source:
        deAPI: X-RateLimit-Limit, -Remaining, -Daily-Limit, -Daily-Remaining, -Type, -Source and
        Retry-After (https://docs.deapi.ai/limits-and-quotas).
    """

    limit: int | None = None
    remaining: int | None = None
    daily_limit: int | None = None
    daily_remaining: int | None = None
    is_daily: bool = False  # a refusal for the day
    source: str | None = None
    retry_after_s: float | None = None


def read_headers(headers: Mapping[str, str], now: datetime) -> RateHeaders:
    """Read them.

    Args:
        headers: By name in lower case.
        now: For a Retry-After that names a moment instead of seconds.
    """
    return RateHeaders(
        limit=_whole(headers.get("x-ratelimit-limit"), least=1),
        remaining=_whole(headers.get("x-ratelimit-remaining"), least=0),
        daily_limit=_whole(headers.get("x-ratelimit-daily-limit"), least=1),
        daily_remaining=_whole(headers.get("x-ratelimit-daily-remaining"), least=0),
        is_daily=headers.get("x-ratelimit-type", "").strip().lower() == "daily",
        source=headers.get("x-ratelimit-source", "").strip()[:80] or None,
        retry_after_s=_retry_after_s(headers.get("retry-after"), now),
    )


def _whole(text: str | None, *, least: int) -> int | None:
    text = (text or "").strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):  # noqa: PLR2004 -- a billion
        return None
    return int(text) if int(text) >= least else None


def _retry_after_s(text: str | None, now: datetime) -> float | None:
    """Seconds or an HTTP date (RFC 9110, 10.2.3), from 0 to a day."""
    text = (text or "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    if math.isnan(seconds):
        return None
    return min(_LONGEST_PAUSE_S, max(0.0, seconds))
