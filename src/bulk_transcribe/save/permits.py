"""The book of permits in the database: one budget for all processes that share it.

On one machine all processes read one monotonic clock, and readings go into the book as they are.
On a server they are kept in the server's time, for each machine's clock tells its own. How far a
reading is from the server's time is found out in each transaction by asking: the answer lies
between two readings of ours, and of what is possible the side is taken on which a permit counts
longer. So clocks may be wrong by minutes, and a slow network only makes a limit a little lower.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.permit import BookedPermit, PermitBook
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.save.database import Database, upsert
from bulk_transcribe.save.permit_tables import IN_FLIGHT_S, permit_notes, permits

#: A permit that is given back is known by its number; its time may differ by what two clocks
#: drift apart while its request waited (clock seconds).
_DRIFT_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Offset:
    """What to add to a reading of ours to have the book's time: between these two, seconds."""

    least_s: float = 0.0
    most_s: float = 0.0
    slack_s: float = 0.0

    def kept(self, reading_s: float) -> float:
        """An answer's time in the book: rather too late than too early."""
        return reading_s + self.most_s

    def asked(self, reading_s: float) -> float:
        """A time to compare with in the book, or of a grant: rather too early than too late."""
        return reading_s + self.least_s

    def told(self, kept_s: float) -> float:
        """A time of the book as a reading of ours: rather too late than too early."""
        return kept_s - self.least_s


