"""A real PostgreSQL for tests: started when the first test asks for it, gone with the tests.

Run as `python -m tests.postgres FOLDER` it keeps a server until its standard input ends, so that
the server ends with the tests, however they end. It takes lines: `stop`, `kill` (as a crash) and
`start`, and answers each with one.
"""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import psycopg
from sqlalchemy import select

from bulk_transcribe.save.database import Database, open_database
from bulk_transcribe.save.owner_tables import owners
from bulk_transcribe.save.postgres import Lease, open_postgres

#: The user who may come in with this password only; everyone else needs none.
GUARDED: Final = ("guarded", "right-horse-battery")
#: Quick, and as good as any: no test pulls the plug of this machine.
_SETTINGS: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "150",
    "shared_buffers": "32MB",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "log_min_messages": "fatal",
}


#: Tests do not wait for a quarter of a minute until a killed process counts as gone.
QUICK: Final = Lease(every_s=0.25, lasts_s=2.5, on_the_way_s=1.0)


def open_quick(place: Path | str) -> Database:
    """A store; on a server, with heartbeats that soon tell who is gone."""
    if isinstance(place, Path):
        return open_database(place)
    return Database(open_postgres(place, busy_timeout_s=30.0, lease=QUICK))


def wait_until_gone(database: Database, owner_id: str) -> None:
    """Return when an opening is not alive any more; at once on SQLite."""
    for _ in range(600):
        if not database.is_alive(owner_id):
            return
        time.sleep(0.05)
    raise AssertionError(f"{owner_id} stays alive")


def wait_until_all_are_gone(place: Path | str) -> None:
    """Return when no process that had the store open is alive any more."""
    if isinstance(place, Path):
        return
    with open_quick(place) as database:
        with database.read() as connection:
            known = list(connection.execute(select(owners.c.owner_id)).scalars())
        for owner_id in known:
            if owner_id != database.owner_id:
                wait_until_gone(database, owner_id)


def place_of(word: str) -> Path | str:
    """Where a store is, from a command line."""
    return word if "://" in word else Path(word)


def programs() -> Path | None:
    """Folder of the server's programs, the newest version's; None where there is none."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name)
    )
    on_path = shutil.which("initdb")
    if on_path is not None:
        folders.insert(0, Path(on_path).resolve().parent)
    return next((path for path in reversed(folders) if (path / "initdb").is_file()), None)


class PostgresServer:
    """A server on a port of its own, and databases in it."""

    def __init__(self, keeper: "subprocess.Popen[str]", port: int) -> None:
        self._keeper = keeper
        self.port = port
        self._made = 0

    def url(self, name: str, *, user: str = "postgres") -> str:
        """The address of a database."""
        return f"postgresql://{user}@127.0.0.1:{self.port}/{name}"

    def create(self, *, template: str = "template1") -> str:
        """A new database; its name."""
        self._made += 1
        name = f"test_{os.getpid()}_{self._made}"
        self.sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        """Take a database away, whoever is connected to it."""
        self.sql(f"DROP DATABASE {name} WITH (FORCE)")

    def sql(self, statement: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Do something as the superuser, past the program."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return list(cursor.fetchall()) if cursor.description else []

    def stop(self) -> None:
        """Stop as an administrator does: connections are cut."""
        self._say("stop")

    def kill(self) -> None:
        """End as in a crash."""
        self._say("kill")

    def start(self) -> None:
        """Start again, on the same port."""
        self._say("start")

    def _say(self, word: str) -> None:
        assert self._keeper.stdin is not None
        assert self._keeper.stdout is not None
        self._keeper.stdin.write(word + "\n")
        self._keeper.stdin.flush()
        assert self._keeper.stdout.readline() == f"{word} done\n"


@contextmanager
def running_server() -> Iterator[PostgresServer]:
    """A server for the length of the block."""
    # not below the user's own folder: the server may run as somebody else
    folder = Path(tempfile.mkdtemp(prefix="bulk-transcribe-postgres-", dir="/tmp"))
    keeper = subprocess.Popen(  # noqa: S603 -- our own program
        [sys.executable, "-m", "tests.postgres", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    try:
        assert keeper.stdout is not None
        line = keeper.stdout.readline().split()
        assert line[:1] == ["port"], f"PostgreSQL does not start: {(folder / 'log').read_text()}"
        yield PostgresServer(keeper, int(line[1]))
    finally:
        keeper.communicate()
        shutil.rmtree(folder, ignore_errors=True)


def _end_with_us() -> None:
    """Where the system can: the server gets a signal when its keeper is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)  # PR_SET_PDEATHSIG, linux/prctl.h


class _Kept:
    """The server process."""

    def __init__(self, folder: Path, bin_dir: Path) -> None:
        self._folder = folder
        self._bin = bin_dir
        self._as: Mapping[str, Any] = {}
        if os.geteuid() == 0:  # it refuses to run as root
            self._as = {"user": "postgres", "group": "postgres", "extra_groups": ()}
            shutil.chown(folder, "postgres", "postgres")
        self._log = (folder / "log").open("w")
        words = ["-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "--no-sync"]
        self._call("initdb", *words, "--locale=C", "--encoding=UTF8")
        rules = (folder / "data" / "pg_hba.conf").read_text()
        first = f"host all {GUARDED[0]} 127.0.0.1/32 scram-sha-256\n"
        (folder / "data" / "pg_hba.conf").write_text(first + rules)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
        self.start()

    def start(self) -> None:
        words = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
        self._process = self._begin(
            "postgres", "-D", str(self._folder / "data"), "-p", str(self.port), *words
        )
        for _ in range(600):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                if self._is_ready():
                    return
            time.sleep(0.05)
        raise SystemExit("PostgreSQL does not become ready")

    def _is_ready(self) -> bool:
        words = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(words, check=False).returncode == 0  # noqa: S603 -- our own

    def stop(self) -> None:
        self._end(signal.SIGINT)  # "fast": transactions are undone, connections cut

    def kill(self) -> None:
        self._end(signal.SIGQUIT)  # "immediate": as a crash, with recovery at the next start

    def _end(self, how: signal.Signals) -> None:
        self._process.send_signal(how)
        self._process.wait(30)

    def _call(self, program: str, *words: str) -> None:
        if self._begin(program, *words).wait(60) != 0:
            raise SystemExit(f"{program} failed: see {self._folder / 'log'}")

    def _begin(self, program: str, *words: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603 -- programs of the installed server
            [str(self._bin / program), *words],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            cwd=self._folder,
            start_new_session=True,  # Ctrl-C is for the tests: they end us
            preexec_fn=_end_with_us,  # noqa: PLW1509 -- this program has one thread
            **self._as,
        )


def main(folder: str) -> None:
    """Keep a server until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    found = programs()
    if found is None:
        raise SystemExit("no PostgreSQL here")
    kept = _Kept(Path(folder), found)
    print(f"port {kept.port}", flush=True)  # noqa: T201 -- the answer
    try:
        for line in sys.stdin:
            word = line.strip()
            {"stop": kept.stop, "kill": kept.kill, "start": kept.start}[word]()
            print(f"{word} done", flush=True)  # noqa: T201 -- the answer
    finally:
        kept.kill()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1])
