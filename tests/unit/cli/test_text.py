"""How numbers read."""

from decimal import Decimal

import pytest

from bulk_transcribe.cli.text import count, money, one_line, short_time, time_range


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (0, "0 s"),
        (-3, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3599, "1 h"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
        (172_800, "2 d"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float | None, text: str) -> None:
    assert short_time(seconds) == text


def test_a_range_that_reads_the_same_is_one_figure() -> None:
    assert time_range(30.1, 30.4) == "30 s"
    assert time_range(30, 90) == "30 s to 1 min 30 s"


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "-"),
        (Decimal(0), "$0.00"),
        (Decimal("0.0052474"), "$0.0052"),
        (Decimal("1234.5"), "$1,234.50"),
    ],
)
def test_small_amounts_keep_the_digits_that_matter(amount: Decimal | None, text: str) -> None:
    assert money(amount) == text


def test_one_is_singular() -> None:
    assert (count(0, "video"), count(1, "video"), count(2000, "video")) == (
        "0 videos",
        "1 video",
        "2,000 videos",
    )


def test_foreign_text_cannot_steer_the_terminal() -> None:
    assert one_line("a\x1b[31mb\nc\u202e", 20) == "a [31mb c "
    assert one_line("x" * 30, 10) == "x" * 9 + "…"
