"""The sender of webhooks: what a job does is told to the address that came with its submit.

One thread keeps the calendar, a few send. Each delivery is signed as documented, tried ten times
over most of a day, and the account's webhooks are switched off after ten failures in a row. The
faults of `Faults` lose, repeat, delay, forge and spoil deliveries.
"""

import hashlib
import heapq
import http.client
import json
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.simulator.config import SimulatorConfig
from bulk_transcribe.simulator.faults import Faults
from bulk_transcribe.simulator.jobs import Job
from bulk_transcribe.simulator.ledger import DeliverySeen
from bulk_transcribe.simulator.seeded import number, share

#: Minutes between one attempt and the next.
RETRY_AFTER_MIN: Final = (1, 2, 5, 10, 30, 60, 180, 360, 720)
#: Failures in a row after which an account's webhooks are switched off.
_FAILURES_AT_MOST: Final = 10
#: Real seconds that a receiver has for its answer.
_TIMEOUT_S: Final = 10.0
_SENDERS: Final = 8
_BLOCK: Final = 64
_STALE_S: Final = 3_600.0


@dataclass(order=True)
class _Due:
    """A delivery in the calendar."""

    at_s: float
    order: int
    event: str = field(compare=False)
    job: Job = field(compare=False)
    delivery_id: str = field(compare=False)
    attempt: int = field(compare=False, default=1)
    fault: str = field(compare=False, default="")


