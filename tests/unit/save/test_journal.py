import threading
from datetime import datetime

import pytest

from bulk_transcribe.core.attempt import AttemptOutcome, SourceAttempt
from bulk_transcribe.core.outcome import Succeeded
from bulk_transcribe.core.request import RequestKind, RequestRecord
from bulk_transcribe.core.stage import Stage, VideoState
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import StoreError
from bulk_transcribe.save.database import Database
from bulk_transcribe.save.journal import Journal
from bulk_transcribe.save.receipts import Receipts
from bulk_transcribe.save.session import Session
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.testing import FakeClock

IDS = ["aaaaaaaaaaa", "bbbbbbbbbbb"]


@pytest.fixture
def session(manager: SessionManager) -> Session:
    return manager.open_session(
        manager.create_session([VideoItem(video_id=video_id) for video_id in IDS])
    )


def request(
    sent_at: datetime, video_id: str | None = IDS[0], status: int | None = 200
) -> RequestRecord:
    return RequestRecord(
        kind=RequestKind.POLL,
        video_id=video_id,
        sent_at=sent_at,
        waited_s=0.5,
        took_s=0.25,
        status=status,
    )


def stage_of(session: Session, video_id: str) -> Stage:
    state = session.state(video_id)
    assert state is not None
    return state.stage


def test_news_are_written_together_and_the_newest_counts(
    session: Session, clock: FakeClock
) -> None:
    journal = Journal(session, clock)
    journal.save_states([VideoState(video_id=IDS[0], stage=Stage.METADATA)])
    journal.save_states([VideoState(video_id=IDS[0], stage=Stage.CAPTIONS)])
    assert stage_of(session, IDS[0]) is Stage.QUEUED
    journal.flush()
    assert stage_of(session, IDS[0]) is Stage.CAPTIONS
    journal.flush()  # nothing new
    journal.close()
    journal.close()


def test_its_thread_writes_about_once_a_second(session: Session) -> None:
    clock = FakeClock()
    written = threading.Event()

    class Watched(Session):
        def save_news(self, *news: object) -> None:
            super().save_news(*news)  # type: ignore[arg-type]  # handed on as they come
            written.set()

    watched = Watched(session._database, clock, session.session_id)
    with Journal(watched, clock) as journal:
        journal.save_states([VideoState(video_id=IDS[0], stage=Stage.CAPTIONS)])
        assert not written.is_set()
        with clock.running():
            assert written.wait(5)
        assert stage_of(session, IDS[0]) is Stage.CAPTIONS
        journal.save_states([VideoState(video_id=IDS[0], stage=Stage.SAVING)])
    assert stage_of(session, IDS[0]) is Stage.SAVING  # the end of the block writes the rest


def test_an_end_is_written_at_once_and_no_older_news_after_it(
    session: Session, clock: FakeClock
) -> None:
    journal = Journal(session, clock)
    saving = VideoState(video_id=IDS[0], stage=Stage.SAVING)
    journal.save_states([saving])
    journal.finish(saving, Succeeded(video_id=IDS[0], source="captions"))
    assert stage_of(session, IDS[0]) is Stage.DONE
    journal.flush()
    assert stage_of(session, IDS[0]) is Stage.DONE


def test_requests_add_up_over_all_writes_and_threads(
    session: Session, database: Database, clock: FakeClock
) -> None:
    journal = Journal(session, clock)
    barrier = threading.Barrier(8)
    first_at = clock.now()

    def work() -> None:
        barrier.wait()
        for turn in range(25):
            journal.record(request(first_at, status=[200, 429, 503, None, 404][turn % 5]))
            if turn % 10 == 0:
                journal.flush()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    clock.advance(60)
    journal.record(request(clock.now()))
    journal.record(request(first_at, video_id=None))
    journal.close()
    receipt = Receipts(database).of_video(session.session_id, IDS[0])
    assert receipt is not None
    polls = receipt.requests[RequestKind.POLL]
    assert (polls.sent, polls.refused, polls.failed) == (201, 40, 120)
    assert (polls.waited_s, polls.took_s) == (100.5, 50.25)
    assert (polls.first_at, polls.last_at) == (first_at, clock.now())
    whole = Receipts(database).of_session(session.session_id)
    assert whole.requests_sent == 202
    assert whole.batch_requests[RequestKind.POLL].sent == 1


def test_a_write_that_failed_is_told_once_and_tried_again(
    session: Session, database: Database, clock: FakeClock
) -> None:
    class Broken(Session):
        is_broken = True

        def save_news(self, *news: object) -> None:
            if self.is_broken:
                raise StoreError("no space")
            super().save_news(*news)  # type: ignore[arg-type]  # handed on as they come

    broken = Broken(database, clock, session.session_id)
    slow = FakeClock()
    attempt = SourceAttempt(
        video_id=IDS[0],
        source="captions",
        started_at=clock.now(),
        ended_at=clock.now(),
        outcome=AttemptOutcome.NOTHING,
        error="none",
        error_code="no_captions",
    )
    with Journal(broken, slow) as journal:
        journal.save_states([VideoState(video_id=name, stage=Stage.METADATA) for name in IDS])
        journal.record(request(clock.now()))
        journal.attempts.record(attempt)
        with pytest.raises(StoreError, match="no space"):
            journal.flush()
        journal.record(request(clock.now()))  # never raises: an answer may be in hand
        journal.save_states([VideoState(video_id=IDS[0], stage=Stage.CAPTIONS)])
        told = 0
        with slow.running():
            while not told:  # the thread's failure reaches the next caller
                try:
                    journal.save_states([])
                except StoreError:
                    told += 1
        broken.is_broken = False
    assert stage_of(session, IDS[0]) is Stage.CAPTIONS
    assert stage_of(session, IDS[1]) is Stage.METADATA
    receipt = Receipts(database).of_video(session.session_id, IDS[0])
    assert receipt is not None
    assert receipt.requests_sent == 2
    assert receipt.attempts == (attempt,)


def test_closing_tells_what_could_not_be_written(
    manager: SessionManager, session: Session, clock: FakeClock
) -> None:
    journal = Journal(session, clock)
    journal.record(request(clock.now()))
    manager.delete_session(session.session_id)
    with pytest.raises(StoreError):
        journal.close()
