"""Where the answers of others may lead us, and where not."""

import socket
from collections.abc import Sequence

import httpx2
import pytest

from bulk_transcribe.clients.addresses import (
    AddressGuard,
    PrivateAddressError,
    is_public,
    origin_of,
    resolve,
)
from bulk_transcribe.clients.deapi import DeapiClient
from bulk_transcribe.clients.http import HttpClient
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.errors import APIError, NetworkError
from tests.unit.clients.doubles import MemoryLog, OpenLimiter, raw_server, read_request

TICKET = Ticket(video_id="dQw4w9WgXcQ")
TEXT = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nHello"


@pytest.mark.parametrize(
    "address",
    """
    127.0.0.1 127.255.255.254 0.0.0.0 10.1.2.3 172.16.0.1 172.31.255.255 192.168.0.1 169.254.169.254
    100.64.0.1 198.18.0.1 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 192.0.2.1 :: ::1 fe80::1
    fe80::1%eth0 fc00::1 fd00:ec2::254 ff02::1 ff0e::1 2001:db8::1 ::ffff:127.0.0.1
    ::ffff:169.254.169.254 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 2002:7f00:1::
    2002:a9fe:a9fe::1 2001:0:7f00:1:: ::ffff:0:7f00:1 no-address 1.2.3 0x7f.1
    """.split(),  # noqa: SIM905 -- a list of numbers is easier to read so
)
def test_addresses_inside_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    "8.8.8.8 142.250.1.1 172.32.0.1 2607:f8b0::1 ::ffff:8.8.8.8 64:ff9b::808:808".split(),  # noqa: SIM905
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Example.com/x", ("example.com", 443)),
        ("http://example.com.:8080", ("example.com", 8080)),
        ("http://[::1]/", ("::1", 80)),
        ("http://user:word@10.0.0.1@evil.example/", ("evil.example", 80)),
        ("ftp://example.com", None),
        ("http://", None),
        ("http://x:99999999", None),
        ("http://[", None),
        ("", None),
    ],
)
def test_the_origin_of_an_address(url: str, origin: tuple[str, int] | None) -> None:
    assert origin_of(url) == origin


class Names:
    """Answers for names, in order; the last one stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def test_a_name_that_leads_inside_is_refused_even_where_it_leads_outside_as_well() -> None:
    guard = AddressGuard(resolve=Names(["8.8.8.8", "10.0.0.1"]))
    with pytest.raises(PrivateAddressError, match="not an address"):
        guard.targets("rebind.example", 443)


def test_the_connection_goes_to_the_number_that_was_looked_at() -> None:
    names = Names(["8.8.8.8"], ["127.0.0.1"])
    assert AddressGuard(resolve=names).targets("rebind.example", 443) == ["8.8.8.8"]
    assert len(names.asked) == 1


def test_an_origin_of_the_settings_is_trusted_with_its_port_alone() -> None:
    guard = AddressGuard(trusted=("http://127.0.0.1:8099/", "", "nonsense"))
    assert guard.targets("127.0.0.1", 8099) == ["127.0.0.1"]
    with pytest.raises(PrivateAddressError):
        guard.targets("127.0.0.1", 6379)


def test_the_setting_lets_everything_through() -> None:
    AddressGuard(allow_private=True).check("http://169.254.169.254/latest")


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost"])
def test_numbers_are_read_as_the_system_reads_them(host: str) -> None:
    with pytest.raises(PrivateAddressError):
        AddressGuard().check(f"http://{host}/")


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b"])
def test_what_is_no_name_has_no_address(host: str) -> None:
    with pytest.raises(OSError, match="name"):
        resolve(host, 80)


def test_behind_a_proxy_names_are_the_proxys_and_numbers_are_still_looked_at() -> None:
    names = Names(["10.0.0.1"])
    guard = AddressGuard(resolve=names)
    guard.check("https://www.youtube.com/x", by_name=False)
    assert names.asked == []
    for host in ("[::1]", "127.0.0.1", "0x7f.1", "localhost"):
        with pytest.raises(PrivateAddressError):
            AddressGuard().check(f"http://{host}/", by_name=False)


@pytest.mark.parametrize("url", ["gopher://x/", "http://[", "file:///etc/passwd"])
def test_an_address_that_cannot_be_read_is_refused(url: str) -> None:
    with pytest.raises(PrivateAddressError):
        AddressGuard(allow_private=True).check(url)


# --- with real sockets


def deapi(guard: AddressGuard) -> tuple[DeapiClient, HttpClient, OpenLimiter]:
    limiter = OpenLimiter()
    http = HttpClient(
        limiter=limiter, log=MemoryLog(), clock=SystemClock(), timeout_s=5.0, guard=guard
    )
    return DeapiClient(api_key="1|x", http=http), http, limiter


def test_a_result_inside_is_not_fetched_and_the_video_says_why() -> None:
    asked: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        asked.append(read_request(connection))
        connection.sendall(TEXT)

    with raw_server(talk) as url:
        client, http, _ = deapi(AddressGuard())
        with http, pytest.raises(APIError) as caught:
            client.download(f"{url}/result", TICKET)
        assert asked == []
        assert (caught.value.code, caught.value.can_retry) == ("private_address", True)
        assert "allow_private_addresses" in str(caught.value)
        assert caught.value.video_id == TICKET.video_id

        client, http, _ = deapi(AddressGuard(trusted=(url,)))
        with http:
            assert client.download(f"{url}/result", TICKET) == "Hello"


def test_a_redirect_inside_is_not_followed() -> None:
    inside: list[bytes] = []

    def secret(connection: socket.socket) -> None:
        inside.append(read_request(connection))
        connection.sendall(TEXT)

    with raw_server(secret) as target:

        def sends_on(connection: socket.socket) -> None:
            read_request(connection)
            head = f"HTTP/1.1 302 Found\r\nLocation: {target}/\r\nContent-Length: 0\r\n\r\n"
            connection.sendall(head.encode())

        with raw_server(sends_on) as url:
            client, http, _ = deapi(AddressGuard(trusted=(url,)))
            with http, pytest.raises(APIError, match="private network"):
                client.download(f"{url}/result", TICKET)
    assert inside == []


def test_a_name_that_changes_its_mind_is_connected_to_where_it_was_looked_at() -> None:
    """The second answer is this machine; it is never asked for."""
    names = Names(["192.0.2.1"], ["127.0.0.1"])  # reserved for documentation: nobody is there
    client, http, _ = deapi(AddressGuard(resolve=names))
    with http, pytest.raises(APIError, match="private network"):
        client.download("http://rebind.example/x", TICKET)
    assert names.asked == [("rebind.example", 80)]


def test_every_address_of_a_name_is_tried() -> None:
    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(TEXT)

    with raw_server(talk) as url:
        port = httpx2.URL(url).port
        names = Names(["::1", "127.0.0.1"])

        class Open(AddressGuard):
            def targets(self, host: str, port: int) -> Sequence[str]:
                return names(host, port)

        client, http, _ = deapi(Open())
        with http:
            assert client.download(f"http://two.example:{port}/", TICKET) == "Hello"


def test_a_name_without_an_address_is_a_network_error_and_never_sent() -> None:
    def nobody(_host: str, _port: int) -> Sequence[str]:
        raise OSError("no such name")

    client, http, limiter = deapi(AddressGuard(resolve=nobody))
    with http, pytest.raises(NetworkError) as caught:
        client.download("http://gone.example/", TICKET)
    assert caught.value.never_sent
    assert limiter.permits[0].was_given_back
