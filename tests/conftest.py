"""What the tests of several folders share: the databases that they run on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_transcribe.save.database import open_database
from tests.postgres import PostgresServer, programs, running_server


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without the programs of a server its tests are left out."""
    if programs() is not None:
        return
    left_out = [item for item in items if item.get_closest_marker("postgres")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say so once."""
    if programs() is None:
        terminalreporter.write_line(
            "skipped: all tests on PostgreSQL; install the package postgresql to run them"
        )


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server, with a database of the name `fresh` whose tables are made; one for all tests."""
    with running_server() as server:
        server.sql("CREATE DATABASE fresh")
        open_database(server.url("fresh")).close()
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """The address of a new database with all tables and no rows."""
    name = postgres.create(template="fresh")
    yield postgres.url(name)
    postgres.drop(name)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    """Where a store may be: what every database has to do is asked of each kind."""
    if request.param == "sqlite":
        return tmp_path / "store.db"
    address: str = request.getfixturevalue("postgres_url")
    return address
