"""What only a server does: outages, lost commits, processes that freeze, words about addresses."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from select import select as select_sockets

import pytest
from sqlalchemy import Connection, insert, select, update

from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.errors import StoreError
from bulk_transcribe.save.database import Database, LostError, open_database, outlasting
from bulk_transcribe.save.permits import DatabasePermitStore
from bulk_transcribe.save.postgres import open_postgres
from bulk_transcribe.save.tables import video_metadata
from tests.postgres import (
    GUARDED,
    QUICK,
    PostgresServer,
    open_quick,
    running_server,
    wait_until_gone,
)

pytestmark = pytest.mark.postgres

ROW = {"availability": "public", "live_state": "none", "source": "t"}


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that the test may stop and kill."""
    with running_server() as server:
        yield server


def put(connection: Connection, video_id: str) -> None:
    connection.execute(insert(video_metadata).values(video_id=video_id, **ROW))


def ids(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(video_metadata.c.video_id)).scalars())


# Transactions. ------------------------------------------------------------------------------------


def test_money_is_synced_at_once_and_progress_is_not(postgres_url: str) -> None:
    with open_database(postgres_url) as database:
        for durable, wanted in [(True, "on"), (False, "off"), (True, "on")]:
            with database.transaction(durable=durable) as connection:
                found = connection.exec_driver_sql("SHOW synchronous_commit").scalar()
                assert found == wanted


def test_writers_of_two_openings_take_turns_and_see_each_other(postgres_url: str) -> None:
    """Read, decide, write: with anything less than one at a time, additions would be lost."""
    with open_database(postgres_url) as one, open_database(postgres_url) as two:
        with one.transaction() as connection:
            connection.execute(insert(video_metadata).values(video_id="sum", duration_s=0.0, **ROW))
        barrier = threading.Barrier(8)

        def work(number: int) -> None:
            barrier.wait()
            for _ in range(10):
                with (one, two)[number % 2].transaction(durable=False) as connection:
                    before = connection.execute(select(video_metadata.c.duration_s)).scalar_one()
                    connection.execute(update(video_metadata).values(duration_s=before + 1))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        with one.read() as connection:
            assert connection.execute(select(video_metadata.c.duration_s)).scalar() == 80.0


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_a_server_that_starts_anew_is_waited_for_and_each_write_is_done_once(
    own_server: PostgresServer, how: str
) -> None:
    own_server.sql("CREATE DATABASE store")
    with open_quick(own_server.url("store")) as database:

        @outlasting
        def write(video_id: str) -> None:
            with database.transaction() as connection:
                put(connection, video_id)  # a second time would be refused

        done: set[str] = set()
        before = 0
        over = threading.Event()

        def work(number: int) -> None:
            turn = 0
            while not over.is_set() and turn < 10_000:
                write(f"{number}-{turn}")
                done.add(f"{number}-{turn}")
                turn += 1

        with ThreadPoolExecutor(8) as pool:
            writers = [pool.submit(work, number) for number in range(8)]
            for _ in range(2):
                time.sleep(0.3)
                getattr(own_server, how)()
                before = len(done)
                time.sleep(0.3)
                assert len(done) <= before + 8  # nobody writes now
                own_server.start()
            time.sleep(0.3)
            over.set()
            for writer in writers:
                writer.result()
        assert ids(database) == done
        assert len(done) > before


