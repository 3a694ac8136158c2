"""What every store of paid requests must do (`SubmissionBook`, law 3), and what ours adds."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulk_transcribe.core.job import Submission, SubmissionState
from bulk_transcribe.core.outcome import InDoubt
from bulk_transcribe.core.ports import SubmissionBook, TranscriptStore
from bulk_transcribe.core.stage import Stage, VideoState
from bulk_transcribe.core.transcript import ContentKey, Segment, Transcript
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import InDoubtError, InputError, StoreError, UnderWayError
from bulk_transcribe.save.database import Database, open_database
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.save.submissions import Decision, Money, SubmissionLedger
from bulk_transcribe.save.transcripts import Transcripts
from bulk_transcribe.testing import FakeClock
from tests.postgres import open_quick, wait_until_gone

KEY = ContentKey(video_id="dQw4w9WgXcQ", source="deapi", model="WhisperLargeV3")
WORDS = Transcript(
    video_id=KEY.video_id, source="deapi", text="hi", segments=(Segment(0.0, 1.0, "hi"),)
)
CENT = Decimal("0.01")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(auto=True)


@pytest.fixture
def open_store(place: Path | str) -> Iterator[Callable[[], Database]]:
    """Opens the same database again, as another process would."""
    opened: list[Database] = []

    def open_one() -> Database:
        opened.append(open_quick(place))
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture
def database(open_store: Callable[[], Database]) -> Database:
    return open_store()


@pytest.fixture
def ledger(database: Database, clock: FakeClock) -> SubmissionLedger:
    return SubmissionLedger(database, clock, "s1")


@pytest.fixture
def book(ledger: SubmissionLedger) -> SubmissionBook:
    return ledger


@pytest.fixture
def store(database: Database, clock: FakeClock) -> TranscriptStore:
    return Transcripts(database, clock)


def found(book: SubmissionBook) -> Submission:
    submission = book.find_open(KEY)
    assert submission is not None
    return submission


def test_a_paid_request_goes_its_way_and_its_transcript_is_stored_with_its_end(
    book: SubmissionBook, store: TranscriptStore, clock: FakeClock
) -> None:
    assert book.find_open(KEY) is None
    made = book.intend(KEY, quoted_usd=CENT)
    assert made.state is SubmissionState.INTENDED
    assert (made.key, made.session_id, made.quoted_usd) == (KEY, "s1", CENT)
    assert found(book) == made
    clock.advance(1)
    book.mark_sent(made.submission_id)
    assert found(book).sent_at == clock.now()
    book.accept(made.submission_id, "r-1")
    assert (found(book).state, found(book).request_id) == (SubmissionState.ACCEPTED, "r-1")
    assert store.find_transcript(KEY) is None
    book.claim(made.submission_id, WORDS, CENT)
    assert book.find_open(KEY) is None
    assert store.find_transcript(KEY) == WORDS


def test_one_content_has_one_open_request_whoever_asks(
    book: SubmissionBook, open_store: Callable[[], Database], clock: FakeClock
) -> None:
    book.intend(KEY)
    for again in (book, SubmissionLedger(open_store(), clock, "s2")):
        with pytest.raises(InDoubtError) as caught:
            again.intend(KEY)
        assert caught.value.code == "under_way"
        assert caught.value.video_id == KEY.video_id
    book.intend(ContentKey(video_id=KEY.video_id, source="deapi", model="other"))


def test_of_many_threads_and_programs_that_intend_at_once_one_may(
    open_store: Callable[[], Database], clock: FakeClock
) -> None:
    books = [SubmissionLedger(open_store(), clock, f"s{number}") for number in range(2)]
    barrier = threading.Barrier(16)

    def work(number: int) -> int:
        barrier.wait()
        won = 0
        for turn in range(5):
            try:
                books[number % 2].intend(ContentKey(video_id=f"video-{turn}", source="deapi"))
            except InDoubtError:
                continue
            won += 1
        return won

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(work, range(16))) == 5


def test_after_each_end_a_new_request_may_go(book: SubmissionBook) -> None:
    def accepted() -> int:
        number = book.intend(KEY).submission_id
        book.mark_sent(number)
        book.accept(number, "r")
        return number

    book.refuse(book.intend(KEY).submission_id, "nothing was sent")
    book.claim(accepted(), WORDS, None)
    book.fail(accepted(), "bad audio")
    book.abandon(accepted(), "not wanted")
    number = book.intend(KEY).submission_id
    book.mark_sent(number)
    book.refuse(number, "402")
    book.intend(KEY)


def test_a_doubt_blocks_until_a_person_decides(
    ledger: SubmissionLedger, open_store: Callable[[], Database], clock: FakeClock
) -> None:
    number = ledger.intend(KEY, quoted_usd=CENT).submission_id
    ledger.mark_sent(number)
    ledger.doubt(number, "the line was cut")
    with pytest.raises(InDoubtError) as caught:
        SubmissionLedger(open_store(), clock, "s2").intend(KEY)
    assert caught.value.code == "in_doubt"
    assert caught.value.next_step
    assert [one.submission_id for one in ledger.list_in_doubt()] == [number]
    ledger.decide_in_doubt(number, Decision.RESEND)
    assert ledger.list_in_doubt() == []
    (settled,) = ledger.of_session("s1")
    assert settled.state is SubmissionState.ABANDONED
    assert settled.detail == "the line was cut; decided: resend"
    assert ledger.intend(KEY).submission_id != number
    with pytest.raises(InputError, match="is abandoned"):
        ledger.decide_in_doubt(number, Decision.RESEND)
    with pytest.raises(InputError, match="does not exist"):
        ledger.adopt(999, "r")


def test_a_request_found_at_the_service_is_adopted_and_fetched(
    ledger: SubmissionLedger, clock: FakeClock
) -> None:
    number = ledger.intend(KEY).submission_id
    ledger.mark_sent(number)
    ledger.doubt(number, "cut")
    ledger.adopt(number, "r-9")
    assert (found(ledger).state, found(ledger).request_id) == (SubmissionState.ACCEPTED, "r-9")
    assert found(ledger).accepted_at == clock.now()
    ledger.claim(number, WORDS, None)


def test_skipping_a_doubt_leaves_the_video_out_where_it_waited(
    ledger: SubmissionLedger, database: Database, clock: FakeClock
) -> None:
    manager = SessionManager(database, clock)
    session = manager.open_session(manager.create_session([VideoItem(video_id=KEY.video_id)]))
    error = InDoubtError("lost", video_id=KEY.video_id)
    session.finish(VideoState(video_id=KEY.video_id), InDoubt(video_id=KEY.video_id, error=error))
    number = ledger.intend(KEY).submission_id
    ledger.mark_sent(number)
    ledger.doubt(number, "cut")
    ledger.decide_in_doubt(number, Decision.SKIP)
    (state,) = session.states()
    assert (state.stage, state.can_retry) == (Stage.SKIPPED, False)
    assert manager.prepare_resume(session.session_id, retry_failed=True) == 0


def test_what_contradicts_an_earlier_word_is_refused_and_repeating_is_not(
    ledger: SubmissionLedger,
) -> None:
    number = ledger.intend(KEY).submission_id
    with pytest.raises(StoreError, match="cannot become accepted: it is intended"):
        ledger.accept(number, "r")
    with pytest.raises(StoreError, match="cannot become in_doubt"):
        ledger.doubt(number, "")
    ledger.mark_sent(number)
    ledger.mark_sent(number)
    with pytest.raises(StoreError, match="cannot become claimed"):
        ledger.claim(number, WORDS, None)
    ledger.accept(number, "r")
    ledger.accept(number, "r")
    with pytest.raises(StoreError, match="cannot become accepted: it is accepted"):
        ledger.accept(number, "another")
    ledger.claim(number, WORDS, CENT)
    ledger.claim(number, WORDS, CENT)
    for wrong in (ledger.fail, ledger.abandon, ledger.refuse, ledger.doubt):
        with pytest.raises(StoreError, match="it is claimed"):
            wrong(number, "x")
    with pytest.raises(StoreError, match="does not exist"):
        ledger.mark_sent(999)
    assert ledger.money().charged_usd == CENT


def test_a_claim_that_cannot_be_booked_stores_no_transcript(
    ledger: SubmissionLedger, store: TranscriptStore
) -> None:
    number = ledger.intend(KEY).submission_id
    with pytest.raises(StoreError):
        ledger.claim(number, WORDS, None)
    assert store.find_transcript(KEY) is None


def test_what_a_dead_program_left_is_settled_and_nothing_else(
    ledger: SubmissionLedger, open_store: Callable[[], Database], clock: FakeClock
) -> None:
    dying = open_store()
    theirs = SubmissionLedger(dying, clock, "s2")
    keys = [ContentKey(video_id=name, source="deapi") for name in ("intended", "sent", "accepted")]
    numbers = [theirs.intend(key).submission_id for key in keys]
    theirs.mark_sent(numbers[1])
    theirs.mark_sent(numbers[2])
    theirs.accept(numbers[2], "r")
    mine = ledger.intend(KEY)
    assert ledger.settle_orphans() == []  # everyone lives
    dying.close()
    settled = {one.key.video_id: one.state for one in ledger.settle_orphans()}
    assert settled == {"intended": SubmissionState.REFUSED, "sent": SubmissionState.IN_DOUBT}
    assert found(ledger) == mine
    accepted = ledger.find_open(keys[2])
    assert accepted is not None
    assert accepted.request_id == "r"  # paid for: still to be fetched
    assert [one.key.video_id for one in ledger.open_submissions()] == [
        "sent",
        "accepted",
        KEY.video_id,
    ]
    assert ledger.settle_orphans() == []


@pytest.mark.parametrize("was_sent", [False, True])
def test_an_orphan_is_settled_by_whoever_meets_it(
    ledger: SubmissionLedger,
    open_store: Callable[[], Database],
    clock: FakeClock,
    was_sent: bool,  # noqa: FBT001 -- a case
) -> None:
    dying = open_store()
    theirs = SubmissionLedger(dying, clock, "s2")
    number = theirs.intend(KEY).submission_id
    if was_sent:
        theirs.mark_sent(number)
    dying.close()
    if was_sent:
        with pytest.raises(InDoubtError) as caught:
            ledger.intend(KEY)
        assert caught.value.code == "in_doubt"
        assert found(ledger).state is SubmissionState.IN_DOUBT
    else:
        assert ledger.find_open(KEY) is None
        ledger.intend(KEY)


KILLED = """
import sys
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.transcript import ContentKey
from bulk_transcribe.save.submissions import SubmissionLedger
from tests.postgres import open_quick, place_of
database = open_quick(place_of(sys.argv[1]))
ledger = SubmissionLedger(database, SystemClock(), "killed")
for name, steps in [("intended", 0), ("sent", 1), ("accepted", 2)]:
    number = ledger.intend(ContentKey(video_id=name, source="deapi")).submission_id
    if steps > 0:
        ledger.mark_sent(number)
    if steps > 1:
        ledger.accept(number, "r-7")
