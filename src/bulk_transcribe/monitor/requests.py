"""Counts requests as they go out, and keeps when a job was looked at last. Memory stays flat."""

import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.request import RequestKind, RequestRecord

WINDOW_S = 60.0
_OK = 200
#: Kinds that count against the paid service's limit (see `RequestKind`).
LIMITED = frozenset({RequestKind.SUBMIT, RequestKind.POLL, RequestKind.PRICE})


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """Requests since the start and within the last 60 s, by kind."""

    ever: Mapping[RequestKind, int]
    recent: Mapping[RequestKind, int]

    @property
    def total(self) -> int:
        return sum(self.ever.values())

    @property
    def limited_total(self) -> int:
        return sum(count for kind, count in self.ever.items() if kind in LIMITED)

    @property
    def limited_recent(self) -> int:
        return sum(count for kind, count in self.recent.items() if kind in LIMITED)


class RequestMeter:
    """Implements `core.ports.RequestLog`. May be shared by all threads.

    Args:
        clock: Time; a request counts from the moment it is noted.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # guards the fields below
        self._ever: Counter[RequestKind] = Counter()
        self._seconds: deque[tuple[int, Counter[RequestKind]]] = deque()
        self._looked_at: dict[str, datetime] = {}

    def record(self, record: RequestRecord) -> None:
        second = int(self._clock.now_s())
        with self._lock:
            self._ever[record.kind] += 1
            if not self._seconds or self._seconds[-1][0] < second:
                self._seconds.append((second, Counter()))
                self._drop_before(second - WINDOW_S)
            self._seconds[-1][1][record.kind] += 1
            if record.kind is RequestKind.POLL and record.video_id and record.status == _OK:
                self._looked_at[record.video_id] = record.sent_at

    def counts(self) -> RequestCounts:
        """The counts now; kinds without any are left out."""
        now_s = self._clock.now_s()
        with self._lock:
            self._drop_before(now_s - WINDOW_S)
            recent: Counter[RequestKind] = Counter()
            for _second, counter in self._seconds:
                recent.update(counter)
            return RequestCounts(dict(self._ever), dict(recent))

    def looked_at(self, video_ids: Iterable[str]) -> dict[str, datetime]:
        """When the last look at the job of each of these videos went out; those without: not."""
        with self._lock:
            return {v: self._looked_at[v] for v in video_ids if v in self._looked_at}

    def forget(self, video_id: str) -> None:
        """The video's job is no longer watched."""
        with self._lock:
            self._looked_at.pop(video_id, None)

    def _drop_before(self, second: float) -> None:
        while self._seconds and self._seconds[0][0] < second:
            self._seconds.popleft()
