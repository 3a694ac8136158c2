"""`App`: the store, the limits and the clients of one process, opened and closed together."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol, Self, TextIO

from bulk_transcribe.app.engine import Engine
from bulk_transcribe.app.files import NoFiles, Written, restore_files, write_files
from bulk_transcribe.app.intake import Gathered, InputRequest, Intake, Progress, silent
from bulk_transcribe.app.limits import Limits
from bulk_transcribe.app.parts import Clients, RequestFan, Steered
from bulk_transcribe.app.quotes import Quotes
from bulk_transcribe.app.reclaim import Reclaim, Stores
from bulk_transcribe.app.settling import Account, Settled, Settling
from bulk_transcribe.app.workbench import Shared, Workbench, key_of
from bulk_transcribe.clients.captions import YouTubeCaptions
from bulk_transcribe.clients.deapi import DeapiClient
from bulk_transcribe.clients.youtube_data import YouTubeDataClient
from bulk_transcribe.config import Settings
from bulk_transcribe.core.clock import Clock, SystemClock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.job import JobState, Submission, SubmissionState
from bulk_transcribe.core.jobtime import JobTimeModel
from bulk_transcribe.core.plan import BatchPlan, CaptionProbe
from bulk_transcribe.core.stage import FINAL_STAGES, Stage
from bulk_transcribe.core.transcript import ContentKey
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import BulkTranscribeError, ConfigError, InputError
from bulk_transcribe.limit import LimiterBelief
from bulk_transcribe.process.polling import AimedJobWatcher
from bulk_transcribe.save.balances import Balances
from bulk_transcribe.save.database import Database, open_database
from bulk_transcribe.save.export.exporter import FileExporter
from bulk_transcribe.save.export.session_files import write_session_files
from bulk_transcribe.save.receipts import Receipts
from bulk_transcribe.save.session import Session
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.save.submissions import Decision, SubmissionLedger
from bulk_transcribe.save.transcripts import Transcripts
from bulk_transcribe.sources.deapi import DeapiSource

_log: Final = logging.getLogger(__name__)

#: Settings that a session keeps: `resume` goes on with them unless a flag says otherwise.
_KEPT: Final = (
    "out",
    "formats",
    "sources",
    "languages",
    "order",
    "max_concurrent",
    "when_blocked",
    "max_cost_usd",
    "model",
)


class Told(Protocol):
    """Notes what was told of the request with a nonce: `SubmissionLedger.told`."""

    def __call__(self, nonce: str, request_id: str, state: JobState) -> Submission | None: ...


class App:
    """Everything that one process needs; use it as a `with` block. Belongs to one thread.

    Args:
        settings: All settings.
        clock: Time; by default the machine's, at the speed of the settings.

    Raises:
        StoreError: the database cannot be opened.
        ConfigError: a key or an address cannot be used.
    """

    def __init__(self, settings: Settings, *, clock: Clock | None = None) -> None:
        self.settings = settings
        self._clock = clock or SystemClock(settings.clock_speed)
        self._parts = ExitStack()
        self._requests = RequestFan()

    def __enter__(self) -> Self:
        with ExitStack() as parts:
            self._database = parts.enter_context(open_database(self.settings.database))
            self._clock = self._database.clock(self._clock)
            self._control = RunControl(self._clock)
            self.sessions = SessionManager(self._database, self._clock)
            self._store = Transcripts(self._database, self._clock)
            self._limits = parts.enter_context(
                Limits(self.settings, self._database, self._clock, self._control)
            )
            self._clients = Clients(
                self.settings, limiter=self._limits.limiter, log=self._requests, clock=self._clock
            )
            parts.callback(self._clients.close)
            self._account = Account(
                self._clients.deapi,
                Balances(self._database, self._clock, self._limits.account),
            )
            self._quotes = Quotes(
                self._clients.deapi,
                sleep_s=self._control.sleep_s,
                to_the_end=self.settings.max_cost_usd is not None,
            )
            self._intake = Intake(
                self.settings,
                self._clients,
                self._store,
                self._clock,
                self._control,
                self._quotes,
                self._account,
            )
            self._parts = parts.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    @property
    def database_place(self) -> str:
        """The store, as people know it: a path, or an address without its password."""
        return self._database.place

    @property
    def deapi(self) -> DeapiClient | None:
        """The paid service; None without a key."""
        return self._clients.deapi

    @property
    def data_api(self) -> YouTubeDataClient | None:
        """The YouTube Data API; None without a key."""
        return self._clients.data_api

    @property
    def captions(self) -> YouTubeCaptions:
        """Free captions."""
        return self._clients.captions

    def gather(
        self, request: InputRequest, *, stdin: TextIO | None, progress: Progress = silent
    ) -> Gathered:
        """Read the inputs; see `Intake.gather`."""
        return self._intake.gather(request, stdin=stdin, progress=progress)

    def plan(
        self,
        items: Iterable[VideoItem],
        *,
        refresh: bool = False,
        probe: bool = True,
        answers: CaptionProbe | None = None,
        progress: Progress = silent,
    ) -> BatchPlan:
        """Order the videos and forecast time and cost.

        Where there is a key, a few prices and the balance are asked for, and, with `probe`, a few
        videos are asked for captions: what is found is stored and need not be fetched again. With
        the `answers` of an earlier probe of the same list nobody is asked again.
        """
        return self._intake.plan(
            tuple(items),
            self._keys,
            refresh=refresh,
            probe=probe,
            answers=answers,
            progress=progress,
        )

    def price_trouble(self) -> BulkTranscribeError | None:
        """Why the paid service gave no prices; None where it did, or was not asked."""
        return self._quotes.trouble()

    def warnings(self) -> tuple[str, ...]:
        """What the user should know before the start."""
        if "deapi" in self.settings.sources and self.deapi is None:
            line = "No deAPI key: captions alone. Set DEAPI_API_KEY to have the rest transcribed."
            return (line,)
        return ()

    def new_session(self, gathered: Gathered, *, name: str = "") -> str:
        """Store a batch; its id.

        Raises:
            OutputError: the output folder cannot be written; nothing is stored then.
        """
        FileExporter(self.settings.out, self.settings.formats, clock=self._clock).prepare()
        public = self.settings.public()
        out = Path(os.path.abspath(self.settings.out))  # noqa: PTH100 -- "a/../b" as people read it
        kept = {name: public[name] for name in _KEPT} | {"out": str(out)}
        return self.sessions.create_session(
            gathered.items, problems=gathered.problems, settings=kept, out_dir=out, name=name
        )

    def session_id(self, wanted: str | None) -> str:
        """The session that was meant: an id, its beginning or its end; the newest for None.

        Raises:
            InputError: there is none, or several fit.
        """
        if not wanted:
            return self.sessions.latest() or self.sessions.resolve("")
        return self.sessions.resolve(wanted)

    def stored_flags(self, session_id: str) -> dict[str, Any]:
        """The settings that a session was started with, as flags for `config.load`."""
        stored = self.sessions.open_session(session_id).settings
        return {name: stored[name] for name in _KEPT if name in stored}

    def doubts(self, session_id: str) -> list[Submission]:
        """Paid requests of a session whose answers were lost, those of killed runs included."""
        ledger = SubmissionLedger(self._database, self._clock, session_id)
        ledger.settle_orphans()
        return [each for each in ledger.list_in_doubt() if each.session_id == session_id]

    def settle(self) -> Settled:
        """Close what the balance shows to be unpaid, of all sessions; what stays in doubt.

        Requests of killed runs are looked at, too.
        """
        ledger = SubmissionLedger(self._database, self._clock)
        ledger.settle_orphans()
        return Settling(ledger, self._account, self._clock).settle()

    @property
    def control(self) -> RunControl:
        """Pause and stop of whatever this process does."""
        return self._control

    def reclaim(self) -> Reclaim:
        """What fetches the jobs of all sessions that were paid for.

        Raises:
            ConfigError: there is no key for deAPI.
        """
        if self.deapi is None:
            raise ConfigError(
                "There is no key for deAPI, so nothing can be fetched.",
                next_step="Set DEAPI_API_KEY.",
                code="no_key",
            )
        ledger = SubmissionLedger(self._database, self._clock)
        watcher = AimedJobWatcher(self._limits.limiter, self._clock, self._control, JobTimeModel())
        source = DeapiSource(
            self.deapi,
            ledger,
            watcher,
            control=self._control,
            clock=self._clock,
            model=self.settings.model,
        )
        return Reclaim(
            source,
            Stores(sessions=self.sessions, ledger=ledger, transcripts=self._store),
            exporter=self._prepared_exporter,
            control=self._control,
            clock=self._clock,
            listen=self._requests.listen,
        )

    @property
    def told(self) -> Told:
        """Notes what a webhook tells, of requests of all sessions."""
        return SubmissionLedger(self._database, self._clock).told

    def find_jobs(self, wanted: Sequence[str]) -> list[Submission]:
        """Accepted jobs that were not fetched yet, by video id or request id.

        Raises:
            InputError: one of the words fits no such job.
        """
        accepted = SubmissionLedger(self._database, self._clock).open_submissions(
            state=SubmissionState.ACCEPTED
        )
        found: dict[int, Submission] = {}
        for word in wanted:
            fitting = [each for each in accepted if word in {each.key.video_id, each.request_id}]
            if not fitting:
                raise InputError(
                    f"{word!r} is no video and no job that was paid for and not yet fetched.",
                    next_step="bulk-transcribe reclaim lists them.",
                    code="no_job",
                )
            found |= {each.submission_id: each for each in fitting}
        return list(found.values())

    def abandon(self, jobs: Iterable[Submission]) -> None:
        """Give up jobs that were paid for: their videos may be paid for again.

        Raises:
            InputError: a living process works on the session of one; nothing is given up then.
        """
        jobs = list(jobs)
        ledger = SubmissionLedger(self._database, self._clock)
        wanted = {job.session_id for job in jobs}
        for info in self.sessions.list_sessions():
            if info.session_id in wanted and info.is_live:
                raise InputError(
                    f"The session {info.session_id} is being worked on, and waits for its jobs.",
                    next_step="Stop it first.",
                    code="session_busy",
                )
        for job in jobs:
            ledger.abandon(job.submission_id, "given up by the user")

    def _prepared_exporter(self, session: Session) -> FileExporter:
        exporter = self._exporter_of(session)
        exporter.prepare()
        return exporter

    def _exporter_of(
        self, session: Session, out: Path | None = None, formats: tuple[str, ...] | None = None
    ) -> FileExporter:
        """For the folder and formats that a session was started with, where none are given."""
        stored = self.stored_flags(session.session_id)
        folder = (out or Path(stored.get("out", self.settings.out))).absolute()
        names = formats or tuple(stored.get("formats", self.settings.formats))
        return FileExporter(folder, names, clock=self._clock)

    def decide(self, doubts: Iterable[Submission], decision: Decision) -> None:
        """Settle doubts as the user wants: send again, maybe paying twice, or leave out."""
        ledger = SubmissionLedger(self._database, self._clock)
        for doubt in doubts:
            ledger.decide_in_doubt(doubt.submission_id, decision)

    def engine(self, session_id: str, *, refresh: bool = False) -> Engine:
        """Claim a session and join the rooms for it.

        Raises:
            StoreError: another process works on it.
        """
        session = self.sessions.claim_engine(session_id)
        self._keep_limit(session)

        def plan(engine: Engine) -> BatchPlan:
            left = [stage for stage in Stage if stage not in FINAL_STAGES]
            items = tuple(session.items(stages=left))
            return self._intake.plan(items, engine.keys, refresh=refresh, quote=False)

        shared = Shared(
            settings=self.settings,
            clock=self._clock,
            control=self._control,
            database=self._database,
            clients=self._clients,
            limiter=self._limits.limiter,
            requests=self._requests,
            quotes=self._quotes,
            account=self._account,
            belief=self._limits.belief,
        )
        return Engine(shared, session, plan, refresh=refresh)

    @contextmanager
    def workbench(
        self, session: Session, settings: Settings, control: RunControl, to_come: Callable[[], int]
    ) -> Iterator[Workbench]:
        """What takes the videos of one of several sessions through their steps; no files.

        Args:
            session: Whose videos.
            settings: Those of the session.
            control: Its pause and stop.
            to_come: Videos that wait for a slot.
        """
        requests = RequestFan()
        limiter = Steered(self._limits.limiter, control)
        clients = Clients(settings, limiter=limiter, log=requests, clock=self._clock)
        with closing(clients):
            shared = Shared(
                settings=settings,
                clock=self._clock,
                control=control,
                database=self._database,
                clients=clients,
                limiter=limiter,
                requests=requests,
                quotes=Quotes(
                    clients.deapi,
                    sleep_s=control.sleep_s,
                    to_the_end=settings.max_cost_usd is not None,
                ),
                account=Account(
                    clients.deapi, Balances(self._database, self._clock, self._limits.account)
                ),
                belief=self._limits.belief,
            )
            with closing(
                Workbench(shared, session, slots=1, to_come=to_come, exporter=NoFiles())
            ) as bench:
                yield bench

    @property
    def database(self) -> Database:
        """The store."""
        return self._database

    @property
    def clock(self) -> Clock:
        """The time of everyone who shares the store."""
        return self._clock

    @property
    def account(self) -> str:
        """A name for the paid account that tells nothing of its key; "" without a key."""
        return self._limits.account if self.deapi is not None else ""

    def belief(self) -> LimiterBelief | None:
        """What is believed of the paid account's limits; None without a key."""
        return self._limits.belief() if self.deapi is not None else None

    def plan_left(self, session_id: str) -> BatchPlan:
        """The videos of a session that are not final, in the order of work; nobody is asked."""
        left = [stage for stage in Stage if stage not in FINAL_STAGES]
        items = tuple(self.sessions.open_session(session_id).items(stages=left))
        return self._intake.plan(items, self._keys, quote=False)

    def restore(self, session_id: str) -> int:
        """Write the files of finished videos that are not in the folder yet; how many videos.

        Raises:
            OutputError: the folder cannot be written.
        """
        session = self.sessions.open_session(session_id)
        return restore_files(session, self._store, self._prepared_exporter(session)).videos

    def write_lists(self, session_id: str) -> None:
        """Leave manifest and table of a session in its folder."""
        session = self.sessions.open_session(session_id)
        write_session_files(session, self._exporter_of(session).out_dir)

    def _keep_limit(self, session: Session) -> None:
        """A cost limit that was changed or lifted for this run holds for the next one, too."""
        wanted = self.settings.public()["max_cost_usd"]
        kept = session.settings.get("max_cost_usd")
        if (wanted or "none") != (kept or "none"):
            session.keep_setting("max_cost_usd", wanted or "none")

    def export(
        self, session_id: str, *, out: Path | None, formats: tuple[str, ...] | None
    ) -> Written:
        """Write a session's files again from the store.

        Raises:
            OutputError: the folder cannot be written.
        """
        session = self.sessions.open_session(session_id)
        exporter = self._exporter_of(session, out, formats)
        written = write_files(session, self._store, exporter)
        write_session_files(session, exporter.out_dir)
        return written

    def spent_usd(self, session_id: str) -> Decimal:
        """What a session has cost so far."""
        return SubmissionLedger(self._database, self._clock, session_id).money(session_id).spent_usd

    @property
    def receipts(self) -> Receipts:
        """What each video of a session took."""
        return Receipts(self._database)

    def limiter_beliefs(self) -> list[dict[str, Any]]:
        """What is believed of each account's limits, and why."""
        return self._limits.beliefs()

    def _keys(self, video_id: str) -> tuple[ContentKey, ...]:
        return tuple(key_of(self.settings, source, video_id) for source in self.settings.sources)