print(database.owner_id, flush=True)
sys.stdin.read()
"""


def test_a_program_that_is_killed_loses_nothing_that_was_paid_for(
    ledger: SubmissionLedger, database: Database, place: Path | str
) -> None:
    with subprocess.Popen(  # noqa: S603 -- our own program
        [sys.executable, "-c", KILLED, str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as program:
        assert program.stdout is not None
        killed = program.stdout.readline().strip()
        assert ledger.settle_orphans() == []
        program.kill()
        program.wait()
    wait_until_gone(database, killed)
    settled = {one.key.video_id: one.state for one in ledger.settle_orphans()}
    assert settled == {"intended": SubmissionState.REFUSED, "sent": SubmissionState.IN_DOUBT}
    (accepted,) = ledger.open_submissions(state=SubmissionState.ACCEPTED)
    assert accepted.request_id == "r-7"


amounts = st.none() | st.decimals(0, 10, places=4)
paid = st.builds(
    Submission,
    submission_id=st.integers(1, 9),
    key=st.just(KEY),
    session_id=st.just("s"),
    state=st.sampled_from(SubmissionState),
    quoted_usd=amounts,
    charged_usd=amounts,
)


@given(st.lists(paid, max_size=6), st.lists(paid, max_size=6))
def test_money_adds_up_and_no_cent_counts_twice(
    some: list[Submission], more: list[Submission]
) -> None:
    whole = Money.of([*some, *more])
    assert whole == Money.of(some) + Money.of(more)
    assert whole.charged_usd <= whole.spent_usd
    untold = sum(
        (one.quoted_usd or Decimal(0) for one in [*some, *more] if one.charged_usd is None),
        Decimal(0),
    )
    assert whole.spent_usd + whole.at_risk_usd <= whole.charged_usd + untold
    assert Money.of([]) == Money()


WORDS_OF_THE_BOOK = ["intend", "mark_sent", "accept", "refuse", "doubt", "claim", "fail", "abandon"]


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)
@given(words=st.lists(st.sampled_from(WORDS_OF_THE_BOOK), max_size=14), run=st.uuids())
def test_whatever_is_said_in_whatever_order_one_request_at_most_is_open(
    ledger: SubmissionLedger, words: list[str], run: object
) -> None:
    """And none that was sent is ever forgotten without an answer or a decision."""
    key = ContentKey(video_id=str(run), source="deapi")
    newest = 0
    for word in words:
        try:
            match word:
                case "intend":
                    newest = ledger.intend(key).submission_id
                case "mark_sent":
                    ledger.mark_sent(newest)
                case "accept":
                    ledger.accept(newest, f"r{newest}")
                case "claim":
                    ledger.claim(newest, WORDS, None)
                case _:  # those that take a number and a detail
                    getattr(ledger, word)(newest, word)
        except (InDoubtError, StoreError):
            continue
    mine = [one for one in ledger.of_session("s1") if one.key == key]
    is_open = {
        SubmissionState.INTENDED,
        SubmissionState.SENT,
        SubmissionState.ACCEPTED,
        SubmissionState.IN_DOUBT,
    }
    assert len([one for one in mine if one.state in is_open]) <= 1
    for one in mine:
        if one.state in {SubmissionState.CLAIMED, SubmissionState.FAILED}:
            assert one.request_id is not None
            assert one.accepted_at is not None


def test_what_another_run_brought_home_meanwhile_is_not_paid_for_again(place: Path | str) -> None:
    """The other run closed its request between this one's look into the store and its intent."""
    clock = FakeClock()
    with open_database(place) as database:
        late = SubmissionLedger(database, clock, "late")
        clock.advance(5)
        early = SubmissionLedger(database, clock, "early")
        paid = early.intend(KEY)
        early.mark_sent(paid.submission_id)
        early.accept(paid.submission_id, "r1")
        early.claim(paid.submission_id, WORDS, None)
        with pytest.raises(UnderWayError):
            late.intend(KEY)
        clock.advance(5)
        assert SubmissionLedger(database, clock, "next").intend(KEY).submission_id


