"""What a session may spend: the cost limit, kept by the very transaction that commits an intent.

A request counts with what it was charged; until that is known, with the most that it can cost. So
money in flight counts, requests in doubt count, and what is spent can only come out lower.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Final

from sqlalchemy import Connection, RowMapping, select

from bulk_transcribe.core.figures import money
from bulk_transcribe.core.job import SubmissionState
from bulk_transcribe.errors import (
    BulkTranscribeError,
    CostLimitError,
    CostUnknownError,
    StopBatchError,
)
from bulk_transcribe.save.database import upsert
from bulk_transcribe.save.tables import session_costs

#: Sums are kept in whole millionths of a dollar, the service's own smallest step.
_MICROS: Final = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Committed:
    """What a session has spent or may still have to pay, US dollars.

    Args:
        usd: Charges, and the most that open requests and untold charges can be.
        unknown: Requests that may cost something nobody can tell; they are not in `usd`.
    """

    usd: Decimal = Decimal(0)
    unknown: int = 0


def committed(connection: Connection, session_id: str) -> Committed:
    """The kept sum of a session, to the millionth; fractions of it were rounded up.

    Refused requests and those that were given up before they went out cost nothing. All others
    count: accepted, in doubt, failed and abandoned ones too, since a failed job may be charged.
    """
    query = select(session_costs.c.micros, session_costs.c.unknown)
    row = connection.execute(query.where(session_costs.c.session_id == session_id)).one_or_none()
    if row is None:
        return Committed()
    return Committed(usd=Decimal(row.micros) / _MICROS, unknown=row.unknown)


def note_cost(
    connection: Connection, before: RowMapping | None, after: RowMapping | None, session_id: str
) -> None:
    """Keep the session's sum in step with one paid request that was made or changed.

    Args:
        connection: Of the transaction that changes the request.
        before: Its row until now; None for a new one.
        after: Its row from now on; None where none comes (the sum is then only locked, where
            writers run side by side, until the transaction ends).
        session_id: On whose account it is booked.
    """
    old_micros, old_unknown = _cost(before)
    new_micros, new_unknown = _cost(after)
    change = {"micros": new_micros - old_micros, "unknown": new_unknown - old_unknown}
    row = {"session_id": session_id} | change
    upsert(connection, session_costs, [row], add=("micros", "unknown"))


def _cost(row: RowMapping | None) -> tuple[int, int]:
    """Millionths that a request counts with, rounded up; 1 more unknown where nobody can tell."""
    if row is None or row["state"] == SubmissionState.REFUSED:
        return 0, 0
    if row["state"] == SubmissionState.ABANDONED and row["sent_at"] is None:
        return 0, 0
    amounts = (row["charged_usd"], row["most_usd"], row["quoted_usd"])
    known = next((amount for amount in amounts if amount is not None), None)
    if known is None:
        return 0, 1
    return int((known * _MICROS).to_integral_value(ROUND_CEILING)), 0


class Budget:
    """Whether one more paid request may go out. May be shared by all threads of a run.

    Two limits: `cap_usd`, which the store watches over so that threads and processes cannot pass
    it together; and `close`, after which this run pays for nothing any more.

    Args:
        cap_usd: The most that the session may cost, all its runs together; None: no limit.
        no_price: Why no price can be had at all; None where prices can be had.
    """

    def __init__(
        self,
        cap_usd: Decimal | None = None,
        *,
        no_price: Callable[[], BulkTranscribeError | None] = lambda: None,
    ) -> None:
        self.cap_usd = cap_usd
        self._no_price = no_price
        self._lock = threading.Lock()  # guards _closed
        self._closed: StopBatchError | None = None

    @property
    def closed(self) -> StopBatchError | None:
        """Why nothing more is paid for; None while paying goes on."""
        with self._lock:
            return self._closed

    def close(self, error: StopBatchError) -> StopBatchError:
        """Pay for nothing more in this run; of several reasons the first one counts."""
        with self._lock:
            self._closed = self._closed or error
            return self._closed

    def refusal(
        self, connection: Connection, session_id: str, video_id: str, most_usd: Decimal | None
    ) -> BulkTranscribeError | None:
        """Why this request may not go out, or None: then commit its intent in this transaction.

        Args:
            connection: Of the write transaction that commits the intent; nobody else writes
                meanwhile.
            session_id: On whose account it is booked.
            video_id: The video.
            most_usd: The most that it can cost; None where nobody can tell.
        """
        closed = self.closed
        if closed is not None or self.cap_usd is None:
            return closed
        if most_usd is None:
            return self._without_price(video_id)
        note_cost(connection, None, None, session_id)  # of several writers one decides at a time
        so_far = committed(connection, session_id)
        if so_far.unknown:
            return self.close(_untold(so_far.unknown, self.cap_usd))
        if so_far.usd + most_usd <= self.cap_usd:
            return None
        return self.close(_reached(so_far.usd, self.cap_usd, video_id, most_usd))

    def _without_price(self, video_id: str) -> BulkTranscribeError:
        trouble = self._no_price()
        if isinstance(trouble, StopBatchError):
            return self.close(trouble)
        if trouble is not None:
            return self.close(_no_quote(trouble))
        return CostUnknownError(
            f"{video_id}: there is a cost limit, and its price is not known: nobody tells its "
            "length, or it is longer than what deAPI quotes.",
            video_id=video_id,
            next_step="Set YOUTUBE_DATA_API_KEY so that lengths are known, "
            "or retry with --max-cost none.",
            can_retry=True,
        )


def _reached(so_far: Decimal, cap: Decimal, video_id: str, most: Decimal) -> CostLimitError:
    return CostLimitError(
        f"Cost limit reached: {money(so_far)} of {money(cap)} are spent or in flight, "
        f"and the next video ({video_id}) costs up to {money(most)}.",
        next_step="Raise the limit and resume, with --max-cost USD or --max-cost none.",
    )


def _untold(number: int, cap: Decimal) -> CostLimitError:
    return CostLimitError(
        f"The cost limit of {money(cap)} cannot be kept: what {number} earlier paid requests of "
        "this session cost is not known.",
        next_step="Look at its receipts and the account, then resume with --max-cost none.",
        code="cost_unknown",
    )


def _no_quote(trouble: BulkTranscribeError) -> CostLimitError:
    return CostLimitError(
        f"There is a cost limit, and no price can be had: {trouble.message}",
        next_step="Resume later, or with --max-cost none.",
        code="no_price",
    )
