"""ISO 8601 durations as YouTube writes them."""

import re
from datetime import timedelta

from pydantic import TypeAdapter, ValidationError

from bulk_transcribe.errors import InputError

_ADAPTER = TypeAdapter(timedelta)
#: Weeks, days, hours, minutes, seconds, in that order; years and months never occur.
_YOUTUBE_FORM = re.compile(r"P(?=.)(\d+W)?(\d+D)?(T(?=\d)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?", re.ASCII)


def parse_duration_s(text: str) -> float:
    """Read a YouTube duration such as "PT1H2M3S" as seconds (3723.0).

    Days and weeks count: "P1DT2H" is 93600.0. "P0D" and "PT0S" are 0.0; callers that know
    YouTube read that as "not known" (see `known_duration_s`).

    Raises:
        InputError: `text` is something else; the message quotes it.

    Source:
        YouTube Data API v3, resource `videos`, field `contentDetails.duration`.
    """
    if not _YOUTUBE_FORM.fullmatch(text):
        raise _refusal(text)
    try:
        return _ADAPTER.validate_python(text).total_seconds()
    except ValidationError as error:
        raise _refusal(text) from error


def known_duration_s(text: str | None) -> float | None:
    """The duration in seconds, or None where YouTube does not know it.

    Running and upcoming streams show "P0D"; "PT0S" and a missing field mean the same.
    """
    if not text:
        return None
    return parse_duration_s(text) or None


def format_duration(duration_s: float) -> str:
    """The ISO 8601 form with hours at most: 3723.0 is "PT1H2M3S", 0.0 is "PT0S"."""
    whole_s, fraction = divmod(round(duration_s, 3), 1)
    minutes, seconds = divmod(int(whole_s), 60)
    hours, minutes = divmod(minutes, 60)
    tail = f"{seconds + fraction:.3f}".rstrip("0").rstrip(".") if fraction else str(seconds)
    parts = [f"{hours}H" if hours else "", f"{minutes}M" if minutes else ""]
    parts.append(f"{tail}S" if seconds or fraction or not (hours or minutes) else "")
    return "PT" + "".join(parts)


def _refusal(text: str) -> InputError:
    return InputError(f"{text!r} is not an ISO 8601 duration such as PT5M30S.", code="bad_duration")
