"""SQLite: one file, for the processes of one machine."""

import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, event, exc
from sqlalchemy.engine import URL

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.errors import StoreError
from bulk_transcribe.save.migrations import LOCATION, foreign, known_versions, newer, upgrade
from bulk_transcribe.save.process_lock import ProcessLock
from bulk_transcribe.save.store_errors import plain_errors

#: Read transactions at a time; more threads than that wait a moment for their turn.
_READERS = 8
#: Seconds that a reader waits for its turn before it is an error.
_READER_PATIENCE_S = 60

#: The first one with RETURNING (https://sqlite.org/lang_returning.html).
_OLDEST_SQLITE = (3, 35, 0)

_opening = threading.Lock()  # alembic keeps its state in a module: one opening at a time


class SqliteBackend:
    """A file that is open. Implements `database.Backend`; may be shared by all threads."""

    def __init__(self, writer: Engine, reader: Engine, path: Path, owner: "_Owner") -> None:
        self._writer = writer
        self._reader = reader
        self._path = path
        self._owner = owner
        self.place = str(path)
        self.owner_id = owner.owner_id

    @contextmanager
    def write(self, *, durable: bool) -> Iterator[Connection]:
        with self._writer.connect() as plain:
            connection = plain.execution_options(durable=durable)
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        with self._reader.connect() as connection, connection.begin():
            yield connection

    def is_alive(self, owner_id: str, _connection: Connection, *, writes: bool) -> bool:
        del writes  # a lock file tells it for certain at any time
        return self._owner.is_alive(owner_id)

    def on_the_way_s(self, _owner_id: str, _connection: Connection) -> float:
        return 0.0

    def time_s(self, _connection: Connection) -> float | None:
        return None

    def clock(self, clock: Clock) -> Clock:
        return clock

    def explain(self, error: exc.SQLAlchemyError) -> StoreError:
        return explain(error, self._path)

    def close(self) -> None:
        self._reader.dispose()
        self._writer.dispose()
        self._owner.leave()


def open_sqlite(path: Path, *, busy_timeout_s: float) -> SqliteBackend:
    """Open the file, made or brought up to date as needed.

    Before an existing database is migrated, a copy of it is put beside it
    ("NAME.before-NNNN"). Beside the file lies a folder "NAME.owners" with a lock file for each
    process that has the database open.

    Args:
        path: Its folder is made. Not on a network share: SQLite needs one host.
        busy_timeout_s: Real seconds to wait while another process writes.

    Raises:
        StoreError: as `database.open_database`.
    """
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise StoreError(
            f"This Python comes with SQLite {sqlite3.sqlite_version}, which is too old.",
            next_step="Use a Python with SQLite 3.35 or newer.",
            code="old_sqlite",
        )
    path = path.absolute()
    owners = path.with_name(path.name + ".owners")
    try:
        owners.mkdir(parents=True, exist_ok=True)
        with _opening:
            gate = ProcessLock.take(owners / "opening.lock")
            try:
                bring_up_to_date(path, busy_timeout_s=busy_timeout_s)
                owner = _Owner.enter(owners)
            finally:
                gate.release()
    except OSError as error:
        raise StoreError(
            f"The database folder {path.parent} cannot be used: {error.strerror or error}.",
            next_step="Check that the folder exists, is yours and is on a local disk.",
        ) from error
    writer = _engine(path, busy_timeout_s=busy_timeout_s, writes=True)
    reader = _engine(path, busy_timeout_s=busy_timeout_s, writes=False)
    return SqliteBackend(writer, reader, path, owner)


def bring_up_to_date(
    path: Path, *, busy_timeout_s: float = 30.0, location: Path = LOCATION
) -> None:
    """Make the database file or migrate it to the newest step in `location`.

    The caller sees to it that nobody else does so at the same time. A step that fails leaves
    the database as it was.

    Raises:
        StoreError: as `database.open_database`.
    """
    wanted = known_versions(location)
    with plain_errors(str(path), lambda error: explain(error, path)), _driver_errors(path):
        found = _version(path, busy_timeout_s=busy_timeout_s)
        if found == wanted[-1]:
            return
        if found is None:
            _keep_a_log(path)
        elif found in wanted:
            _copy(path, path.with_name(f"{path.name}.before-{wanted[-1]}"))
        else:
            raise newer(str(path), found, wanted[-1])
        engine = _engine(path, busy_timeout_s=busy_timeout_s, writes=True, migrates=True)
        try:
            with engine.begin() as connection:
                upgrade(connection, location)
                broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
                if broken is not None:
                    raise StoreError(f"A migration left a row of {broken[0]} without its parent.")
        finally:
            engine.dispose()


