"""Who may ask the page: a real websocket client and real requests, from here and from elsewhere."""

import urllib.error
import urllib.request
from http import HTTPStatus

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from tests.browser.serving import Served


def opens(served: Served, origin: str | None) -> bool:
    """Whether the page's websocket lets a page of this origin in."""
    address = served.url.replace("http", "ws", 1) + "/_stcore/stream"
    streamlit = Subprotocol("streamlit")
    named = None if origin is None else Origin(origin)
    try:
        with connect(address, origin=named, subprotocols=[streamlit]):
            return True
    except InvalidStatus as refused:
        if refused.response.status_code != HTTPStatus.FORBIDDEN:
            raise
        return False


def status(served: Served, method: str, origin: str | None) -> int:
    headers = {} if origin is None else {"Origin": origin}
    asked = urllib.request.Request(f"{served.url}/_stcore/health", headers=headers, method=method)  # noqa: S310 -- 127.0.0.1
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310 -- 127.0.0.1
            code: int = answer.status
            return code
    except urllib.error.HTTPError as error:
        return error.code


def strangers(served: Served) -> list[str]:
    port = int(served.url.rpartition(":")[2])
    return [
        f"http://127.0.0.1:{port + 1}",
        f"http://localhost:{port}",  # another name is another origin, wherever it leads
        "http://127.0.0.1",
        "https://evil.example",
        f"http://127.0.0.1:{port}.evil.example",
        "null",
    ]


def test_the_page_and_programs_come_in(served: Served) -> None:
    for origin in (served.url, None):
        assert opens(served, origin)
        assert status(served, "GET", origin) == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_no_request_of_another_origin_is_answered(served: Served, method: str) -> None:
    assert {status(served, method, origin) for origin in strangers(served)} == {403}


def test_no_websocket_of_another_origin_is_opened(served: Served) -> None:
    assert [origin for origin in strangers(served) if opens(served, origin)] == []
