"""No secret in a text, however it is spelled."""

import base64
import json
from urllib.parse import quote, quote_plus

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.clients.deapi import DeapiClient
from bulk_transcribe.clients.http import HttpClient
from bulk_transcribe.clients.redact import MASK, Redactor, forms_of
from bulk_transcribe.clients.yt_dlp_client import YtDlpClient
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.errors import AuthError, RetryableError
from bulk_transcribe.testing import FakeClock
from tests.unit.clients.doubles import MemoryLog, OpenLimiter
from tests.unit.clients.test_yt_dlp_client import failure, watch

KEY = "123|pl4nted&key/+x"
PROXY = "http://someone:pl4nted%40word@proxy.example:8080"


@pytest.mark.parametrize(
    "spelling",
    [
        KEY,
        KEY.partition("|")[2],
        quote(KEY),
        quote(KEY, safe=""),
        quote_plus(KEY),
        f"Bearer {KEY}",
        json.dumps({"key": KEY}),
        repr(f"b'{KEY}'"),
        base64.b64encode(KEY.encode()).decode(),
    ],
)
def test_a_key_is_taken_out_in_every_spelling(spelling: str) -> None:
    assert "pl4nted" not in Redactor([KEY])(f"refused: {spelling}!")
    assert MASK in Redactor([KEY])(f"refused: {spelling}!")


def test_a_gateway_key_is_the_same_key() -> None:
    assert Redactor([f"dpn-sk-{KEY}"])(f"no such key: {KEY}") == f"no such key: {MASK}"


@pytest.mark.parametrize(
    "text",
    [
        PROXY,
        "cannot log in as someone:pl4nted%40word",
        "the password pl4nted@word is wrong",
        f"Basic {base64.b64encode(b'someone:pl4nted@word').decode()}",
    ],
)
def test_a_proxys_password_is_taken_out_without_its_address(text: str) -> None:
    cleaned = Redactor([PROXY])(text)
    assert "pl4nted" not in cleaned
    assert base64.b64encode(b"pl4nted").decode()[:6] not in cleaned
    assert MASK in cleaned


def test_short_values_and_none_change_nothing() -> None:
    assert Redactor([])("abc") == "abc"
    assert Redactor(["", "abc", "1|ab"])("abc 1|ab") == "abc 1|ab"
    assert "http://[broken" in forms_of("http://[broken")  # cannot be parsed, is a secret still


@given(st.text(min_size=8), st.text(), st.text())
def test_a_secret_never_stays(secret: str, before: str, after: str) -> None:
    if len(secret.strip()) >= 6 and not set(secret.strip()) <= set("*"):
        assert secret.strip() not in Redactor([secret])(f"{before}{secret}{after}").replace(
            MASK, ""
        ) or secret.strip() in before + after.replace(secret, "")


def test_a_key_that_a_service_sends_back_reaches_nobody() -> None:
    def echo(request: httpx2.Request) -> httpx2.Response:
        told = request.headers["authorization"]
        return httpx2.Response(401, json={"message": f"no such key: {told}"}, headers={"x": told})

    http = HttpClient(
        limiter=OpenLimiter(),
        log=MemoryLog(),
        clock=FakeClock(),
        redact=Redactor([KEY]),
        transport=httpx2.MockTransport(echo),
    )
    with http, pytest.raises(AuthError) as caught:
        DeapiClient(api_key=KEY, http=http).submit("u", Ticket())
    assert "pl4nted" not in str(caught.value)


def test_what_yt_dlp_says_of_the_proxy_has_no_password() -> None:
    library = watch(failure(f"Unable to connect to proxy {PROXY}"))
    client = YtDlpClient(
        limiter=OpenLimiter(),
        log=MemoryLog(),
        clock=FakeClock(),
        proxy=PROXY,
        redact=Redactor([PROXY]),
        make=library.make,
    )
    with pytest.raises(RetryableError) as caught:
        client.fetch(["dQw4w9WgXcQ"])
    assert "pl4nted" not in str(caught.value)
