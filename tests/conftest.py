"""What the tests of several folders share: the databases that they run on."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bulk_transcribe.save.database import open_database
from tests.postgres import PostgresServer, programs, running_server


@pytest.fixture(scope="session")
def _servers() -> Iterator[ExitStack]:
    with ExitStack() as parts:
        yield parts


@pytest.fixture(scope="session")
def postgres(_servers: ExitStack) -> PostgresServer:
    """A server, with a database of that name `fresh` whose tables are made; one for all tests."""
    if programs() is None:
        pytest.skip("no PostgreSQL here: install the package postgresql to run these tests")
    server = _servers.enter_context(running_server())
    server.sql("CREATE DATABASE fresh")
    open_database(server.url("fresh")).close()
    return server


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
