"""The book of permits in the database: one budget for all processes of this machine."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, select, update

from bulk_transcribe.core.permit import BookedPermit, PermitBook
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.save.database import Database, upsert
from bulk_transcribe.save.permit_tables import IN_FLIGHT_S, permit_notes, permits


class DatabasePermitStore:
    """Permits in the database's tables. May be shared by all threads and processes.

    `open` is a write transaction, so deciding and booking are one step for everybody. It is not
    durable in a power cut, and need not be: the readings of the clock end with it, too.

    Args:
        database: Its `owner_id` tells whose permits are whose.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def open(self, account: str) -> Iterator[PermitBook]:
        with self._database.transaction(durable=False) as connection:
            yield _DatabaseBook(connection, self._database, account)

    @contextmanager
    def view(self, account: str) -> Iterator[PermitBook]:
        with self._database.read() as connection:
            yield _DatabaseBook(connection, self._database, account)


class _DatabaseBook:
    """One account's permits within one transaction."""

    def __init__(self, connection: Connection, database: Database, account: str) -> None:
        self._connection = connection
        self._database = database
        self._account = account
        self._is_mine = permits.c.account == account

    def note(self) -> str:
        query = select(permit_notes.c.note).where(permit_notes.c.account == self._account)
        return self._connection.execute(query).scalar() or ""

    def keep_note(self, text: str) -> None:
        upsert(self._connection, permit_notes, [{"account": self._account, "note": text}])

    def counts(self, after_s: float) -> Mapping[RequestKind, int]:
        return self._by_kind(permits.c.answered_s > after_s)

    def in_flight(self) -> Mapping[RequestKind, int]:
        return self._by_kind(permits.c.answered_s == IN_FLIGHT_S)

    def answered(self, kinds: Collection[RequestKind], after_s: float) -> Sequence[float]:
        query = (
            select(permits.c.answered_s)
            .where(
                self._is_mine,
                permits.c.answered_s > after_s,
                permits.c.answered_s < IN_FLIGHT_S,
                permits.c.kind.in_([kind.value for kind in kinds]),
            )
            .order_by(permits.c.answered_s)
        )
        return self._connection.execute(query).scalars().all()

    def others_in_flight(self) -> bool:
        query = select(permits.c.permit_id).where(self._of_others()).limit(1)
        return self._connection.execute(query).first() is not None

    def by_owner(self, after_s: float) -> tuple[int, Sequence[int]]:
        query = (
            select(permits.c.owner, func.count())
            .where(self._is_mine, permits.c.answered_s > after_s, permits.c.owner != "")
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
                "granted_s": at_s,
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
                answered_s=at_s,
                is_counted=is_counted,
                limit_said=limit,
                remaining_said=remaining,
            )
        )

    def give_back(self, permit_id: int, granted_s: float) -> None:
        self._connection.execute(
            delete(permits).where(
                permits.c.permit_id == permit_id,
                permits.c.granted_s == granted_s,
                permits.c.answered_s == IN_FLIGHT_S,
            )
        )

    def add_strangers(self, kind: RequestKind, count: int, at_s: float) -> None:
        row = {
            "account": self._account,
            "kind": kind.value,
            "owner": "",
            "granted_s": at_s,
            "answered_s": at_s,
            "is_counted": True,
        }
        if count > 0:
            self._connection.execute(insert(permits), [row] * count)

    def settle(self, now_s: float, answered_s: float) -> int:
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
        ended = [
            owner
            for owner in self._connection.execute(owners).scalars()
            if not self._database.is_alive(owner)
        ]
        if ended:
            settled += self._connection.execute(
                update(permits)
                .where(self._of_others(), permits.c.owner.in_(ended))
                .values(answered_s=answered_s)
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
            .where(self._is_mine, permits.c.answered_s > after_s, permits.c.owner != "")
            .order_by(permits.c.granted_s, permits.c.permit_id)
        )
        return [
            BookedPermit(
                permit_id=row.permit_id,
                kind=RequestKind(row.kind),
                granted_s=row.granted_s,
                answered_s=None if row.answered_s == IN_FLIGHT_S else row.answered_s,
                is_counted=row.is_counted,
                limit=row.limit_said,
                remaining=row.remaining_said,
            )
            for row in self._connection.execute(query)
        ]

    def prune(self, before_s: float) -> None:
        self._connection.execute(
            delete(permits).where(self._is_mine, permits.c.answered_s < before_s)
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
