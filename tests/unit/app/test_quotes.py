"""Quotes: asked for once, whoever asks first."""

import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.app.quotes import Quotes
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.errors import NetworkError


class Service:
    """Charges a base and so much a second, six digits after the point."""

    def __init__(self, base: str = "0.005", per_s: str = "0.0000130208") -> None:
        self.asked: list[float] = []
        self._base, self._per_s = Decimal(base), Decimal(per_s)
        self.error: NetworkError | None = None

    def price_usd(self, duration_s: float, _ticket: Ticket) -> Decimal:
        self.asked.append(duration_s)
        if self.error is not None:
            raise self.error
        return (self._base + self._per_s * Decimal(str(duration_s))).quantize(Decimal("0.000001"))


@given(st.integers(1, 6 * 3600))
def test_a_quote_is_the_services_price_but_for_the_last_digits(duration_s: int) -> None:
    service = Service()
    quote = Quotes(service).of(float(duration_s))
    assert quote is not None
    assert abs(quote - service.price_usd(duration_s, Ticket())) <= Decimal("0.000005")


def test_eight_threads_that_come_at_once_ask_once() -> None:
    service = Service()
    quotes = Quotes(service)
    together = threading.Barrier(8)

    def ask(_: int) -> Decimal | None:
        together.wait()
        return quotes.of(60.0)

    with ThreadPoolExecutor(8) as executor:
        answers = set(executor.map(ask, range(8)))

    assert answers == {Decimal("0.005781")}
    assert service.asked == [60.0, 1234.0, 3600.0]


def test_a_service_that_does_not_quote_is_asked_once_and_nothing_is_quoted() -> None:
    service = Service()
    service.error = NetworkError("no answer")
    quotes = Quotes(service)

    assert quotes.of(60.0) is None
    assert quotes.of(60.0) is None
    assert len(service.asked) == 1


def test_without_a_key_there_is_no_quote() -> None:
    assert Quotes(None).curve() is None
