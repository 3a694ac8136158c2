"""PostgreSQL: one server, for the processes of many machines.

**Writing.** A write transaction takes one lock for the whole store (`pg_advisory_xact_lock`), as
SQLite does: what is decided in it (a permit, a claim, a cost limit) is decided with nobody else
writing, two of them cannot wait for each other in a circle, and none fails because another was
faster. The lock is taken before the first look at the data, and each statement sees what was
committed before it (READ COMMITTED), so everything that earlier writers did is seen.

**Short outages.** A transaction that cannot begin, because the server starts anew or the network
is away, waits and tries again for a minute. One that is cut off before its COMMIT was sent was
not written: `LostError`, and `outlasting` functions begin anew. One whose COMMIT got no answer is
looked up: each write transaction counts up a number in its owner's row, so either the number is
there and all is well, or nothing was written. Nobody has to guess, least of all about money.

**Owners.** Each opening has a row with a heartbeat in the server's time. Who has not been heard
for `Lease.lasts_s` may be declared gone, by a writer that wants to take over what was its own, in
that very transaction. Each write transaction looks first, under the lock, whether its own opening
was declared gone, and then writes nothing: a process that was frozen and wakes does no harm. A
lapse that nobody used does not matter. After an outage nobody is declared gone until the server,
and the one who judges, have been there for a whole lease.
"""

import hashlib
import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    Connection,
    CursorResult,
    Engine,
    Executable,
    create_engine,
    delete,
    event,
    exc,
    func,
    select,
    text,
    update,
)
from sqlalchemy.engine import URL, make_url

from bulk_transcribe.core.clock import Clock, SystemClock
from bulk_transcribe.errors import StoreError
from bulk_transcribe.save.database_clock import DatabaseClock
from bulk_transcribe.save.migrations import LOCATION, foreign, known_versions, newer, upgrade
from bulk_transcribe.save.owner_tables import owners
from bulk_transcribe.save.store_errors import LostError, plain_errors, told

_log: Final = logging.getLogger(__name__)

#: Read transactions at a time and process: a server takes 100 connections as it comes, and a
#: process takes one to write and one for its heartbeat besides.
_READERS: Final = 4
#: Seconds that a reader waits for its turn before it is an error.
_READER_PATIENCE_S: Final = 60
#: So long a beginning transaction waits for a server that is away; then how often it looks.
_PATIENCE_S: Final = 60.0
_LOOK_EVERY_S: Final = 0.25
#: A process that is frozen or cut off in the middle of a transaction holds everyone up for so
#: long; then the server ends the transaction. Less than a lease.
_IDLE_IN_TRANSACTION_S: Final = 10
#: A connection without any answer is given up after about this long.
_CONNECT_S, _SILENT_S = 5, 15
#: The oldest that is still looked after.
_OLDEST_SERVER: Final = 130000
#: Rows of those that were declared gone are kept so long, so that they find it out.
_FORGET_GONE: Final = timedelta(days=30)


def _lock_number(name: str) -> int:
    digest = hashlib.blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


#: Advisory locks are numbers that everyone in a database shares: ours are digests of a name.
_WRITE_LOCK: Final = _lock_number("bulk-transcribe store")
_TAKE_WRITE_LOCK: Final = f"SELECT pg_advisory_xact_lock({_WRITE_LOCK})"
_UPGRADE_LOCK: Final = _lock_number("bulk-transcribe upgrade")

#: A server takes real time to come back, whatever the speed of the run.
_real: Final = SystemClock()

_opening = threading.Lock()  # alembic keeps its state in a module: one opening at a time


@dataclass(frozen=True, kw_only=True)
class Lease:
    """When an opening that is not heard of counts as gone. Real seconds.

    Args:
        every_s: Between two heartbeats.
        lasts_s: Without a heartbeat for so long, it may be declared gone.
        on_the_way_s: So long after that, a request of its may still reach the service: the
            longest that a request takes.
    """

    every_s: float = 3.0
    lasts_s: float = 15.0
    on_the_way_s: float = 30.0


