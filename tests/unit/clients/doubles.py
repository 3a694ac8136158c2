"""A limiter that lets everything through and remembers it, a log in memory, a raw server."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx2

from bulk_transcribe.clients.http import HttpClient
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.request import Capacity, RequestKind, RequestRecord, Ticket
from bulk_transcribe.testing import FakeClock


@dataclass
class SpentPermit:
    kind: RequestKind
    ticket: Ticket
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    was_given_back: bool = False
    waited_s: float = 1.5
    fresh: bool = True

    def is_fresh(self) -> bool:
        return self.fresh

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        self.status, self.headers = status, headers

    def unsent(self) -> None:
        self.was_given_back = True


class OpenLimiter:
    """Grants at once, or raises `refusal`."""

    def __init__(self, refusal: BaseException | None = None, *, fresh: bool = True) -> None:
        self.fresh = fresh
        self.permits: list[SpentPermit] = []
        self.refusal = refusal

    @contextmanager
    def permit(self, kind: RequestKind, ticket: Ticket | None = None, /) -> Iterator[SpentPermit]:
        if self.refusal is not None:
            raise self.refusal
        permit = SpentPermit(kind, ticket or Ticket(), fresh=self.fresh)
        self.permits.append(permit)
        yield permit

    def capacity(self, _kind: RequestKind) -> Capacity:
        return Capacity(limit=None, window_s=60.0, used=0, remaining=1_000_000)


class MemoryLog:
    def __init__(self) -> None:
        self.records: list[RequestRecord] = []

    def record(self, record: RequestRecord) -> None:
        self.records.append(record)


@dataclass
class Bench:
    """A client with everything around it in reach."""

    http: HttpClient
    limiter: OpenLimiter
    log: MemoryLog
    clock: Clock
    seen: list[httpx2.Request] = field(default_factory=list)


Handler = Callable[[httpx2.Request], httpx2.Response]


@contextmanager
def bench(handler: Handler, *, refusal: BaseException | None = None) -> Iterator[Bench]:
    """An `HttpClient` whose requests are answered by `handler`, without any socket."""
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        request.read()
        seen.append(request)
        return handler(request)

    limiter, log, clock = OpenLimiter(refusal), MemoryLog(), FakeClock()
    with HttpClient(
        limiter=limiter, log=log, clock=clock, transport=httpx2.MockTransport(answer)
    ) as http:
        yield Bench(http=http, limiter=limiter, log=log, clock=clock, seen=seen)


def replies(*answers: httpx2.Response | Exception) -> Handler:
    """One answer after the other; an exception is raised; the last one stays."""
    left = list(answers)

    def handler(_request: httpx2.Request) -> httpx2.Response:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return handler


@contextmanager
def raw_server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve each connection with `talk`, until the block ends; gives the address."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(5.0)
                with suppress(OSError):  # the client hangs up: what some tests are about
                    talk(connection)

    thread = threading.Thread(target=serve, name="raw-server")
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        thread.join()
        listener.close()


def read_request(connection: socket.socket) -> bytes:
    """The head of a request (bodies of our tests are small and come along)."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65_536)
        if not chunk:
            break
        data += chunk
    return data
