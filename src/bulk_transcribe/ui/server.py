"""Serves the page: Streamlit, told all it needs by flags, so that no settings file is needed."""

import gc
import sys
from dataclasses import dataclass
from pathlib import Path

from bulk_transcribe.errors import ConfigError

_SCRIPT = Path(__file__).parent / "script" / "app.py"
#: A list of 50,000 links is 3 MB; a spreadsheet with descriptions is more.
_UPLOAD_MB = 50
#: Names under which this machine reaches itself.
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
#: Addresses that mean every network: under which name the page is called there is not known.
_EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 -- compared, not listened on
#: Real seconds that a script works while a message waits to be sent.
_TURN_S = 0.0005
_BLUE_ON_WHITE, _BLUE_ON_BLACK = "#1167b1", "#4da3f0"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the page is served.

    Args:
        host: Address to listen on; only this machine reaches the default.
        port: 0 takes any free one.
        opens_browser: Whether a browser is opened on it.
    """

    host: str = "127.0.0.1"
    port: int = 8501
    opens_browser: bool = True


def flags(place: Place) -> list[str]:
    """Streamlit's command line for the page."""
    options = {
        "server.address": place.host,
        "server.port": str(place.port),
        "server.headless": "false" if place.opens_browser else "true",
        # the installed package does not change, and a changed file must not start anything twice
        "server.fileWatcherType": "none",
        "server.runOnSave": "false",
        "server.enableXsrfProtection": "true",
        "server.enableCORS": "true",
        "server.maxUploadSize": str(_UPLOAD_MB),
        "browser.gatherUsageStats": "false",
        "client.toolbarMode": "minimal",
        # until the script has named its pages, Streamlit would list the files in `pages`
        "client.showSidebarNavigation": "false",
        "client.showErrorDetails": "none",
        # the bars of Streamlit are blue, too: its red would look like failure
        "theme.light.primaryColor": _BLUE_ON_WHITE,
        "theme.dark.primaryColor": _BLUE_ON_BLACK,
        "global.developmentMode": "false",
    }
    words = [*options.items(), *(("server.allowedHosts", name) for name in _names(place))]
    return ["run", str(_SCRIPT)] + [word for name, value in words for word in (f"--{name}", value)]


def _names(place: Place) -> tuple[str, ...]:
    """Names by which a browser may call the page; () allows all.

    A page elsewhere could let its own name lead to this machine and so pass for ours.
    """
    if place.host in _EVERYWHERE:
        return ()
    return tuple(dict.fromkeys((*_LOOPBACK, place.host.strip("[]"))))


def serve(place: Place) -> None:
    """Serve until Ctrl-C. Engines that were started from the page go on after it.

    Raises:
        ConfigError: Streamlit is not installed.
    """
    try:
        from streamlit.web import cli  # noqa: PLC0415 -- an extra, and slow to import
    except ModuleNotFoundError as error:
        raise no_streamlit() from error
    _settle()
    sys.argv = ["streamlit", *flags(place)]  # the script sees the words of its own start alone
    cli.main(flags(place), standalone_mode=False)


def _settle() -> None:
    """Load what the pages need before anybody waits for one, and count it as there to stay.

    Else the collector of garbage walks through all of these libraries every few looks at a long
    list, which then take half as long again.
    """
    import bulk_transcribe.ui.main  # noqa: F401, PLC0415 -- with it all pages

    gc.collect()
    gc.freeze()
    # a script that works on a long list would let what it has drawn wait for its turn to be sent,
    # message by message, five thousandths of a second each
    sys.setswitchinterval(_TURN_S)


def no_streamlit() -> ConfigError:
    """What to say where the page's extra is not installed."""
    return ConfigError(
        "The page needs Streamlit, which is not installed.",
        next_step="Install it with: pip install 'bulk-transcribe[ui]'",
        code="no_ui",
    )
