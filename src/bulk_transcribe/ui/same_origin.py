"""Only the page itself may ask the page: no other site, no other port of this machine."""

from typing import Final
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

#: RFC 6455, 7.4.1: the message breaks a rule of ours. Before the handshake it becomes a 403.
_POLICY_VIOLATION: Final = 1008


class SameOrigin:
    """Refuses every request and websocket that another origin's page sends.

    Browsers name the origin of the page that asks; a program that is no browser names none, and
    may do what its user may. Streamlit itself lets every port of this machine in.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may come in."""
        if scope["type"] not in {"http", "websocket"} or may_ask(scope["headers"]):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(_POLICY_VIOLATION)(scope, receive, send)
        else:
            refusal = PlainTextResponse("This page answers to itself alone.", status_code=403)
            await refusal(scope, receive, send)


def may_ask(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a request comes from the page's own origin, or from no page at all.

    An origin is a scheme, a name and a port; two origins, or two hosts, are refused.
    """
    named = {name: [v for n, v in headers if n == name] for name in (b"origin", b"host")}
    origins, hosts = named[b"origin"], named[b"host"]
    if not origins:
        return True
    if len(origins) > 1 or len(hosts) != 1:
        return False
    found = urlsplit(origins[0].decode("latin-1"))
    is_web = found.scheme in {"http", "https"}
    return is_web and found.netloc.lower() == hosts[0].decode("latin-1").lower()
