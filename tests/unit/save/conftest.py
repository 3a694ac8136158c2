from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_transcribe.save.database import Database, open_database
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.testing import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(auto=True)


@pytest.fixture
def database(place: Path | str) -> Iterator[Database]:
    with open_database(place) as opened:
        yield opened


@pytest.fixture
def manager(database: Database, clock: FakeClock) -> SessionManager:
    return SessionManager(database, clock)
