from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk_transcribe.core.attempt import AttemptOutcome, SourceAttempt
from bulk_transcribe.core.request import RequestKind, RequestRecord
from bulk_transcribe.core.stage import Stage
from bulk_transcribe.core.transcript import ContentKey, Transcript
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.save.database import Database
from bulk_transcribe.save.receipts import Receipts
from bulk_transcribe.save.request_sums import RequestSum
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.save.submissions import Money, SubmissionLedger
from bulk_transcribe.testing import FakeClock

IDS = ["aaaaaaaaaaa", "bbbbbbbbbbb", "ccccccccccc"]
ITEMS = [VideoItem(video_id=video_id) for video_id in IDS]
AT = datetime(2026, 1, 1, tzinfo=UTC)

records = st.builds(
    RequestRecord,
    kind=st.sampled_from(RequestKind),
    video_id=st.sampled_from([*IDS, None]),
    sent_at=st.integers(0, 59).map(lambda second: AT.replace(second=second)),
    waited_s=st.integers(0, 100).map(float),
    took_s=st.integers(0, 100).map(float),
    status=st.sampled_from([None, 200, 201, 404, 429, 503]),
)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None
)
@given(sent=st.lists(records, max_size=30))
def test_the_sums_of_the_videos_and_the_batch_are_those_of_the_session(
    manager: SessionManager, database: Database, sent: list[RequestRecord]
) -> None:
    session = manager.open_session(manager.create_session(ITEMS))
    for record in sent:  # each written by itself: the store adds them up
        session.save_news(requests=[RequestSum.of(record)])
    receipts = Receipts(database)
    videos = list(receipts.of_videos(session.session_id))
    whole = receipts.of_session(session.session_id)
    assert whole.videos == len(videos) == 3
    assert whole.requests_sent == len(sent)
    of_batch = sum(part.sent for part in whole.batch_requests.values())
    assert sum(video.requests_sent for video in videos) + of_batch == len(sent)
    for kind, part in whole.requests.items():
        mine = [record for record in sent if record.kind is kind]
        assert part.video_id is None
        assert part.sent == len(mine)
        assert part.refused == sum(record.status == 429 for record in mine)
        assert part.failed == sum(record.status in {None, 404, 503} for record in mine)
        assert part.waited_s == sum(record.waited_s for record in mine)
        assert part.took_s == sum(record.took_s for record in mine)
        assert part.first_at == min(record.sent_at for record in mine)
        assert part.last_at == max(record.sent_at for record in mine)


def test_a_receipt_tells_what_was_tried_and_what_it_cost(
    manager: SessionManager, database: Database, clock: FakeClock
) -> None:
    session = manager.open_session(manager.create_session(ITEMS))
    tried = SourceAttempt(
        video_id=IDS[0],
        source="captions",
        started_at=clock.now(),
        ended_at=clock.now(),
        outcome=AttemptOutcome.NOTHING,
        error="no track",
        error_code="no_captions",
    )
    got = replace(tried, source="deapi", outcome=AttemptOutcome.GOT, error=None, error_code=None)
    session.save_news(attempts=[tried, got])
    ledger = SubmissionLedger(database, clock, session.session_id)
    for video_id, charged in [(IDS[0], Decimal("0.0123")), (IDS[1], None)]:
        key = ContentKey(video_id=video_id, source="deapi")
        number = ledger.intend(key, quoted_usd=Decimal("0.02")).submission_id
        ledger.mark_sent(number)
        ledger.accept(number, "r")
        words = Transcript(video_id=video_id, source="deapi", text="")
        ledger.claim(number, words, charged)
    receipts = Receipts(database)
    first, second, third = receipts.of_videos(session.session_id)
    assert first.attempts == (tried, got)
    assert first.money.quoted_usd == Decimal("0.02")
    assert first.spent_usd == first.money.charged_usd == Decimal("0.0123")
    assert (second.spent_usd, second.money.charged_usd) == (Decimal("0.02"), Decimal(0))
    assert (third.submissions, third.requests, third.attempts) == ((), {}, ())
    assert (third.money, third.stage, third.waited_s) == (Money(), Stage.QUEUED, 0)
    whole = receipts.of_session(session.session_id)
    assert whole.money == first.money + second.money
    assert whole.money.spent_usd == Decimal("0.0323")
    assert ledger.money(video_id=IDS[0]) == first.money
    assert receipts.of_video(session.session_id, IDS[0]) == first
    assert receipts.of_video(session.session_id, "zzzzzzzzzzz") is None


def test_a_session_that_did_nothing_has_zeros(manager: SessionManager, database: Database) -> None:
    session_id = manager.create_session([])
    assert list(Receipts(database).of_videos(session_id)) == []
    whole = Receipts(database).of_session(session_id)
    assert (whole.videos, whole.requests_sent, whole.money) == (0, 0, Money())


def test_every_video_of_a_large_session_has_one_receipt(
    manager: SessionManager, database: Database
) -> None:
    many = [VideoItem(video_id=f"v{number:010}") for number in range(1_100)]
    session_id = manager.create_session(many)
    receipts = Receipts(database).of_videos(session_id)
    assert [receipt.video_id for receipt in receipts] == [item.video_id for item in many]


def test_what_was_paid_for_a_deleted_session_is_still_told(
    manager: SessionManager, database: Database, clock: FakeClock
) -> None:
    kept, deleted = (manager.create_session(ITEMS[:1]) for _ in range(2))
    for number, session_id in enumerate((kept, deleted, "")):
        key = ContentKey(video_id=IDS[0], source="deapi", model=str(number))
        ledger = SubmissionLedger(database, clock, session_id)
        ledger.intend(key, quoted_usd=Decimal(number))
    receipts = Receipts(database)
    assert [each.session_id for each in receipts.without_video()] == [""]
    manager.delete_session(deleted)
    assert [each.session_id for each in receipts.without_video()] == [deleted, ""]
    assert receipts.of_session(kept).batch_requests_sent == 0
