"""A transport that ends every exchange by a deadline, however slowly the bytes drip in.

The library's read timeout starts anew with every byte: a server that sends one byte every 20 s
would hold a thread for ever. Here each wait on the socket gets what is left until the deadline.
"""

import ssl
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2

from bulk_transcribe.clients.addresses import AddressGuard
from bulk_transcribe.core.clock import Clock


class Deadline:
    """By when this thread's exchange has to be over. May be shared by all threads.

    Each thread sees its own deadline only: an exchange runs in the thread that asked for it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._own = threading.local()

    @contextmanager
    def within(self, real_s: float) -> Iterator[None]:
        """Set this thread's deadline `real_s` real seconds from now, for the block."""
        self._own.at_s = self._clock.now_s() + real_s * self._clock.speed
        try:
            yield
        finally:
            self._own.at_s = None

    def left_s(self, timeout_s: float | None) -> float:
        """Real seconds left for a wait of at most `timeout_s`; 0.0 or less when time is up.

        A large number where this thread has no deadline.
        """
        wish_s = 86_400.0 if timeout_s is None else timeout_s
        at_s: float | None = getattr(self._own, "at_s", None)
        if at_s is None:
            return wish_s
        return min(wish_s, (at_s - self._clock.now_s()) / self._clock.speed)


class DeadlineTransport(httpx2.HTTPTransport):
    """HTTP/1.1 with a pool of connections, every wait bounded by `deadline`.

    Args:
        deadline: Where each thread's deadline stands.
        max_connections: As many threads as may ask at once.
        guard: Says where a connection may go; None lets it go anywhere.
        keepalive_s: Idle connections are dropped after this. Shorter than servers keep them
            (5 s and more), so that a POST never meets a connection that is just being closed:
            that would put a paid request in doubt.
        context: How to check certificates; by default against the well-known authorities.
    """

    def __init__(
        self,
        deadline: Deadline,
        *,
        max_connections: int,
        guard: AddressGuard | None = None,
        keepalive_s: float = 3.0,
        context: ssl.SSLContext | None = None,
    ) -> None:
        context = context or httpx2.create_ssl_context(trust_env=False)
        super().__init__(verify=context, trust_env=False)
        # The library offers no argument for the network backend, its pool does.
        self._pool = httpcore2.ConnectionPool(
            ssl_context=context,
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=keepalive_s,
            http1=True,
            http2=False,  # threads over one HTTP/2 connection lose requests
            network_backend=_Backend(deadline, guard or AddressGuard(allow_private=True)),
        )


class _Backend(httpcore2.NetworkBackend):
    """The ordinary sockets, wrapped."""

    def __init__(self, deadline: Deadline, guard: AddressGuard) -> None:
        self._deadline = deadline
        self._guard = guard
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first of the host's addresses that answers.

        Raises:
            PrivateAddressError: the host is in a private network.
        """
        try:
            targets = self._guard.targets(host, port)
        except OSError as error:
            raise httpcore2.ConnectError(str(error)) from error
        failure: Exception = httpcore2.ConnectTimeout("no time left to connect")
        for target in targets:
            left_s = self._deadline.left_s(timeout)
            if left_s <= 0:
                break
            try:
                stream = self._sockets.connect_tcp(
                    target, port, left_s, local_address, socket_options
                )
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
            else:
                return _Stream(stream, self._deadline)
        raise failure


class _Stream(httpcore2.NetworkStream):
    """A socket whose waits end by the deadline of the thread that waits."""

    def __init__(self, stream: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left_s = self._deadline.left_s(timeout)
        if left_s <= 0:
            raise httpcore2.ReadTimeout("the answer took too long")
        return self._stream.read(max_bytes, left_s)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left_s = self._deadline.left_s(timeout)
        if left_s <= 0:
            raise httpcore2.WriteTimeout("sending took too long")
        self._stream.write(buffer, left_s)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        left_s = self._deadline.left_s(timeout)
        if left_s <= 0:
            self._stream.close()
            raise httpcore2.ConnectTimeout("no time left for the TLS handshake")
        secured = self._stream.start_tls(ssl_context, server_hostname, left_s)
        return _Stream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
