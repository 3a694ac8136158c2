"""How numbers read, in a terminal and on the page."""

from decimal import Decimal


def short_time(duration_s: float | None) -> str:
    """A duration in at most two units: "45 s", "3 min 20 s", "2 h 5 min", "-" where unknown."""
    if duration_s is None:
        return "-"
    whole_s = max(0, round(duration_s))
    if whole_s < 60:  # noqa: PLR2004 -- seconds in a minute
        return f"{whole_s} s"
    minutes, seconds = divmod(whole_s, 60)
    if minutes < 10:  # noqa: PLR2004 -- below ten minutes the seconds still matter
        return f"{minutes} min {seconds} s" if seconds else f"{minutes} min"
    hours, minutes = divmod(round(whole_s / 60), 60)
    if not hours:
        return f"{minutes} min"
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days} d {hours_left} h" if hours_left else f"{days} d"
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def time_range(low_s: float | None, high_s: float | None) -> str:
    """A range of durations, one figure where both read the same."""
    low, high = short_time(low_s), short_time(high_s)
    return low if low == high else f"{low} to {high}"


def money(amount_usd: Decimal | None) -> str:
    """Dollars with as many digits as matter: "$0.0052", "$12.30", "-" where unknown."""
    if amount_usd is None:
        return "-"
    if amount_usd and abs(amount_usd) < 1:
        return f"${amount_usd:.4f}"
    return f"${amount_usd:,.2f}"


def count(number: int, noun: str) -> str:
    """Such as "1 video" and "2,000 videos"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
