from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from bulk_transcribe.save.columns import Dollars, UtcMoment

SQLITE = sqlite.dialect()
POSTGRES = postgresql.dialect()  # type: ignore[no-untyped-call]  # untyped in the library

moments = st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30))]))


@given(moments.filter(lambda moment: 2 < moment.year < 9998))
def test_a_moment_is_loaded_as_it_was_saved(moment: datetime) -> None:
    stored = UtcMoment().process_bind_param(moment, SQLITE)
    loaded = UtcMoment().process_result_value(stored, SQLITE)
    assert loaded == moment
    assert loaded is not None
    assert loaded.tzinfo is UTC


@given(*[moments.filter(lambda moment: 1000 < moment.year < 9998)] * 2)
def test_stored_moments_sort_as_time(one: datetime, other: datetime) -> None:
    texts = [UtcMoment().process_bind_param(moment, SQLITE) for moment in (one, other)]
    assert (texts[0] < texts[1]) == (one < other)


def test_a_moment_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        UtcMoment().process_bind_param(datetime(2026, 1, 1), SQLITE)  # noqa: DTZ001 -- the case


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_money_is_loaded_as_it_was_saved(amount: Decimal) -> None:
    stored = Dollars().process_bind_param(amount, POSTGRES)
    assert Dollars().process_result_value(stored, POSTGRES) == amount


def test_what_is_no_amount_is_refused() -> None:
    with pytest.raises(ValueError, match="amount"):
        Dollars().process_bind_param(Decimal("NaN"), SQLITE)
