"""One run of one session: the rooms joined, started, watched and put away."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import Final, Protocol, Self

from bulk_transcribe.app.files import restore_files
from bulk_transcribe.app.pulse import pulse_of
from bulk_transcribe.app.workbench import Shared, Workbench
from bulk_transcribe.config import Slots
from bulk_transcribe.core.outcome import BatchResult, InDoubt, VideoResult
from bulk_transcribe.core.plan import BatchPlan
from bulk_transcribe.core.stage import FINAL_STAGES
from bulk_transcribe.core.transcript import ContentKey
from bulk_transcribe.errors import BulkTranscribeError, StopBatchError
from bulk_transcribe.monitor.snapshot import Snapshot
from bulk_transcribe.process.processor import BatchPorts, ParallelVideoProcessor
from bulk_transcribe.process.steering import Steering
from bulk_transcribe.save.export.exporter import FileExporter
from bulk_transcribe.save.export.session_files import write_session_files
from bulk_transcribe.save.pulses import Pulses
from bulk_transcribe.save.receipts import Receipts
from bulk_transcribe.save.session import Session

_log: Final = logging.getLogger(__name__)


class Running(Protocol):
    """A run under way in its own thread."""

    def is_over(self, *, wait_s: float) -> bool:
        """Wait up to `wait_s` real seconds for the end; whether it came."""

    def result(self) -> BatchResult:
        """How it ended; raises what the run raised."""


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
        self.control = control
        self._settings = settings
        self._clock = clock
        self._database = shared.database
        self._session = session
        self._has_paid_service = shared.clients.deapi is not None
        self._plan = plan
        self._pulses = Pulses(shared.database, session.session_id)
        self._belief = shared.belief
        self._exporter = FileExporter(settings.out, settings.formats, clock=clock)
        slots = settings.parallel.slots
        self._bench = bench = Workbench(
            shared,
            session,
            slots=1 if slots == "auto" else slots,
            to_come=lambda: self._processor.to_come,
            exporter=self._exporter,
            refresh=refresh,
        )
        self.monitor = bench.monitor
        self._late = bench.late_jobs()
        self._processor = ParallelVideoProcessor(
            BatchPorts(
                process=bench.process,
                finish=self._finish,
                gauge=bench.gauge,
                on_slots=self.monitor.set_slots,
                goes_on_free=bench.goes_on_free,
                late=self._late,
            ),
            control=control,
            clock=clock,
            slots=slots,
            session_id=session.session_id,
        )
        self._late.line = self._processor

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bench.close()

    def keys(self, video_id: str) -> tuple[ContentKey, ...]:
        """Under which the store may know a video's transcript."""
        return self._bench.keys(video_id)

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
        bench = self._bench
        try:
            self._exporter.prepare()
            bench.ledger.settle_orphans()
            plan = self._plan(self)
            restored = restore_files(self._session, bench.store, self._exporter)
        finally:
            bench.journal.flush()  # requests for list and plan, even where the run cannot begin
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
            stopped_by = bench.till.why_closed(stopped_by)
            interrupted = result.was_interrupted if result else self.control.is_draining
            self._session.release_engine(stopped_by=stopped_by, was_interrupted=interrupted)
        stopped_by = stopped_by or self._write_lists()
        return BatchResult(
            session_id=self._session.session_id,
            totals=self._session.totals(),
            requests=self.requests(),
            spent_usd=bench.ledger.money(self._session.session_id).spent_usd,
            elapsed_s=result.elapsed_s if result else 0.0,
            stopped_by=stopped_by,
            was_interrupted=interrupted,
            restored=restored.videos,
        )

    def _finish(self, result: VideoResult) -> None:
        self._bench.finish(result)
        if isinstance(result, InDoubt) and self._bench.hints is not None:
            self._late.doubt(result.video_id)

    @contextmanager
    def _hearing(self) -> Iterator[None]:
        """Receive webhooks, where they are set up, and hear what was told, until the block ends."""
        if self._bench.hints is None:
            yield
            return
        # whoever has no webhooks does not wait for a server to be imported
        from bulk_transcribe.app import webhooks  # noqa: PLC0415

        settings, ledger = self._settings, self._bench.ledger
        reader = webhooks.NewsReader(ledger, self._bench.hints, self._late, self._bench.reopen)
        deliveries = webhooks.Deliveries(
            ledger.told, settings.webhook_secret, self._clock, on_noted=reader.wake
        )
        with ExitStack() as parts:
            parts.enter_context(reader)
            try:
                parts.enter_context(webhooks.Receiver(deliveries, settings.webhook_address))
            except webhooks.PortTakenError as error:
                _log.info("%s %s", error.message, error.next_step)
            yield

    def _show(self, plan: BatchPlan) -> None:
        """Videos to do, in order, and those that ended in earlier runs: the totals are whole."""
        self.monitor.add(plan.items)
        for item, state in self._session.items_and_states(stages=FINAL_STAGES):
            self.monitor.add((item,), (state,))

    def _work(self, plan: BatchPlan) -> BatchResult:
        with (
            self._bench.writing(),
            self._late,
            self._hearing(),
            Steering(
                self._processor,
                self._session.take_wishes,
                control=self.control,
                clock=self._clock,
                heartbeat=self._heartbeat,
            ),
        ):
            result = self._processor.process_video_batch(plan)
            self._bench.settling.settle()
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

    def _heartbeat(self) -> None:
        """A sign of life, and how the run is: about every two real seconds."""
        self._session.heartbeat(is_paused=self.control.is_paused)
        self._note_pulse()

    def _note_pulse(self) -> None:
        self._pulses.write(
            pulse_of(
                self.monitor.snapshot(),
                self._belief() if self._has_paid_service else None,
                slots=self._processor.concurrency,
                is_auto=self._processor.is_auto,
                is_draining=self.control.is_draining,
            )
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
