"""The server itself: a port, a thread, and the way of each request through delays and faults."""

import contextlib
import socket
import threading
from collections.abc import Callable
from decimal import Decimal
from types import TracebackType
from typing import Any, Final, Self

import uvicorn

from bulk_transcribe.core.clock import Clock, SystemClock
from bulk_transcribe.simulator.config import SimulatorConfig
from bulk_transcribe.simulator.faults import Faults
from bulk_transcribe.simulator.front import Connection, Connections, Front
from bulk_transcribe.simulator.ledger import Ledger
from bulk_transcribe.simulator.state import State

_START_WITHIN_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.005
_STOP_WITHIN_S: Final = 5.0
#: Longer than any client keeps an idle connection: one that closes first would look like a fault.
_KEEP_ALIVE_S: Final = 300
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

        Started again after a stop it knows what it knew, and listens where it did before.

        Raises:
            OSError: the port is taken.
            RuntimeError: the server did not come up.
        """
        if self._running is not None:
            return
        listener = socket.create_server(self._address, backlog=2048)
        host, port = listener.getsockname()[:2]
        self._address = (host, port)
        self._state.base_url = f"http://{host}:{port}"
        try:
            self._running = _Running(self._state, listener)
        except RuntimeError:
            listener.close()
            raise
        self._state.webhooks.start()

    def stop(self) -> None:
        """Close the port and all connections. The ledger stays. A second stop does nothing."""
        running, self._running = self._running, None
        if running is not None:
            self._state.webhooks.stop()
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


class _Running:
    """A server in its thread."""

    def __init__(self, state: State, listener: socket.socket) -> None:
        connections = Connections(state.faults)

        class OurConnection(Connection):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, open_ones=connections, **kwargs)

        self._server = uvicorn.Server(
            uvicorn.Config(
                Front(state, connections).application(),
                http=OurConnection,
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
