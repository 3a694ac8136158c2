"""Slips of the finger are told in one line, with what would be right."""

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bulk_transcribe.cli import ui
from bulk_transcribe.cli.main import app
from bulk_transcribe.config import load
from bulk_transcribe.errors import BulkTranscribeError, ConfigError, InputError


@pytest.mark.parametrize("limit", ["1e400", "-1", "1000001"])
def test_a_cost_limit_that_nobody_means_is_refused(limit: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="max_cost_usd"):
        load({"max_cost_usd": limit, "home": tmp_path}, {}, tmp_path)


def test_receipts_come_in_one_form() -> None:
    result = CliRunner().invoke(app, ["receipts", "--csv", "--json"])
    assert isinstance(result.exception, InputError)
    assert "not both" in str(result.exception)


def test_a_port_that_is_taken_is_told_with_a_way_out(tmp_path: Path) -> None:
    settings = load({"home": tmp_path}, {}, tmp_path).settings
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(BulkTranscribeError, match="cannot listen") as caught:
            ui.run(settings, host="127.0.0.1", port=other.getsockname()[1], opens_browser=False)
    assert "--port" in (caught.value.next_step or "")
