"""A pulse is noted every few seconds; the table stays small, the newest one is always there."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import StoreError
from bulk_transcribe.save.database import Database
from bulk_transcribe.save.pulses import MOST_KEPT, Belief, Pulse, Pulses, stride
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.save.views import Views
from bulk_transcribe.testing import FakeClock


def pulse(clock: FakeClock, number: int = 0) -> Pulse:
    return Pulse(
        at=clock.now() + timedelta(seconds=2 * number),
        finished=number,
        active=3,
        slots=4,
        is_auto=False,
        is_draining=False,
        low_s=10.5,
        likely_s=20.0,
        high_s=30.25,
        videos_per_min=None if number == 0 else 1.5,
        limited_60s=7,
        limit_60s=300,
        spent_usd=Decimal("0.12340"),
        belief=Belief(summary="auto: 7 of 300", why=("the service says so",)),
    )


@pytest.fixture
def session_id(manager: SessionManager) -> str:
    return manager.create_session([VideoItem(video_id="aaaaaaaaaaa")])


def test_what_is_noted_is_what_is_shown(
    database: Database, clock: FakeClock, session_id: str
) -> None:
    assert Views(database).session(session_id).pulse is None
    noted = pulse(clock)
    Pulses(database, session_id).write(noted)
    assert Views(database).session(session_id).pulse == noted


def test_the_table_stays_small_and_even_and_ends_with_the_newest(
    database: Database, clock: FakeClock, session_id: str
) -> None:
    writer = Pulses(database, session_id)
    last = 2 * MOST_KEPT + 101
    for number in range(last + 1):
        writer.write(pulse(clock, number))
    kept = [point.finished for point in Views(database).pulse_points(session_id)]
    step = stride(last)
    assert step == 4
    assert kept[-1] == last
    assert kept[:-1] == list(range(0, last, step))
    assert len(kept) <= MOST_KEPT + 1


def test_a_second_run_goes_on_with_the_same_series(
    database: Database, clock: FakeClock, session_id: str
) -> None:
    for number in range(4):
        Pulses(database, session_id).write(pulse(clock, number))  # a writer anew, as a run has
    assert [p.finished for p in Views(database).pulse_points(session_id)] == [0, 1, 2, 3]


def test_each_session_has_its_own(
    database: Database, clock: FakeClock, manager: SessionManager, session_id: str
) -> None:
    other = manager.create_session([])
    Pulses(database, session_id).write(pulse(clock))
    assert Views(database).pulse_points(other) == []


def test_they_go_with_their_session(
    database: Database, clock: FakeClock, manager: SessionManager, session_id: str
) -> None:
    writer = Pulses(database, session_id)
    writer.write(pulse(clock))
    manager.delete_session(session_id)
    assert Views(database).pulse_points(session_id) == []
    with pytest.raises(StoreError):
        writer.write(pulse(clock, 1))


@given(number=st.integers(0, 10**7), most=st.integers(1, 1000))
def test_of_any_number_at_most_so_many_are_kept(number: int, most: int) -> None:
    step = stride(number, most=most)
    assert number // step + 1 <= most
    assert step == 1 or number // (step // 2) >= most  # and no fewer than need be
    assert step & (step - 1) == 0  # so that what was kept before is kept or left, never missed
