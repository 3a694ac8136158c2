"""ISO 8601 durations as YouTube writes them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.duration import format_duration, known_duration_s, parse_duration_s
from bulk_transcribe.errors import InputError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("PT30S", 30.0),
        ("PT5M", 300.0),
        ("PT5M30S", 330.0),
        ("PT1H", 3600.0),
        ("PT1H2M3S", 3723.0),
        ("PT1H3S", 3603.0),
        ("P1DT2H", 93_600.0),
        ("P1D", 86_400.0),
        ("P1DT1S", 86_401.0),
        ("P1W", 604_800.0),
        ("P1W2DT3H", 788_400.0),
        ("PT1.5S", 1.5),
        ("P0D", 0.0),
        ("PT0S", 0.0),
    ],
)
def test_every_form_of_the_grammar_is_read(text: str, seconds: float) -> None:
    assert parse_duration_s(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "5M", "garbage", "P1M", "P1Y", "PT1H2", "-PT5M", "PT5M ", "PT\u0665M"]
)
def test_anything_else_is_refused_with_the_text(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_duration_s(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", [None, "", "P0D", "PT0S"])
def test_a_stream_without_length_is_not_known_rather_than_zero(text: str | None) -> None:
    assert known_duration_s(text) is None


@given(st.integers(min_value=0, max_value=10**7))
def test_whole_seconds_round_trip(seconds: int) -> None:
    assert parse_duration_s(format_duration(seconds)) == seconds


@given(st.floats(min_value=0, max_value=10**6))
def test_fractions_round_trip_to_the_millisecond(seconds: float) -> None:
    assert parse_duration_s(format_duration(seconds)) == pytest.approx(seconds, abs=0.0006)


@given(st.text(max_size=20))
def test_no_text_brings_another_error(text: str) -> None:
    with contextlib.suppress(InputError):
        assert parse_duration_s(text) >= 0
