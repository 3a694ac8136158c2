"""Whether somebody may listen at an address: better said by us than by a server's own words."""

import socket

from bulk_transcribe.errors import ConfigError


def try_to_listen(what: str, host: str, port: int) -> None:
    """Listen for a moment.

    Args:
        what: Who wants to listen, as the message's subject.
        host: An address or a name of this machine.
        port: 0 takes any free one.

    Raises:
        ConfigError: nobody can listen there; most often somebody does already.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"{what} cannot listen on {host}, port {port}: {reason}.",
            next_step="Choose another port with --port N, or 0 for any free one.",
            code="port_taken",
        ) from error
