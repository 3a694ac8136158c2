"""The line of those who wait for a permit in this process."""

import bisect
import threading
from collections.abc import Iterator

from bulk_transcribe.core.request import RequestKind, Ticket
from bulk_transcribe.core.stage import WaitReason
from bulk_transcribe.errors import BulkTranscribeError, DeadlineError

#: Waiting this long weighs as much as one point of urgency, so nobody waits for ever.
_PATIENCE_S = 30.0
#: An expected time that moved by less than this is not worth waking anybody for.
_SAME_S = 10.0


class Waiter:
    """One caller that wants a permit. Its line's owner locks.

    Everyone's weight grows alike while waiting, so the order of two waiters never changes and
    `rank` is fixed on arrival: urgency + waited_s / 30, the one who came first where that is equal.
    """

    def __init__(
        self,
        kind: RequestKind,
        ticket: Ticket,
        since_s: float,
        number: int,
        lock: threading.Lock,
    ) -> None:
        self.kind = kind
        self.ticket = ticket
        self.since_s = since_s
        self.rank = (since_s / _PATIENCE_S - ticket.urgency, number)
        self.signal = threading.Condition(lock)
        self.permit_id: int | None = None
        self.granted_s = 0.0
        self.error: BulkTranscribeError | None = None
        self.news: tuple[WaitReason, float | None] | None = None  # why it waits, until when
        self.told: tuple[WaitReason, float | None] | None = None

    @property
    def is_settled(self) -> bool:
        return self.permit_id is not None or self.error is not None

    def inform(self, reason: WaitReason, until_s: float | None) -> None:
        """Have it tell its caller why and until when it waits, if that is news."""
        if self.told is not None and self.told[0] is reason and not _differ(self.told[1], until_s):
            return
        self.told = self.news = (reason, until_s)
        self.signal.notify()


class Line:
    """Waiters in the order of their turn. Not thread-safe: its owner locks."""

    def __init__(self) -> None:
        self._waiters: list[Waiter] = []

    def __iter__(self) -> Iterator[Waiter]:
        return iter(self._waiters)

    def __len__(self) -> int:
        return len(self._waiters)

    @property
    def first(self) -> Waiter | None:
        return self._waiters[0] if self._waiters else None

    def join(self, waiter: Waiter) -> None:
        bisect.insort(self._waiters, waiter, key=_rank)

    def leave(self, waiter: Waiter) -> bool:
        """Whether it was still there."""
        place = bisect.bisect_left(self._waiters, waiter.rank, key=_rank)
        if place < len(self._waiters) and self._waiters[place] is waiter:
            del self._waiters[place]
            return True
        return False


def is_over(waiter: Waiter, now_s: float) -> bool:
    """Whether its deadline has passed."""
    return waiter.ticket.deadline_s is not None and now_s > waiter.ticket.deadline_s


def too_late(waiter: Waiter) -> DeadlineError:
    """What one gets whose turn cannot come in time."""
    return DeadlineError(
        f"The limit leaves no room for this {waiter.kind.value} request in time.",
        next_step="It is tried again.",
    )


def _differ(one_s: float | None, other_s: float | None) -> bool:
    if one_s is None or other_s is None:
        return one_s is not other_s
    return abs(one_s - other_s) >= _SAME_S


def _rank(waiter: Waiter) -> tuple[float, int]:
    return waiter.rank
