"""Every wait on a socket ends by the deadline, TLS included."""

import socket
import ssl
import threading
import time
from collections.abc import Callable

import httpx2
import pytest

from bulk_transcribe.clients.deadline import Deadline, DeadlineTransport
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.testing import FakeClock
from tests.unit.clients.doubles import raw_server, read_request

#: Encryption without certificates, so that no key and no expiry date lies in the repository.
ANONYMOUS = "AECDH-AES256-SHA:@SECLEVEL=0"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nHello"


def context(protocol: int) -> ssl.SSLContext:
    made = ssl.SSLContext(protocol)
    if protocol == ssl.PROTOCOL_TLS_CLIENT:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    made.set_ciphers(ANONYMOUS)
    return made


def secured(talk: Callable[[ssl.SSLSocket], None]) -> Callable[[socket.socket], None]:
    def handshake_and_talk(connection: socket.socket) -> None:
        with context(ssl.PROTOCOL_TLS_SERVER).wrap_socket(connection, server_side=True) as tls:
            talk(tls)

    return handshake_and_talk


def client(deadline: Deadline) -> httpx2.Client:
    transport = DeadlineTransport(
        deadline, max_connections=2, context=context(ssl.PROTOCOL_TLS_CLIENT)
    )
    return httpx2.Client(transport=transport, trust_env=False, timeout=5.0)


def test_an_encrypted_answer_comes_through() -> None:
    def talk(tls: ssl.SSLSocket) -> None:
        read_request(tls)
        tls.sendall(OK)

    deadline = Deadline(SystemClock())
    with raw_server(secured(talk)) as url, client(deadline) as http, deadline.within(5.0):
        assert http.get(url.replace("http://", "https://")).text == "Hello"


def test_an_encrypted_answer_that_drips_in_ends_by_the_deadline() -> None:
    def talk(tls: ssl.SSLSocket) -> None:
        read_request(tls)
        for byte in OK * 100:
            tls.sendall(bytes([byte]))
            time.sleep(0.02)

    deadline = Deadline(SystemClock())
    started_s = time.monotonic()
    with raw_server(secured(talk)) as url, client(deadline) as http:
        with pytest.raises(httpx2.ReadTimeout), deadline.within(0.2):
            http.get(url.replace("http://", "https://"))
        assert time.monotonic() - started_s < 2.0


def test_a_handshake_that_never_comes_counts_as_not_connected() -> None:
    over = threading.Event()

    def talk(_connection: socket.socket) -> None:
        over.wait(5.0)

    deadline = Deadline(SystemClock())
    with raw_server(talk) as url, client(deadline) as http:
        try:
            with pytest.raises(httpx2.ConnectTimeout), deadline.within(0.2):
                http.get(url.replace("http://", "https://"))
        finally:
            over.set()


def test_without_time_left_nothing_is_even_tried() -> None:
    deadline = Deadline(SystemClock())
    with client(deadline) as http, deadline.within(-1.0), pytest.raises(httpx2.ConnectTimeout):
        http.get("http://127.0.0.1:9/")


def test_a_deadline_is_one_thread_s_own_and_ends_with_its_block() -> None:
    clock = FakeClock()
    deadline = Deadline(clock)
    seen: list[float] = []
    with deadline.within(10.0):
        clock.advance(4.0)
        assert deadline.left_s(30.0) == 6.0
        assert deadline.left_s(2.0) == 2.0
        assert deadline.left_s(None) == 6.0
        other = threading.Thread(target=lambda: seen.append(deadline.left_s(30.0)))
        other.start()
        other.join()
    assert seen == [30.0]
    assert deadline.left_s(30.0) == 30.0


def test_a_fast_clock_s_deadline_is_in_real_seconds() -> None:
    deadline = Deadline(SystemClock(100.0))
    with deadline.within(5.0):
        assert 4.5 < deadline.left_s(None) <= 5.0
