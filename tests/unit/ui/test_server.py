"""The page is served to this machine alone, without a settings file, and says what is missing."""

import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from streamlit import config

from bulk_transcribe.errors import ConfigError
from bulk_transcribe.ui import server
from bulk_transcribe.ui.server import Place, flags


def options(place: Place) -> dict[str, str]:
    words = flags(place)
    assert words[0] == "run"
    assert Path(words[1]).name == "app.py"
    assert Path(words[1]).is_file()
    return {
        name.removeprefix("--"): value for name, value in zip(words[2::2], words[3::2], strict=True)
    }


def test_only_this_machine_reaches_it_unless_told_otherwise() -> None:
    assert options(Place())["server.address"] == "127.0.0.1"
    assert options(Place(host="0.0.0.0", port=8600))["server.address"] == "0.0.0.0"  # noqa: S104 -- the point
    assert options(Place(port=8600))["server.port"] == "8600"


def test_streamlit_knows_every_option() -> None:
    known = config.get_config_options()
    assert set(options(Place())) <= set(known)


def test_it_is_bounded_quiet_and_watches_no_file() -> None:
    given = options(Place(opens_browser=False))
    assert given["server.fileWatcherType"] == "none"
    assert given["browser.gatherUsageStats"] == "false"
    assert given["server.enableXsrfProtection"] == given["server.enableCORS"] == "true"
    assert given["server.headless"] == "true"
    assert 0 < int(given["server.maxUploadSize"]) <= 50
    assert options(Place())["server.headless"] == "false"


def test_a_foreign_name_that_leads_to_this_machine_is_refused() -> None:
    """Streamlit takes a page for its own when it comes under the name that was called."""

    def names(host: str) -> list[str]:
        words = flags(Place(host=host))
        return [after for word, after in itertools.pairwise(words) if word.endswith("allowedHosts")]

    assert names("127.0.0.1") == ["localhost", "127.0.0.1", "::1"]
    assert names("192.168.1.5") == ["localhost", "127.0.0.1", "::1", "192.168.1.5"]
    assert names("0.0.0.0") == []  # noqa: S104 -- the point


def test_without_streamlit_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "streamlit", None)
    monkeypatch.setitem(sys.modules, "streamlit.web", None)
    with pytest.raises(ConfigError, match="not installed") as caught:
        server.serve(Place())
    assert "bulk-transcribe[ui]" in caught.value.next_step


def test_the_command_line_does_not_load_streamlit() -> None:
    code = (
        "import sys, bulk_transcribe.cli.main, bulk_transcribe.cli.ui;"
        "sys.exit('streamlit' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)  # noqa: S603 -- ours


def test_no_folder_of_pages_lies_beside_the_script() -> None:
    """Streamlit took ours for its older kind of pages: a first look at /results found nothing."""
    script = Path(flags(Place())[1])
    assert not (script.parent / "pages").exists()