class WebhookSender:
    """Delivers what jobs do. Its methods may be called by any thread.

    Args:
        config: The account's secret, for requests that bring none of their own.
        clock: Time.
        faults: What goes wrong.
        note: Told of each attempt.
    """

    def __init__(
        self,
        config: SimulatorConfig,
        clock: Clock,
        faults: Faults,
        note: Callable[[DeliverySeen], None],
    ) -> None:
        self._config = config
        self._clock = clock
        self._faults = faults
        self._note = note
        self._changed = threading.Condition()  # guards the fields below
        self._calendar: list[_Due] = []
        self._order = 0
        self._failures = 0
        self._is_running = False
        self._thread: threading.Thread | None = None
        self._pool: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Deliver from now on. Threads begin with the first webhook."""
        with self._changed:
            self._is_running = True
            if self._calendar:
                self._begin()

    def stop(self) -> None:
        """Deliver nothing more until `start`; what is due then is still there."""
        with self._changed:
            self._is_running = False
            self._changed.notify_all()
            thread, pool = self._thread, self._pool
            self._thread = self._pool = None
        if thread is not None:
            thread.join()
        if pool is not None:
            pool.shutdown()

    def expect(self, job: Job) -> None:
        """A job with a webhook was taken: put down what will be told of it."""
        if not job.wish.webhook_url:
            return
        ended = "job.completed" if job.error_code is None else "job.failed"
        with self._changed:
            for at_s, event in ((job.started_at_s, "job.processing"), (job.done_at_s, ended)):
                if at_s != float("inf"):
                    self._put_down(at_s, event, job)
            if self._is_running:
                self._begin()
            self._changed.notify_all()

    def _put_down(self, at_s: float, event: str, job: Job) -> None:
        """Into the calendar, with what goes wrong with it. Holds the lock."""
        about = (self._config.seed, job.request_id, event)

        def happens(fault: str) -> bool:
            return self._faults.happens(fault, "webhook", *about)

        if happens("webhook_lost"):
            return
        faults = ("webhook_forged", "webhook_unsigned", "webhook_stale", "webhook_garbage")
        fault = next((each for each in faults if happens(each)), "")
        if happens("webhook_reordered"):  # the later event overtakes it
            at_s += 5.0 + 60.0 * share(*about, "late")
        delivery_id = str(UUID(int=number(*about, 1) << 64 | number(*about, 2), version=4))
        for _ in range(2 if happens("webhook_twice") else 1):
            self._order += 1
            due = _Due(at_s, self._order, event, job, delivery_id, fault=fault)
            heapq.heappush(self._calendar, due)

    def _begin(self) -> None:
        if self._thread is None:
            self._pool = ThreadPoolExecutor(_SENDERS, "simulator-webhook")
            self._thread = threading.Thread(target=self._run, name="simulator-webhooks")
            self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._is_running:
                    return
                left_s = None
                if self._calendar:
                    left_s = self._calendar[0].at_s - self._clock.now_s()
                if left_s is None or left_s > 0:
                    self._clock.wait(self._changed, left_s)
                    continue
                due, pool = heapq.heappop(self._calendar), self._pool
            if pool is not None:
                pool.submit(self._deliver, due)

    def _deliver(self, due: _Due) -> None:
        with self._changed:
            is_off = self._failures >= _FAILURES_AT_MOST
        if is_off:
            return
        status = None if self._faults.network_down else self._send(due)
        self._note(
            DeliverySeen(
                at_s=self._clock.now_s(),
                delivery_id=due.delivery_id,
                event=due.event,
                request_id=due.job.request_id,
                attempt=due.attempt,
                status=status,
                fault=due.fault,
            )
        )
        is_good = status is not None and 200 <= status < 300  # noqa: PLR2004 -- a redirect is a failure
        with self._changed:
            # a delivery that was spoilt on purpose is not the receiver's failure
            self._failures = 0 if is_good or due.fault else self._failures + 1
            if is_good or due.attempt > len(RETRY_AFTER_MIN):
                return
            self._order += 1
            wait_s = 60.0 * RETRY_AFTER_MIN[due.attempt - 1]
            again = _Due(
                self._clock.now_s() + wait_s,
                self._order,
                due.event,
                due.job,
                due.delivery_id,
                due.attempt + 1,
            )
            heapq.heappush(self._calendar, again)
            self._changed.notify_all()

    def _send(self, due: _Due) -> int | None:
        """POST it; the status, None where nobody answered."""
        parts = urlsplit(due.job.wish.webhook_url)
        maker = http.client.HTTPSConnection
        connect: Any = maker if parts.scheme == "https" else http.client.HTTPConnection
        try:
            connection = connect(parts.hostname or "", parts.port, timeout=_TIMEOUT_S)
            try:
                body = self._body(due)
                connection.request("POST", parts.path or "/", body, self._headers(due, body))
                return int(connection.getresponse().status)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return None

    def _body(self, due: _Due) -> bytes:
        if due.fault == "webhook_garbage":
            return b'{"event": "job.comple'
        job, ended_at = due.job, _text(self._clock.now())
        state = {"job.processing": "processing", "job.completed": "done"}.get(due.event, "error")
        data: dict[str, Any] = {
            "job_request_id": job.request_id,
            "status": state,
            "previous_status": "pending" if state == "processing" else "processing",
            "job_type": job.wish.endpoint,
        }
        match state:
            case "processing":
                data["started_at"] = ended_at
            case "done":
                data |= {"completed_at": ended_at, "result_url": None}
                data["processing_time_ms"] = int(1000 * (job.done_at_s - job.started_at_s))
            case _:
                data |= {"failed_at": ended_at, "error_code": job.error_code}
                data["error_message"] = "The job failed."
        told = {"event": due.event, "delivery_id": due.delivery_id, "timestamp": ended_at}
        return json.dumps(told | {"data": data}).encode()

    def _headers(self, due: _Due, body: bytes) -> Mapping[str, str]:
        stamp = int(self._clock.now().timestamp() - _STALE_S * (due.fault == "webhook_stale"))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "DeAPI-Webhook/1.0",
            "X-DeAPI-Event": due.event,
            "X-DeAPI-Delivery-Id": due.delivery_id,
            "X-DeAPI-Timestamp": str(stamp),
        }
        if due.fault == "webhook_unsigned":
            return headers
        secret = due.job.wish.webhook_secret or self._config.webhook_secret
        secret += "!" * (due.fault == "webhook_forged")
        return headers | {"X-DeAPI-Signature": f"sha256={sign(secret, stamp, body)}"}


def sign(secret: str, stamp: int, body: bytes) -> str:
    """HMAC-SHA256 of timestamp, point and body as RFC 2104 writes it, in hexadecimal."""
    key = secret.encode()
    key = hashlib.sha256(key).digest() if len(key) > _BLOCK else key
    key = key.ljust(_BLOCK, b"\0")
    inner = hashlib.sha256(bytes(each ^ 0x36 for each in key) + f"{stamp}.".encode() + body)
    return hashlib.sha256(bytes(each ^ 0x5C for each in key) + inner.digest()).hexdigest()


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
