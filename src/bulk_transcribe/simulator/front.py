"""Between the network and the desk: connections that can be cut, delays, and the routes."""

import asyncio
import os
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from bulk_transcribe.simulator.control import Control
from bulk_transcribe.simulator.desk import Desk, Service
from bulk_transcribe.simulator.faults import Faults, HoldPoint
from bulk_transcribe.simulator.messages import Asked, lower_names
from bulk_transcribe.simulator.seeded import between, share
from bulk_transcribe.simulator.state import State

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
#: Real seconds between two looks at whether a held request may go on.
_LOOK_EVERY_S: Final = 0.002
#: Linger for no time: closing sends a reset, as a broken connection does.
_RESET: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)


class Connection(H11Protocol):
    """A connection that can be found by its client's address, and cut."""

    def __init__(self, *args: Any, open_ones: "Connections", **kwargs: Any) -> None:
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


class Connections:
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


class Front:
    """Takes requests from the network to the desk and back, with the network's delays."""

    def __init__(self, state: State, connections: Connections) -> None:
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
            return Cut(self._connections)
        before_s, after_s = self._delays_s(asked)
        await self._sleep(before_s)
        if await self._hold("before_work", service.kind):
            return Cut(self._connections)
        with self._state.lock:
            answer, held_back_s = self._desk.answer(asked, service)
        await self._sleep(after_s + held_back_s)
        if await self._hold("before_answer", service.kind) or answer.reset:
            return Cut(self._connections)
        return Response(
            answer.body,
            status_code=answer.status,
            headers=dict(answer.headers),
            media_type=answer.content_type,
        )

    async def _hold(self, point: HoldPoint, kind: str) -> bool:
        """Wait while requests are held at this point; whether the network was lost meanwhile."""
        faults = self._state.faults
        if faults.hold != point or not faults.strikes("hold", kind):
            return False
        self._state.held += 1
        while faults.hold == point and not faults.network_down:  # noqa: ASYNC110 -- set by threads
            await asyncio.sleep(_LOOK_EVERY_S)
        self._state.held -= 1
        return faults.network_down

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


class Cut(Response):
    """Breaks the connection instead of answering."""

    def __init__(self, connections: Connections) -> None:
        super().__init__()
        self._connections = connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 -- nothing is sent
        client = scope["client"]
        self._connections.cut(tuple(client))
        while (await receive())["type"] != "http.disconnect":
            pass  # until the loss is noticed: leaving earlier would count as a crash