class DatabasePermitStore:
    """Permits in the database's tables. May be shared by all threads and processes.

    `open` is a write transaction, so deciding and booking are one step for everybody. It is not
    durable in a power cut, and need not be: the readings of the clock end with it, too.

    Args:
        database: Its `owner_id` tells whose permits are whose.
        clock: Whose readings the callers mean. None: all who share the database read one clock.
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock

    @contextmanager
    def open(self, account: str) -> Iterator[PermitBook]:
        with self._database.transaction(durable=False) as connection:
            yield self._book(connection, account)

    @contextmanager
    def view(self, account: str) -> Iterator[PermitBook]:
        with self._database.read() as connection:
            yield self._book(connection, account)

    def _book(self, connection: Connection, account: str) -> "_DatabaseBook":
        speed = 1.0 if self._clock is None else self._clock.speed
        return _DatabaseBook(
            connection, self._database, account, offset=self._offset(connection), speed=speed
        )

    def _offset(self, connection: Connection) -> Offset:
        if self._clock is None:
            return Offset()
        before_s = self._clock.now_s()
        epoch_s = self._database.time_s(connection)
        if epoch_s is None:
            return Offset()
        time_s = epoch_s * self._clock.speed
        return Offset(
            least_s=time_s - self._clock.now_s(), most_s=time_s - before_s, slack_s=_DRIFT_S
        )


class _DatabaseBook:
    """One account's permits within one transaction."""

    def __init__(
        self,
        connection: Connection,
        database: Database,
        account: str,
        *,
        offset: Offset,
        speed: float,
    ) -> None:
        self._connection = connection
        self._offset = offset
        self._speed = speed
        self._database = database
        self._account = account
        self._is_mine = permits.c.account == account

    def note(self) -> str:
        query = select(permit_notes.c.note).where(permit_notes.c.account == self._account)
        return self._connection.execute(query).scalar() or ""

    def keep_note(self, text: str) -> None:
        upsert(self._connection, permit_notes, [{"account": self._account, "note": text}])

    def counts(self, after_s: float) -> Mapping[RequestKind, int]:
        return self._by_kind(permits.c.answered_s > self._offset.asked(after_s))

    def in_flight(self) -> Mapping[RequestKind, int]:
        return self._by_kind(permits.c.answered_s == IN_FLIGHT_S)

    def answered(self, kinds: Collection[RequestKind], after_s: float) -> Sequence[float]:
        query = (
            select(permits.c.answered_s)
            .where(
                self._is_mine,
                permits.c.answered_s > self._offset.asked(after_s),
                permits.c.answered_s < IN_FLIGHT_S,
                permits.c.kind.in_([kind.value for kind in kinds]),
            )
            .order_by(permits.c.answered_s)
        )
        return [self._offset.told(at_s) for at_s in self._connection.execute(query).scalars()]

    def others_in_flight(self) -> bool:
        query = select(permits.c.permit_id).where(self._of_others()).limit(1)
        return self._connection.execute(query).first() is not None

    def by_owner(self, after_s: float) -> tuple[int, Sequence[int]]:
        query = (
            select(permits.c.owner, func.count())
            .where(self._is_mine, permits.c.answered_s > self._offset.asked(after_s))
            .where(permits.c.owner != "")
            .group_by(permits.c.owner)
        )
        own, others = 0, []
        for owner, count in self._connection.execute(query):
            if owner == self._database.owner_id:
                own = count
            else:
                others.append(count)
        return own, others

    def grant(self, kinds: Sequence[RequestKind], at_s: float) -> Sequence[int]:
        rows = [
            {
                "account": self._account,
                "kind": kind.value,
                "owner": self._database.owner_id,
                "granted_s": self._offset.asked(at_s),
                "answered_s": IN_FLIGHT_S,
                "is_counted": False,
            }
            for kind in kinds
        ]
        if not rows:
            return []
        statement = insert(permits).returning(permits.c.permit_id, sort_by_parameter_order=True)
        return self._connection.execute(statement, rows).scalars().all()

    def answer(
        self,
        permit_id: int,
        at_s: float,
        *,
        is_counted: bool = False,
        limit: int | None = None,
        remaining: int | None = None,
    ) -> None:
        self._connection.execute(
            update(permits)
            .where(permits.c.permit_id == permit_id, permits.c.answered_s == IN_FLIGHT_S)
            .values(
                answered_s=self._offset.kept(at_s),
                is_counted=is_counted,
                limit_said=limit,
                remaining_said=remaining,
            )
        )

    def give_back(self, permit_id: int, granted_s: float) -> None:
        about = self._offset.slack_s * self._speed
        self._connection.execute(
            delete(permits).where(
                permits.c.permit_id == permit_id,
                permits.c.granted_s.between(
                    self._offset.asked(granted_s) - about, self._offset.kept(granted_s) + about
                ),
                permits.c.answered_s == IN_FLIGHT_S,
            )
        )

    def add_strangers(self, kind: RequestKind, count: int, at_s: float) -> None:
        row = {
            "account": self._account,
            "kind": kind.value,
            "owner": "",
            "granted_s": self._offset.asked(at_s),
            "answered_s": self._offset.kept(at_s),
            "is_counted": True,
        }
        if count > 0:
            self._connection.execute(insert(permits), [row] * count)

    def settle(self, now_s: float, answered_s: float) -> int:
        now_s, answered_s = self._offset.kept(now_s), self._offset.kept(answered_s)
        ahead = and_(permits.c.answered_s > answered_s, permits.c.answered_s < IN_FLIGHT_S)
        settled = 0
        for from_another_time in (permits.c.granted_s > now_s, ahead):
            settled += self._connection.execute(
                update(permits)
                .where(self._is_mine, permits.c.answered_s > now_s, from_another_time)
                .values(
                    granted_s=now_s,
                    answered_s=now_s,
                    is_counted=False,  # no evidence: its real time is not known
                    limit_said=None,
                    remaining_said=None,
                )
            ).rowcount
        owners = select(permits.c.owner).distinct().where(self._of_others())
        for owner in self._connection.execute(owners).scalars().all():
            if self._database.is_alive(owner):
                continue
            late_s = self._database.on_the_way_s(owner, self._connection) * self._speed
            settled += self._connection.execute(
                update(permits)
                .where(self._of_others(), permits.c.owner == owner)
                .values(answered_s=answered_s + late_s)
            ).rowcount
        return settled

    def recent(self, after_s: float) -> Sequence[BookedPermit]:
        query = (
            select(
                permits.c.permit_id,
                permits.c.kind,
                permits.c.granted_s,
                permits.c.answered_s,
                permits.c.is_counted,
                permits.c.limit_said,
                permits.c.remaining_said,
            )
            .where(self._is_mine, permits.c.answered_s > self._offset.asked(after_s))
            .where(permits.c.owner != "")
            .order_by(permits.c.granted_s, permits.c.permit_id)
        )
        return [
            BookedPermit(
                permit_id=row.permit_id,
                kind=RequestKind(row.kind),
                granted_s=self._offset.told(row.granted_s),
                answered_s=(
                    None if row.answered_s == IN_FLIGHT_S else self._offset.told(row.answered_s)
                ),
                is_counted=row.is_counted,
                limit=row.limit_said,
                remaining=row.remaining_said,
            )
            for row in self._connection.execute(query)
        ]

    def prune(self, before_s: float) -> None:
        self._connection.execute(
            delete(permits).where(
                self._is_mine, permits.c.answered_s < self._offset.asked(before_s)
            )
        )

    def _of_others(self) -> ColumnElement[bool]:
        return and_(
            self._is_mine,
            permits.c.answered_s == IN_FLIGHT_S,
            permits.c.owner != self._database.owner_id,
        )

    def _by_kind(self, condition: ColumnElement[bool]) -> Mapping[RequestKind, int]:
        query = (
            select(permits.c.kind, func.count())
            .where(self._is_mine, condition)
            .group_by(permits.c.kind)
        )
        return {RequestKind(kind): count for kind, count in self._connection.execute(query)}
