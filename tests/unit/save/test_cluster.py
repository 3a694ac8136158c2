"""Claims and ends of sessions that workers share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_transcribe.core.outcome import Succeeded, Totals
from bulk_transcribe.core.stage import Stage, VideoState
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import AuthError, InputError, StoreError
from bulk_transcribe.save.cluster import (
    Claim,
    ClaimedSession,
    ClusterSession,
    ClusterStore,
    Steer,
    ended,
)
from bulk_transcribe.save.database import Database, open_database
from bulk_transcribe.save.session import SessionStatus
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.testing import FakeClock

IDS = ("vid00000000", "vid00000001")


class Two:
    """A session that the workers have, and two openings of the database."""

    def __init__(self, path: Path) -> None:
        self.clock = FakeClock()
        self.path = path
        self.mine, self.other = open_database(path), open_database(path)
        self.manager = SessionManager(self.mine, self.clock)
        self.session_id = self.manager.create_session(
            VideoItem(video_id=video_id) for video_id in IDS
        )
        self.store(self.mine).hand_over(self.session_id, queue="q", step=4)

    def store(self, database: Database) -> ClusterStore:
        return ClusterStore(database, self.clock)

    def claim(self, database: Database, video_id: str = IDS[0]) -> Claim:
        return self.store(database).claim(self.session_id, video_id, queue="q", reached=4)

    def finish(self, database: Database, video_id: str) -> None:
        ClaimedSession(database, self.clock, self.session_id).finish(
            VideoState(video_id=video_id), Succeeded(video_id=video_id, source="captions")
        )

    def stage(self, video_id: str) -> Stage:
        state = self.manager.open_session(self.session_id).state(video_id)
        assert state is not None
        return state.stage

    def status(self) -> SessionStatus:
        return self.manager.open_session(self.session_id).info().status

    def close(self) -> None:
        self.mine.close()
        self.other.close()


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Two]:
    made = Two(tmp_path / "store.db")
    yield made
    made.close()


def test_a_video_is_in_one_hand_at_a_time(two: Two) -> None:
    assert two.claim(two.mine) is Claim.TAKEN
    assert two.claim(two.other) is Claim.HELD
    assert two.claim(two.other, IDS[1]) is Claim.TAKEN
    assert two.claim(two.other, "vid99999999") is Claim.OVER


def test_the_claim_of_one_that_is_gone_is_taken_over_and_it_cannot_end_the_video(two: Two) -> None:
    two.claim(two.other)
    two.other.close()
    assert two.claim(two.mine) is Claim.TAKEN
    two.finish(two.mine, IDS[0])
    assert two.stage(IDS[0]) is Stage.DONE
    assert two.claim(two.mine) is Claim.OVER


def test_without_a_claim_nothing_is_ended(two: Two) -> None:
    two.claim(two.other)
    with pytest.raises(StoreError) as caught:
        two.finish(two.mine, IDS[0])
    assert caught.value.code == "claim_lost"
    assert two.stage(IDS[0]) is Stage.QUEUED


def test_rescue_takes_from_the_gone_alone(two: Two) -> None:
    two.claim(two.mine, IDS[1])
    two.claim(two.other)
    session = two.manager.open_session(two.session_id)
    session.save_states([VideoState(video_id=each, stage=Stage.TRANSCRIBING) for each in IDS])
    assert two.store(two.mine).rescue() == 0
    two.other.close()
    assert two.store(two.mine).rescue() == 1
    assert (two.stage(IDS[0]), two.stage(IDS[1])) == (Stage.QUEUED, Stage.TRANSCRIBING)
    assert two.store(two.mine).held() == {(two.session_id, IDS[1])}


def test_no_video_is_begun_in_a_session_that_is_paused_or_ends(two: Two) -> None:
    store = two.store(two.mine)
    store.steer(two.session_id, Steer.PAUSE)
    assert two.status() is SessionStatus.PAUSED
    assert two.claim(two.mine) is Claim.NOT_NOW
    store.steer(two.session_id, Steer.RUN)
    assert two.claim(two.mine) is Claim.TAKEN
    store.steer(two.session_id, Steer.DRAIN)
    store.steer(two.session_id, Steer.RUN)  # too late
    assert two.claim(two.mine, IDS[1]) is Claim.NOT_NOW
    assert not store.end_if_over(two.session_id)
    two.finish(two.mine, IDS[0])
    assert store.end_if_over(two.session_id)
    assert two.status() is SessionStatus.STOPPED


def test_it_is_finished_when_every_video_is(two: Two) -> None:
    for video_id in IDS:
        assert not two.store(two.mine).end_if_over(two.session_id)
        two.claim(two.mine, video_id)
        two.finish(two.mine, video_id)
    assert two.store(two.mine).end_if_over(two.session_id)
    assert two.status() is SessionStatus.FINISHED
    assert two.store(two.mine).live() == []


def test_the_workers_and_a_process_at_home_exclude_each_other(two: Two) -> None:
    with pytest.raises(InputError, match="workers"):
        two.manager.claim_engine(two.session_id)
    at_home = two.manager.create_session([VideoItem(video_id=IDS[0])])
    two.manager.claim_engine(at_home)
    with pytest.raises(InputError):
        two.store(two.other).hand_over(at_home, queue="q", step=4)


def test_the_first_error_that_stops_a_session_is_the_one_that_is_told(two: Two) -> None:
    store = two.store(two.mine)
    store.stop(two.session_id, AuthError("the key is wrong"), Steer.HALT)
    store.stop(two.session_id, AuthError("later"), Steer.HALT)
    assert store.end_if_over(two.session_id)
    info = two.manager.open_session(two.session_id).info()
    assert (info.stopped_reason, info.stopped_code) == ("the key is wrong", "bad_key")


def test_what_was_paid_out_ends_as_stopped_even_where_captions_went_on() -> None:
    session = ClusterSession(
        session_id="s", queue="q", step=4, steer=Steer.RUN, stopped=("no credit", "no_credit", "")
    )
    ends = ended(session, Totals(total=1, cancelled=1), is_in_hand=False)
    assert ends is not None
    assert ends["status"] == "stopped"
    assert ended(session, Totals(total=2, cancelled=1, queued=1), is_in_hand=False) is None
    assert ended(session, Totals(total=1, done=1), is_in_hand=True) is None


def test_virtual_time_only_rises_until_it_begins_anew(two: Two) -> None:
    store = two.store(two.mine)
    store.claim(two.session_id, IDS[0], queue="q", reached=40)
    store.claim(two.session_id, IDS[1], queue="q", reached=8)
    assert store.reached("q") == 40
    store.begin_anew("q")
    assert store.reached("q") == 0


def test_a_worker_is_listed_while_it_lives(two: Two) -> None:
    store = two.store(two.other)
    store.beat(
        slots=4,
        doing=1,
        state="working",
        queues=("q", "r"),
        version="1",
        started_at=two.clock.now(),
    )
    (found,) = two.store(two.mine).workers()
    assert (found.slots, found.doing, found.queues) == (4, 1, ("q", "r"))
    two.other.close()
    assert two.store(two.mine).workers() == []
