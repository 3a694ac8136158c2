"""What a video will cost, by the service's own quotes."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from decimal import Decimal
from typing import Final, Protocol

from bulk_transcribe.core.plan import Price, PriceCurve
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.errors import APIError, BulkTranscribeError, RetryableError

_log: Final = logging.getLogger(__name__)
#: Lengths whose quotes give the price line, seconds. The one in the middle is no whole minute: it
#: shows whether the service charges by the second.
_QUOTED_S: Final = (60.0, 1234.0, 3600.0)
#: With a cost limit the longest one counts, too: is the line as steep there?
_LONGEST_S: Final = 36_000.0
#: Further ones, where the first are not on one line.
_MORE_S: Final = (300.0, 900.0, 7200.0)
#: Times that a quote is asked for, and seconds before each further time.
_TRIES: Final = 3
_WAIT_S: Final = 2.0


class Pricing(Protocol):
    """The part of the paid service that quotes."""

    def price_usd(self, duration_s: float, ticket: Ticket) -> Decimal: ...


class Quotes:
    """The price curve, asked for once (three or four requests, at most seven) and kept.

    May be shared by all threads. A submit is noted with its quote, so that what is at stake is
    known where the answer is lost, and what was spent where the service does not tell (v1 never
    does).

    Args:
        service: Who quotes; None where there is no key.
        sleep_s: Waits before a request that met trouble is repeated; None: it is not repeated.
        to_the_end: Ask for the price of ten hours, too, and do not trust the line for that.
    """

    def __init__(
        self,
        service: Pricing | None,
        *,
        sleep_s: Callable[[float], None] | None = None,
        to_the_end: bool = False,
    ) -> None:
        self._service = service
        self._to_the_end = to_the_end
        self._sleep_s = sleep_s
        self._lock = threading.Lock()  # guards the two fields below
        self._asked: Future[PriceCurve | None] | None = None
        self._trouble: BulkTranscribeError | None = None

    def curve(self) -> PriceCurve | None:
        """The price curve; None where it cannot be had, for good: a run does not ask twice.

        Whoever comes while another thread asks waits for its answer.
        """
        with self._lock:
            is_mine = self._asked is None
            asked = self._asked = self._asked or Future()
        if is_mine:
            curve: PriceCurve | None = None
            try:
                curve = self._ask()
            finally:
                asked.set_result(curve)
        return asked.result()

    def price(self, duration_s: float) -> Price | None:
        """What a video of that length costs; None where that cannot be known."""
        curve = self.curve()
        return None if curve is None else curve.price(duration_s)

    def trouble(self) -> BulkTranscribeError | None:
        """Why there is no curve; None where there is one, or nobody has asked yet."""
        with self._lock:
            return self._trouble

    def _ask(self) -> PriceCurve | None:
        if self._service is None:
            return None
        try:
            quotes = [(at_s, self._quote(at_s)) for at_s in _QUOTED_S]
            curve = PriceCurve.through(quotes + self._longest())
            if not curve.is_line:
                more = [(at_s, self._quote(at_s)) for at_s in _MORE_S]
                curve = PriceCurve.through([*curve.quotes, *more])
        except BulkTranscribeError as error:
            _log.warning("no quote: %s", error.message)
            with self._lock:
                self._trouble = error
            return None
        return curve

    def _longest(self) -> list[tuple[float, Decimal]]:
        """The quote of ten hours, where it is wanted and the service takes such videos at all."""
        if not self._to_the_end:
            return []
        try:
            return [(_LONGEST_S, self._quote(_LONGEST_S))]
        except APIError as error:
            _log.info("no quote for %d s: %s", _LONGEST_S, error.message)
            return []

    def _quote(self, duration_s: float) -> Decimal:
        """One quote; trouble that may pass is met with patience, where there is any.

        Raises:
            BulkTranscribeError: it cannot be had.
        """
        service, sleep_s = self._service, self._sleep_s
        if service is None:
            raise RuntimeError("nobody quotes")
        for _ in range(_TRIES - 1 if sleep_s is not None else 0):
            try:
                return service.price_usd(duration_s, Ticket())
            except RetryableError as error:
                if sleep_s is not None:
                    sleep_s(max(_WAIT_S, error.retry_after_s or 0.0))
        return service.price_usd(duration_s, Ticket())
