"""The cost limit: what counts towards it, and that nobody gets past it, together or alone."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from bulk_transcribe.core.job import SubmissionState
from bulk_transcribe.core.transcript import ContentKey, Transcript
from bulk_transcribe.errors import (
    CostLimitError,
    CostUnknownError,
    CreditSpentError,
    NetworkError,
    StopBatchError,
)
from bulk_transcribe.save.budget import Budget, Committed, committed
from bulk_transcribe.save.database import Database, open_database
from bulk_transcribe.save.submissions import SubmissionLedger
from bulk_transcribe.save.tables import submissions
from bulk_transcribe.testing import FakeClock

S = SubmissionState
CENT = Decimal("0.01")
AMOUNTS = st.decimals(min_value=0, max_value=1, places=6)


def key(number: int) -> ContentKey:
    return ContentKey(video_id=f"v{number}", source="deapi", model="m", options="")


def transcript(number: int) -> Transcript:
    return Transcript(video_id=f"v{number}", source="deapi", text="words")


class Books:
    """A store and the ledgers of one session, made as a run makes them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock = FakeClock()

    def ledger(
        self, cap: str | Decimal | None, session_id: str = "s", **more: object
    ) -> SubmissionLedger:
        budget = Budget(None if cap is None else Decimal(cap), **more)  # type: ignore[arg-type]  # by name
        return SubmissionLedger(self.database, self.clock, session_id, budget=budget)

    def committed(self, session_id: str = "s") -> Committed:
        with self.database.read() as connection:
            return committed(connection, session_id)


@pytest.fixture
def books(place: Path | str) -> Iterator[Books]:
    with open_database(place) as database:
        yield Books(database)


def bring_to(ledger: SubmissionLedger, number: int, state: S, charged: Decimal | None) -> None:
    """From an intent to that state, by the way that a run takes."""
    if state is S.INTENDED:
        return
    if state is S.REFUSED:
        ledger.refuse(number, "no")
        return
    ledger.mark_sent(number)
    if state is S.SENT:
        return
    if state is S.IN_DOUBT:
        ledger.doubt(number, "lost")
        return
    ledger.accept(number, f"r{number}")
    match state:
        case S.CLAIMED:
            ledger.claim(number, transcript(number), charged)
        case S.FAILED:
            ledger.fail(number, "gave up", charged)
        case S.ABANDONED:
            ledger.abandon(number, "unwanted")
        case _:
            pass  # accepted: as far as it goes


