"""Webhooks: a receiver that writes what deAPI tells into the store, and a reader of that.

Two threads, and the store between them, so that it does not matter which process receives:

- `webhooks`, of `Receiver`: the event loop of a small server. It believes what is signed with our
  secret, is new, and came to an address with a nonce of ours. What it writes adopts the job of a
  lost answer, and notes that a job has ended. It runs beside a run, or alone (`bulk-transcribe
  webhooks`); of several processes with the same address one receives for all.
- `webhook_news`, of `NewsReader`: beside each run. It reads once a second what was told of the
  run's own jobs, wakes whoever watches them, and brings adopted videos back into the line.
"""

import asyncio
import errno
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from bulk_transcribe.app.app import Told
from bulk_transcribe.clients.webhook import (
    MOST_AGE_S,
    MOST_BYTES,
    News,
    Refusal,
    read_delivery,
)
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import BulkTranscribeError, ConfigError, StoreError
from bulk_transcribe.process.hints import Hints
from bulk_transcribe.process.late import LateJobs

_log: Final = logging.getLogger(__name__)

#: The service gives a receiver 10 s; real seconds, since that is the network's business.
ANSWER_WITHIN_S: Final = 8.0
#: Deliveries at a time; more are told to come again.
_AT_ONCE: Final = 64
_START_WITHIN_S, _STOP_WITHIN_S = 10.0, 10.0
_LOOK_EVERY_S: Final = 0.01
#: Between two looks at what was told, real seconds.
_READ_EVERY_S: Final = 1.0
#: A delivery's number is remembered as long as its signature can be used again: from the latest
#: moment before its timestamp to the latest after it.
_REMEMBERED_S: Final = 2 * MOST_AGE_S


@dataclass(kw_only=True)
class Received:
    """Deliveries so far, by what became of them."""

    noted: int = 0
    repeated: int = 0  # already noted
    unknown: int = 0  # signed, and for no request of this store
    refused: int = 0


class Deliveries:
    """Decides about each delivery and writes down what it tells. Shared by all threads.

    Args:
        told: Where news go.
        secret: Shared with the service.
        clock: For the age of a signature.
        on_noted: Called after each one that was written down.
    """

    def __init__(
        self,
        told: Told,
        secret: str,
        clock: Clock,
        *,
        on_noted: Callable[[], None] = lambda: None,
    ) -> None:
        self._told = told
        self._on_noted = on_noted
        self._secret = secret
        self._clock = clock
        self._lock = threading.Lock()  # guards the two fields below
        self._seen: dict[str, float] = {}  # number -> when it was noted, oldest first
        self.received = Received()

    def read(self, body: bytes, headers: Mapping[str, str]) -> News | Refusal:
        """What it tells, or why it is not believed. Touches no store."""
        now_s = self._clock.now().timestamp()
        found = read_delivery(body, headers, secret=self._secret, now_s=now_s)
        if isinstance(found, Refusal):
            self.count("refused")
            # counted, not told: anybody may knock, and must not fill the log
            _log.debug("a webhook was refused: %s", found.name.lower())
        return found

    def is_repeated(self, news: News) -> bool:
        """Whether this delivery was noted before; nothing is done about it then."""
        oldest_s = self._clock.now_s() - _REMEMBERED_S
        with self._lock:
            while self._seen and next(iter(self._seen.values())) < oldest_s:
                del self._seen[next(iter(self._seen))]
            is_repeated = news.delivery_id in self._seen
            self.received.repeated += is_repeated
        return is_repeated

    def note(self, nonce: str, news: News) -> None:
        """Write it down. Waits for the disk.

        Raises:
            StoreError: it could not be written; the delivery has to come again.
        """
        try:
            request = self._told(nonce, news.request_id, news.state)
        except StoreError as error:
            if error.code != "other_request_id":
                raise
            self.count("refused")  # to come again would not help
            _log.warning("a webhook was refused: %s", error.message)
            return
        with self._lock:
            self._seen[news.delivery_id] = self._clock.now_s()
        self.count("unknown" if request is None else "noted")
        if request is not None:
            video_id, state = request.key.video_id, news.state.value
            _log.info("%s: a webhook tells of job %s: %s", video_id, news.request_id, state)
            self._on_noted()

    def count(self, what: str) -> None:
        """One more of these."""
        with self._lock:
            setattr(self.received, what, getattr(self.received, what) + 1)


def application(deliveries: Deliveries, *, answer_within_s: float = ANSWER_WITHIN_S) -> Starlette:
    """What is served: a POST to any path, whose last part is the nonce."""

    async def receive(request: Request) -> Response:
        try:
            async with asyncio.timeout(answer_within_s):
                return await _received(request, deliveries)
        except TimeoutError:
            return _answer(503, "busy")

    return Starlette(routes=[Route("/{path:path}", receive, methods=["POST"])])