class CuttingProxy:
    """Passes bytes on to a server, until a COMMIT comes by and the test wants it cut off."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.cut: str | None = None  # "before" or "after" the server got it
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                ours, _ = self._listener.accept()
                theirs = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._pass_on, args=(ours, theirs), daemon=True).start()

    def _pass_on(self, ours: socket.socket, theirs: socket.socket) -> None:
        with ours, theirs, suppress(OSError):
            while True:
                for end in select_sockets([ours, theirs], [], [])[0]:
                    data = end.recv(65_536)
                    if not data:
                        return
                    if end is ours and self.cut is not None and b"COMMIT\0" in data:
                        how, self.cut = self.cut, None
                        if how == "after":
                            theirs.sendall(data)
                            theirs.recv(65_536)  # it is committed, and nobody hears of it
                        return
                    (theirs if end is ours else ours).sendall(data)


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[CuttingProxy]:
    found = CuttingProxy(postgres.port)
    yield found
    found.close()


def test_a_commit_whose_answer_was_lost_is_looked_up(
    postgres_url: str, postgres: PostgresServer, proxy: CuttingProxy
) -> None:
    with open_database(postgres_url.replace(str(postgres.port), str(proxy.port))) as database:
        with database.transaction() as connection:
            put(connection, "first")
        proxy.cut = "after"
        with database.transaction() as connection:
            put(connection, "written")
        assert proxy.cut is None
        proxy.cut = "before"
        with pytest.raises(LostError), database.transaction() as connection:
            put(connection, "not written")
        assert ids(database) == {"first", "written"}


def test_who_is_lost_in_the_middle_begins_anew(postgres_url: str, postgres: PostgresServer) -> None:
    with open_database(postgres_url) as database:
        cut: list[int] = []

        @outlasting
        def write() -> None:
            with database.transaction() as connection:
                put(connection, "once")
                if len(cut) < 2:
                    cut.append(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
                    postgres.sql(f"SELECT pg_terminate_backend({cut[-1]})")
                put(connection, "more")

        write()
        assert len(set(cut)) == 2
        assert ids(database) == {"once", "more"}


def test_who_is_never_let_through_gets_the_error(postgres_url: str) -> None:
    with open_database(postgres_url) as database:
        turns = []

        @outlasting
        def write() -> None:
            turns.append(0)
            raise LostError("again")

        with pytest.raises(LostError, match="again"):
            write()
        assert 1 < len(turns) < 10
        assert ids(database) == set()


# Owners. ------------------------------------------------------------------------------------------


class Child:
    """See `postgres_child`."""

    def __init__(self, address: str) -> None:
        self.process = subprocess.Popen(  # noqa: S603 -- our own program
            [sys.executable, "-W", "error", "-m", "tests.contract.postgres_child", address],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self.owner_id = self.heard()

    def heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def say(self, video_id: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(video_id + "\n")
        self.process.stdin.flush()

    def write(self, video_id: str) -> str:
        self.say(video_id)
        return self.heard()


@contextmanager
def child_of(address: str) -> Iterator[Child]:
    child = Child(address)
    try:
        yield child
    finally:
        child.process.send_signal(signal.SIGCONT)
        child.process.communicate(timeout=30)


def test_a_frozen_process_that_wakes_after_a_takeover_writes_nothing(postgres_url: str) -> None:
    with open_quick(postgres_url) as database, child_of(postgres_url) as child:
        assert child.write("before") == "written"
        os.kill(child.process.pid, signal.SIGSTOP)
        child.say("after")  # it finds this when it wakes
        wait_until_gone(database, child.owner_id)
        with database.transaction():  # whoever takes something over looks in here
            assert not database.is_alive(child.owner_id)
        os.kill(child.process.pid, signal.SIGCONT)
        assert child.heard() == "lease_lost"
        assert child.write("later") == "lease_lost"
        assert ids(database) == {"before"}


def test_a_lapse_that_nobody_used_does_no_harm(postgres_url: str) -> None:
    with open_quick(postgres_url) as database, child_of(postgres_url) as child:
        os.kill(child.process.pid, signal.SIGSTOP)
        wait_until_gone(database, child.owner_id)
        os.kill(child.process.pid, signal.SIGCONT)
        assert child.write("after") == "written"
        time.sleep(QUICK.every_s * 4)
        assert database.is_alive(child.owner_id)
        with database.transaction():
            assert database.is_alive(child.owner_id)


def test_who_was_cut_off_itself_declares_nobody_gone(own_server: PostgresServer) -> None:
    """After an outage everyone's heartbeat is old: that of the living ones, too."""
    own_server.sql("CREATE DATABASE store")
    address = own_server.url("store")
    with open_quick(address) as database, child_of(address) as child:
        os.kill(child.process.pid, signal.SIGSTOP)  # the slowest to come back
        own_server.stop()
        time.sleep(QUICK.lasts_s)
        own_server.start()
        with database.transaction():
            assert database.is_alive(child.owner_id)
        os.kill(child.process.pid, signal.SIGCONT)
        assert child.write("after") == "written"


