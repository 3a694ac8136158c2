"""Right before paying: the balance once, the price, and the reason when paying ends."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from bulk_transcribe.app.quotes import Quotes
from bulk_transcribe.app.till import Till
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.errors import (
    AuthError,
    BulkTranscribeError,
    CostLimitError,
    CreditSpentError,
    NetworkError,
)
from bulk_transcribe.save.budget import Budget


class Service:
    """An account with a balance, and a price for each second."""

    def __init__(
        self, balance: str | None = "10", error: BulkTranscribeError | None = None
    ) -> None:
        self.balance = None if balance is None else Decimal(balance)
        self.error = error
        self.looked = 0
        self.quoted = 0

    def known_balance_usd(self) -> Decimal | None:
        self.looked += 1
        return None if self.error is not None else self.balance

    def price_usd(self, duration_s: float, _ticket: Ticket) -> Decimal:
        self.quoted += 1
        return Decimal(str(duration_s)) / 1000


def till(service: Service) -> tuple[Till, Budget]:
    budget = Budget()
    return Till(Quotes(service), service.known_balance_usd, budget), budget


def test_the_balance_is_looked_at_once_by_however_many_threads() -> None:
    service = Service()
    here, budget = till(service)
    together = threading.Barrier(8)

    def ask(_: int) -> Decimal:
        together.wait()
        price = here.price(60.0)
        assert price is not None
        return price.likely_usd

    with ThreadPoolExecutor(8) as executor:
        assert set(executor.map(ask, range(8))) == {Decimal("0.06")}
    assert (service.looked, budget.closed) == (1, None)


def test_below_the_least_balance_paying_is_closed_before_any_price_is_asked() -> None:
    service = Service("0.489999")
    here, budget = till(service)
    assert here.price(60.0) is None
    assert isinstance(budget.closed, CreditSpentError)
    assert "$0.4900" in budget.closed.message
    assert service.quoted == 0
    at_it, open_budget = till(Service("0.49"))
    assert at_it.price(60.0) is not None
    assert open_budget.closed is None


def test_a_balance_that_nobody_tells_stops_nothing() -> None:
    for service in (Service(None), Service(error=NetworkError("no answer"))):
        here, budget = till(service)
        assert here.price(60.0) is not None
        assert budget.closed is None
    without_key = Till(Quotes(None), lambda: None, Budget())
    assert without_key.price(60.0) is None


def test_a_video_of_unknown_length_has_no_price_but_the_curve_is_asked_for() -> None:
    service = Service()
    here, _ = till(service)
    assert here.price(None) is None
    assert service.quoted == 3


def test_credit_that_ends_midway_is_told_with_the_figure() -> None:
    service = Service()
    here, budget = till(service)
    here.price(60.0)
    service.balance = Decimal("0.30")
    refused = CreditSpentError("422: not enough balance")
    here.end(refused)
    here.end(CreditSpentError("another video's"))
    assert service.looked == 2  # not once for every video that was refused
    said = here.why_closed(refused)
    assert said is budget.closed
    assert said is not None
    assert "$0.3000" in said.message


def test_a_balance_above_the_least_one_is_too_low_for_a_long_video() -> None:
    service = Service("0.60")
    here, budget = till(service)
    here.end(CreditSpentError("422"))
    assert budget.closed is not None
    assert "$0.6000" in budget.closed.message
    assert "0.4900" not in budget.closed.message


def test_other_reasons_stay_as_they_are() -> None:
    here, budget = till(Service())
    reached = CostLimitError("reached")
    here.end(reached)
    assert budget.closed is reached
    assert here.why_closed(reached) is reached
    wrong_key = AuthError("wrong key")
    assert here.why_closed(wrong_key) is wrong_key
    assert here.why_closed(None) is None
