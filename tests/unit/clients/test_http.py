"""One permit, one record, one error class for each way a request can go wrong."""

import logging
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.clients.http import (
    Call,
    HttpClient,
    Reply,
    error_for_status,
    parse_retry_after_s,
    real_timeout_s,
    user_agent,
    without_query,
)
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.request import RequestKind, Ticket
from bulk_transcribe.errors import (
    APIError,
    AuthError,
    BulkTranscribeError,
    CreditSpentError,
    NetworkError,
    RateLimitError,
    RetryableError,
    ServerBusyError,
    StopBatchError,
    StoppedError,
)
from tests.unit.clients.doubles import (
    MemoryLog,
    OpenLimiter,
    bench,
    raw_server,
    read_request,
    replies,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"


def call(url: str = "https://api.example/x", **changes: object) -> Call:
    parts: dict[str, object] = {
        "kind": RequestKind.POLL,
        "method": "GET",
        "url": url,
        "service": "The service",
    }
    return Call(**(parts | changes))  # type: ignore[arg-type]  # a test's shorthand


def client(timeout_s: float = 5.0) -> tuple[HttpClient, OpenLimiter, MemoryLog]:
    limiter, log = OpenLimiter(), MemoryLog()
    http = HttpClient(limiter=limiter, log=log, clock=SystemClock(), timeout_s=timeout_s)
    return http, limiter, log


def test_each_request_takes_one_permit_and_leaves_one_record() -> None:
    with bench(replies(httpx2.Response(200, json={"a": 1}, headers={"X-Left": "7"}))) as b:
        reply = b.http.send(call(), Ticket(video_id="dQw4w9WgXcQ"))
    assert reply.json() == {"a": 1}
    (permit,) = b.limiter.permits
    assert (permit.kind, permit.status, permit.headers["x-left"]) == (RequestKind.POLL, 200, "7")
    (record,) = b.log.records
    assert (record.video_id, record.status, record.error) == ("dQw4w9WgXcQ", 200, None)
    assert record.waited_s == permit.waited_s


def test_we_introduce_ourselves_and_ask_for_json() -> None:
    with bench(replies(httpx2.Response(200))) as b:
        b.http.send(call())
    assert b.seen[0].headers["user-agent"] == user_agent()
    assert user_agent().startswith("bulk-transcribe/")
    assert b.seen[0].headers["accept"] == "application/json"


@pytest.mark.parametrize(
    ("status", "family"),
    [
        (301, StopBatchError),
        (400, APIError),
        (401, AuthError),
        (402, CreditSpentError),
        (403, AuthError),
        (404, APIError),
        (408, NetworkError),
        (418, APIError),
        (422, APIError),
        (429, RateLimitError),
        (500, ServerBusyError),
        (502, ServerBusyError),
        (503, ServerBusyError),
        (504, ServerBusyError),
        (524, ServerBusyError),
    ],
)
def test_every_status_has_a_class(status: int, family: type[BulkTranscribeError]) -> None:
    with bench(replies(httpx2.Response(status, text="why"))) as b, pytest.raises(family) as caught:
        b.http.send(call(), Ticket(video_id="dQw4w9WgXcQ"))
    assert type(caught.value) is family
    assert b.limiter.permits[0].status == status
    assert (b.log.records[0].status, b.log.records[0].error) == (status, None)


@given(st.integers(100, 999).filter(lambda s: not 200 <= s < 300), st.text(max_size=300))
def test_no_status_and_no_body_is_without_an_error(status: int, body: str) -> None:
    reply = Reply(status=status, headers={}, text=body, received_at=NOW)
    error = error_for_status(reply)
    assert isinstance(error, BulkTranscribeError)
    assert len(error.message) < 500


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        *((status, True) for status in (429, 521, 523, 525, 526)),
        *((status, False) for status in (408, 500, 502, 503, 504, 520, 522, 524)),
    ],
)
def test_a_failing_proxy_may_have_passed_the_request_on(status: int, *, refused: bool) -> None:
    error = error_for_status(Reply(status=status, headers={}, text="", received_at=NOW))
    assert isinstance(error, RetryableError)
    assert (error.refused, error.never_sent) == (refused, False)


def test_a_429_carries_the_time_to_wait() -> None:
    answer = httpx2.Response(429, headers={"Retry-After": "37"})
    with bench(replies(answer)) as b, pytest.raises(RateLimitError) as caught:
        b.http.send(call())
    assert caught.value.retry_after_s == 37.0
    assert b.limiter.permits[0].headers["retry-after"] == "37"


