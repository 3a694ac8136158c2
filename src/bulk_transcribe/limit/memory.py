"""The permit store of a single process: nothing outlives it."""

import bisect
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from bulk_transcribe.core.permit import BookedPermit, PermitBook
from bulk_transcribe.core.request import RequestKind


class MemoryPermitStore:
    """Keeps permits in memory. May be shared by all threads and by several limiters."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the books and everything in them
        self._books: dict[str, _MemoryBook] = {}

    @contextmanager
    def open(self, account: str) -> Iterator[PermitBook]:
        with self._lock:
            yield self._books.setdefault(account, _MemoryBook())

    @contextmanager
    def view(self, account: str) -> Iterator[PermitBook]:
        with self.open(account) as book:
            yield book


class _MemoryBook:
    """One account's permits. Its store locks."""

    def __init__(self) -> None:
        self._note = ""
        self._last_id = 0
        self._open: dict[int, BookedPermit] = {}
        self._closed: list[BookedPermit] = []  # in the order of their answers
        self._strangers: list[tuple[float, RequestKind]] = []  # in the order of time

    def note(self) -> str:
        return self._note

    def keep_note(self, text: str) -> None:
        self._note = text

    def counts(self, after_s: float) -> Mapping[RequestKind, int]:
        counts = dict(self.in_flight())
        for permit in self._closed[self._first_after(after_s) :]:
            counts[permit.kind] = counts.get(permit.kind, 0) + 1
        for at_s, kind in self._strangers:
            if at_s > after_s:
                counts[kind] = counts.get(kind, 0) + 1
        return counts

    def in_flight(self) -> Mapping[RequestKind, int]:
        counts: dict[RequestKind, int] = {}
        for permit in self._open.values():
            counts[permit.kind] = counts.get(permit.kind, 0) + 1
        return counts

    def answered(self, kinds: Collection[RequestKind], after_s: float) -> Sequence[float]:
        own = [
            _answered_s(permit)
            for permit in self._closed[self._first_after(after_s) :]
            if permit.kind in kinds
        ]
        return sorted(own + [s for s, kind in self._strangers if s > after_s and kind in kinds])

    def others_in_flight(self) -> bool:
        return False

    def by_owner(self, after_s: float) -> tuple[int, Sequence[int]]:
        return len(self._open) + len(self._closed) - self._first_after(after_s), ()

    def grant(self, kinds: Sequence[RequestKind], at_s: float) -> Sequence[int]:
        first = self._last_id + 1
        self._last_id += len(kinds)
        for permit_id, kind in enumerate(kinds, first):
            self._open[permit_id] = BookedPermit(permit_id=permit_id, kind=kind, granted_s=at_s)
        return range(first, self._last_id + 1)

    def answer(
        self,
        permit_id: int,
        at_s: float,
        *,
        is_counted: bool = False,
        limit: int | None = None,
        remaining: int | None = None,
    ) -> None:
        permit = self._open.pop(permit_id, None)
        if permit is None:
            return
        closed = replace(
            permit, answered_s=at_s, is_counted=is_counted, limit=limit, remaining=remaining
        )
        bisect.insort(self._closed, closed, key=_answered_s)

    def give_back(self, permit_id: int, granted_s: float) -> None:
        permit = self._open.get(permit_id)
        if permit is not None and permit.granted_s == granted_s:
            del self._open[permit_id]

    def add_strangers(self, kind: RequestKind, count: int, at_s: float) -> None:
        for _ in range(count):
            bisect.insort(self._strangers, (at_s, kind))

    def settle(self, now_s: float, answered_s: float) -> int:
        del now_s, answered_s  # one process, which lives, since one start of the machine
        return 0

    def recent(self, after_s: float) -> Sequence[BookedPermit]:
        kept = [*self._closed[self._first_after(after_s) :], *self._open.values()]
        return sorted(kept, key=lambda permit: (permit.granted_s, permit.permit_id))

    def prune(self, before_s: float) -> None:
        del self._closed[: bisect.bisect_left(self._closed, before_s, key=_answered_s)]
        del self._strangers[: bisect.bisect_left(self._strangers, before_s, key=lambda s: s[0])]

    def _first_after(self, after_s: float) -> int:
        return bisect.bisect_right(self._closed, after_s, key=_answered_s)


def _answered_s(permit: BookedPermit) -> float:
    if permit.answered_s is None:
        raise ValueError(f"permit {permit.permit_id} has no answer yet")
    return permit.answered_s