@given(
    requests=st.lists(
        st.tuples(st.sampled_from(list(S)), AMOUNTS, st.none() | AMOUNTS), max_size=12
    )
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_what_is_committed_is_the_charge_or_else_the_most_of_all_that_may_cost(
    tmp_path_factory: pytest.TempPathFactory,
    requests: list[tuple[S, Decimal, Decimal | None]],
) -> None:
    with open_database(tmp_path_factory.mktemp("sum") / "store.db") as database:
        books = Books(database)
        ledger = books.ledger(None)
        expected = Decimal(0)
        for number, (state, most, charged) in enumerate(requests):
            made = ledger.intend(key(number), quoted_usd=most / 2, most_usd=most)
            bring_to(ledger, made.submission_id, state, charged)
            is_told = state in {S.CLAIMED, S.FAILED} and charged is not None
            if state is not S.REFUSED:
                expected += charged if is_told and charged is not None else most
        assert books.committed() == Committed(usd=expected, unknown=0)
        assert books.committed("another session") == Committed()


def test_fractions_of_a_millionth_are_rounded_up_and_unknown_prices_are_counted(
    books: Books,
) -> None:
    ledger = books.ledger(None)
    ledger.intend(key(1), most_usd=Decimal("0.0000011"))
    ledger.intend(key(2))
    never_sent = ledger.intend(key(3))
    ledger.abandon(never_sent.submission_id, "given up before anything went out")
    old = ledger.intend(key(4), quoted_usd=Decimal("0.5"))  # of before the most was noted

    assert old.most_usd is None
    assert books.committed() == Committed(usd=Decimal("0.500002"), unknown=1)


def test_the_limit_is_reached_to_the_last_digit_and_not_passed(books: Books) -> None:
    ledger = books.ledger("0.05")
    for number in range(5):
        ledger.intend(key(number), most_usd=CENT)

    with pytest.raises(CostLimitError) as refused:
        ledger.intend(key(5), most_usd=Decimal("0.000001"))

    assert "$0.0500 of $0.0500" in refused.value.message
    assert "--max-cost" in refused.value.next_step
    assert len(ledger.of_session("s")) == 5


def test_once_reached_nothing_more_is_paid_in_that_run_and_a_higher_limit_goes_on(
    books: Books,
) -> None:
    ledger = books.ledger("0.05")
    ledger.intend(key(1), most_usd=Decimal("0.04"))
    with pytest.raises(CostLimitError):
        ledger.intend(key(2), most_usd=Decimal("0.02"))
    with pytest.raises(CostLimitError):
        ledger.intend(key(3), most_usd=CENT)  # it would fit, but the run is ending

    assert books.ledger("0.06").intend(key(2), most_usd=Decimal("0.02")).state is S.INTENDED


def test_another_session_has_a_limit_of_its_own(books: Books) -> None:
    books.ledger("0.01").intend(key(1), most_usd=CENT)
    assert books.ledger("0.01", "t").intend(key(2), most_usd=CENT).session_id == "t"


def test_a_lower_charge_makes_room_and_a_refusal_gives_back_all(books: Books) -> None:
    ledger = books.ledger("0.03")
    bring_to(ledger, ledger.intend(key(1), most_usd=CENT).submission_id, S.CLAIMED, CENT / 2)
    bring_to(ledger, ledger.intend(key(2), most_usd=CENT).submission_id, S.REFUSED, None)
    ledger.intend(key(3), most_usd=Decimal("0.025"))
    assert books.committed().usd == Decimal("0.03")


@pytest.mark.parametrize(
    ("trouble", "family", "code"),
    [
        (None, CostUnknownError, "cost_unknown"),
        (NetworkError("no answer"), CostLimitError, "no_price"),
        (CreditSpentError("nothing left"), CreditSpentError, "no_credit"),
    ],
)
def test_with_a_limit_nothing_goes_out_whose_price_is_not_known(
    books: Books, trouble: StopBatchError | None, family: type[Exception], code: str
) -> None:
    ledger = books.ledger("5", no_price=lambda: trouble)
    with pytest.raises(family) as refused:
        ledger.intend(key(1))
    assert getattr(refused.value, "code", "") == code
    assert ledger.of_session("s") == []
    if trouble is None:  # the video's own trouble: the others go on
        ledger.intend(key(2), most_usd=CENT)


def test_a_limit_that_cannot_be_kept_for_an_unknown_earlier_price_says_so(books: Books) -> None:
    books.ledger(None).intend(key(1))
    with pytest.raises(CostLimitError) as refused:
        books.ledger("5").intend(key(2), most_usd=CENT)
    assert refused.value.code == "cost_unknown"


def test_the_first_reason_to_close_counts(books: Books) -> None:
    budget = Budget(None)
    first, second = CreditSpentError("first"), CreditSpentError("second")
    assert budget.close(first) is first
    assert budget.close(second) is first
    ledger = SubmissionLedger(books.database, books.clock, "s", budget=budget)
    with pytest.raises(CreditSpentError, match="first"):
        ledger.intend(key(1), most_usd=CENT)


def _race(
    ledgers: list[SubmissionLedger], together: threading.Barrier, number: int
) -> list[Decimal]:
    together.wait()
    got = []
    for turn in range(6):
        amount = CENT * (1 + (number + turn) % 3)
        try:
            ledgers[number].intend(key(100 * number + turn), most_usd=amount)
        except CostLimitError:
            continue
        got.append(amount)
    return got


@pytest.mark.parametrize("separate", [False, True], ids=["one run", "a ledger each"])
def test_eight_threads_at_once_do_not_pass_it_together(books: Books, *, separate: bool) -> None:
    cap = Decimal("0.31")
    ledgers = [books.ledger(cap) for _ in range(8)] if separate else [books.ledger(cap)] * 8
    together = threading.Barrier(8)
    with ThreadPoolExecutor(8) as executor:
        got = executor.map(lambda n: _race(ledgers, together, n), range(8))
        admitted = sum((sum(each, Decimal(0)) for each in got), Decimal(0))
    assert admitted == books.committed().usd <= cap
    assert admitted > cap - 3 * CENT  # and it was used, too


def test_two_openings_of_the_store_as_two_processes_have_do_not_pass_it_together(
    place: Path | str,
) -> None:
    cap = Decimal("0.25")
    with open_database(place) as one, open_database(place) as other:
        ledgers = [Books(one).ledger(cap), Books(other).ledger(cap)] * 4
        together = threading.Barrier(8)
        with ThreadPoolExecutor(8) as executor:
            list(executor.map(lambda n: _race(ledgers, together, n), range(8)))
        assert cap - 3 * CENT < Books(one).committed().usd <= cap


def test_a_charge_above_the_most_counts_as_it_is(books: Books) -> None:
    """A service that breaks its word: nothing can undo it, but nothing is added to it."""
    ledger = books.ledger("0.03")
    made = ledger.intend(key(1), most_usd=CENT)
    bring_to(ledger, made.submission_id, S.CLAIMED, Decimal("0.03"))
    with pytest.raises(CostLimitError):
        ledger.intend(key(2), most_usd=Decimal("0.000001"))


def test_amounts_that_floats_cannot_hold_are_summed_exactly(
    books: Books,
) -> None:
    ledger = books.ledger(None)
    amounts = [Decimal(n) / 1_000_000 for n in (1, 3, 5781, 19583, 100_001, 999_999, 123_456_789)]
    for number, amount in enumerate(amounts):
        ledger.intend(key(number), most_usd=amount)
    with books.database.transaction() as connection:  # as another run may have written them
        connection.execute(
            update(submissions).where(submissions.c.video_id == "v0").values(most_usd=amounts[0])
        )
    assert books.committed().usd == sum(amounts, Decimal(0))
