"""What takes the videos of one session through their steps, whoever hands them out."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from bulk_transcribe.app.parts import Clients, RequestFan
from bulk_transcribe.app.quotes import Quotes
from bulk_transcribe.app.settling import Account, Settling
from bulk_transcribe.app.till import Till
from bulk_transcribe.config import Settings
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.job import JobStatus, SubmissionState
from bulk_transcribe.core.jobtime import JobTimeModel
from bulk_transcribe.core.outcome import VideoResult
from bulk_transcribe.core.ports import Exporter, Limiter, Reporter
from bulk_transcribe.core.request import RequestKind, Ticket
from bulk_transcribe.core.stage import Stage
from bulk_transcribe.core.transcript import ContentKey
from bulk_transcribe.core.video import VideoItem, VideoMetadata
from bulk_transcribe.errors import ConfigError, StopBatchError
from bulk_transcribe.limit import LimiterBelief
from bulk_transcribe.monitor.flusher import StateFlusher
from bulk_transcribe.monitor.monitor import ConcurrentProgressMonitor
from bulk_transcribe.process.backoff import Backoff
from bulk_transcribe.process.gauge import Gauge
from bulk_transcribe.process.hints import Hints
from bulk_transcribe.process.late import LateJobs, LatePorts
from bulk_transcribe.process.one_video import OneVideo, VideoTools
from bulk_transcribe.process.polling import AimedJobWatcher
from bulk_transcribe.save.budget import Budget
from bulk_transcribe.save.database import Database
from bulk_transcribe.save.journal import Journal
from bulk_transcribe.save.session import Session
from bulk_transcribe.save.submissions import SubmissionLedger
from bulk_transcribe.save.transcripts import Transcripts
from bulk_transcribe.sources.captions import CaptionsSource, captions_key
from bulk_transcribe.sources.chain import ChainRules, SourceChain, WhenBlocked
from bulk_transcribe.sources.deapi import DeapiSource, deapi_key
from bulk_transcribe.sources.rest import RestingMetadata, SourceRest

_log: Final = logging.getLogger(__name__)


def key_of(settings: Settings, source: str, video_id: str) -> ContentKey:
    """Under which the store keeps what a source gives with these settings."""
    if source == "captions":
        return captions_key(video_id, settings.languages)
    return deapi_key(video_id, settings.model)


@dataclass(frozen=True, kw_only=True)
class Shared:
    """What all runs of a process share."""

    settings: Settings
    clock: Clock
    control: RunControl
    database: Database
    clients: Clients
    limiter: Limiter
    requests: RequestFan
    quotes: Quotes
    account: Account
    belief: Callable[[], LimiterBelief]


class Workbench:
    """Everything that one session's videos need on their way. Shared by all threads.

    `close` it at the end.

    Args:
        shared: The process's parts.
        session: Whose videos.
        slots: Videos at once, as far as known, for the forecast.
        to_come: Videos that will get a slot when one is free.
        exporter: Writes the files.
        refresh: Ask the sources again even if the store knows a transcript.

    Raises:
        ConfigError: there is no source to ask.
    """

    def __init__(
        self,
        shared: Shared,
        session: Session,
        *,
        slots: int,
        to_come: Callable[[], int],
        exporter: Exporter,
        refresh: bool = False,
    ) -> None:
        settings, clock, control = shared.settings, shared.clock, shared.control
        database, limiter = shared.database, shared.limiter
        self._control = control
        self._settings = settings
        self._clock = clock
        self._session = session
        self._clients = shared.clients
        self._limiter = limiter
        self._budget = Budget(settings.max_cost_usd, no_price=shared.quotes.trouble)
        self.till = Till(shared.quotes, shared.account.known_balance_usd, self._budget)
        self._refresh = refresh
        model = JobTimeModel()
        self.store = Transcripts(database, clock)
        self.ledger = SubmissionLedger(
            database,
            clock,
            session.session_id,
            budget=self._budget,
            latest_balance=lambda: shared.account.balances.latest,
            with_nonce=bool(settings.webhook_url),
        )
        self.settling = Settling(self.ledger, shared.account, clock)
        self.journal = Journal(session, clock)
        self.monitor = ConcurrentProgressMonitor(
            clock,
            model,
            slots=slots,
            requests_per_min=settings.rate_limit_rpm,
        )
        self.close = shared.requests.listen(self.journal, self.monitor.request_log)
        for record in shared.requests.take_early():
            self.journal.record(record)
        self.hints = Hints(control, clock) if settings.webhook_url else None
        self._watcher = AimedJobWatcher(
            limiter, clock, control, model, to_come=to_come, hints=self.hints
        )
        self.gauge = Gauge(
            lambda: limiter.capacity(RequestKind.SUBMIT), looks_each=self._watcher.looks_each
        )
        self._rests = SourceRest(clock, control)
        self._exporter = exporter
        self._chain = self._make_chain()
        self.process = self._one_video().process

    def keys(self, video_id: str) -> tuple[ContentKey, ...]:
        """Under which the store may know a video's transcript."""
        return self._chain.keys(video_id)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Note how the videos get on, about once a second, until the block ends."""
        with (
            self.journal,
            StateFlusher(self.monitor, self.journal, self._clock, on_error=self._store_failed),
        ):
            yield

    def _store_failed(self, error: StopBatchError) -> None:
        """The truth cannot be written down any more: nothing further may start."""
        _log.error("the store cannot be written: %s", error)
        self._control.halt()

    def finish(self, result: VideoResult) -> None:
        """A video's end: the monitor's state of it goes to disk before anything else is told."""
        state = self.monitor.finish(result.video_id, result)
        self.journal.finish(state, result)

    def late_jobs(self) -> LateJobs:
        """What looks at jobs that are late; for a run that lives on after them."""
        key = partial(key_of, self._settings, "deapi")

        def look(video_id: str, ticket: Ticket) -> JobStatus | None:
            found = self.ledger.find_open(key(video_id))
            deapi = self._clients.deapi
            if deapi is None or found is None or not found.request_id:
                return None
            return deapi.job(found.request_id, ticket)

        ports = LatePorts(
            look=look,
            polls=lambda: self._limiter.capacity(RequestKind.POLL),
            reporter=lambda item: self.monitor.reporter(item.video_id),
        )
        return LateJobs(ports, clock=self._clock, control=self._control)

    def reopen(self, video_id: str) -> VideoItem | None:
        """A video that ended in doubt goes on, since its job was found; None: it is not ours.

        Raises:
            StoreError: that could not be noted.
        """
        item = self._session.reopen(video_id)
        if item is not None:
            self.monitor.record(video_id, Stage.QUEUED)
        return item

    def goes_on_free(self, error: StopBatchError) -> bool:
        """No more paying; whether captions come before it, and so can be had without."""
        self.till.end(error)
        return self._settings.sources[0] == "captions"

    def _one_video(self) -> OneVideo:
        clients = self._clients
        return OneVideo(
            VideoTools(
                sources=self._chain,
                store=self.store,
                exporter=self._exporter,
                control=self._control,
                clock=self._clock,
                reporter=self._reporter,
                metadata=RestingMetadata(clients.data_api or clients.yt_dlp, self._rests),
                on_metadata=self._learn,
                spent_usd=lambda video_id: (
                    self.ledger.money(self._session.session_id, video_id).spent_usd
                ),
                gauge=self.gauge,
                refresh=self._refresh,
            )
        )

    def _has_job(self, key: ContentKey) -> bool:
        """Whether a job was paid for and can be fetched; one in doubt may not exist at all."""
        found = self.ledger.find_open(key)
        return found is not None and found.state is SubmissionState.ACCEPTED

    def _reporter(self, item: VideoItem) -> Reporter:
        return self.monitor.reporter(item.video_id, threading.current_thread().name)

    def _learn(self, facts: VideoMetadata) -> None:
        self.monitor.learn(facts.video_id, title=facts.title, duration_s=facts.duration_s)

    def _make_chain(self) -> SourceChain:
        settings = self._settings
        sources: list[CaptionsSource | DeapiSource] = []
        for name in settings.sources:
            if name == "captions":
                sources.append(CaptionsSource(self._clients.captions, settings.languages))
            elif self._clients.deapi is not None:
                sources.append(
                    DeapiSource(
                        self._clients.deapi,
                        self.ledger,
                        self._watcher,
                        control=self._control,
                        clock=self._clock,
                        model=settings.model,
                        quote=self.till.price,
                    )
                )
        if not sources:
            raise ConfigError(
                "There is no source to ask: deAPI needs a key.",
                next_step="Set DEAPI_API_KEY, or add captions to --sources.",
                code="no_source",
            )
        rules = ChainRules(
            again=Backoff(self._control, self._clock, on_trouble=self.gauge.trouble),
            when_blocked=WhenBlocked(settings.when_blocked),
            has_job=self._has_job,
        )
        return SourceChain(
            sources, self._rests, clock=self._clock, attempts=self.journal.attempts, rules=rules
        )
