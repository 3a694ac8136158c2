"""How long a job takes: the brief's estimate, and what is learned from the batch."""

import math

import pytest

from bulk_transcribe.core.jobtime import estimate_processing_time_s


@pytest.mark.parametrize(
    ("duration_s", "expected_s"),
    [
        (0.0, 15.0),
        (60.0, 23.0),
        (600.0, 95.0),
        (2137.5, 300.0),
        (36_000.0, 300.0),
        (math.inf, 300.0),
        (-5.0, 15.0),
        (None, 55.0),
        (math.nan, 55.0),
    ],
)
def test_the_estimate_is_fifteen_seconds_and_eight_a_minute_at_most_three_hundred(
    duration_s: float | None, expected_s: float
) -> None:
    assert estimate_processing_time_s(duration_s) == pytest.approx(expected_s)
