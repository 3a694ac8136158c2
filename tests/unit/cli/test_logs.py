"""No secret reaches the log file."""

import logging
from pathlib import Path

import pytest

from bulk_transcribe.cli import logs
from bulk_transcribe.config import Settings
from bulk_transcribe.errors import StoreError


def _fail(key: str) -> None:
    raise RuntimeError(key)


def test_a_planted_key_is_starred_out_of_messages_and_tracebacks(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, deapi_api_key="7|planted-secret")
    logs.start(settings)
    try:
        log = logging.getLogger("bulk_transcribe.test")
        log.warning("sent %s", "Bearer 7|planted-secret")
        try:
            _fail("7|planted-secret")
        except RuntimeError:
            log.exception("a bug")
    finally:
        logs.stop()

    written = settings.log_path.read_text()
    assert "planted-secret" not in written
    assert written.count("***") == 2 + 1  # the raising line of the traceback quotes it, too
    assert "Traceback" in written


def test_a_folder_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StoreError, match="taken"):
        logs.start(Settings(home=tmp_path / "taken" / "home"))
