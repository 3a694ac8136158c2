"""Looking at the simulator and changing it over HTTP, from other processes: `/_sim/...`."""

import asyncio
import json
from decimal import Decimal, InvalidOperation
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bulk_transcribe.simulator.state import State


class Control:
    """The routes below `/_sim`. Their requests are not in the ledger."""

    def __init__(self, state: State) -> None:
        self._state = state

    def routes(self) -> list[Route]:
        """What can be asked."""
        return [
            Route("/_sim/health", self._health, methods=["GET"]),
            Route("/_sim/ledger", self._ledger, methods=["GET"]),
            Route("/_sim/faults", self._faults, methods=["POST"]),
            Route("/_sim/balance", self._balance, methods=["POST"]),
        ]

    async def _health(self, _request: Request) -> Response:
        """The clock, and how many requests are held (`Faults.hold`)."""
        state = self._state
        return JSONResponse({"ok": True, "now_s": state.clock.now_s(), "held": state.held})

    async def _ledger(self, request: Request) -> Response:
        """The ledger as JSON, amounts as text. `requests=0` leaves the requests out."""
        with_requests = request.query_params.get("requests", "1") != "0"
        # a long ledger takes its time to write: the other requests need not wait for it
        body = await asyncio.to_thread(self._written, with_requests=with_requests)
        return Response(body, media_type="application/json")

    def _written(self, *, with_requests: bool) -> bytes:
        return json.dumps(self._state.ledger(with_requests=with_requests).as_json()).encode()

    async def _faults(self, request: Request) -> Response:
        """Change some faults: a JSON object with their names and values."""
        changes = await _object(request)
        if changes is None:
            return _bad("send a JSON object: fault -> value")
        try:
            with self._state.lock:
                self._state.faults.update(changes)
        except ValueError as error:
            return _bad(str(error))
        return JSONResponse({"ok": True})

    async def _balance(self, request: Request) -> Response:
        """Set the balance: {"balance_usd": "12.50"}."""
        changes = await _object(request)
        try:
            balance_usd = Decimal(str((changes or {})["balance_usd"]))
        except (KeyError, InvalidOperation):
            balance_usd = Decimal("NaN")
        if not balance_usd.is_finite():
            return _bad('send {"balance_usd": "12.50"}')
        with self._state.lock:
            self._state.jobs.set_balance(balance_usd)
        return JSONResponse({"ok": True})


async def _object(request: Request) -> dict[str, Any] | None:
    """The body as a JSON object, None where it is none."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _bad(message: str) -> Response:
    return JSONResponse({"ok": False, "message": message}, 400)
