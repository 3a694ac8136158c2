"""The database: opening, transactions, and errors in plain words.

The tables and all statements of the room are plain SQLAlchemy Core, which SQLite and PostgreSQL
both understand. What is different between the two lies behind one seam, `Backend`: `sqlite.py`
(a file, for one machine) and `postgres.py` (a server, for several).
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol, Self

from sqlalchemy import Connection, Table, case, exc
from sqlalchemy.dialects import postgresql, sqlite

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.errors import StoreError
from bulk_transcribe.save.fair_lock import FairLock
from bulk_transcribe.save.sqlite import open_sqlite
from bulk_transcribe.save.store_errors import ConflictError, LostError, outlasting, plain_errors

__all__ = [
    "Backend",
    "ConflictError",
    "Database",
    "LostError",
    "open_database",
    "outlasting",
    "upsert",
]


class Backend(Protocol):
    """One opening of a database of one kind. May be shared by all threads."""

    @property
    def place(self) -> str:
        """The database, as people know it: a path, or an address without its password."""

    @property
    def owner_id(self) -> str:
        """This opening, unique for ever."""

    def write(self, *, durable: bool) -> AbstractContextManager[Connection]:
        """A write transaction that excludes all others, of this and of other processes."""

    def read(self) -> AbstractContextManager[Connection]:
        """A read transaction: one moment of the database."""

    def is_alive(self, owner_id: str, connection: Connection, *, writes: bool) -> bool:
        """Whether an opening is still there; within a write transaction see `Database`."""

    def on_the_way_s(self, owner_id: str, connection: Connection) -> float:
        """Real seconds for which requests of an owner that is gone may still be under way."""

    def time_s(self, connection: Connection) -> float | None:
        """Seconds since 1970 by the database's own clock; None: it has this machine's."""

    def clock(self, clock: Clock) -> Clock:
        """The clock that all who share this database go by."""

    def explain(self, error: exc.SQLAlchemyError) -> StoreError:
        """The error in plain words. The values of the statement stay out of it."""

    def close(self) -> None:
        """End every connection. Closing twice does nothing."""


class Database:
    """Transactions on the store. May be shared by all threads; not to be taken through a fork.

    A write transaction has the whole database for itself, so keep it short, and never send a
    request, write a file or wait inside of one. Writers of this process take turns in the order
    of asking; those of other processes are waited for.

    On a server, a process that was frozen or cut off for so long that others took over what was
    its own can write no more: its next write transaction raises `StoreError` ("lease_lost").

    Use `open_database` to make one, and `close` (or a `with` block) to end it.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._turn = FairLock()  # one write transaction at a time
        self._here = threading.local()  # this thread's transaction, if any

    @property
    def place(self) -> str:
        """The database, as people know it: a path, or an address without its password."""
        return self._backend.place

    @property
    def owner_id(self) -> str:
        """This opening of the database, unique for ever: "<process id>-<random>"."""
        return self._backend.owner_id

    def is_alive(self, owner_id: str) -> bool:
        """Whether the process that opened the database as `owner_id` still has it open.

        Never True for a process that ended, however it ended and whoever has its id now; on a
        server it may take some seconds until that is seen. False within a write transaction
        means that it certainly does not write any more: what was its own may be taken over.
        """
        connection: Connection | None = getattr(self._here, "connection", None)
        if connection is not None:
            return self._backend.is_alive(owner_id, connection, writes=self._turn.is_mine)
        with self.read() as reading:
            return self._backend.is_alive(owner_id, reading, writes=False)

    def on_the_way_s(self, owner_id: str, connection: Connection) -> float:
        """Real seconds for which requests of an owner that is gone may still be under way.

        0.0 where its process certainly ended; on a server it may only be cut off from that.
        """
        return self._backend.on_the_way_s(owner_id, connection)

    def time_s(self, connection: Connection) -> float | None:
        """Seconds since 1970 by the clock of a server; None where it has this machine's clock.

        Args:
            connection: Of a transaction.
        """
        return self._backend.time_s(connection)

    def clock(self, clock: Clock) -> Clock:
        """The clock that all who share this database go by: on a server its own.

        Args:
            clock: This machine's.
        """
        return self._backend.clock(clock)

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Connection]:
        """A write transaction: all of it on disk when the block ends, or none of it.

        Args:
            durable: True survives a power cut once the block has ended (the default: money).
                False survives the end of the process, but a power cut may undo the newest such
                transactions, in order: right for progress, which then waits for no disk.

        Raises:
            StoreError: the database cannot be written; the message says why.
            LostError: the connection was lost meanwhile; nothing was written.
            ConflictError: a row breaks a unique guard.
        """
        if self._turn.is_mine:
            raise RuntimeError("write transactions do not nest")
        with (
            self._turn,
            self._plain_errors(),
            self._backend.write(durable=durable) as connection,
            self._known(connection),
        ):
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction: one consistent view, which no writer has to wait for.

        Raises:
            StoreError: the database cannot be read; the message says why.
        """
        with self._plain_errors(), self._backend.read() as connection, self._known(connection):
            yield connection

    def close(self) -> None:
        """End every connection. Closing twice does nothing."""
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _known(self, connection: Connection) -> Iterator[None]:
        before = getattr(self._here, "connection", None)
        self._here.connection = connection
        try:
            yield
        finally:
            self._here.connection = before

    def _plain_errors(self) -> AbstractContextManager[None]:
        return plain_errors(self.place, self._backend.explain)


def open_database(place: Path | str, *, busy_timeout_s: float = 30.0) -> Database:
    """Open the database, made or brought up to date as needed.

    Many processes may do this at once: one makes or migrates it, the others wait.

    Args:
        place: A path: the SQLite file, see `open_sqlite`. Text: the address of a PostgreSQL
            database, see `open_postgres`.
        busy_timeout_s: Real seconds to wait while another process writes.

    Raises:
        StoreError: it cannot be opened, is damaged, belongs to something else, or was made by a
            newer version of this program.
    """
    if isinstance(place, Path):
        return Database(open_sqlite(place, busy_timeout_s=busy_timeout_s))
    # a tenth of a second to import, and not installed for everyone
    from bulk_transcribe.save.postgres import open_postgres  # noqa: PLC0415

    return Database(open_postgres(place, busy_timeout_s=busy_timeout_s))


def upsert(
    connection: Connection,
    table: Table,
    rows: Sequence[Mapping[str, Any]],
    *,
    add: Sequence[str] = (),
    least: Sequence[str] = (),
    most: Sequence[str] = (),
) -> None:
    """Insert rows; where the primary key is there already, replace the other columns.

    Args:
        connection: Of a write transaction.
        table: Has a primary key.
        rows: Each with a value for the same columns; none at all does nothing.
        add: Columns where the new value is added to the old one.
        least: Columns where the smaller of the two values stays.
        most: Columns where the larger of the two values stays.
    """
    if not rows:
        return
    maker = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = maker(table)
    keys = [column.name for column in table.primary_key]
    changes: dict[str, Any] = {}
    for name in rows[0].keys() - set(keys):
        old, new = table.c[name], statement.excluded[name]
        if name in add:
            changes[name] = old + new
        elif name in least:
            changes[name] = case((old < new, old), else_=new)
        elif name in most:
            changes[name] = case((old > new, old), else_=new)
        else:
            changes[name] = new
    connection.execute(
        statement.on_conflict_do_update(index_elements=keys, set_=changes), [dict(r) for r in rows]
    )
