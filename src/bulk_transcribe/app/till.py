"""Where paying begins and ends: the price of the next video, the balance, the user's limit."""

import threading
from collections.abc import Callable
from decimal import Decimal

from bulk_transcribe.app.quotes import Quotes
from bulk_transcribe.core.figures import money
from bulk_transcribe.core.plan import LEAST_BALANCE_USD, Price
from bulk_transcribe.errors import BulkTranscribeError, CreditSpentError, StopBatchError
from bulk_transcribe.save.budget import Budget


class Till:
    """What is asked right before a video is paid for. May be shared by all threads of a run.

    The balance is looked at once, when the first video has to be paid for (a call that no limit
    counts), and again when the service says that it is too low: the message names the figures.

    Args:
        quotes: Prices.
        balance_usd: Asks for the account's balance; None where it cannot be had.
        budget: Told when paying ends.
    """

    def __init__(
        self, quotes: Quotes, balance_usd: Callable[[], Decimal | None], budget: Budget
    ) -> None:
        self._quotes = quotes
        self._balance_usd = balance_usd
        self._budget = budget
        self._lock = threading.Lock()  # guards _has_looked; held while one thread looks
        self._has_looked = False

    def price(self, duration_s: float | None) -> Price | None:
        """The price of the next video; None where it cannot be known.

        Where the balance is too low already, the budget is closed when this returns.
        """
        with self._lock:
            if not self._has_looked:
                self._has_looked = True
                balance_usd = self._balance_usd()
                if balance_usd is not None and balance_usd < LEAST_BALANCE_USD:
                    self._budget.close(_too_low(balance_usd))
        if self._budget.closed is not None:
            return None
        # the curve is asked for even where the length is not known: it tells whether prices exist
        self._quotes.curve()
        return None if duration_s is None else self._quotes.price(duration_s)

    def end(self, error: StopBatchError) -> None:
        """Nothing more is paid for in this run; where the balance is too low, say how low."""
        if self._budget.closed is not None:
            return
        balance_usd = self._balance_usd() if isinstance(error, CreditSpentError) else None
        self._budget.close(error if balance_usd is None else _too_low(balance_usd))

    def why_closed(self, error: BulkTranscribeError | None) -> BulkTranscribeError | None:
        """The error that ended a run, with its figures where it is about money."""
        return self._budget.closed or error if isinstance(error, CreditSpentError) else error


def _too_low(balance_usd: Decimal) -> CreditSpentError:
    limit = f" deAPI takes no new jobs below {money(LEAST_BALANCE_USD)}."
    return CreditSpentError(
        f"The balance of {money(balance_usd)} is too low for the next video."
        + (limit if balance_usd < LEAST_BALANCE_USD else ""),
        next_step="Top up the account at deapi.ai, then resume.",
    )
