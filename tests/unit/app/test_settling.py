from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from bulk_transcribe.app.settling import SETTLE_AFTER_S, Account, Settling, at_stake, explain
from bulk_transcribe.core.job import SubmissionState
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.core.transcript import ContentKey, Transcript
from bulk_transcribe.errors import NetworkError
from bulk_transcribe.save.balances import Balances
from bulk_transcribe.save.database import Database, open_database
from bulk_transcribe.save.submissions import SubmissionLedger
from bulk_transcribe.testing import FakeClock

PRICE = Decimal("0.02")


class Purse:
    """An account that pays for what the test says it pays for."""

    def __init__(self) -> None:
        self.has: Decimal | None = Decimal(10)
        self.is_down = False
        self.asked = 0

    def balance_usd(self, ticket: Ticket) -> Decimal | None:
        del ticket
        self.asked += 1
        if self.is_down:
            raise NetworkError("down")
        return self.has

    def pay(self, usd: Decimal) -> None:
        assert self.has is not None
        self.has -= usd


class Books:
    """A store, an account and a clock."""

    def __init__(self, database: Database) -> None:
        self.clock = FakeClock(auto=True)
        self.purse = Purse()
        self.database = database
        self.account = self.account_of("mine")
        self.ledger = SubmissionLedger(
            database, self.clock, "s", latest_balance=lambda: self.account.balances.latest
        )

    def account_of(self, name: str) -> Account:
        return Account(self.purse, Balances(self.database, self.clock, name))

    @property
    def settling(self) -> Settling:
        return Settling(self.ledger, self.account, self.clock)

    def look(self) -> None:
        self.account.balance_usd(Ticket())

    def sent(self, video_id: str, price: Decimal | None = PRICE) -> int:
        key = ContentKey(video_id=video_id, source="deapi", model="m")
        number = self.ledger.intend(key, quoted_usd=price).submission_id
        self.ledger.mark_sent(number)
        return number

    def lost(self, video_id: str, price: Decimal | None = PRICE, *, paid: bool) -> int:
        number = self.sent(video_id, price)
        self.ledger.doubt(number, "no answer")
        if paid:
            self.purse.pay(price or PRICE)
        return number

    def fetched(self, video_id: str, charged: Decimal | None = PRICE) -> None:
        number = self.sent(video_id)
        self.ledger.accept(number, f"job-{video_id}")
        self.purse.pay(PRICE)
        text = Transcript(video_id=video_id, source="deapi", text="hi")
        self.ledger.claim(number, text, charged)

    def later(self, seconds: float = SETTLE_AFTER_S) -> None:
        self.clock.advance(seconds)

    def state(self, number: int) -> SubmissionState:
        (found,) = (s for s in self.ledger.of_session("s") if s.submission_id == number)
        return found.state


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    with open_database(tmp_path / "store.db") as database:
        yield Books(database)


def test_without_doubts_nobody_is_asked(books: Books) -> None:
    books.look()
    assert books.settling.settle().in_doubt == ()
    assert books.purse.asked == 1


def test_a_young_doubt_is_left_until_nothing_can_be_on_its_way_any_more(books: Books) -> None:
    books.look()
    number = books.lost("a", paid=False)
    books.later(SETTLE_AFTER_S - 1)
    early = books.settling.settle()
    assert early.not_paid == ()
    assert early.told_at is not None
    assert books.purse.asked == 1
    books.later(1)
    late = books.settling.settle()
    assert [each.submission_id for each in late.not_paid] == [number]
    assert books.state(number) is SubmissionState.REFUSED
    books.sent("a")  # free to be sent again


def test_known_charges_are_taken_off_told_or_by_their_quotes(books: Books) -> None:
    books.look()
    books.fetched("a")
    number = books.lost("b", paid=False)
    books.fetched("c", charged=None)
    books.later()
    assert [each.submission_id for each in books.settling.settle().not_paid] == [number]


def test_one_that_was_paid_unheard_stays_in_doubt_and_is_named(books: Books) -> None:
    books.look()
    books.fetched("a")
    number = books.lost("b", Decimal("0.05"), paid=True)
    books.later()
    settled = books.settling.settle()
    assert settled.fitting == {number}
    assert books.state(number) is SubmissionState.IN_DOUBT
    (line,) = explain(settled, str)
    assert "$0.0500" in line
    assert "pays a second time" in line


