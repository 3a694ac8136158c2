"""The command `ui`: the page in a browser."""

import os

from bulk_transcribe.cli.ports import try_to_listen
from bulk_transcribe.config import Settings
from bulk_transcribe.ui.server import Place, serve

_DONE = 0


def run(settings: Settings, *, host: str, port: int, opens_browser: bool) -> int:
    """Serve the page until Ctrl-C.

    The page reads the settings anew for each look: environment, `.env` and settings file. The
    flags that every command has reach it by the environment.

    Raises:
        ConfigError: nobody can listen there; most often another page does already.
    """
    try_to_listen("The page", host, port)
    export_place(settings)
    serve(Place(host=host, port=port, opens_browser=opens_browser))
    return _DONE


def export_place(settings: Settings) -> None:
    """Let the page, and the engines that it starts, find the same store."""
    os.environ["BULK_TRANSCRIBE_HOME"] = str(settings.home.absolute())
    if settings.database_url:
        os.environ["DATABASE_URL"] = settings.database_url
