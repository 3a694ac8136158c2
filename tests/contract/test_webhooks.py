"""The receiver on a real port, with a real store: what it notes, and what changes nothing."""

import http.client
import json
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bulk_transcribe.app.webhooks import Deliveries, PortTakenError, Receiver
from bulk_transcribe.clients.webhook import MOST_BYTES
from bulk_transcribe.core.job import Submission, SubmissionState
from bulk_transcribe.core.transcript import ContentKey
from bulk_transcribe.save.database import open_database
from bulk_transcribe.save.submissions import SubmissionLedger
from bulk_transcribe.simulator.webhooks import sign
from bulk_transcribe.testing import FakeClock

SECRET = "a secret of some length"


class Desk:
    """A store with one lost answer, a receiver, and somebody who posts."""

    def __init__(self, path: Path, receiver: Receiver, ledger: SubmissionLedger) -> None:
        self.path = path
        self.ledger = ledger
        self.clock = FakeClock()
        self.deliveries = Deliveries(ledger.told, SECRET, self.clock)
        self.receiver = receiver
        self.number = 0

    def lost(self, video_id: str = "dQw4w9WgXcQ") -> Submission:
        made = self.ledger.intend(ContentKey(video_id=video_id, source="deapi", model="m"))
        self.ledger.mark_sent(made.submission_id)
        return self.ledger.doubt(made.submission_id, "lost")

    def body(self, request_id: str = "r-1", event: str = "job.completed") -> bytes:
        self.number += 1
        told = {"event": event, "delivery_id": f"d-{self.number}"}
        return json.dumps(told | {"data": {"job_request_id": request_id}}).encode()

    def post(
        self,
        nonce: str,
        body: bytes,
        *,
        secret: str | None = SECRET,
        age_s: int = 0,
        method: str = "POST",
        path: str = "/hooks/",
    ) -> int:
        stamp = int(self.clock.now().timestamp()) - age_s
        headers = {"X-DeAPI-Timestamp": str(stamp), "Content-Type": "application/json"}
        if secret is not None:
            headers["X-DeAPI-Signature"] = f"sha256={sign(secret, stamp, body)}"
        connection = http.client.HTTPConnection(*self.receiver.address, timeout=10)
        with closing(connection):
            connection.request(method, f"{path}{nonce}", body, headers)
            return connection.getresponse().status

    def rows(self) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute("SELECT * FROM submissions").fetchall()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    path = tmp_path / "store.db"
    with open_database(path) as database:
        clock = FakeClock()
        ledger = SubmissionLedger(database, clock, "s", with_nonce=True)
        deliveries = Deliveries(ledger.told, SECRET, clock)
        with Receiver(deliveries, ("127.0.0.1", 0)) as receiver:
            made = Desk(path, receiver, ledger)
            made.clock, made.deliveries = clock, deliveries
            yield made
    assert not [t.name for t in threading.enumerate() if t.name.startswith(("webhook", "asyncio"))]


def test_a_lost_answer_is_adopted_under_the_id_that_is_told(desk: Desk) -> None:
    doubt = desk.lost()
    assert desk.post(doubt.nonce, desk.body(event="job.processing")) == 200
    (found,) = desk.ledger.of_session("s")
    assert (found.state, found.request_id) == (SubmissionState.ACCEPTED, "r-1")
    assert desk.ledger.told_of(["dQw4w9WgXcQ"]) == {"dQw4w9WgXcQ": False}
    assert desk.post(doubt.nonce, desk.body()) == 200
    assert desk.ledger.told_of(["dQw4w9WgXcQ"]) == {"dQw4w9WgXcQ": True}
    assert desk.ledger.told_to_have_ended(["r-1", "r-2"]) == {"r-1"}
    assert desk.post(doubt.nonce, desk.body(event="job.processing")) == 200, "an older one"
    assert desk.ledger.told_to_have_ended(["r-1"]) == {"r-1"}


@pytest.mark.parametrize("path", ["/", "/deapi/", "/a/b/c/"])
def test_whatever_stands_before_the_nonce_is_the_proxys(desk: Desk, path: str) -> None:
    doubt = desk.lost()
    assert desk.post(doubt.nonce, desk.body(), path=path) == 200
    assert desk.ledger.list_in_doubt() == []