def test_a_job_that_still_runs_may_not_be_charged_yet_and_hides_an_equal_doubt(
    books: Books,
) -> None:
    books.look()
    running = books.sent("a")
    books.ledger.accept(running, "job-a")
    books.purse.pay(PRICE)
    number = books.lost("b", paid=False)
    books.later()
    assert books.settling.settle().not_paid == ()
    text = Transcript(video_id="a", source="deapi", text="hi")
    books.ledger.claim(running, text, PRICE)
    assert [each.submission_id for each in books.settling.settle().not_paid] == [number]


def test_a_job_of_before_that_failed_since_may_have_given_its_money_back(books: Books) -> None:
    earlier = books.sent("a")
    books.ledger.accept(earlier, "job-a")
    books.look()
    books.lost("b", paid=True)
    books.later()
    books.ledger.fail(earlier, "gave up")
    books.purse.pay(-PRICE)  # the refund hides the charge
    assert books.settling.settle().not_paid == ()


def test_what_was_under_way_when_the_balance_was_read_could_be_what_is_missing(
    books: Books,
) -> None:
    under_way = books.sent("a")
    books.look()
    books.ledger.accept(under_way, "job-a")
    number = books.lost("b", paid=False)
    books.purse.pay(PRICE)  # for "a"
    books.later()
    settled = books.settling.settle()
    assert settled.not_paid == ()
    assert not settled.fitting
    assert books.state(number) is SubmissionState.IN_DOUBT


def test_a_top_up_that_hides_a_charge_is_seen_where_somebody_looked_between(books: Books) -> None:
    """It was called unpaid and sent again when the top-up was just its price."""
    books.look()
    number = books.lost("a", paid=True)
    books.look()
    books.purse.pay(-PRICE)
    books.later()
    assert books.settling.settle().not_paid == ()
    assert books.state(number) is SubmissionState.IN_DOUBT


def test_money_of_a_failed_job_that_came_back_does_not_stop_the_settling(books: Books) -> None:
    books.look()
    failed = books.sent("a")
    books.ledger.accept(failed, "job-a")
    books.purse.pay(PRICE)
    number = books.lost("b", Decimal("0.05"), paid=False)
    books.look()
    books.ledger.fail(failed, "gave up", PRICE)
    books.purse.pay(-PRICE)
    books.later()
    assert [each.submission_id for each in books.settling.settle().not_paid] == [number]


def test_a_balance_of_another_account_tells_nothing(books: Books) -> None:
    books.look()
    books.lost("a", paid=False)
    books.later()
    books.account = books.account_of("another key")
    settled = books.settling.settle()
    assert settled.not_paid == ()
    assert books.purse.asked == 1


def test_requests_with_another_key_may_be_of_the_same_account(books: Books) -> None:
    books.look()
    number = books.lost("a", paid=True)
    mine, books.account = books.account, books.account_of("another key")
    books.look()
    books.fetched("b")
    books.account = mine
    books.later()
    assert books.settling.settle().not_paid == ()
    assert books.state(number) is SubmissionState.IN_DOUBT


@pytest.mark.parametrize("trouble", ["down", "may not know", "never read", "no quote"])
def test_what_is_not_known_settles_nothing(books: Books, trouble: str) -> None:
    if trouble != "never read":
        books.look()
    number = books.lost("a", None if trouble == "no quote" else PRICE, paid=False)
    books.later()
    if trouble == "may not know":
        books.purse.has = None
    books.purse.is_down = trouble == "down"
    settled = books.settling.settle()
    assert [each.submission_id for each in settled.in_doubt] == [number]
    assert settled.not_paid == ()


def test_what_is_at_stake_is_the_sum_of_the_quotes(books: Books) -> None:
    assert at_stake([]) is None
    books.lost("a", None, paid=False)
    assert at_stake(books.ledger.list_in_doubt()) is None
    books.lost("b", paid=False)
    assert at_stake(books.ledger.list_in_doubt()) == PRICE


def test_the_balance_before_is_noted_with_each_intent(books: Books) -> None:
    books.lost("a", paid=False)
    books.look()
    books.lost("b", paid=False)
    before = [each.balance_before_usd for each in books.ledger.of_session("s")]
    assert before == [None, Decimal(10)]
