"""Which network addresses may be asked when somebody else's answer names them.

A result's address comes from the paid service, a caption track's from YouTube's page, and either
may redirect. None of them may lead into the network that this machine stands in: its own ports, the
router, a cloud's metadata service. Names are resolved here, once, and the connection goes to the
number that was looked at, so that a name cannot change its mind in between.

The origins that the settings name are trusted as they are, and `allow_private` lifts the rule.
"""

import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import Final
from urllib.parse import urlsplit

#: Host and port -> numeric addresses, the best first.
Resolve = Callable[[str, int], Sequence[str]]

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_PORTS: Final = {"http": 80, "https": 443}
#: IPv6 ranges whose addresses carry an IPv4 address in their last 32 bits (RFC 6052, RFC 8215).
_WITH_IPV4_AT_THE_END: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in ("64:ff9b::/96", "64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")
)


class PrivateAddressError(Exception):
    """An answer wants to send us into a private network. Nothing was sent.

    Args:
        host: The name or number that was named.
    """

    def __init__(self, host: str) -> None:
        super().__init__(f"{host} is not an address of the public internet")
        self.host = host


def is_public(text: str) -> bool:
    """Whether a numeric address belongs to the public internet.

    Private, loopback, link-local, shared, multicast, reserved and unspecified ones do not, nor do
    IPv6 addresses that carry such an IPv4 address (mapped, translated, 6to4, Teredo). False for
    what is no address.
    """
    try:
        address: _Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = _ipv4_in(address)
        if inner:
            return all(map(_is_public, inner))
    return _is_public(address)


def _is_public(address: _Address) -> bool:
    return address.is_global and not (
        address.is_multicast or address.is_reserved or address.is_unspecified
    )


def _ipv4_in(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address leads to; [] where it is one of its own."""
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address.sixtofour]
    if address.teredo is not None:
        return [*address.teredo]
    if any(address in network for network in _WITH_IPV4_AT_THE_END):
        return [ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)]
    return []


def resolve(host: str, port: int) -> list[str]:
    """The system's answer for a name, however it is written (0x7f.1 is 127.0.0.1).

    Raises:
        OSError: there is none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (UnicodeError, ValueError) as error:  # a part longer than 63 letters, a NUL
        raise OSError(f"{host[:80]!r} is not a name of a host") from error
    return list(dict.fromkeys(str(where[0]) for *_, where in found))


class AddressGuard:
    """Says where a connection may go. May be shared by all threads.

    Args:
        trusted: Addresses of the services that the settings name, such as
            "http://127.0.0.1:8099"; host and port have to be the same.
        allow_private: Let everything through.
        resolve: Names to numbers.
    """

    def __init__(
        self,
        *,
        trusted: Iterable[str] = (),
        allow_private: bool = False,
        resolve: Resolve = resolve,
    ) -> None:
        self._trusted = frozenset(filter(None, map(origin_of, trusted)))
        self._allow_private = allow_private
        self._resolve = resolve

    def targets(self, host: str, port: int) -> Sequence[str]:
        """What to connect to for a host, in this order; the host itself where it is trusted.

        Raises:
            PrivateAddressError: any of its addresses is private.
            OSError: it has none.
        """
        host = _bare(host)
        if self._allow_private or (host, port) in self._trusted:
            return [host]
        found = self._resolve(host, port)
        if not found:
            raise OSError(f"{host[:80]!r} has no address")
        # one private address among public ones is how a name is made to change its mind
        if not all(map(is_public, found)):
            raise PrivateAddressError(host)
        return found

    def check(self, url: str, *, by_name: bool = True) -> None:
        """Look at an address before somebody else connects to it.

        Args:
            url: The address.
            by_name: False where a proxy resolves the name: then only numbers are looked at.

        Raises:
            PrivateAddressError: it leads into a private network, or is none that can be read.
            OSError: its host has no address.
        """
        origin = origin_of(url)
        if origin is None:
            raise PrivateAddressError(url[:80])
        if by_name or _is_number(origin[0]):
            self.targets(*origin)


def origin_of(url: str) -> tuple[str, int] | None:
    """Host in lower case and port of an http or https address; None for anything else."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port or _PORTS[parts.scheme.lower()]
    except (ValueError, KeyError):
        return None
    host = _bare(parts.hostname or "")
    return (host, port) if host and parts.scheme.lower() in _PORTS else None


def _bare(host: str) -> str:
    return host.strip("[]").lower().removesuffix(".")


def _is_number(host: str) -> bool:
    """Whether a host is a number, in any spelling that systems understand, or this machine."""
    if host == "localhost" or host.endswith(".localhost") or ":" in host:
        return True
    parts = host.split(".")
    return all(part.isascii() and (part.isdigit() or part.startswith("0x")) for part in parts)
