"""Asks the simulated services without a socket: the whole way but for the network."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from bulk_transcribe.simulator.config import SimulatorConfig
from bulk_transcribe.simulator.faults import Faults
from bulk_transcribe.simulator.front import Connections, Front
from bulk_transcribe.simulator.ledger import Ledger
from bulk_transcribe.simulator.state import State
from bulk_transcribe.testing import FakeClock

V1 = "/api/v1/client"
V2 = "/api/v2"
HEADERS = {
    "accept": "application/json",
    "authorization": "Bearer 1|simulated",
    "user-agent": "tests/1.0",
}
_BOUNDARY = "a-boundary"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Asker:
    """The services of one configuration, and somebody who asks them."""

    def __init__(self, faults: Faults | None = None, **config: Any) -> None:
        self.clock = FakeClock()
        self.faults = faults or Faults()
        self.state = State(SimulatorConfig(**config), self.clock, self.faults)
        self.state.base_url = "http://simulated"
        self._app = Front(self.state, Connections(self.faults)).application()

    def ask(
        self,
        method: str,
        address: str,
        *,
        headers: Mapping[str, str] = HEADERS,
        json_body: object = None,
        form: Mapping[str, str | bytes] | None = None,
        body: bytes = b"",
    ) -> Reply:
        sent = dict(headers)
        if json_body is not None:
            body, sent["content-type"] = json.dumps(json_body).encode(), "application/json"
        if form is not None:
            body = _form_body(form)
            sent["content-type"] = f"multipart/form-data; boundary={_BOUNDARY}"
        return asyncio.run(self._ask(method, address, sent, body))

    def get(self, address: str, **more: Any) -> Reply:
        return self.ask("GET", address, **more)

    def post(self, address: str, **more: Any) -> Reply:
        return self.ask("POST", address, **more)

    def submit(self, video_id: str, **fields: str) -> Reply:
        """A good submit of version 2; `fields` are added or replace."""
        form = {
            "source_url": f"https://www.youtube.com/watch?v={video_id}",
            "model": "WhisperLargeV3",
            "include_ts": "1",
            "return_result_in_response": "1",
        }
        return self.post(f"{V2}/audio/transcriptions", form={**form, **fields})

    def request_id(self, video_id: str, **fields: str) -> str:
        reply = self.submit(video_id, **fields)
        assert reply.status == 200, reply.text
        return str(reply.json["data"]["request_id"])

    def status(self, request_id: str) -> Any:
        reply = self.get(f"{V2}/jobs/{request_id}")
        assert reply.status == 200, reply.text
        return reply.json["data"]

    def finished(self, video_id: str, **fields: str) -> Any:
        """The status of a job of this video once it has ended."""
        request_id = self.request_id(video_id, **fields)
        self.clock.advance(1_000)
        return self.status(request_id)

    def ledger(self) -> Ledger:
        return self.state.ledger()

    async def _ask(
        self, method: str, address: str, headers: Mapping[str, str], body: bytes
    ) -> Reply:
        parts = urlsplit(address)
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "root_path": "",
            "query_string": parts.query.encode(),
            "headers": [(k.encode(), v.encode("latin-1")) for k, v in headers.items()],
            "client": ("127.0.0.1", 1),
            "server": ("simulated", 80),
        }
        sent: list[Any] = []
        received = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:
            return received.pop() if received else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        if not sent:
            return Reply(0, {}, b"")  # the connection was cut
        answered = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return Reply(sent[0]["status"], answered, b"".join(m.get("body", b"") for m in sent[1:]))


def _form_body(form: Mapping[str, str | bytes]) -> bytes:
    """A multipart body; bytes go as an audio file."""
    parts = []
    for name, value in form.items():
        head = f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
        if isinstance(value, bytes):
            head += '; filename="talk.mp3"\r\nContent-Type: audio/mpeg'
            parts.append(head.encode() + b"\r\n\r\n" + value + b"\r\n")
        else:
            parts.append(f"{head}\r\n\r\n{value}\r\n".encode())
    return b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()
