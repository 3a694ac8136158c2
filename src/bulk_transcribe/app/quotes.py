"""What a video will cost, by the service's own quotes."""

import logging
import threading
from concurrent.futures import Future
from decimal import Decimal
from typing import Final, Protocol

from bulk_transcribe.core.plan import PriceCurve
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.errors import BulkTranscribeError

_log: Final = logging.getLogger(__name__)
#: Lengths whose quotes give the price line, seconds.
_QUOTED_S: Final = (60.0, 3600.0)
#: Prices have six digits after the point, as the service quotes them.
_STEP: Final = Decimal("0.000001")


class Pricing(Protocol):
    """The part of the paid service that quotes."""

    def price_usd(self, duration_s: float, ticket: Ticket) -> Decimal: ...


class Quotes:
    """The price line, asked for once (two requests) and kept. May be shared by all threads.

    A submit is noted with its quote, so that what is at stake is known where the answer is lost,
    and what was spent where the service does not tell (v1 never does).

    Args:
        service: Who quotes; None where there is no key.
    """

    def __init__(self, service: Pricing | None) -> None:
        self._service = service
        self._lock = threading.Lock()  # guards _asked
        self._asked: Future[PriceCurve | None] | None = None

    def curve(self) -> PriceCurve | None:
        """The price line; None where it cannot be had, for good: a run does not ask twice.

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

    def of(self, duration_s: float) -> Decimal | None:
        """The price of a video of that length; None where no quote can be had."""
        curve = self.curve()
        return None if curve is None else curve.price_usd(duration_s).quantize(_STEP)

    def _ask(self) -> PriceCurve | None:
        if self._service is None:
            return None
        low_s, high_s = _QUOTED_S
        try:
            low_usd = self._service.price_usd(low_s, Ticket())
            high_usd = self._service.price_usd(high_s, Ticket())
        except BulkTranscribeError as error:
            _log.warning("no quote: %s", error.message)
            return None
        per_second_usd = (high_usd - low_usd) / Decimal(str(high_s - low_s))
        return PriceCurve(
            base_usd=low_usd - per_second_usd * Decimal(str(low_s)), per_second_usd=per_second_usd
        )
