"""One run of one session: the rooms joined, started, watched and put away."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, Self

from bulk_transcribe.app.files import restore_files
from bulk_transcribe.app.parts import Clients, RequestFan
from bulk_transcribe.app.pulse import pulse_of
from bulk_transcribe.app.quotes import Quotes
from bulk_transcribe.app.settling import Account, Settling
from bulk_transcribe.app.till import Till
from bulk_transcribe.config import Settings, Slots
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.job import SubmissionState
from bulk_transcribe.core.jobtime import JobTimeModel
from bulk_transcribe.core.outcome import BatchResult, VideoResult
from bulk_transcribe.core.plan import BatchPlan
from bulk_transcribe.core.ports import Limiter, Reporter
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.core.stage import FINAL_STAGES
from bulk_transcribe.core.transcript import ContentKey
from bulk_transcribe.core.video import VideoItem, VideoMetadata
from bulk_transcribe.errors import BulkTranscribeError, ConfigError, StopBatchError
from bulk_transcribe.limit import LimiterBelief
from bulk_transcribe.monitor.flusher import StateFlusher
from bulk_transcribe.monitor.monitor import ConcurrentProgressMonitor
from bulk_transcribe.monitor.snapshot import Snapshot
from bulk_transcribe.process.backoff import Backoff
from bulk_transcribe.process.gauge import Gauge
from bulk_transcribe.process.one_video import OneVideo, VideoTools
from bulk_transcribe.process.polling import AimedJobWatcher
from bulk_transcribe.process.processor import BatchPorts, ParallelVideoProcessor
from bulk_transcribe.process.steering import Steering
from bulk_transcribe.save.budget import Budget
from bulk_transcribe.save.database import Database
from bulk_transcribe.save.export.exporter import FileExporter
from bulk_transcribe.save.export.session_files import write_session_files
from bulk_transcribe.save.journal import Journal
from bulk_transcribe.save.pulses import Pulses
from bulk_transcribe.save.receipts import Receipts
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


class Running(Protocol):
    """A run under way in its own thread."""

    def is_over(self, *, wait_s: float) -> bool:
        """Wait up to `wait_s` real seconds for the end; whether it came."""

    def result(self) -> BatchResult:
        """How it ended; raises what the run raised."""


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


class Engine:
    """Works a session once. Use it as a `with` block; it claims the session for this process.

    Raises:
        StoreError: another process works on the session.
    """

    def __init__(
        self,
        shared: Shared,
        session: Session,
        plan: Callable[["Engine"], BatchPlan],
        *,
        refresh: bool = False,
    ) -> None:
        settings, clock, control = shared.settings, shared.clock, shared.control
        database, limiter = shared.database, shared.limiter
        self.control = control
        self._settings = settings
        self._clock = clock
        self._database = database
        self._session = session
        self._clients = shared.clients
        self._budget = Budget(settings.max_cost_usd, no_price=shared.quotes.trouble)
        self._till = Till(shared.quotes, shared.account, self._budget)
        self._limiter = limiter
        self._plan = plan
        self._refresh = refresh
        self._model = JobTimeModel()
        self._store = Transcripts(database, clock)
        self._ledger = SubmissionLedger(
            database,
            clock,
            session.session_id,
            budget=self._budget,
            latest_balance=lambda: shared.account.balances.latest,
        )
        self._settling = Settling(self._ledger, shared.account, clock)
        self._journal = Journal(session, clock)
        self._pulses = Pulses(database, session.session_id)
        self._belief = shared.belief
        slots = settings.parallel.slots
        self.monitor = ConcurrentProgressMonitor(
            clock,
            self._model,
            slots=1 if slots == "auto" else slots,
            requests_per_min=settings.rate_limit_rpm,
        )
        self._forget_requests = shared.requests.listen(self._journal, self.monitor.request_log)
        for record in shared.requests.take_early():
            self._journal.record(record)
        self._watcher = AimedJobWatcher(
            limiter, clock, control, self._model, to_come=lambda: self._processor.to_come
        )
        self._gauge = Gauge(
            lambda: limiter.capacity(RequestKind.SUBMIT), looks_each=self._watcher.looks_each
        )
        self._rests = SourceRest(clock, control)
        self._exporter = FileExporter(settings.out, settings.formats, clock=clock)
        self._chain = self._make_chain()
        self._processor = ParallelVideoProcessor(
            BatchPorts(
                process=self._one_video().process,
                finish=self._finish,
                gauge=self._gauge,
                on_slots=self.monitor.set_slots,
                goes_on_free=self._goes_on_free,
            ),
            control=control,
            clock=clock,
            slots=slots,
            session_id=session.session_id,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._forget_requests()

    def keys(self, video_id: str) -> tuple[ContentKey, ...]:
        """Under which the store may know a video's transcript."""
        return self._chain.keys(video_id)

    def now(self) -> datetime:
        """The run's own time."""
        return self._clock.now()

    def snapshot(self) -> Snapshot:
        """Where everything is now."""
        return self.monitor.snapshot()

    def in_flight(self) -> int:
        """Videos that have a slot now."""
        return self._processor.in_flight

    def set_concurrency(self, slots: Slots) -> None:
        """Change the number of slots while it runs."""
        self._processor.set_concurrency(slots)

    def requests(self) -> int:
        """HTTP requests that the session has sent, in all its runs."""
        return Receipts(self._database).of_session(self._session.session_id).requests_sent

    def start(self) -> Running:
        """Run in a thread of its own."""
        return _Thread(self.run)

    def run(self) -> BatchResult:
        """Work the session to its end, and leave its lists; how it ended."""
        try:
            self._exporter.prepare()
            self._ledger.settle_orphans()
            plan = self._plan(self)
            restored = restore_files(self._session, self._store, self._exporter)
        finally:
            self._journal.flush()  # requests for list and plan, even where the run cannot begin
        self._show(plan)
        stopped_by: BulkTranscribeError | None = None
        result: BatchResult | None = None
        try:
            result = self._work(plan)
        except StopBatchError as error:
            stopped_by = error
        finally:
            # a bug comes out as it is; the session must not look alive for it
            stopped_by = stopped_by or (result.stopped_by if result else None)
            stopped_by = self._till.why_closed(stopped_by)
            interrupted = result.was_interrupted if result else self.control.is_draining
            self._session.release_engine(stopped_by=stopped_by, was_interrupted=interrupted)
        stopped_by = stopped_by or self._write_lists()
        return BatchResult(
            session_id=self._session.session_id,
            totals=self._session.totals(),
            requests=self.requests(),
            spent_usd=self._ledger.money(self._session.session_id).spent_usd,
            elapsed_s=result.elapsed_s if result else 0.0,
            stopped_by=stopped_by,
            was_interrupted=interrupted,
            restored=restored.videos,
        )

    def _show(self, plan: BatchPlan) -> None:
        """Videos to do, in order, and those that ended in earlier runs: the totals are whole."""
        self.monitor.add(plan.items)
        for item, state in self._session.items_and_states(stages=FINAL_STAGES):
            self.monitor.add((item,), (state,))

    def _work(self, plan: BatchPlan) -> BatchResult:
        with (
            self._journal,
            StateFlusher(self.monitor, self._journal, self._clock, on_error=self._store_failed),
            Steering(
                self._processor,
                self._session.take_wishes,
                control=self.control,
                clock=self._clock,
                heartbeat=self._heartbeat,
            ),
        ):
            result = self._processor.process_video_batch(plan)
            self._settling.settle()
        self._note_pulse()  # how it ended
        return result

    def _write_lists(self) -> BulkTranscribeError | None:
        """Leave manifest and table; what kept them from being written."""
        try:
            write_session_files(self._session, self._settings.out)
        except StopBatchError as error:
            _log.warning("the session's lists were not written: %s", error)
            return error
        return None

    def _store_failed(self, error: StopBatchError) -> None:
        """The truth cannot be written down any more: nothing further may start."""
        _log.error("the store cannot be written: %s", error)
        self.control.halt()

    def _heartbeat(self) -> None:
        """A sign of life, and how the run is: about every two real seconds."""
        self._session.heartbeat(is_paused=self.control.is_paused)
        self._note_pulse()

    def _note_pulse(self) -> None:
        self._pulses.write(
            pulse_of(
                self.monitor.snapshot(),
                self._belief() if self._clients.deapi is not None else None,
                slots=self._processor.concurrency,
                is_auto=self._processor.is_auto,
                is_draining=self.control.is_draining,
            )
        )

    def _finish(self, result: VideoResult) -> None:
        """A video's end: the monitor's state of it goes to disk before anything else is told."""
        state = self.monitor.finish(result.video_id, result)
        self._journal.finish(state, result)

    def _goes_on_free(self, error: StopBatchError) -> bool:
        """No more paying; whether captions come before it, and so can be had without."""
        self._till.end(error)
        return self._settings.sources[0] == "captions"

    def _one_video(self) -> OneVideo:
        clients = self._clients
        return OneVideo(
            VideoTools(
                sources=self._chain,
                store=self._store,
                exporter=self._exporter,
                control=self.control,
                clock=self._clock,
                reporter=self._reporter,
                metadata=RestingMetadata(clients.data_api or clients.yt_dlp, self._rests),
                on_metadata=self._learn,
                spent_usd=lambda video_id: (
                    self._ledger.money(self._session.session_id, video_id).spent_usd
                ),
                gauge=self._gauge,
                refresh=self._refresh,
            )
        )

    def _has_job(self, key: ContentKey) -> bool:
        """Whether a job was paid for and can be fetched; one in doubt may not exist at all."""
        found = self._ledger.find_open(key)
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
                        self._ledger,
                        self._watcher,
                        control=self.control,
                        clock=self._clock,
                        model=settings.model,
                        quote=self._till.price,
                    )
                )
        if not sources:
            raise ConfigError(
                "There is no source to ask: deAPI needs a key.",
                next_step="Set DEAPI_API_KEY, or add captions to --sources.",
                code="no_source",
            )
        rules = ChainRules(
            again=Backoff(self.control, self._clock, on_trouble=self._gauge.trouble),
            when_blocked=WhenBlocked(settings.when_blocked),
            has_job=self._has_job,
        )
        return SourceChain(
            sources, self._rests, clock=self._clock, attempts=self._journal.attempts, rules=rules
        )


class _Thread:
    """Runs a call in a thread and keeps what came out of it."""

    def __init__(self, call: Callable[[], BatchResult]) -> None:
        self._outcome: Future[BatchResult] = Future()
        self._call = call
        self._thread = threading.Thread(target=self._run, name="engine")
        self._thread.start()

    def is_over(self, *, wait_s: float) -> bool:
        self._thread.join(wait_s)
        return not self._thread.is_alive()

    def result(self) -> BatchResult:
        self._thread.join()
        return self._outcome.result()

    def _run(self) -> None:
        try:
            self._outcome.set_result(self._call())
        except BaseException as error:  # noqa: BLE001 -- handed to whoever asks for the result
            self._outcome.set_exception(error)