async def _received(request: Request, deliveries: Deliveries) -> Response:
    body = await _body(request)
    if body is None:
        deliveries.count("refused")
        return _answer(413, "too much")
    # the check is quick and touches nothing: strangers cost a hash each
    news = deliveries.read(body, dict(request.headers))
    if isinstance(news, Refusal):
        return _answer(news.value, news.name.lower())
    if deliveries.is_repeated(news):
        return _answer(200, "known")
    nonce = request.url.path.rpartition("/")[2]
    try:
        await asyncio.to_thread(deliveries.note, nonce, news)
    except StoreError as error:
        _log.warning("a webhook could not be noted: %s", error.message)
        return _answer(503, "busy")
    # also for a nonce that nobody knows: ten failures in a row switch an account's webhooks off
    return _answer(200, "ok")


async def _body(request: Request) -> bytes | None:
    """The body; None where it is too big, or was broken off."""
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MOST_BYTES:
                return None
    except ClientDisconnect:
        return None
    return body


def _answer(status: int, word: str) -> Response:
    return PlainTextResponse(word + "\n", status_code=status)


class PortTakenError(ConfigError):
    """Somebody listens at the receiver's address already."""

    default_code = "port_taken"


class Receiver:
    """Serves the deliveries in a thread of its own, `webhooks`; use it as a `with` block.

    Args:
        deliveries: Decides about each.
        address: Host and port to listen on; port 0 takes any free one.
        answer_within_s: Real seconds after which the service is told to come again.

    Raises:
        PortTakenError: somebody listens there: most likely another process of ours, which then
            receives for this one, too.
        ConfigError: nobody can listen there.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        address: tuple[str, int],
        *,
        answer_within_s: float = ANSWER_WITHIN_S,
    ) -> None:
        self._application = application(deliveries, answer_within_s=answer_within_s)
        self._wanted = address
        self.address = address

    def __enter__(self) -> Self:
        listener = _listener(self._wanted)
        self.address = listener.getsockname()[:2]
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._application,
                http="h11",
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=_AT_ONCE,
                timeout_graceful_shutdown=int(ANSWER_WITHIN_S),
            )
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="webhooks"
        )
        self._listener = listener
        self._thread.start()
        pause = threading.Event()  # real time: the thread is real whatever the clock
        for _ in range(int(_START_WITHIN_S / _LOOK_EVERY_S)):
            if self._server.started or not self._thread.is_alive():
                break
            pause.wait(_LOOK_EVERY_S)
        if not self._server.started:
            self._stop()
            raise ConfigError(f"The webhook receiver did not start on {_shown(self._wanted)}.")
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(ANSWER_WITHIN_S + _STOP_WITHIN_S)
        self._listener.close()


def _listener(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        return socket.create_server(address, family=family, backlog=128)
    except OSError as error:
        is_taken = error.errno == errno.EADDRINUSE
        kind = PortTakenError if is_taken else ConfigError
        raise kind(
            f"The webhook receiver cannot listen on {_shown(address)}: {error.strerror or error}.",
            next_step="Another run may be receiving there already, for all runs of this machine."
            if is_taken
            else "Set BULK_TRANSCRIBE_WEBHOOK_BIND to an address of this machine.",
        ) from error


def _shown(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"


class ToldOf(Protocol):
    """What the store knows by webhooks: `SubmissionLedger`."""

    def told_to_have_ended(self, request_ids: list[str]) -> set[str]: ...

    def told_of(self, video_ids: list[str]) -> dict[str, bool]: ...


class NewsReader:
    """Reads what was told of a run's jobs; `with` block, with one thread, `webhook_news`.

    Args:
        book: The store.
        hints: Wakes whoever watches a job.
        late: Late jobs and lost answers of the run.
        reopen: Notes that a video which ended in doubt goes on; the video, None where the session
            does not have it.
    """

    def __init__(
        self,
        book: ToldOf,
        hints: Hints,
        late: LateJobs,
        reopen: Callable[[str], VideoItem | None],
    ) -> None:
        self._book = book
        self._hints = hints
        self._late = late
        self._reopen = reopen
        self._is_over = False
        self._has_news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhook_news")

    def __enter__(self) -> Self:
        self._forget = self._hints.listen()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._has_news.set()
        self._thread.join()
        self._forget()

    def wake(self) -> None:
        """Something was noted by this process: read it now."""
        self._has_news.set()

    def read(self) -> None:
        """Pass on what was told.

        Raises:
            StoreError: the store cannot be read.
        """
        jobs = self._hints.wanted()
        if jobs:
            for job in self._book.told_to_have_ended(jobs):
                self._hints.tell(job)
        outside = self._late.outside()
        if outside:
            for video_id, has_ended in self._book.told_of(outside).items():
                self._adopt(video_id)
                if has_ended:
                    self._late.told(video_id)

    def _adopt(self, video_id: str) -> None:
        if not self._late.is_doubted(video_id):
            return
        item = self._reopen(video_id)
        if item is not None:
            self._late.adopted(item)

    def _run(self) -> None:
        while True:
            self._has_news.wait(_READ_EVERY_S)
            self._has_news.clear()
            if self._is_over:
                return
            try:
                self.read()
            except BulkTranscribeError as error:  # the store's trouble ends the run elsewhere
                _log.warning("webhooks cannot be read: %s", error.message)