@pytest.mark.parametrize("told_first", [True, False])
def test_a_lost_answer_that_the_service_tells_by_its_nonce_is_adopted(
    database: Database, clock: FakeClock, *, told_first: bool
) -> None:
    ledger = SubmissionLedger(database, clock, "s1", with_nonce=True)
    made = ledger.intend(KEY)
    ledger.mark_sent(made.submission_id)
    if told_first:
        early = ledger.told(made.nonce, "job-7")
        assert early is not None
        assert early.state is SubmissionState.SENT  # its answer may still come
    ledger.doubt(made.submission_id, "no answer")
    if not told_first:
        ledger.told(made.nonce, "job-7")
    ledger.told(made.nonce, "job-7")  # deliveries are repeated
    adopted = found(ledger)
    assert (adopted.state, adopted.request_id) == (SubmissionState.ACCEPTED, "job-7")
    with pytest.raises(StoreError, match="job-8"):
        ledger.told(made.nonce, "job-8")


def test_a_process_that_died_before_its_answer_is_helped_by_what_was_told(
    open_store: Callable[[], Database], clock: FakeClock
) -> None:
    first = open_store()
    theirs = SubmissionLedger(first, clock, "s1", with_nonce=True)
    made = theirs.intend(KEY)
    theirs.mark_sent(made.submission_id)
    theirs.told(made.nonce, "job-7")
    first.close()
    assert found(SubmissionLedger(open_store(), clock)).request_id == "job-7"


def test_a_nonce_that_nobody_gave_tells_nothing_and_none_is_given_unasked(
    ledger: SubmissionLedger,
) -> None:
    assert ledger.intend(KEY).nonce == ""
    assert ledger.told("", "job-7") is None
    assert ledger.told("guessed", "job-7") is None
