"""A bug is told in words; its report has no key in it."""

import threading
from pathlib import Path

import pytest

from bulk_transcribe.cli import crash

KEY = "417|pl4nted-key"


def _bug() -> Exception:
    try:
        raise ValueError(f"Illegal header value 'Bearer {KEY}'")  # noqa: TRY301 -- with a traceback
    except ValueError as bug:
        return bug


def test_a_bug_becomes_words_and_a_report_without_the_key(tmp_path: Path) -> None:
    environ = {"BULK_TRANSCRIBE_HOME": str(tmp_path / "home"), "DEAPI_API_KEY": KEY}
    words = crash.report(_bug(), environ, tmp_path)
    written = (tmp_path / "home" / crash.REPORT_NAME).read_text()
    assert "ValueError" in words
    assert "Traceback" not in words
    assert "Traceback" in written
    assert "Illegal header value" in written
    assert "pl4nted" not in words + written


def test_a_key_from_the_dotenv_file_is_taken_out_as_well(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"DEAPI_API_KEY={KEY}\n")
    crash.report(_bug(), {"BULK_TRANSCRIBE_HOME": str(tmp_path)}, tmp_path)
    assert "pl4nted" not in (tmp_path / crash.REPORT_NAME).read_text()


@pytest.mark.parametrize("broken", ["captions_rpm", "home"])
def test_where_nothing_can_be_written_the_traceback_is_shown_without_the_key(
    broken: str, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file")
    environ = {"BULK_TRANSCRIBE_HOME": str(tmp_path / "taken" / "home"), "DEAPI_API_KEY": KEY}
    if broken == "captions_rpm":
        environ["BULK_TRANSCRIBE_CAPTIONS_RPM"] = "many"
    words = crash.report(_bug(), environ, tmp_path)
    assert "Traceback" in words
    assert "pl4nted" not in words


def test_a_thread_that_ends_by_a_bug_tells_it_without_the_key(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    thread = threading.Thread(name="worker")
    ended = threading.ExceptHookArgs((ValueError, _bug(), None, thread))
    crash.tell_of_thread(ended, {"DEAPI_API_KEY": KEY}, tmp_path)
    told = capsys.readouterr().err
    assert "worker" in told
    assert "ValueError" in told
    assert "pl4nted" not in told


def test_a_thread_that_wants_to_exit_says_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = threading.ExceptHookArgs((SystemExit, SystemExit(), None, None))
    crash.tell_of_thread(ended, {}, tmp_path)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("words", [["--home", "there"], ["--home=there"]])
def test_the_report_lies_in_the_data_folder_that_the_command_names(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    crash.report(_bug(), {}, tmp_path, ["bulk-transcribe", *words, "run"])
    assert (tmp_path / "there" / crash.REPORT_NAME).is_file()
