"""What the page reads is what the sessions and receipts say, at ten thousand videos, too."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from bulk_transcribe.core.outcome import Failed, Succeeded
from bulk_transcribe.core.request import RequestKind, RequestRecord
from bulk_transcribe.core.stage import Stage, VideoState, WaitReason
from bulk_transcribe.core.transcript import ContentKey
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import InputError, TranscriptFailedError
from bulk_transcribe.save.database import Database
from bulk_transcribe.save.receipts import Receipts
from bulk_transcribe.save.request_sums import RequestSum
from bulk_transcribe.save.session import SessionStatus, VideoSort
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.save.submissions import SubmissionLedger
from bulk_transcribe.save.views import VideoTable, Views
from bulk_transcribe.testing import FakeClock


def items(count: int) -> list[VideoItem]:
    return [
        VideoItem(video_id=f"video{n:06d}", title=f"Title {n % 97}", duration_s=float(n % 50))
        for n in range(count)
    ]


def worked(manager: SessionManager, clock: FakeClock, count: int) -> str:
    """A session whose every third video is done, every fourth failed, some in flight."""
    session_id = manager.create_session(items(count), name="worked")
    session = manager.claim_engine(session_id)
    states = session.states()
    flying = [
        state.moved(Stage.TRANSCRIBING, clock.now(), worker=f"video_processor_{n}", progress=0.5)
        for n, state in enumerate(states)
        if n % 12 == 1
    ]
    session.save_states(flying)
    for n, state in enumerate(states):
        if n % 3 == 0:
            done = Succeeded(video_id=state.video_id, source="captions")
            session.finish(state.moved(Stage.DONE, clock.now()), done)
        elif n % 4 == 2:
            error = TranscriptFailedError("it failed", video_id=state.video_id, request_id="r")
            failed = Failed(video_id=state.video_id, error=error, can_retry=n % 8 == 2)
            session.finish(state.moved(Stage.FAILED, clock.now()), failed)
    return session_id


def test_the_view_says_what_the_session_says(
    database: Database, manager: SessionManager, clock: FakeClock
) -> None:
    session_id = worked(manager, clock, 120)
    session = manager.open_session(session_id)
    view = Views(database).session(session_id)
    assert view.info == session.info()
    assert view.settings == session.settings
    assert view.active == tuple(session.states(stages=[Stage.TRANSCRIBING]))
    assert len(view.active) == view.info.totals.active == 10
    retriable = [s for s in session.states(stages=[Stage.FAILED]) if s.can_retry]
    assert view.retriable == len(retriable) > 0
    assert view.pulse is None


def test_retriable_are_those_that_a_retry_sends_back(
    database: Database, manager: SessionManager, clock: FakeClock
) -> None:
    session_id = worked(manager, clock, 120)
    view = Views(database).session(session_id)
    left = view.info.totals.queued + view.info.totals.active
    assert manager.prepare_resume(session_id, retry_failed=True) == left + view.retriable
    assert Views(database).session(session_id).retriable == 0


def test_money_and_requests_are_those_of_the_receipt(
    database: Database, manager: SessionManager, clock: FakeClock
) -> None:
    session_id = manager.create_session(items(4))
    empty_id = manager.create_session([])
    ledger = SubmissionLedger(database, clock, session_id)
    for number, quoted in enumerate(("0.01", "0.01", "0.0205", "1.5")):
        key = ContentKey(video_id=f"video{number:06d}", source="deapi", model="large")
        made = ledger.intend(key, quoted_usd=Decimal(quoted))
        ledger.mark_sent(made.submission_id)
        if number < 2:
            ledger.accept(made.submission_id, f"job-{number}")
        elif number == 2:
            ledger.doubt(made.submission_id, "no answer")
    sent = [
        RequestRecord(
            kind=kind, video_id=video_id, sent_at=clock.now(), waited_s=0, took_s=0, status=200
        )
        for kind, video_id in (
            (RequestKind.SUBMIT, "video000000"),
            (RequestKind.POLL, "video000000"),
            (RequestKind.POLL, "video000001"),
            (RequestKind.PRICE, None),
        )
    ]
    manager.open_session(session_id).save_news(requests=[RequestSum.of(each) for each in sent])
    view, receipt = Views(database).session(session_id), Receipts(database).of_session(session_id)
    assert view.money == receipt.money
    assert view.money.spent_usd == Decimal("0.02")
    assert view.money.at_risk_usd == Decimal("1.5205")
    assert view.requests == {kind: part.sent for kind, part in receipt.requests.items()}
    lines = Views(database).lines()
    spent = {line.info.session_id: line.spent_usd for line in lines}
    assert spent == {empty_id: Decimal(0), session_id: Decimal("0.02")}
    assert [line.info for line in lines] == manager.list_sessions()


def test_rows_of_ten_thousand_videos_are_those_of_the_session(
    database: Database, manager: SessionManager
) -> None:
    session_id = manager.create_session(items(10_000))
    session = manager.claim_engine(session_id)
    waiting = VideoState(video_id="video004321", stage=Stage.CAPTIONS, waiting=WaitReason.LIMIT)
    session.save_states([waiting])
    views = Views(database)
    table = views.table(session_id)
    assert list(table.position) == list(range(10_000))
    assert table.waiting[4321] == WaitReason.LIMIT.name
    wanted: tuple[dict[str, Any], ...] = (
        {"search": "title 9"},
        {"stages": [Stage.CAPTIONS]},
        {"stages": []},
        {"sort": VideoSort.DURATION, "descending": True, "limit": 70},
        {"sort": VideoSort.TITLE},
    )
    for filters in wanted:
        expected = session.states(**filters)
        found = views.table(session_id, **filters)
        assert list(found.video_id) == [state.video_id for state in expected]


def test_a_row_has_what_the_state_has(
    database: Database, manager: SessionManager, clock: FakeClock
) -> None:
    session_id = worked(manager, clock, 24)
    states = manager.open_session(session_id).states()
    table = Views(database).table(session_id)
    assert len(table) == len(states) == 24
    assert list(table.stage) == [state.stage.value for state in states]
    for name in ("title", "duration_s", "progress", "source", "error"):
        assert list(getattr(table, name)) == [getattr(state, name) for state in states]
    for name in ("started_at", "finished_at"):
        assert list(getattr(table, name)) == [getattr(state, name) for state in states]
    assert [str(spent) for spent in table.spent_usd] == [state.spent_usd for state in states]


def test_each_look_at_the_table_is_a_new_one(database: Database, manager: SessionManager) -> None:
    """A video whose stage changes without a new moment, as a settled doubt does, is seen, too."""
    session_id = manager.create_session(items(3))
    session = manager.claim_engine(session_id)
    views = Views(database)
    first = session.states()[0]
    for stage in (Stage.CAPTIONS, Stage.TRANSCRIBING, Stage.CAPTIONS):
        session.save_states([replace(first, stage=stage)])
        assert views.table(session_id).stage[0] == stage.value


def test_an_empty_session_has_a_view(database: Database, manager: SessionManager) -> None:
    session_id = manager.create_session([])
    view = Views(database).session(session_id)
    assert view.info.status is SessionStatus.NEW
    assert (view.active, view.requests, view.retriable) == ((), {}, 0)
    assert view.money.requests == 0
    assert Views(database).table(session_id) == VideoTable()


def test_a_session_that_is_gone_is_an_error_with_a_next_step(database: Database) -> None:
    with pytest.raises(InputError, match="no session") as caught:
        Views(database).session("20000101-000000-gone")
    assert caught.value.next_step


def test_two_views_of_one_moment_are_equal(
    database: Database, manager: SessionManager, clock: FakeClock
) -> None:
    session_id = worked(manager, clock, 24)
    first = Views(database).session(session_id)
    clock.advance(timedelta(days=1).total_seconds())
    assert Views(database).session(session_id) == first
