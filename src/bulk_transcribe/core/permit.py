"""Booked permits as a store keeps them, and the seam between the limiter and that store."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from bulk_transcribe.core.request import RequestKind


@dataclass(frozen=True, kw_only=True)
class BookedPermit:
    """One permit in the book. Readings are those of `Clock.now_s`.

    Args:
        permit_id: Unique in its store.
        kind: What the request is for.
        granted_s: When it was given out; the request was sent after that.
        answered_s: When its answer had arrived; None while it is in flight.
        is_counted: Whether the service certainly counted it (it answered with a success).
        limit: What the answer said is allowed, where it did.
        remaining: What the answer said was left, where it did.
    """

    permit_id: int
    kind: RequestKind
    granted_s: float
    answered_s: float | None = None
    is_counted: bool = False
    limit: int | None = None
    remaining: int | None = None


class PermitBook(Protocol):
    """The permits of one account, for the length of one block that nobody else can enter.

    Belongs to the thread that opened it. A permit *counts after* a reading when it is in flight
    or was answered later than that reading.
    """

    def note(self) -> str:
        """What was kept by `keep_note`; "" when nothing was."""

    def keep_note(self, text: str) -> None:
        """Keep what is known of the account."""

    def counts(self, after_s: float) -> Mapping[RequestKind, int]:
        """How many permits count, for each kind that has any."""

    def in_flight(self) -> Mapping[RequestKind, int]:
        """How many permits have no answer yet, for each kind that has any."""

    def answered(self, kinds: Collection[RequestKind], after_s: float) -> Sequence[float]:
        """When permits of these kinds were answered, those later than `after_s`, ascending."""

    def others_in_flight(self) -> bool:
        """Whether other owners than this one have permits in flight."""

    def by_owner(self, after_s: float) -> tuple[int, Sequence[int]]:
        """How many permits count: our own, and those of each other owner that has any.

        Strangers belong to nobody.
        """

    def grant(self, kinds: Sequence[RequestKind], at_s: float) -> Sequence[int]:
        """Book one permit for each of `kinds`; their ids in the same order."""

    def answer(
        self,
        permit_id: int,
        at_s: float,
        *,
        is_counted: bool = False,
        limit: int | None = None,
        remaining: int | None = None,
    ) -> None:
        """The answer to a permit's request arrived at `at_s`."""

    def give_back(self, permit_id: int, granted_s: float) -> None:
        """The request never left: forget the permit.

        Only the one with both: a booking that was undone may have left its id to another one.
        """

    def add_strangers(self, kind: RequestKind, count: int, at_s: float) -> None:
        """Book requests that somebody sent without this store: they count as answered."""

    def settle(self, now_s: float, answered_s: float) -> int:
        """Close what nobody will close any more; how many permits that were.

        In-flight permits of owners that ended count as answered at `answered_s`. A permit with
        a reading later than `now_s` was booked before the machine was started anew: it counts
        as answered at `now_s`.
        """

    def recent(self, after_s: float) -> Sequence[BookedPermit]:
        """The permits that count after a reading, without strangers, in the order of granting."""

    def prune(self, before_s: float) -> None:
        """Forget permits that were answered before a reading."""


class PermitStore(Protocol):
    """Where all limiters of one account meet. May be shared by all threads."""

    def open(self, account: str) -> AbstractContextManager[PermitBook]:
        """The book of an account, for this caller alone until the block ends.

        A block that ends with an exception leaves the book as it was, or as it was in between.

        Raises:
            StoreError: the store cannot be reached; nothing was booked.
        """

    def view(self, account: str) -> AbstractContextManager[PermitBook]:
        """The book to read only; waits for nobody.

        Raises:
            StoreError: the store cannot be reached.
        """
