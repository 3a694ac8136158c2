"""The parts that talk to the outside, built from settings: limiters, HTTP, clients."""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Final

from bulk_transcribe.clients.addresses import AddressGuard
from bulk_transcribe.clients.captions import DEFAULT_BASE_URL, Webshare, YouTubeCaptions
from bulk_transcribe.clients.deapi import DeapiClient, Webhook
from bulk_transcribe.clients.http import HttpClient
from bulk_transcribe.clients.redact import Redactor
from bulk_transcribe.clients.youtube_data import YouTubeDataClient
from bulk_transcribe.clients.yt_dlp_client import YtDlpClient
from bulk_transcribe.config import Settings
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.ports import Limiter, Permit, RequestLog
from bulk_transcribe.core.request import Capacity, RequestKind, RequestRecord, Ticket

#: Kinds that count against the paid account; the rest goes to YouTube.
PAID_KINDS: Final = frozenset(
    {
        RequestKind.SUBMIT,
        RequestKind.POLL,
        RequestKind.PRICE,
        RequestKind.ACCOUNT,
        RequestKind.DOWNLOAD,
    }
)


#: Pages of a list of two million videos; beyond it the oldest are forgotten.
_MOST_EARLY: Final = 50_000
_NOBODY: Final = Ticket()


class RequestFan:
    """A `RequestLog` that passes each record on to whoever listens now. Shared by all threads.

    What went out before anybody listened (reading lists, looking up titles) is kept for the
    session that comes of it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the two fields below
        self._logs: tuple[RequestLog, ...] = ()
        self._early: deque[RequestRecord] = deque(maxlen=_MOST_EARLY)

    def record(self, record: RequestRecord) -> None:
        with self._lock:
            logs = self._logs
            if not logs:
                self._early.append(record)
        for log in logs:
            log.record(record)

    def take_early(self) -> list[RequestRecord]:
        """The records of before anybody listened, each given out once."""
        with self._lock:
            early = list(self._early)
            self._early.clear()
        return early

    def listen(self, *logs: RequestLog) -> Callable[[], None]:
        """Pass records on to these, too; returns the way to stop that."""
        with self._lock:
            self._logs += logs

        def forget() -> None:
            with self._lock:
                self._logs = tuple(log for log in self._logs if log not in logs)

        return forget


class ByService:
    """One `Limiter` for clients that ask two services: each kind goes to its service's budget."""

    def __init__(self, *, paid: Limiter, youtube: Limiter) -> None:
        self._paid = paid
        self._youtube = youtube

    def permit(
        self,
        kind: RequestKind,
        ticket: Ticket = _NOBODY,
        /,
    ) -> AbstractContextManager[Permit]:
        return self._of(kind).permit(kind, ticket)

    def capacity(self, kind: RequestKind) -> Capacity:
        return self._of(kind).capacity(kind)

    def _of(self, kind: RequestKind) -> Limiter:
        return self._paid if kind in PAID_KINDS else self._youtube


class Steered:
    """A limiter whose waits also end with the halt of one session's control."""

    def __init__(self, limiter: Limiter, control: RunControl) -> None:
        self._limiter = limiter
        self._control = control

    def permit(
        self,
        kind: RequestKind,
        ticket: Ticket = _NOBODY,
        /,
    ) -> AbstractContextManager[Permit]:
        return self._limiter.permit(kind, replace(ticket, control=self._control))

    def capacity(self, kind: RequestKind) -> Capacity:
        return self._limiter.capacity(kind)


class Clients:
    """Every client, each made when it is first needed. Close it at the end."""

    def __init__(
        self, settings: Settings, *, limiter: Limiter, log: RequestLog, clock: Clock
    ) -> None:
        self._limiter = limiter
        self._log = log
        self._clock = clock
        redact = Redactor(settings.secrets)
        guard = AddressGuard(
            trusted=(
                settings.deapi_base_url,
                settings.youtube_api_base_url,
                settings.youtube_base_url,
                DEFAULT_BASE_URL,
            ),
            allow_private=settings.allow_private_addresses,
        )
        self.http = HttpClient(
            limiter=limiter,
            log=log,
            clock=clock,
            timeout_s=settings.request_timeout_s,
            guard=guard,
            redact=redact,
        )
        self.deapi = (
            DeapiClient(
                settings.deapi_base_url,
                settings.deapi_api_key,
                http=self.http,
                model=settings.model,
                api_version=settings.deapi_version,
                webhook=Webhook(base_url=settings.webhook_url, secret=settings.webhook_secret)
                if settings.webhook_url
                else None,
            )
            if settings.deapi_api_key
            else None
        )
        self.data_api = (
            YouTubeDataClient(
                settings.youtube_api_base_url,
                settings.youtube_data_api_key,
                http=self.http,
                clock=clock,
            )
            if settings.youtube_data_api_key
            else None
        )
        self.captions = YouTubeCaptions(
            limiter=limiter,
            log=log,
            clock=clock,
            base_url=settings.youtube_base_url,
            proxy=settings.proxy or None,
            webshare=_webshare(settings),
            timeout_s=settings.request_timeout_s,
            guard=guard,
        )
        self.yt_dlp = YtDlpClient(
            limiter=limiter, log=log, clock=clock, proxy=settings.proxy or None, redact=redact
        )

    def close(self) -> None:
        """Close all connections."""
        self.captions.close()
        self.http.close()


def _webshare(settings: Settings) -> Webshare | None:
    if not (settings.webshare_username and settings.webshare_password):
        return None
    return Webshare(settings.webshare_username, settings.webshare_password)
