"""The database: opening, transactions, and errors in plain words.

This is the only module that knows which SQL dialect it talks to. The tables and all other
statements of the room are plain SQLAlchemy Core, which SQLite and PostgreSQL both understand.
"""

import os
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import (
    Connection,
    Engine,
    NullPool,
    Table,
    case,
    create_engine,
    event,
    exc,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL

from bulk_transcribe.errors import StoreError
from bulk_transcribe.save.fair_lock import FairLock
from bulk_transcribe.save.migrations import LOCATION, known_versions
from bulk_transcribe.save.process_lock import ProcessLock

#: Read transactions at a time; more threads than that wait a moment for their turn.
_READERS = 8
#: Seconds that a reader waits for its turn before it is an error.
_READER_PATIENCE_S = 60

#: The first one with RETURNING (https://sqlite.org/lang_returning.html).
_OLDEST_SQLITE = (3, 35, 0)

_opening = threading.Lock()  # alembic keeps its state in a module: one opening at a time


class ConflictError(StoreError):
    """A unique guard of the database refused a row: somebody was there first."""

    default_code = "conflict"


class Database:
    """Transactions on the store. May be shared by all threads; not to be taken through a fork.

    A write transaction has the whole database for itself, so keep it short, and never send a
    request, write a file or wait inside of one. Writers of this process take turns in the order
    of asking; those of other processes are waited for (`busy_timeout_s`).

    Use `open_database` to make one, and `close` (or a `with` block) to end it.
    """

    def __init__(self, writer: Engine, reader: Engine, path: Path, owner: "_Owner") -> None:
        self._writer = writer
        self._reader = reader
        self._turn = FairLock()  # one write transaction at a time
        self._owner = owner
        self.path = path

    @property
    def owner_id(self) -> str:
        """This opening of the database, unique for ever: "<process id>-<random>"."""
        return self._owner.owner_id

    def is_alive(self, owner_id: str) -> bool:
        """Whether the process that opened the database as `owner_id` still has it open.

        Never True for a process that ended, however it ended and whoever has its id now.
        """
        return self._owner.is_alive(owner_id)

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[Connection]:
        """A write transaction: all of it on disk when the block ends, or none of it.

        Args:
            durable: True survives a power cut once the block has ended (the default: money).
                False survives the end of the process, but a power cut may undo the newest such
                transactions, in order: right for progress, which then waits for no disk.

        Raises:
            StoreError: the database cannot be written; the message says why.
            ConflictError: a row breaks a unique guard.
        """
        if self._turn.is_mine:
            raise RuntimeError("write transactions do not nest")
        with self._turn, self._plain_errors(), self._writer.connect() as plain:
            connection = plain.execution_options(durable=durable)
            with connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A read transaction: one consistent view, which no writer has to wait for.

        Raises:
            StoreError: the database cannot be read; the message says why.
        """
        with self._plain_errors(), self._reader.connect() as connection, connection.begin():
            yield connection

    def close(self) -> None:
        """End every connection. Closing twice does nothing."""
        self._reader.dispose()
        self._writer.dispose()
        self._owner.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _plain_errors(self) -> AbstractContextManager[None]:
        return plain_errors(self.path)


def open_database(path: Path, *, busy_timeout_s: float = 30.0) -> Database:
    """Open the database file, made or brought up to date as needed.

    Many processes may do this at once: one makes or migrates the file, the others wait for it.
    Before an existing database is migrated, a copy of it is put beside it
    ("NAME.before-NNNN"). Beside the file lies a folder "NAME.owners" with a lock file for each
    process that has the database open.

    Args:
        path: The SQLite file. Its folder is made. Not on a network share: SQLite needs one host.
        busy_timeout_s: Real seconds to wait while another process writes.

    Raises:
        StoreError: the file cannot be opened, is damaged, belongs to something else, or was made
            by a newer version of this program.
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
    writer = _sqlite_engine(path, busy_timeout_s=busy_timeout_s, writes=True)
    reader = _sqlite_engine(path, busy_timeout_s=busy_timeout_s, writes=False)
    return Database(writer, reader, path, owner)


def bring_up_to_date(
    path: Path, *, busy_timeout_s: float = 30.0, location: Path = LOCATION
) -> None:
    """Make the database file or migrate it to the newest step in `location`.

    The caller sees to it that nobody else does so at the same time. A step that fails leaves
    the database as it was.

    Raises:
        StoreError: as `open_database`.
    """
    wanted = known_versions(location)
    with plain_errors(path):
        found = _version(path, busy_timeout_s=busy_timeout_s)
        if found == wanted[-1]:
            return
        if found is None:
            _keep_a_log(path)
        elif found in wanted:
            _copy(path, path.with_name(f"{path.name}.before-{wanted[-1]}"))
        else:
            raise StoreError(
                f"The database {path} was made by a newer version of bulk-transcribe "
                f"(step {found}; this one knows up to {wanted[-1]}).",
                next_step="Update bulk-transcribe, or choose another database.",
                code="newer_database",
            )
        engine = _sqlite_engine(path, busy_timeout_s=busy_timeout_s, writes=True, migrates=True)
        try:
            with engine.begin() as connection:
                _upgrade(connection, location)
        finally:
            engine.dispose()


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


@contextmanager
def plain_errors(path: Path) -> Iterator[None]:
    """Turn what the database library raises into `StoreError` with a next step."""
    try:
        yield
    except exc.IntegrityError as error:
        raise ConflictError(f"The database {path} refused a row: {error.orig}.") from error
    except (exc.DBAPIError, exc.TimeoutError, sqlite3.Error) as error:
        raise explain(error, path) from error


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


def _sqlite_engine(
    path: Path, *, busy_timeout_s: float, writes: bool, migrates: bool = False
) -> Engine:
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
    raise StoreError(
        f"The database {path} belongs to another program.",
        next_step="Choose another path for the database.",
        code="foreign_database",
    )


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


def _upgrade(connection: Connection, location: Path) -> None:
    # a third of a second to import, and needed only when something changes
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(location).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
    if broken is not None:
        raise StoreError(f"A migration left a row of {broken[0]} without its parent.")