def test_permits_of_a_process_that_was_declared_gone_count_as_long_as_they_may_be_under_way(
    postgres_url: str,
) -> None:
    with open_quick(postgres_url) as mine:
        lost = open_postgres(postgres_url, busy_timeout_s=30.0, lease=QUICK)
        other = Database(lost)
        with DatabasePermitStore(other).open("a") as book:
            book.grant([RequestKind.SUBMIT], 100.0)
        lost._owner._over.set()  # its heart stops, and its row stays
        lost._owner._thread.join()
        wait_until_gone(mine, other.owner_id)
        with DatabasePermitStore(mine).open("a") as book:
            assert book.settle(150.0, 152.0) == 1
            until_s = 152.0 + QUICK.on_the_way_s
            assert book.counts(until_s - 0.1) == {RequestKind.SUBMIT: 1}
            assert book.counts(until_s) == {}
        lost._owner._engine.dispose()
        lost._reader.dispose()
        lost._writer.dispose()


# The clock. ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_the_clock_of_a_database_is_the_server_s(
    postgres_url: str, postgres: PostgresServer, speed: float
) -> None:
    with open_database(postgres_url) as database:
        clock = database.clock(SystemClock(speed))
        assert clock.speed == speed
        (told,) = postgres.sql("SELECT extract(epoch FROM clock_timestamp())::float8")
        assert clock.now_s() / speed == pytest.approx(told[0], abs=1.0)
        if speed == 1.0:
            assert clock.now().timestamp() == pytest.approx(told[0], abs=1.0)
        before_s = clock.now_s()
        assert clock.now_s() >= before_s


# Words. -------------------------------------------------------------------------------------------


def trouble(address: str) -> StoreError:
    with pytest.raises(StoreError) as caught:
        open_database(address)
    shown: BaseException | None = caught.value
    while shown is not None:
        assert "right-horse" not in str(shown)
        assert "wrong-horse" not in str(shown)
        shown = shown.__cause__
    assert caught.value.next_step
    return caught.value


def test_each_trouble_with_an_address_has_its_word(postgres: PostgresServer) -> None:
    user, password = GUARDED
    postgres.sql(f"CREATE ROLE {user} LOGIN PASSWORD '{password}'")
    host = f"127.0.0.1:{postgres.port}"
    refused = trouble(f"postgresql://{user}:wrong-horse@{host}/fresh")
    assert refused.code == "store_refused"
    assert f"{user}@{host}" in refused.message
    assert trouble(f"postgresql://{user}@{host}/fresh").code == "store_refused"
    assert trouble(f"postgresql://postgres:right-horse@{host}/nowhere").code == "no_database"
    # a user without the right to make tables
    assert trouble(f"postgresql://{user}:{password}@{host}/postgres").code == "store_read_only"
    tls = trouble(f"postgresql://postgres:right-horse@{host}/fresh?sslmode=require")
    assert tls.code == "store_tls"
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    away = trouble(f"postgresql://postgres:right-horse@127.0.0.1:{free}/fresh")
    assert away.code == "store_unreachable"
    for bad in ("mysql://a:right-horse@b/c", "postgresql://a:right-horse@b", "right-horse"):
        assert trouble(bad).code == "bad_database_url"


def test_what_belongs_to_others_or_is_newer_is_left_alone(
    postgres: PostgresServer, postgres_url: str
) -> None:
    name = postgres.create()
    postgres.sql("CREATE TABLE diary (day text)", name)
    assert trouble(postgres.url(name)).code == "foreign_database"
    assert postgres.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'", name) == [
        ("diary",)
    ]
    postgres.drop(name)
    with open_database(postgres_url) as database, database.transaction() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert trouble(postgres_url).code == "newer_database"


def test_without_the_driver_it_says_what_to_install(postgres_url: str) -> None:
    program = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from bulk_transcribe.save.database import open_database\n"
        "from bulk_transcribe.errors import StoreError\n"
        "try: open_database(sys.argv[1])\n"
        "except StoreError as error: print(error.code, error.next_step)\n"
    )
    told = subprocess.run(  # noqa: S603 -- our own program
        [sys.executable, "-c", program, postgres_url], capture_output=True, text=True, check=True
    ).stdout
    assert told == "no_driver Install it: pip install 'bulk-transcribe[cluster]'.\n"