def test_a_redirect_is_refused_so_that_the_key_goes_nowhere_else() -> None:
    answer = httpx2.Response(302, headers={"Location": "https://evil.example/x?sig=SECRET"})
    with bench(replies(answer)) as b, pytest.raises(StopBatchError) as caught:
        b.http.send(call(headers={"Authorization": "Bearer K"}))
    assert len(b.seen) == 1
    assert "evil.example" in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    ("failure", "never_sent"),
    [
        (httpx2.ConnectError("no route"), True),
        (httpx2.ConnectTimeout("slow"), True),
        (httpx2.PoolTimeout("full"), True),
        (httpx2.ProxyError("407"), True),
        (httpx2.ReadTimeout("slow"), False),
        (httpx2.WriteTimeout("slow"), False),
        (httpx2.ReadError("reset"), False),
        (httpx2.WriteError("reset"), False),
        (httpx2.RemoteProtocolError("cut"), False),
        (httpx2.DecodingError("gzip"), False),
        (httpx2.TooManyRedirects("round and round"), False),
    ],
)
def test_only_what_certainly_never_left_is_given_back(
    failure: httpx2.HTTPError, *, never_sent: bool
) -> None:
    with bench(replies(failure)) as b, pytest.raises(NetworkError) as caught:
        b.http.send(call())
    assert (caught.value.never_sent, caught.value.refused) == (never_sent, False)
    assert b.limiter.permits[0].was_given_back is never_sent
    assert caught.value.__cause__ is failure
    assert b.log.records[0].error == type(failure).__name__


def test_a_stop_while_waiting_for_the_permit_comes_out_unchanged_and_nothing_is_sent() -> None:
    stop = StoppedError("stop")
    with (
        bench(replies(httpx2.Response(200)), refusal=stop) as b,
        pytest.raises(StoppedError) as caught,
    ):
        b.http.send(call())
    assert caught.value is stop
    assert b.seen == []
    assert b.log.records == []


def test_the_sender_is_told_after_the_permit_and_before_the_bytes() -> None:
    order: list[str] = []

    def handler(_request: httpx2.Request) -> httpx2.Response:
        order.append("bytes")
        return httpx2.Response(200)

    with bench(handler) as b:

        def told() -> None:
            order.append(f"told with {len(b.limiter.permits)} permit")

        b.http.send(call(), on_sending=told)
    assert order == ["told with 1 permit", "bytes"]


def test_a_permit_that_is_old_when_the_connection_stands_is_given_back_unused() -> None:
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        heard.append(connection.recv(1))

    limiter, log = OpenLimiter(fresh=False), MemoryLog()
    with (
        raw_server(talk) as url,
        HttpClient(limiter=limiter, log=log, clock=SystemClock(), timeout_s=5.0) as http,
        pytest.raises(NetworkError, match="stood still") as caught,
    ):
        http.send(call(url))
    assert caught.value.never_sent
    assert caught.value.code == "stale_permit"
    assert heard == [b""]  # connected, and closed without a byte
    assert limiter.permits[0].was_given_back


def test_a_permit_is_looked_at_before_the_first_byte_and_not_again_after_a_redirect() -> None:
    def talk(connection: socket.socket) -> None:
        head = read_request(connection)
        limiter.permits[0].fresh = False  # its age does not matter once the request is out
        if b"/first" in head:
            connection.sendall(
                b"HTTP/1.1 302 Found\r\nLocation: /second\r\nContent-Length: 0\r\n"
                b"Connection: close\r\n\r\n"
            )
        else:
            connection.sendall(OK)

    http, limiter, _ = client()
    with raw_server(talk) as url, http:
        assert http.send(call(f"{url}/first", follow_redirects=True)).status == 200


def test_a_sender_that_refuses_stops_the_request_and_gives_the_permit_back() -> None:
    class NoError(BaseException):
        """Even what is no Exception."""

    def refuse() -> None:
        raise NoError

    with bench(replies(httpx2.Response(200))) as b, pytest.raises(NoError):
        b.http.send(call(), on_sending=refuse)
    assert b.seen == []
    assert b.limiter.permits[0].was_given_back
    assert b.log.records == []


def test_an_interrupt_during_the_exchange_is_recorded_and_comes_out() -> None:
    def handler(_request: httpx2.Request) -> httpx2.Response:
        raise KeyboardInterrupt

    with bench(handler) as b, pytest.raises(KeyboardInterrupt):
        b.http.send(call())
    assert b.log.records[0].error == "KeyboardInterrupt"
    assert not b.limiter.permits[0].was_given_back


def test_an_answer_that_is_too_long_is_not_read_to_its_end() -> None:
    with (
        bench(replies(httpx2.Response(200, content=b"x" * 1_000_000))) as b,
        pytest.raises(NetworkError, match="more than 1,000 bytes"),
    ):
        b.http.send(call(max_bytes=1_000))


@pytest.mark.parametrize("body", ["", "<html>", "[1", '{"a": NaN}', "[" * 100_000, "9" * 5_000])
def test_what_is_not_json_is_a_network_error(body: str) -> None:
    reply = Reply(status=200, headers={}, text=body, received_at=NOW)
    with pytest.raises(NetworkError):
        reply.json()


def test_money_is_read_exactly() -> None:
    reply = Reply(status=200, headers={}, text='{"price": 0.005247}', received_at=NOW)
    assert reply.json() == {"price": Decimal("0.005247")}


