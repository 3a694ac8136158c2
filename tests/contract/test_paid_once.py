"""Law 3 with the real parts: whenever the process dies, nothing is paid twice and nothing is lost.

A child process with the real source, client and ledger talks to a small service that counts what
it was asked to pay for; the child dies at a given moment, and a second child takes over.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

import pytest

from tests.postgres import wait_until_all_are_gone

TEXT = "Hello."


class Service(ThreadingHTTPServer):
    """Takes jobs, finishes them at once; `paid` is the truth."""

    paid: int
    loses_answers: bool

    def handle_error(self, *_args: object) -> None:
        """Clients die on purpose here."""


class Handler(BaseHTTPRequestHandler):
    @property
    def service(self) -> Service:
        return cast("Service", self.server)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.service.paid += 1
        if self.service.loses_answers:
            self.close_connection = True
            return
        self.answer({"data": {"request_id": f"job-{self.service.paid}"}})

    def do_GET(self) -> None:
        self.answer({"data": {"status": "done", "result": f"[0:00 - 0:05] {TEXT}"}})

    def answer(self, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args: object) -> None: ...


@contextmanager
def running_service() -> Iterator[Service]:
    service = Service(("127.0.0.1", 0), Handler)
    service.paid, service.loses_answers = 0, False
    thread = threading.Thread(target=service.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield service
    finally:
        service.shutdown()
        service.server_close()
        thread.join()


def child(place: Path | str, service: Service, dies_at: str = "") -> str | None:
    """How a run of its own process ended; None where it died."""
    address = f"http://127.0.0.1:{service.server_address[1]}"
    command = [sys.executable, "-m", "tests.contract.paid_child", str(place), address, dies_at]
    done = subprocess.run(  # noqa: S603 -- our own interpreter and our own module
        command, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode in {0, 9}, done.stderr
    return done.stdout.strip() if done.returncode == 0 else None


@pytest.mark.parametrize(
    ("dies_at", "paid_before", "then", "paid_after"),
    [
        ("after intend", 0, TEXT, 1),  # nothing had gone out: the next run may send
        ("after mark_sent", 0, "InDoubtError", 0),  # it might have: a person decides
        ("before accept", 1, "InDoubtError", 1),  # it had: never again by itself
        ("after accept", 1, TEXT, 1),  # paid for and noted: fetched
        ("before claim", 1, TEXT, 1),
        ("after claim", 1, TEXT, 1),  # known already
    ],
)
def test_whenever_the_process_dies_nothing_is_paid_twice(
    place: Path | str, dies_at: str, paid_before: int, then: str, paid_after: int
) -> None:
    with running_service() as service:
        assert child(place, service, dies_at) is None
        assert service.paid == paid_before
        wait_until_all_are_gone(place)
        assert child(place, service) == then
        assert service.paid == paid_after


def test_an_answer_that_got_lost_is_held_over_processes(place: Path | str) -> None:
    with running_service() as service:
        service.loses_answers = True
        assert child(place, service) == "InDoubtError"
        service.loses_answers = False
        assert child(place, service) == "InDoubtError"
        assert service.paid == 1