def test_forged_stale_and_unsigned_deliveries_change_nothing(desk: Desk) -> None:
    doubt = desk.lost()
    before = desk.rows()
    assert desk.post(doubt.nonce, desk.body(), secret=None) == 401
    assert desk.post(doubt.nonce, desk.body(), secret="another secret") == 401
    assert desk.post(doubt.nonce, desk.body(), age_s=301) == 400
    assert desk.post(doubt.nonce, desk.body(), age_s=-301) == 400
    assert desk.post(doubt.nonce, b'{"event"') == 422
    assert desk.post(doubt.nonce, b"x" * (MOST_BYTES + 1)) == 413
    assert desk.post(doubt.nonce, desk.body(), method="GET") == 405
    assert desk.rows() == before
    assert desk.deliveries.received.refused == 6


def test_a_nonce_that_is_not_ours_changes_nothing_and_is_no_failure(desk: Desk) -> None:
    doubt = desk.lost()
    before = desk.rows()
    for nonce in ("", "nobodys", doubt.nonce[:-1], f"{doubt.nonce}x", "%2e%2e", "a" * 3_000):
        assert desk.post(nonce, desk.body()) == 200
    assert desk.rows() == before
    assert desk.deliveries.received.unknown == 6


def test_a_replayed_delivery_changes_nothing_not_even_at_another_address(desk: Desk) -> None:
    first, second = desk.lost("video-00001"), desk.lost("video-00002")
    body = desk.body()
    assert desk.post(first.nonce, body) == 200
    before = desk.rows()
    assert desk.post(first.nonce, body) == 200
    assert desk.post(second.nonce, body) == 200
    assert desk.rows() == before
    assert desk.deliveries.received.repeated == 2


def test_a_job_of_another_request_is_not_given_to_this_one(desk: Desk) -> None:
    first, second = desk.lost("video-00001"), desk.lost("video-00002")
    assert desk.post(first.nonce, desk.body("r-1")) == 200
    before = desk.rows()
    assert desk.post(second.nonce, desk.body("r-1")) == 200
    assert desk.post(first.nonce, desk.body("r-2")) == 200
    assert desk.rows() == before
    assert desk.deliveries.received.refused == 2


def test_news_of_before_the_answer_was_lost_are_remembered(desk: Desk) -> None:
    made = desk.ledger.intend(ContentKey(video_id="v", source="deapi", model="m"))
    desk.ledger.mark_sent(made.submission_id)
    assert desk.post(made.nonce, desk.body()) == 200
    now = desk.ledger.doubt(made.submission_id, "lost")
    assert (now.state, now.request_id) == (SubmissionState.ACCEPTED, "r-1")


def test_the_answer_comes_while_the_database_is_held_by_somebody(desk: Desk) -> None:
    """Ten seconds are the service's patience: it is told to come again, and does."""
    doubt = desk.lost()
    body = desk.body()
    hasty = Receiver(desk.deliveries, ("127.0.0.1", 0), answer_within_s=0.1)
    with closing(sqlite3.connect(desk.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with hasty:
            usual, desk.receiver = desk.receiver, hasty
            assert desk.post(doubt.nonce, body) == 503
            desk.receiver = usual
            other.execute("ROLLBACK")
    assert desk.post(doubt.nonce, body) == 200
    assert desk.ledger.list_in_doubt() == []


def test_deliveries_by_many_at_once_are_all_taken_down(desk: Desk) -> None:
    doubts = [desk.lost(f"video-{number:05}") for number in range(24)]
    bodies = [desk.body(f"r-{number}") for number in range(24)]
    statuses: list[int] = []
    together = threading.Barrier(8)

    def work(number: int) -> None:
        together.wait()
        for each in range(number, 24, 8):
            statuses.extend(desk.post(doubts[each].nonce, bodies[each]) for _ in range(2))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert statuses == [200] * 48
    assert desk.ledger.list_in_doubt() == []
    ids = {each.request_id for each in desk.ledger.of_session("s")}
    assert len(ids) == 24


def test_a_taken_port_is_named(desk: Desk) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match=str(port)):
            Receiver(desk.deliveries, ("127.0.0.1", port)).__enter__()
