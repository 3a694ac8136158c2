"""What a caller holds while its request is under way: the permit, which ends once."""

from collections.abc import Mapping
from datetime import timedelta
from typing import NamedTuple, Protocol

from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.limit.facts import Moment
from bulk_transcribe.limit.headers import RateHeaders, read_headers
from bulk_transcribe.limit.pauses import Answer

#: A request whose answer never came may reach the service after we hung up: bytes in the
#: kernel's buffers and in proxies. It counts as answered this much later.
LOST_ANSWER_S = 2.0


class Unused(NamedTuple):
    """A permit whose request never left."""

    permit_id: int
    granted_s: float


class Giver(Protocol):
    """Who gave a permit out, and hears of its end."""

    def moment(self) -> Moment:
        """Now, on both clocks."""

    def is_fresh(self, granted_s: float) -> bool:
        """Whether a permit that was granted at this reading may still be used."""

    def note(self, answer: Answer) -> None:
        """An answer arrived."""

    def take_back(self, unused: Unused) -> None:
        """A permit was not used."""


class GrantedPermit:
    """Leave to send one request. Belongs to the thread that got it; only its first word counts."""

    def __init__(self, giver: Giver, kind: RequestKind, unused: Unused, *, waited_s: float) -> None:
        self._giver = giver
        self._kind = kind
        self._unused = unused
        self._is_told = False
        self.waited_s = waited_s

    def is_fresh(self) -> bool:
        """Whether it was granted just now: a process that stood still must not use it."""
        return self._giver.is_fresh(self._unused.granted_s)

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The answer arrived. Header names in lower case. A 429 pauses the pool for everyone."""
        if not self._is_told:
            self._end(self._giver.moment(), status, headers)

    def unsent(self) -> None:
        """The request certainly never left: give the permit back."""
        if not self._is_told:
            self._is_told = True
            self._giver.take_back(self._unused)

    def done(self, *, is_lost: bool = False) -> None:
        """Nobody told how it went: it counts as sent and answered now (lost: a little later)."""
        if not self._is_told:
            now = self._giver.moment()
            later_s = LOST_ANSWER_S if is_lost else 0.0
            arrived = Moment(
                reading_s=now.reading_s + later_s, at=now.at + timedelta(seconds=later_s)
            )
            self._end(arrived, None, {})

    def _end(self, arrived: Moment, status: int | None, headers: Mapping[str, str]) -> None:
        self._is_told = True
        self._giver.note(
            Answer(
                kind=self._kind,
                permit_id=self._unused.permit_id,
                granted_s=self._unused.granted_s,
                arrived=arrived,
                status=status,
                headers=read_headers(headers, arrived.at) if headers else RateHeaders(),
            )
        )


class FreePermit:
    """For a kind without any limit."""

    waited_s = 0.0

    def is_fresh(self) -> bool:
        """Always: nobody counts it."""
        return True

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Nothing to learn."""

    def unsent(self) -> None:
        """Nothing to give back."""

    def done(self, *, is_lost: bool = False) -> None:
        """Nothing to count."""


FREE = FreePermit()