def test_neither_errors_nor_values_show_a_secret() -> None:
    secret = "S3CRET"
    url = f"https://user:{secret}@store.example/x?X-Amz-Signature={secret}"
    failures: list[httpx2.Response | Exception] = [
        httpx2.ConnectError(f"cannot reach https://store.example/x?sig={secret}"),
        httpx2.Response(500),
    ]
    for failure in failures:
        one = call(url, headers={"Authorization": secret}, params={"key": secret})
        with bench(replies(failure)) as b, pytest.raises(BulkTranscribeError) as caught:
            b.http.send(one)
        assert secret not in f"{caught.value} {one!r} {b.log.records!r}"
    assert without_query(url) == "https://store.example/x"
    assert without_query("http://[bad") == "an address that cannot be read"


def test_the_library_s_own_log_loses_the_query(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.INFO, logger="httpx2"),
        bench(replies(httpx2.Response(200))) as b,
    ):
        b.http.send(call(params={"key": "S3CRET"}))
    assert "api.example/x" in caplog.text
    assert "S3CRET" not in caplog.text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("60", 60.0),
        (" 86400 ", 86_400.0),
        ("1.5", 1.5),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0.0),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("٣", None),
        ("99999999999999", None),
        ("Wed, 01 Jan 2026 00:00:00 -0000", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after_s(text, NOW) == seconds


@given(st.text(max_size=40))
def test_no_retry_after_breaks_the_reader(text: str) -> None:
    seconds = parse_retry_after_s(text, NOW)
    assert seconds is None or seconds >= 0


def test_a_fast_clock_does_not_make_the_network_look_broken() -> None:
    assert real_timeout_s(SystemClock(), 30.0) == 30.0
    assert real_timeout_s(SystemClock(10.0), 30.0) == 3.0
    assert real_timeout_s(SystemClock(600.0), 30.0) == 2.0
    assert real_timeout_s(SystemClock(600.0), 0.3) == 0.3


def test_a_presigned_address_goes_out_as_it_came() -> None:
    url = "https://s3.example/r/x%20y.txt?X-Amz-Signature=a%2Fb%2Bc%3D&X-Amz-Date=1+2"
    with bench(replies(httpx2.Response(200))) as b:
        b.http.send(call(url))
    assert str(b.seen[0].url) == url


# From here on with real sockets on this machine.


def test_a_closed_port_was_never_reached() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    http, limiter, _ = client()
    with http, pytest.raises(NetworkError) as caught:
        http.send(call(f"http://127.0.0.1:{port}/"))
    assert caught.value.never_sent
    assert limiter.permits[0].was_given_back


def test_a_name_that_does_not_exist_was_never_reached() -> None:
    http, _, _ = client()
    with http, pytest.raises(NetworkError) as caught:
        http.send(call("http://no-such-host.invalid/"))
    assert caught.value.never_sent


def test_a_connection_that_is_cut_after_the_request_may_have_been_read() -> None:
    def cut(connection: socket.socket) -> None:
        read_request(connection)

    http, limiter, _ = client()
    with raw_server(cut) as url, http, pytest.raises(NetworkError) as caught:
        http.send(call(url, method="POST", json={"a": 1}))
    assert (caught.value.never_sent, caught.value.refused) == (False, False)
    assert not limiter.permits[0].was_given_back


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf a transcript",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ],
)
def test_half_an_answer_is_never_taken_for_a_whole_one(answer: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(answer)

    http, limiter, log = client()
    with raw_server(talk) as url, http, pytest.raises(NetworkError):
        http.send(call(url))
    assert limiter.permits[0].status == 200
    assert (log.records[0].status, log.records[0].error) == (200, "RemoteProtocolError")


def dribble(head: bytes) -> Callable[[socket.socket], None]:
    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head)
        for _ in range(200):
            connection.sendall(b"x")
            time.sleep(0.02)

    return talk


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX-Slow: ", id="headers"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", id="body"),
    ],
)
def test_an_answer_that_drips_in_ends_by_the_deadline(head: bytes) -> None:
    http, _, log = client(timeout_s=0.3)
    started_s = time.monotonic()
    with raw_server(dribble(head)) as url, http:
        with pytest.raises(NetworkError, match="did not answer in time"):
            http.send(call(url))
        took_s = time.monotonic() - started_s
    assert 0.25 < took_s < 2.0
    assert log.records[0].error == "ReadTimeout"


def test_a_deadline_is_over_with_its_request() -> None:
    def talk(connection: socket.socket) -> None:
        while read_request(connection):
            connection.sendall(OK)

    http, _, _ = client(timeout_s=0.3)
    with raw_server(talk) as url, http:
        for _ in range(3):
            assert http.send(call(url)).text == "{}"
            time.sleep(0.15)


def test_many_threads_share_one_client() -> None:
    def talk(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))

    http, limiter, log = client()
    start = threading.Barrier(8)
    failures: list[BaseException] = []

    def work(url: str) -> None:
        start.wait()
        try:
            for _ in range(5):
                http.send(call(url))
        except BaseException as error:  # noqa: BLE001 -- told below
            failures.append(error)

    with raw_server(talk) as url, http:
        threads = [threading.Thread(target=work, args=(url,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert len(limiter.permits) == len(log.records) == 40
