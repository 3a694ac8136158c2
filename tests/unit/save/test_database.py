import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from bulk_transcribe.errors import StoreError
from bulk_transcribe.save.database import ConflictError, Database, open_database, upsert
from bulk_transcribe.save.sqlite import explain
from bulk_transcribe.save.tables import video_metadata
from bulk_transcribe.save.tables import wishes as wishes_table

FACTS = {"availability": "public", "live_state": "none", "source": "t"}


def put(database: Database, video_id: str) -> None:
    with database.transaction() as connection:
        connection.execute(insert(video_metadata).values(video_id=video_id, **FACTS))


def ids(database: Database) -> list[str]:
    query = select(video_metadata.c.video_id).order_by(video_metadata.c.video_id)
    with database.read() as connection:
        return list(connection.execute(query).scalars())


def test_the_folder_is_made_and_what_was_written_is_there_again(tmp_path: Path) -> None:
    path = tmp_path / "a folder" / "100% mine.db"
    with open_database(path) as database:
        put(database, "a")
    with open_database(path) as database:
        assert ids(database) == ["a"]


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def half() -> None:
        with database.transaction() as connection:
            connection.execute(insert(video_metadata).values(video_id="a", **FACTS))
            raise KeyError("in between")

    with pytest.raises(KeyError):
        half()
    assert ids(database) == []
    put(database, "b")  # and the turn was given back
    assert ids(database) == ["b"]


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_money_is_synced_at_once_and_progress_is_not(database: Database) -> None:
    full, normal = 2, 1  # https://sqlite.org/pragma.html#pragma_synchronous
    for durable, wanted in [(True, full), (False, normal), (True, full)]:
        with database.transaction(durable=durable) as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == wanted
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1


def test_a_reader_sees_one_moment_and_is_not_kept_waiting_by_a_writer(database: Database) -> None:
    put(database, "a")
    with database.transaction() as writing:
        writing.execute(insert(video_metadata).values(video_id="b", **FACTS))
        assert ids(database) == ["a"]
    assert ids(database) == ["a", "b"]


def test_a_reader_cannot_write(database: Database) -> None:
    with pytest.raises(StoreError, match="read-only"), database.read() as connection:
        connection.execute(insert(video_metadata).values(video_id="a", **FACTS))


def test_write_transactions_do_not_nest(database: Database) -> None:
    with (
        pytest.raises(RuntimeError, match="nest"),
        database.transaction(),
        database.transaction(),
    ):
        pass  # pragma: no cover


def test_many_threads_write_and_read_at_once_and_nothing_is_lost(database: Database) -> None:
    barrier = threading.Barrier(32)

    def work(number: int) -> None:
        barrier.wait()
        for turn in range(4):
            put(database, f"{number:02}-{turn}")
            ids(database)

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(work, range(32)))
    assert len(ids(database)) == 128


def test_a_broken_guard_is_a_conflict(database: Database) -> None:
    put(database, "a")
    with pytest.raises(ConflictError, match=r"(?i)unique"):
        put(database, "a")


def test_an_upsert_replaces_adds_and_keeps_the_least_or_most(database: Database) -> None:
    row = {"video_id": "a", "title": "b", "channel": "b", "language": "b", "duration_s": 1.0}
    with database.transaction() as connection:
        for text, added in [("b", 1.0), ("c", 2.0), ("a", 4.0)]:
            later = row | {"title": text, "channel": text, "language": text, "duration_s": added}
            upsert(
                connection,
                video_metadata,
                [later | FACTS],
                add=["duration_s"],
                least=["channel"],
                most=["language"],
            )
        upsert(connection, video_metadata, [])
        found = connection.execute(select(video_metadata)).mappings().one()
    assert found["title"] == "a"
    assert found["channel"] == "a"
    assert found["language"] == "c"
    assert found["duration_s"] == 7.0


def test_an_owner_is_alive_until_it_closes(place: Path | str) -> None:
    with open_database(place) as database, open_database(place) as other:
        assert database.owner_id != other.owner_id
        assert database.is_alive(other.owner_id)
        assert database.is_alive(database.owner_id)
        other.close()
        assert not database.is_alive(other.owner_id)
        assert not database.is_alive("1-never")


def test_many_may_open_a_new_database_at_once(place: Path | str) -> None:
    barrier = threading.Barrier(8)

    def work(number: int) -> None:
        barrier.wait()
        with open_database(place) as database:
            put(database, str(number))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    with open_database(place) as database:
        assert len(ids(database)) == 8


def test_a_lock_of_another_process_is_told_in_plain_words(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_database(path, busy_timeout_s=0.01) as database:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE").close()
        with pytest.raises(StoreError, match="locked by another process") as caught:
            put(database, "a")
        other.execute("COMMIT").close()
        other.close()
        assert caught.value.code == "store_locked"
        assert str(path) in str(caught.value)
        assert caught.value.next_step
        put(database, "a")


@pytest.mark.parametrize("place", ["sqlite"], indirect=True)
def test_a_full_disk_is_told_in_plain_words_and_undoes_the_transaction(database: Database) -> None:
    def fill() -> None:
        with database.transaction() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")
            big = "x" * 1_000_000
            connection.execute(insert(video_metadata).values(video_id="a", title=big, **FACTS))

    with pytest.raises(StoreError, match="disk is full") as caught:
        fill()
    assert caught.value.code == "disk_full"
    assert ids(database) == []


def test_a_damaged_database_is_told_in_plain_words_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_bytes(b"not a database at all" * 1000)
    with pytest.raises(StoreError, match="damaged") as caught:
        open_database(path)
    assert caught.value.code == "store_damaged"
    assert path.read_bytes().startswith(b"not a database")


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE diary (day TEXT)").close()
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        open_database(path)
    assert path.read_bytes() == before


def test_what_a_killed_process_left_behind_is_tidied_up(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    left = tmp_path / "store.db.owners" / "4711-abc.lock"
    left.parent.mkdir()
    left.touch()  # nobody holds it
    with open_database(path) as database:
        assert not left.exists()
        open_database(path).close()
        assert database.is_alive(database.owner_id)  # the living one's stays


def test_an_old_sqlite_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(StoreError, match="too old"):
        open_database(tmp_path / "store.db")


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used") as caught:
        open_database(tmp_path / "file" / "store.db")
    assert caught.value.next_step


def test_a_path_that_is_a_folder_is_a_store_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        open_database(tmp_path)


def test_values_do_not_travel_into_messages(database: Database) -> None:
    with (
        pytest.raises(StoreError) as caught,
        database.transaction() as connection,
    ):
        connection.execute(
            insert(wishes_table).values(session_id="hidden-value", wish=None, value="hidden-value")
        )
    error: BaseException | None = caught.value
    while error is not None:
        assert "hidden-value" not in str(error)
        error = error.__cause__


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "store_locked"),  # an extended code
        (sqlite3.SQLITE_READONLY_DIRECTORY, "store_read_only"),
        (sqlite3.SQLITE_IOERR_FSYNC, "store_disk"),
        (sqlite3.SQLITE_CORRUPT, "store_damaged"),
        (sqlite3.SQLITE_ERROR, "store"),
    ],
)
def test_each_cause_has_its_word(code: int, word: str) -> None:
    error = sqlite3.OperationalError("it went wrong")
    error.sqlite_errorcode = code
    told = explain(error, Path("/some/store.db"))
    assert told.code == word
    assert "/some/store.db" in told.message
    assert told.next_step
