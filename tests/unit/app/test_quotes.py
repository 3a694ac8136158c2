"""Quotes: asked for once, whoever asks first."""

import math
import threading
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.app.quotes import Quotes
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.errors import NetworkError, VideoUnavailableError


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
    quote = Quotes(service).price(float(duration_s))
    assert quote is not None
    assert abs(quote.likely_usd - service.price_usd(duration_s, Ticket())) <= Decimal("0.000005")


def test_eight_threads_that_come_at_once_ask_once() -> None:
    service = Service()
    quotes = Quotes(service)
    together = threading.Barrier(8)

    def ask(_: int) -> Decimal | None:
        together.wait()
        price = quotes.price(60.0)
        return None if price is None else price.likely_usd

    with ThreadPoolExecutor(8) as executor:
        answers = set(executor.map(ask, range(8)))

    assert answers == {Decimal("0.005781")}
    assert service.asked == [60.0, 1234.0, 3600.0]


def test_a_service_that_does_not_quote_is_asked_once_and_nothing_is_quoted() -> None:
    service = Service()
    service.error = NetworkError("no answer")
    quotes = Quotes(service)

    assert quotes.price(60.0) is None
    assert quotes.price(60.0) is None
    assert len(service.asked) == 1


def test_without_a_key_there_is_no_quote() -> None:
    assert Quotes(None).curve() is None


class ByTheMinute(Service):
    """Charges each minute begun."""

    def price_usd(self, duration_s: float, ticket: Ticket) -> Decimal:
        return super().price_usd(60.0 * math.ceil(duration_s / 60.0), ticket)


@given(st.floats(0.5, 36_000.0), st.floats(-1.0, 1.0))
def test_no_charge_is_above_the_most_on_a_line(duration_s: float, off_s: float) -> None:
    """YouTube's length may be a second off what the service finds."""
    service = Service()
    price = Quotes(service).price(duration_s)
    assert price is not None
    charged = service.price_usd(max(0.0, duration_s + off_s), Ticket())
    assert charged <= price.most_usd <= charged + Decimal("0.0001")
    assert price.likely_usd <= price.most_usd


@given(st.floats(0.5, 7_190.0))
def test_no_charge_is_above_the_most_where_minutes_are_charged(duration_s: float) -> None:
    service = ByTheMinute()
    quotes = Quotes(service)
    curve = quotes.curve()
    assert curve is not None
    assert not curve.is_line
    assert len(service.asked) == 6
    price = quotes.price(duration_s)
    assert price is not None
    assert service.price_usd(duration_s, Ticket()) <= price.most_usd


def test_beyond_the_longest_quote_nobody_knows_unless_the_prices_are_on_a_line() -> None:
    assert Quotes(ByTheMinute()).price(8_000.0) is None
    assert Quotes(ByTheMinute(), to_the_end=True).price(8_000.0) is not None
    assert Quotes(Service()).price(30_000.0) is not None


class DearWhenLong(Service):
    """Ten times the price beyond two hours."""

    def price_usd(self, duration_s: float, ticket: Ticket) -> Decimal:
        price = super().price_usd(duration_s, ticket)
        return price * 10 if duration_s > 7200 else price


def test_with_a_limit_the_price_of_ten_hours_is_asked_for_and_shows_what_the_line_hides() -> None:
    service = DearWhenLong()
    careful = Quotes(service, to_the_end=True).price(20_000.0)
    assert careful is not None
    assert careful.most_usd >= service.price_usd(20_000.0, Ticket())


class NotThatLong(Service):
    """Refuses to quote beyond two hours."""

    def price_usd(self, duration_s: float, ticket: Ticket) -> Decimal:
        if duration_s > 7200:
            raise VideoUnavailableError("too long", video_id="-")
        return super().price_usd(duration_s, ticket)


def test_a_service_that_takes_no_long_videos_quotes_the_others_all_the_same() -> None:
    assert Quotes(NotThatLong(), to_the_end=True).price(600.0) is not None


def test_trouble_is_met_with_patience_and_kept_where_it_lasts() -> None:
    waited: list[float] = []
    service = Service()

    def recover(wait_s: float) -> None:
        waited.append(wait_s)
        service.error = None

    service.error = NetworkError("no answer", retry_after_s=7.0)
    quotes = Quotes(service, sleep_s=recover)
    price = quotes.price(60.0)
    assert price is not None
    assert price.likely_usd == Decimal("0.005781")
    assert waited == [7.0]
    assert quotes.trouble() is None

    lasting = Service()
    lasting.error = NetworkError("no answer")
    given_up = Quotes(lasting, sleep_s=waited.append)
    assert given_up.price(60.0) is None
    assert given_up.trouble() is lasting.error
    assert len(lasting.asked) == 3
