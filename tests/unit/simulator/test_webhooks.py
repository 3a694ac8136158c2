"""The simulated sender: what it tells, how often it tries, and when it gives up."""

import hashlib
import hmac
import http.server
import itertools
import json
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest

from bulk_transcribe.simulator.faults import Faults
from bulk_transcribe.simulator.ledger import DeliverySeen
from bulk_transcribe.simulator.webhooks import RETRY_AFTER_MIN, WebhookSender, sign
from tests.unit.simulator.asking import Asker

VIDEO = "dQw4w9WgXcQ"
SECRET = "of the request's own"


class Receiver(http.server.BaseHTTPRequestHandler):
    """Takes everything down and answers with what the test says."""

    got: ClassVar[list[tuple[Mapping[str, str], bytes]]] = []
    answers: ClassVar[list[int]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.got.append((dict(self.headers), body))
        self.send_response(self.answers.pop(0) if self.answers else 204)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@contextmanager
def receiving(*answers: int) -> Iterator[str]:
    Receiver.got, Receiver.answers = [], list(answers)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/nonce"
        finally:
            server.shutdown()
            thread.join()


class World:
    """A service without a port, whose sender runs."""

    def __init__(self, **faults: Any) -> None:
        self.asking = Asker(Faults(**faults), webhook_http=True)
        self.clock, self.state = self.asking.clock, self.asking.state

    @property
    def sender(self) -> WebhookSender:
        return self.state.webhooks

    def seen(self) -> tuple[DeliverySeen, ...]:
        return self.state.ledger().deliveries

    def deliver(self, attempts: int) -> tuple[DeliverySeen, ...]:
        """Let time pass until so many attempts were made."""
        self.sender.start()
        try:
            with self.clock.running():
                for _ in range(2_000):
                    if len(self.seen()) >= attempts:
                        break
                    threading.Event().wait(0.005)
        finally:
            self.sender.stop()
        return self.seen()


def test_a_job_is_told_of_when_it_begins_and_when_it_ends() -> None:
    world = World()
    with receiving() as url:
        request_id = world.asking.request_id(VIDEO, webhook_url=url, webhook_secret=SECRET)
        began, ended = world.deliver(2)
    assert (began.event, ended.event) == ("job.processing", "job.completed")
    assert (began.status, ended.status) == (204, 204)
    assert began.delivery_id != ended.delivery_id
    headers, body = Receiver.got[1]
    assert json.loads(body)["data"]["job_request_id"] == request_id
    assert headers["X-DeAPI-Event"] == "job.completed"
    assert headers["User-Agent"] == "DeAPI-Webhook/1.0"
    signed = headers["X-DeAPI-Timestamp"].encode() + b"." + body
    wanted = hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()
    assert headers["X-DeAPI-Signature"] == f"sha256={wanted}"
    assert not [t for t in threading.enumerate() if t.name.startswith("simulator-webhook")]


@pytest.mark.parametrize("secret", ["", "a", "b" * 64, "c" * 65, "ü" * 40])
def test_the_signature_is_the_standard_one_for_keys_of_any_length(secret: str) -> None:
    wanted = hmac.new(secret.encode(), b"5.body", hashlib.sha256).hexdigest()
    assert sign(secret, 5, b"body") == wanted


def test_a_job_that_fails_is_told_of_as_failed() -> None:
    world = World(failing_jobs=True)
    with receiving() as url:
        world.asking.request_id(VIDEO, webhook_url=url, webhook_secret=SECRET)
        _, ended = world.deliver(2)
    assert ended.event == "job.failed"
    assert json.loads(Receiver.got[1][1])["data"]["error_code"] == "PROCESSING_ERROR"


def test_what_is_not_taken_comes_again_and_a_redirect_is_a_failure() -> None:
    world = World(webhook_lost=1)  # the beginning is not told, the end is
    with receiving(500, 302) as url:
        world.asking.request_id(VIDEO, webhook_url=url, webhook_secret=SECRET)
        seen = world.deliver(3)
    assert [each.status for each in seen] == [500, 302, 204]
    assert len({each.delivery_id for each in seen}) == 1
    waits = [round(b.at_s - a.at_s) for a, b in itertools.pairwise(seen)]
    assert waits == [60, 120]


def test_after_ten_failures_in_a_row_nothing_more_is_sent() -> None:
    world = World(webhook_lost=1)
    url = "http://127.0.0.1:9/nobody"
    world.asking.request_id(VIDEO, webhook_url=url, webhook_secret=SECRET)
    seen = world.deliver(len(RETRY_AFTER_MIN) + 1)
    assert [each.attempt for each in seen] == list(range(1, 11))
    assert {each.status for each in seen} == {None}
    assert sum(RETRY_AFTER_MIN) == 22 * 60 + 48
    world.asking.request_id("jNQXAC9IVRw", webhook_url=url, webhook_secret=SECRET)
    assert len(world.seen()) == 10


@pytest.mark.parametrize(
    "fault", ["webhook_forged", "webhook_unsigned", "webhook_stale", "webhook_garbage"]
)
def test_a_spoilt_delivery_is_spoilt_once(fault: str) -> None:
    world = World(**{fault: 1})
    with receiving(401) as url:
        world.asking.request_id(VIDEO, webhook_url=url, webhook_secret=SECRET)
        seen = world.deliver(3)
    assert Counter(each.fault for each in seen) == {fault: 1, "": 2}


def test_a_delivery_that_is_sent_twice_has_one_number() -> None:
    world = World(webhook_twice=True)
    with receiving() as url:
        world.asking.request_id(VIDEO, webhook_url=url, webhook_secret=SECRET)
        seen = world.deliver(4)
    assert sorted(Counter(each.delivery_id for each in seen).values()) == [2, 2]