#: SQLite's primary result codes that users can do something about (https://sqlite.org/rescode.html)
_CAUSES: dict[int, tuple[str, str, str]] = {
    sqlite3.SQLITE_BUSY: (
        "store_locked",
        "is locked by another process",
        "Wait until it is done, or end it; then resume.",
    ),
    sqlite3.SQLITE_LOCKED: (
        "store_locked",
        "is locked by another process",
        "Wait until it is done, or end it; then resume.",
    ),
    sqlite3.SQLITE_FULL: (
        "disk_full",
        "cannot grow: the disk is full",
        "Free some space, then resume; nothing that was paid for is lost.",
    ),
    sqlite3.SQLITE_READONLY: (
        "store_read_only",
        "is read-only",
        "Make the file and its folder writable, or choose another database.",
    ),
    sqlite3.SQLITE_PERM: (
        "store_read_only",
        "may not be used by this user",
        "Make the file and its folder writable, or choose another database.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "store_not_opened",
        "cannot be opened",
        "Check that the path is right and that its folder is writable.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "store_damaged",
        "is damaged",
        "Keep the file, put back a copy of it, or choose another database.",
    ),
    sqlite3.SQLITE_NOTADB: (
        "store_damaged",
        "is not a database, or is damaged",
        "Keep the file, put back a copy of it, or choose another database.",
    ),
    sqlite3.SQLITE_IOERR: (
        "store_disk",
        "cannot be read or written: the disk reports an error",
        "Check the disk and its free space, then resume.",
    ),
}


def explain(error: exc.SQLAlchemyError | sqlite3.Error, path: Path) -> StoreError:
    """The error in plain words. The values of the statement stay out of it."""
    origin = error.orig if isinstance(error, exc.DBAPIError) else error
    code = getattr(origin, "sqlite_errorcode", None)
    if code is not None and (code & 0xFF) in _CAUSES:
        word, what, next_step = _CAUSES[code & 0xFF]
        return StoreError(f"The database {path} {what}.", next_step=next_step, code=word)
    return StoreError(
        f"The database {path} cannot be used: {origin or error}.",
        next_step="Resume to go on where it stopped; report it if it comes back.",
    )


@contextmanager
def _driver_errors(path: Path) -> Iterator[None]:
    """For the few steps that speak to the driver itself."""
    try:
        yield
    except sqlite3.Error as error:
        raise explain(error, path) from error


class _Owner:
    """Who has the database open: a lock file for each, which its process's end unlocks."""

    def __init__(self, folder: Path, owner_id: str, lock: ProcessLock) -> None:
        self._folder = folder
        self._lock = lock
        self.owner_id = owner_id

    @classmethod
    def enter(cls, folder: Path) -> "_Owner":
        for left in folder.glob("*-*.lock"):  # of processes that were killed
            abandoned = ProcessLock.try_take(left)
            if abandoned is not None:
                abandoned.release(remove=True)
        owner_id = f"{os.getpid()}-{secrets.token_hex(6)}"
        lock = ProcessLock.try_take(folder / f"{owner_id}.lock")
        if lock is None:
            raise OSError(f"{folder} gave the same lock out twice")
        return cls(folder, owner_id, lock)

    def is_alive(self, owner_id: str) -> bool:
        return ProcessLock.is_held(self._folder / f"{owner_id}.lock")

    def leave(self) -> None:
        self._lock.release(remove=True)


def _engine(path: Path, *, busy_timeout_s: float, writes: bool, migrates: bool = False) -> Engine:
    pool: dict[str, Any] = (
        {"poolclass": NullPool}
        if migrates
        else {
            "pool_size": 1 if writes else _READERS,
            "max_overflow": 0,
            "pool_timeout": _READER_PATIENCE_S,
        }
    )
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        hide_parameters=True,  # values never travel into messages and logs
        connect_args={"timeout": busy_timeout_s, "check_same_thread": False},
        **pool,
    )
    event.listen(engine, "connect", _on_connect(writes=writes, migrates=migrates))
    event.listen(engine, "begin", _begin_write if writes else _begin_read)
    return engine


def _on_connect(*, writes: bool, migrates: bool) -> Callable[[sqlite3.Connection, object], None]:
    def on_connect(connection: sqlite3.Connection, _record: object) -> None:
        # the driver's own idea of when to begin would begin deferred, and a deferred
        # transaction that turns to writing fails at once when another one was faster
        connection.isolation_level = None
        if not migrates:  # a step that makes a table anew must not delete what refers to it
            connection.execute("PRAGMA foreign_keys=ON").close()
        if writes:
            # on macOS plain fsync leaves the data in the drive's cache
            connection.execute("PRAGMA fullfsync=ON").close()
        else:
            connection.execute("PRAGMA query_only=ON").close()

    return on_connect


def _begin_write(connection: Connection) -> None:
    # FULL syncs the log at each commit; NORMAL leaves that to the next FULL commit or
    # checkpoint. Both keep the file sound after a power cut; only FULL keeps the newest commit.
    durable = connection.get_execution_options().get("durable", True)
    if connection.info.get("durable") is not durable:
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.info["durable"] = durable
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _begin_read(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")


def _version(path: Path, *, busy_timeout_s: float) -> str | None:
    """The step that the database is at; None for an empty or a new file. Changes nothing."""
    with closing(sqlite3.connect(path, timeout=busy_timeout_s)) as connection:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        tables = {name for (name,) in rows.fetchall()}
        if not tables:
            return None
        if "alembic_version" in tables and "sessions" in tables:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            if found is not None:
                return str(found[0])
    raise foreign(str(path))


def _keep_a_log(path: Path) -> None:
    """Let readers and a writer work side by side (WAL); lasts in the file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL").close()


def _copy(path: Path, target: Path) -> None:
    """Copy the database as it was last committed, complete or not at all."""
    partial = target.with_name(target.name + ".part")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(partial)) as copy:
        source.backup(copy)
    partial.replace(target)