class PostgresBackend:
    """A database on a server that is open. Implements `database.Backend`; for all threads."""

    def __init__(self, writer: Engine, reader: Engine, owner: "_Owner") -> None:
        self._writer = writer
        self._reader = reader
        self._owner = owner
        self._outage = _Outage()
        self._closed = threading.Event()
        self._writes = 0
        self.place = shown(writer.url)
        self.owner_id = owner.owner_id

    @contextmanager
    def write(self, *, durable: bool) -> Iterator[Connection]:
        begin = (
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; "
            f"SET LOCAL synchronous_commit TO {'on' if durable else 'off'}; "
            f"{_TAKE_WRITE_LOCK}"
        )
        self._writes += 1  # one transaction at a time: nobody else counts
        note = (
            update(owners)
            .where(owners.c.owner_id == self.owner_id, owners.c.gone_at.is_(None))
            .values(writes=self._writes)
        )
        connection, noted = self._begun(self._writer, begin, note)
        with connection:
            if noted is None or noted.rowcount != 1:
                raise self._gone()
            try:
                yield connection
            except exc.DBAPIError as error:
                if _is_lost(error):
                    raise self._lost() from error
                raise
            self._commit(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        connection, _ = self._begun(self._reader, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        with connection:
            try:
                yield connection
                connection.commit()
            except exc.DBAPIError as error:
                if _is_lost(error):
                    raise self._lost() from error
                raise

    def is_alive(self, owner_id: str, connection: Connection, *, writes: bool) -> bool:
        if owner_id == self.owner_id:
            return True
        if writes:
            self._owner.declare_gone(owner_id, connection)
        return self._owner.is_alive(owner_id, connection, certain=writes)

    def on_the_way_s(self, owner_id: str, connection: Connection) -> float:
        was_closed = not self._owner.is_noted(owner_id, connection)
        return 0.0 if was_closed else self._owner.lease.on_the_way_s

    def time_s(self, connection: Connection) -> float | None:
        return _time_s(connection)

    def clock(self, clock: Clock) -> Clock:
        """Set to the server's time by the quickest of a few questions."""
        found: list[tuple[float, float, float]] = []
        with plain_errors(self.place, self.explain):
            for _ in range(3):
                with self.read() as connection:
                    before_s = clock.now_s()
                    epoch_s = _time_s(connection)
                    after_s = clock.now_s()
                found.append((after_s - before_s, epoch_s, (before_s + after_s) / 2))
        _, epoch_s, reading_s = min(found)
        return DatabaseClock(clock, epoch_s=epoch_s, reading_s=reading_s)

    def explain(self, error: exc.SQLAlchemyError) -> StoreError:
        return explain(error, self._writer.url)

    def close(self) -> None:
        self._closed.set()
        self._owner.leave()
        self._reader.dispose()
        self._writer.dispose()

    def _commit(self, connection: Connection) -> None:
        try:
            connection.commit()
        except exc.DBAPIError as error:
            if not _is_lost(error):
                raise
            _log.warning("The answer to a commit was lost; looking up what became of it.")
            if not self._was_written():
                raise self._lost() from error

    def _was_written(self) -> bool:
        """Whether our newest write transaction, whose COMMIT got no answer, was committed.

        The server's own number of a transaction would not tell: after a crash it gives out the
        numbers anew of those that left no trace.
        """
        number = select(owners.c.writes).where(owners.c.owner_id == self.owner_id)
        # with the lock: until it is given up, the commit may still be under way
        connection, found = self._begun(self._reader, f"BEGIN; {_TAKE_WRITE_LOCK}", number)
        with connection:
            return found is not None and found.scalar() == self._writes

    def _begun(
        self, engine: Engine, begin: str, then: Executable | None = None
    ) -> tuple[Connection, CursorResult[Any] | None]:
        """A connection in which these were done, and what `then` found; waits out an outage.

        Nothing was written by then, so it can be tried again and again.
        """
        while True:
            try:
                begun = _begun_once(engine, begin, then)
            except exc.DBAPIError as error:
                if not _is_lost(error) or self._closed.is_set() or self._outage.is_too_long():
                    raise
                _log.debug("The database does not answer, waiting: %s", told(error))
            else:
                self._outage.is_over()
                return begun
            self._closed.wait(_LOOK_EVERY_S)

    def _lost(self) -> LostError:
        return LostError(
            f"The connection to the database {self.place} was lost; what was just being written "
            "was not written.",
            next_step="Resume to go on where it stopped.",
        )

    def _gone(self) -> StoreError:
        return StoreError(
            f"This process was not heard of by the database {self.place} for so long that others "
            "took over its work.",
            next_step="Nothing was lost. Resume to work with them.",
            code="lease_lost",
        )


class _Outage:
    """How long the server has been away, for all threads: they need not be patient in turn."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards _since_s
        self._since_s: float | None = None

    def is_too_long(self) -> bool:
        """Call this each time that it does not answer."""
        now_s = _real.now_s()
        with self._lock:
            if self._since_s is None:
                self._since_s = now_s
            return now_s - self._since_s > _PATIENCE_S

    def is_over(self) -> None:
        """It answered."""
        with self._lock:
            self._since_s = None


def open_postgres(
    address: str, *, busy_timeout_s: float, lease: Lease | None = None
) -> PostgresBackend:
    """Open the database at an address, with its tables made or brought up to date as needed.

    A step that fails leaves the database as it was; make a backup before an update all the same.

    Args:
        address: As "postgresql://user:password@host:5432/name?sslmode=verify-full".
        busy_timeout_s: Real seconds to wait while another process writes.
        lease: When this process counts as gone; and, in `on_the_way_s`, what is thought of others.

    Raises:
        StoreError: as `database.open_database`; the password is in none of its words.
    """
    lease = lease or Lease()
    url = read_address(address)
    with plain_errors(shown(url), lambda error: explain(error, url)), _opening:
        bring_up_to_date(url)
        owner = _Owner.enter(_engine(url, busy_timeout_s=busy_timeout_s, size=1), lease)
    writer = _engine(url, busy_timeout_s=busy_timeout_s, size=1)
    reader = _engine(url, busy_timeout_s=busy_timeout_s, size=_READERS)
    return PostgresBackend(writer, reader, owner)


def bring_up_to_date(url: URL, *, location: Path = LOCATION) -> None:
    """Make the tables or migrate them to the newest step in `location`, all of it or nothing.

    Raises:
        StoreError: it belongs to something else, or is newer than this program.
    """
    wanted = known_versions(location)
    engine = _engine(url, busy_timeout_s=600.0, size=1)
    try:
        with engine.connect() as connection:
            if connection.dialect.server_version_info[0] * 10_000 < _OLDEST_SERVER:  # type: ignore[index, operator]  # set by the first connection
                raise StoreError(
                    f"The PostgreSQL of {shown(url)} is too old.",
                    next_step="Use PostgreSQL 13 or newer.",
                    code="old_server",
                )
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
            found = _version(connection, shown(url))
            if found == wanted[-1]:
                return
            if found is not None and found not in wanted:
                raise newer(shown(url), found, wanted[-1])
            connection.exec_driver_sql(_TAKE_WRITE_LOCK)
            upgrade(connection, location)
            connection.commit()
    finally:
        engine.dispose()


def read_address(address: str) -> URL:
    """An address as the library wants it.

    Raises:
        StoreError: it is none, or the driver is missing; the password is not shown.
    """
    try:
        import psycopg  # noqa: F401, PLC0415 -- an extra that not everyone has
    except ImportError as error:
        raise StoreError(
            "PostgreSQL needs a part that is not installed.",
            next_step="Install it: pip install 'bulk-transcribe[cluster]'.",
            code="no_driver",
        ) from error
    try:
        url = make_url(address)
    except (exc.ArgumentError, ValueError):
        url = None
    if url is None or url.drivername not in {"postgresql", "postgres"} or not url.database:
        raise StoreError(
            "The address of the database cannot be used.",
            next_step="Write it as postgresql://user:password@host:5432/name?sslmode=verify-full.",
            code="bad_database_url",
        )
    return url.set(drivername="postgresql+psycopg")


def shown(url: URL) -> str:
    """The address for people: without password and options."""
    bare = url._replace(password=None)  # `set` takes None for "as it is"
    return bare.set(drivername="postgresql", query={}).render_as_string()


class _Owner:
    """Who has the database open: a row for each, kept fresh by a thread."""

    def __init__(self, engine: Engine, owner_id: str, lease: Lease) -> None:
        self._engine = engine
        self.owner_id = owner_id
        self.lease = lease
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    @classmethod
    def enter(cls, engine: Engine, lease: Lease) -> "_Owner":
        owner = cls(engine, f"{os.getpid()}-{secrets.token_hex(6)}", lease)
        with engine.connect() as connection:
            connection.execute(
                text(
                    "INSERT INTO owners"
                    " (owner_id, host, pid, lasts_s, opened_at, beat_at, steady_at, writes)"
                    " SELECT :me, :host, :pid, :lasts_s, t, t, '-infinity', 0"
                    " FROM clock_timestamp() t"
                ),
                {
                    "me": owner.owner_id,
                    "host": socket.gethostname(),
                    "pid": os.getpid(),
                    "lasts_s": lease.lasts_s,
                },
            )
            connection.execute(delete(owners).where(owners.c.gone_at < func.now() - _FORGET_GONE))
        owner._thread.start()
        return owner

    def is_alive(self, owner_id: str, connection: Connection, *, certain: bool) -> bool:
        """Not declared gone; and, unless `certain` is asked for, heard of lately."""
        row = connection.execute(
            text(
                "SELECT gone_at IS NULL, greatest(beat_at, pg_postmaster_start_time())"
                " > clock_timestamp() - lasts_s * interval '1 second'"
                " FROM owners WHERE owner_id = :owner_id"
            ),
            {"owner_id": owner_id},
        ).one_or_none()
        return row is not None and row[0] and (certain or row[1])

    def is_noted(self, owner_id: str, connection: Connection) -> bool:
        """Whether there is a row: it was not closed, though it may be gone."""
        found = connection.execute(
            text("SELECT 1 FROM owners WHERE owner_id = :owner_id"), {"owner_id": owner_id}
        )
        return found.first() is not None

    def declare_gone(self, owner_id: str, connection: Connection) -> None:
        """From the end of this transaction on it writes no more, if it was not heard of lately.

        Not while the silence may be the server's, or our own.
        """
        connection.execute(
            text(
                "WITH lapsed AS ("
                "  SELECT clock_timestamp() - lasts_s * interval '1 second' AS at"
                "  FROM owners WHERE owner_id = :owner_id)"
                " UPDATE owners SET gone_at = clock_timestamp() FROM lapsed"
                " WHERE owner_id = :owner_id AND gone_at IS NULL AND beat_at < lapsed.at"
                " AND pg_postmaster_start_time() < lapsed.at AND EXISTS ("
                "  SELECT 1 FROM owners me WHERE me.owner_id = :me"
                "  AND me.beat_at > lapsed.at AND me.steady_at < lapsed.at)"
            ),
            {"owner_id": owner_id, "me": self.owner_id},
        )

    def leave(self) -> None:
        """Take the row away. Leaving twice does nothing."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join()
        with suppress(exc.SQLAlchemyError), self._engine.connect() as connection:
            connection.execute(
                text("DELETE FROM owners WHERE owner_id = :me AND gone_at IS NULL"),
                {"me": self.owner_id},
            )
        self._engine.dispose()

    def _beat(self) -> None:
        while not self._over.wait(self.lease.every_s):
            try:
                with self._engine.connect() as connection:
                    connection.execute(
                        text(
                            "UPDATE owners SET beat_at = t, steady_at = CASE"
                            " WHEN beat_at < t - :gap_s * interval '1 second' THEN t"
                            " ELSE steady_at END"
                            " FROM clock_timestamp() t"
                            " WHERE owner_id = :me AND gone_at IS NULL"
                        ),
                        {"me": self.owner_id, "gap_s": self.lease.lasts_s / 2},
                    )
            except exc.SQLAlchemyError as error:
                _log.debug("No heartbeat: %s", told(error))


def _engine(url: URL, *, busy_timeout_s: float, size: int) -> Engine:
    wanted = {
        "connect_timeout": _CONNECT_S,
        "application_name": "bulk-transcribe",
        "keepalives_idle": 5,
        "keepalives_interval": 3,
        "keepalives_count": 3,
        "tcp_user_timeout": _SILENT_S * 1000,
    }
    engine = create_engine(
        url,
        hide_parameters=True,  # values never travel into messages and logs
        # each transaction is begun by a statement of ours, with all that it needs in one go
        connect_args={"autocommit": True}
        | {name: value for name, value in wanted.items() if name not in url.query},
        pool_size=size,
        max_overflow=0,
        pool_timeout=_READER_PATIENCE_S,
    )

    def on_connect(connection: Any, _record: object) -> None:
        connection.execute(
            f"SET timezone TO 'UTC'; SET lock_timeout TO {int(busy_timeout_s * 1000)};"
            f" SET idle_in_transaction_session_timeout TO '{_IDLE_IN_TRANSACTION_S}s'"
        )

    event.listen(engine, "connect", on_connect)
    return engine


def _begun_once(
    engine: Engine, begin: str, then: Executable | None
) -> tuple[Connection, CursorResult[Any] | None]:
    connection = engine.connect()
    try:
        connection.begin()
        connection.exec_driver_sql(begin)
        return connection, None if then is None else connection.execute(then)
    except BaseException:
        connection.close()
        raise


def _time_s(connection: Connection) -> float:
    found = connection.exec_driver_sql("SELECT extract(epoch FROM clock_timestamp())::float8")
    return float(found.scalar_one())


def _version(connection: Connection, place: str) -> str | None:
    """The step that the database is at; None for an empty one. Changes nothing."""
    tables = set(
        connection.exec_driver_sql(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        ).scalars()
    )
    if not tables:
        return None
    if {"alembic_version", "sessions"} <= tables:
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        if found is not None:
            return str(found)
    raise foreign(place)


#: SQLSTATE -> word, what, next step (https://www.postgresql.org/docs/current/errcodes-appendix.html)
_CAUSES: Final[dict[str, tuple[str, str, str]]] = {
    "55P03": (
        "store_locked",
        "is locked by another process",
        "Wait until it is done, or end it; then resume.",
    ),
    "53100": (
        "disk_full",
        "cannot grow: the server's disk is full",
        "Free some space there, then resume; nothing that was paid for is lost.",
    ),
    "53300": (
        "too_many_connections",
        "has no connection left",
        "Raise max_connections of the server, or run fewer workers; each takes up to 6.",
    ),
    "25006": (
        "store_read_only",
        "is read-only",
        "Is it a standby? Choose the server that can be written.",
    ),
    "42501": (
        "store_read_only",
        "does not let this user do that",
        "Make the user the owner of the database.",
    ),
}
#: A server that stops or starts.
_COMES_BACK: Final = frozenset({"57P01", "57P02", "57P03", "53300"})
#: Two transactions in each other's way: one of them was undone.
_UNDONE: Final = frozenset({"40001", "40P01"})
#: A refused connection has no code, only words.
_REFUSALS: Final = (
    (
        ("password authentication failed", "no password supplied", "authentication failed"),
        "store_refused",
        "refused the user or the password",
        "Check user and password in DATABASE_URL.",
    ),
    (
        ("no pg_hba.conf entry", "pg_hba.conf rejects"),
        "store_refused",
        "does not let this user in from this machine",
        "Allow it in the server's pg_hba.conf; it may want sslmode=require.",
    ),
    (
        ("ssl", "certificate"),
        "store_tls",
        "could not agree with us on encryption",
        "Check sslmode and sslrootcert in DATABASE_URL, and the server's certificate.",
    ),
    (
        ("does not exist",),
        "no_database",
        "is not there",
        "Create the database and its user first: see docs/cluster.md.",
    ),
)


def explain(error: exc.SQLAlchemyError, url: URL) -> StoreError:
    """The error in plain words. Neither the values of the statement nor the password are in it."""
    place, words = shown(url), told(error)
    if url.password:
        words = words.replace(str(url.password), "***")
    code = _code(error)
    if code in _CAUSES:
        word, what, next_step = _CAUSES[code]
        return StoreError(f"The database {place} {what}.", next_step=next_step, code=word)
    if code in _UNDONE:
        return LostError(f"A transaction on the database {place} was undone: {words}.")
    if isinstance(error, exc.OperationalError) and code is None:
        for signs, word, what, next_step in _REFUSALS:
            if any(sign in words.lower() for sign in signs):
                return StoreError(f"The database {place} {what}.", next_step=next_step, code=word)
    if isinstance(error, exc.DBAPIError) and _is_lost(error):
        return StoreError(
            f"The database {place} cannot be reached: {words}.",
            next_step="Check that the server runs and that DATABASE_URL is right; then resume.",
            code="store_unreachable",
        )
    return StoreError(
        f"The database {place} cannot be used: {words}.",
        next_step="Resume to go on where it stopped; report it if it comes back.",
    )


def _is_lost(error: exc.DBAPIError) -> bool:
    """Whether there is no connection to a server any more, or not yet."""
    if error.connection_invalidated or _code(error) in _COMES_BACK:
        return True
    if not isinstance(error, exc.OperationalError) or _code(error) is not None:
        return False
    words = told(error).lower()
    return not any(sign in words for signs, *_ in _REFUSALS for sign in signs)


def _code(error: exc.SQLAlchemyError) -> str | None:
    return getattr(getattr(error, "orig", None), "sqlstate", None)
