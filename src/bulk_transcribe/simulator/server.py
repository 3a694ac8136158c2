"""The server itself: a port, a thread, and the way of each request through delays and faults."""

import asyncio
import contextlib
import os
import socket
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from bulk_transcribe.core.clock import Clock, SystemClock
from bulk_transcribe.simulator.config import SimulatorConfig
from bulk_transcribe.simulator.control import Control
from bulk_transcribe.simulator.desk import Desk, Service
from bulk_transcribe.simulator.faults import Faults
from bulk_transcribe.simulator.ledger import Ledger
from bulk_transcribe.simulator.messages import Asked, lower_names
from bulk_transcribe.simulator.seeded import between, share
from bulk_transcribe.simulator.state import State

_START_WITHIN_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.005
_STOP_WITHIN_S: Final = 5.0
#: Longer than any client keeps an idle connection: one that closes first would look like a fault.
_KEEP_ALIVE_S: Final = 300
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: Linger for no time: closing sends a reset, as a broken connection does.
_RESET: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
_ANY_KEY: Final = "1|simulated"


class Simulator:
    """A local server that plays deAPI and YouTube and keeps its own count of requests.

    Use it with `with`, or call `start` and `stop`. It runs in a thread of its own; everything
    here may be called from any thread.

    Args:
        config: What the services are like.
        clock: Its time; None makes a `SystemClock` of the configured speed.
        faults: What goes wrong; may be changed while it runs.
    """

    def __init__(
        self,
        config: SimulatorConfig | None = None,
        clock: Clock | None = None,
        faults: Faults | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.config = config or SimulatorConfig()
        self.clock = clock or SystemClock(self.config.clock_speed)
        self.faults = faults or Faults()
        self._address = (host, port)
        self._state = State(self.config, self.clock, self.faults)
        self._running: _Running | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Its address, without a slash at the end.

        Raises:
            RuntimeError: it has not been started.
        """
        if not self._state.base_url:
            raise RuntimeError("the simulator has no address before it is started")
        return self._state.base_url

    def start(self) -> None:
        """Listen and return once requests are answered. A second start does nothing.

        Raises:
            OSError: the port is taken.
            RuntimeError: the server did not come up.
        """
        if self._running is not None:
            return
        listener = socket.create_server(self._address, backlog=2048)
        host, port = listener.getsockname()[:2]
        self._state.base_url = f"http://{host}:{port}"
        try:
            self._running = _Running(self._state, listener)
        except RuntimeError:
            listener.close()
            raise

    def stop(self) -> None:
        """Close the port and all connections. The ledger stays. A second stop does nothing."""
        running, self._running = self._running, None
        if running is not None:
            running.stop()

    def environment(self) -> dict[str, str]:
        """The variables that point the program at this server."""
        found = {
            "DEAPI_BASE_URL": self.url,
            "DEAPI_API_KEY": self.config.api_key or _ANY_KEY,
            "YOUTUBE_API_BASE_URL": f"{self.url}/youtube/v3",
            "YOUTUBE_DATA_API_KEY": self.config.youtube_api_key or "simulated",
            "YOUTUBE_BASE_URL": self.url,
        }
        if self.clock.speed != 1:
            found["BULK_TRANSCRIBE_CLOCK_SPEED"] = f"{self.clock.speed:.12g}"
        return found

    def ledger(self, *, with_requests: bool = True) -> Ledger:
        """What was counted so far: a copy. Leaving the requests out makes it quick."""
        return self._state.ledger(with_requests=with_requests)

    def set_balance(self, balance_usd: Decimal) -> None:
        """Put the account's balance at this amount."""
        with self._state.lock:
            self._state.jobs.set_balance(balance_usd)


def serve(
    config: SimulatorConfig | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    faults: Faults | None = None,
    on_ready: Callable[[Simulator], None] | None = None,
    stop: threading.Event | None = None,
) -> Ledger:
    """Serve until `stop` is set, or until Ctrl-C; tell `on_ready` when requests are answered.

    Returns:
        What was counted.
    """
    stop = stop or threading.Event()
    with Simulator(config, faults=faults, host=host, port=port) as simulator:
        if on_ready is not None:
            on_ready(simulator)
        with contextlib.suppress(KeyboardInterrupt):
            stop.wait()
        return simulator.ledger()


class _Connection(H11Protocol):
    """A connection that can be found by its client's address, and cut."""

    def __init__(self, *args: Any, open_ones: "_Connections", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._open_ones = open_ones

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as its base does
        super().connection_made(transport)
        # asyncio leaves it out for sockets that it did not open: 40 ms for each answer
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._open_ones.add(self.client, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open_ones.remove(self.client)
        super().connection_lost(exc)


class _Connections:
    """The open connections. Used by the server's thread alone."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._transports: dict[tuple[str, int] | None, asyncio.Transport] = {}

    def add(self, client: tuple[str, int] | None, transport: asyncio.Transport) -> None:
        self._transports[client] = transport
        if self._faults.network_down:
            self.cut(client)

    def remove(self, client: tuple[str, int] | None) -> None:
        self._transports.pop(client, None)

    def cut(self, client: tuple[str, int] | None) -> None:
        """Break a connection without a word, as a dead network does."""
        transport = self._transports.get(client)
        if transport is not None:
            transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, _RESET
            )
            transport.abort()


class _Front:
    """Takes requests from the network to the desk and back, with the network's delays."""

    def __init__(self, state: State, connections: _Connections) -> None:
        self._state = state
        self._desk = Desk(state)
        self._connections = connections
        self._arrivals: Counter[str] = Counter()

    def application(self) -> Starlette:
        """Everything that is served."""
        services = [*self._desk.services, self._desk.elsewhere]
        routes = [
            Route(each.path, self._endpoint(each), methods=list(_METHODS)) for each in services
        ]
        return Starlette(routes=[*Control(self._state).routes(), *routes])

    def _endpoint(self, service: Service) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            return await self._answer(request, service)

        return endpoint

    async def _answer(self, request: Request, service: Service) -> Response:
        asked = Asked(
            method=request.method,
            path=request.url.path,
            query_text=request.url.query,
            headers=lower_names(request.headers.items()),
            body=await request.body(),
            path_values={name: str(value) for name, value in request.path_params.items()},
        )
        if self._state.faults.network_down:
            return _Cut(self._connections)
        before_s, after_s = self._delays_s(asked)
        await self._sleep(before_s)
        with self._state.lock:
            answer, held_back_s = self._desk.answer(asked, service)
        await self._sleep(after_s + held_back_s)
        if answer.reset:
            return _Cut(self._connections)
        return Response(
            answer.body,
            status_code=answer.status,
            headers=dict(answer.headers),
            media_type=answer.content_type,
        )

    def _delays_s(self, asked: Asked) -> tuple[float, float]:
        """The network's delay before the server counts this request, and after."""
        low_s, high_s = self._state.config.jitter_s
        if high_s <= 0:
            return 0.0, 0.0
        subject = f"{asked.method} {asked.path}?{asked.query_text}"
        self._arrivals[subject] += 1
        about = (self._state.config.seed, "delay", subject, self._arrivals[subject])
        delay_s = between(low_s, high_s, *about)
        before_s = delay_s * share(*about, "before")
        return before_s, delay_s - before_s

    async def _sleep(self, duration_s: float) -> None:
        if duration_s > 0:
            await asyncio.sleep(duration_s / self._state.clock.speed)


class _Cut(Response):
    """Breaks the connection instead of answering."""

    def __init__(self, connections: _Connections) -> None:
        super().__init__()
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- nothing is sent
        client = scope["client"]
        self._connections.cut(tuple(client))
        while (await receive())["type"] != "http.disconnect":
            pass  # until the loss is noticed: leaving earlier would count as a crash


class _Running:
    """A server in its thread."""

    def __init__(self, state: State, listener: socket.socket) -> None:
        connections = _Connections(state.faults)

        class Connection(_Connection):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, open_ones=connections, **kwargs)

        self._server = uvicorn.Server(
            uvicorn.Config(
                _Front(state, connections).application(),
                http=Connection,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                log_level="critical",
                access_log=False,
                timeout_keep_alive=_KEEP_ALIVE_S,
                timeout_graceful_shutdown=1,
                server_header=False,
            )
        )
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="simulator", daemon=True)
        self._thread.start()
        self._wait_until_started()

    def stop(self) -> None:
        """Close everything."""
        self._server.should_exit = True
        self._thread.join(_STOP_WITHIN_S)
        self._listener.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._listener])

    def _wait_until_started(self) -> None:
        """Wait in real time: the thread is real whatever the clock."""
        pause = threading.Event()
        for _ in range(int(_START_WITHIN_S / _LOOK_EVERY_S)):
            if self._server.started:
                return
            pause.wait(_LOOK_EVERY_S)
        self.stop()
        raise RuntimeError("the simulator did not start")
