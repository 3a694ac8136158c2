"""Whose budget is whose."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bulk_transcribe.app.limits import Limits, youtube_name
from bulk_transcribe.config import Settings
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.save.database import Database, open_database
from bulk_transcribe.testing import FakeClock


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "store.db") as opened:
        yield opened


def used(database: Database, settings: Settings, *, takes: bool) -> tuple[int, int]:
    """What counts against the account and against YouTube; `takes`: after one more of each."""
    clock = FakeClock()
    with Limits(settings, database, clock, RunControl(clock)) as made:
        kinds = (RequestKind.SUBMIT, RequestKind.CAPTIONS)
        if takes:
            for kind in kinds:
                with made.limiter.permit(kind):
                    pass
        account, youtube = (made.limiter.capacity(kind).used for kind in kinds)
    return account, youtube


def test_machines_that_share_a_store_share_the_account_but_not_youtubes_patience(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Settings(database_url="postgresql://db/name", deapi_api_key="1|key")
    monkeypatch.setattr("bulk_transcribe.app.limits.socket.gethostname", lambda: "one")
    assert used(database, shared, takes=True) == (1, 1)
    assert used(database, shared, takes=False) == (1, 1)
    monkeypatch.setattr("bulk_transcribe.app.limits.socket.gethostname", lambda: "two")
    assert used(database, shared, takes=False) == (1, 0)


def test_a_long_name_of_a_machine_fits_into_the_store() -> None:
    assert len(youtube_name("a" * 253) + "@0.0001234") <= 120
    assert youtube_name("") == "youtube"
