"""The command `ui`: the page in a browser."""

import os
import socket

from bulk_transcribe.config import Settings
from bulk_transcribe.errors import ConfigError
from bulk_transcribe.ui.server import Place, serve

_DONE = 0


def run(settings: Settings, *, host: str, port: int, opens_browser: bool) -> int:
    """Serve the page until Ctrl-C.

    The page reads the settings anew for each look: environment, `.env` and settings file. The
    one flag there is, `--home`, reaches it by the environment.

    Raises:
        ConfigError: nobody can listen there; most often another page does already.
    """
    _try_to_listen(host, port)
    os.environ["BULK_TRANSCRIBE_HOME"] = str(settings.home.absolute())
    serve(Place(host=host, port=port, opens_browser=opens_browser))
    return _DONE


def _try_to_listen(host: str, port: int) -> None:
    """Better said by us than by the server, in its own words and with its own exit code."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        raise ConfigError(
            f"The page cannot listen on {host}, port {port}: {error.strerror or error}.",
            next_step="Choose another port with --port N, or 0 for any free one.",
            code="port_taken",
        ) from error
