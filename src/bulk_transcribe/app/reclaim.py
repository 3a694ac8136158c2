"""Fetching what was paid for and not yet fetched, in all sessions. Nothing is paid here."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.job import Submission, SubmissionState
from bulk_transcribe.core.outcome import Failed, Succeeded
from bulk_transcribe.core.ports import Reporter
from bulk_transcribe.core.request import RequestRecord
from bulk_transcribe.core.stage import Stage, WaitReason
from bulk_transcribe.core.transcript import Transcript
from bulk_transcribe.core.video import VideoMetadata
from bulk_transcribe.errors import (
    BulkTranscribeError,
    InputError,
    StopBatchError,
    StoppedError,
    TranscriptFailedError,
)
from bulk_transcribe.process.backoff import Backoff
from bulk_transcribe.save.export.exporter import FileExporter
from bulk_transcribe.save.export.session_files import write_session_files
from bulk_transcribe.save.journal import Journal
from bulk_transcribe.save.session import Session
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.save.submissions import SubmissionLedger
from bulk_transcribe.save.transcripts import Transcripts

#: Jobs that are looked at side by side; the limit decides how often.
_AT_ONCE: Final = 64


class Fate(StrEnum):
    """What became of a job that was to be fetched."""

    FETCHED = "fetched"
    FAILED = "failed"  # the service gave it up
    RUNNING = "running"  # it still runs, or could not be asked for: fetch it later
    UNKNOWN = "unknown"  # the service does not know it (any more), or it is another key's
    BUSY = "busy"  # another process works on its session and fetches it
    LEFT = "left"  # the command was stopped before


@dataclass(frozen=True, kw_only=True)
class Reclaimed:
    """One job and its fate. `why` is "" where all went well."""

    submission: Submission
    fate: Fate
    why: str = ""
    files: tuple[Path, ...] = ()


class Collecting(Protocol):
    """The part of the paid source that brings an accepted job home."""

    def collect(
        self, submission: Submission, duration_s: float | None, reporter: Reporter
    ) -> Transcript: ...


class Exporting(Protocol):
    """Makes the exporter of a session, for its folder and formats."""

    def __call__(self, session: Session) -> FileExporter: ...


@dataclass(frozen=True, kw_only=True)
class Stores:
    """What is read and written."""

    sessions: SessionManager
    ledger: SubmissionLedger
    transcripts: Transcripts


class Reclaim:
    """Fetches all accepted jobs. Use it once, from one thread.

    Args:
        source: Brings a job home.
        stores: Sessions, paid requests, transcripts.
        exporter: For the files of a session.
        control: A stop: jobs that are left stay claimable.
        clock: For moments.
        listen: Passes records of requests on, until the call that it returns.
    """

    def __init__(
        self,
        source: Collecting,
        stores: Stores,
        *,
        exporter: Exporting,
        control: RunControl,
        clock: Clock,
        listen: Callable[["RequestRouter"], Callable[[], None]],
    ) -> None:
        self._source = source
        self._stores = stores
        self._exporter = exporter
        self._control = control
        self._clock = clock
        self._listen = listen
        self._again = Backoff(control, clock)

    def waiting(self) -> list[Submission]:
        """The jobs that were paid for and not yet fetched, oldest first."""
        found = self._stores.ledger.open_submissions(state=SubmissionState.ACCEPTED)
        return [each for each in found if each.request_id]

    def run(self, jobs: Iterable[Submission]) -> Iterator[Reclaimed]:
        """Fetch the jobs; the fate of each, as it is known. Their sessions are held meanwhile.

        Raises:
            StopBatchError: the key, the database or a folder cannot be used. What was fetched
                before is stored.
        """
        with self._held(jobs) as (mine, busy, sessions):
            yield from busy
            found = self._stores.transcripts.find_metadata([each.key.video_id for each in mine])
            trouble: StopBatchError | None = None
            with ThreadPoolExecutor(_AT_ONCE, "reclaim") as pool:
                futures = {pool.submit(self._collect, each, found): each for each in mine}
                for future in as_completed(futures):
                    job = futures[future]
                    try:
                        yield self._settled(job, future, sessions.get(job.session_id))
                    except StopBatchError as error:
                        self._control.halt()  # every further job would meet it, too
                        trouble = trouble or error
            if trouble is not None:
                raise trouble
            for session in sessions.values():
                write_session_files(session, Path(session.info().out_dir))

    @contextmanager
    def _held(
        self, jobs: Iterable[Submission]
    ) -> Iterator[tuple[list[Submission], list[Reclaimed], Mapping[str, Session]]]:
        """Sessions of the jobs, claimed for this process; those of others are left to them."""
        mine: list[Submission] = []
        busy: list[Reclaimed] = []
        sessions: dict[str, Session] = {}
        theirs: set[str] = set()
        router = RequestRouter()
        with ExitStack() as held:
            held.callback(self._listen(router))
            for job in jobs:
                name = job.session_id
                if name not in sessions and name not in theirs:
                    try:
                        session = self._stores.sessions.claim_engine(name)
                    except InputError as error:
                        if error.code == "session_busy":
                            theirs.add(name)
                        # else it was deleted: its text is kept in the store all the same
                    else:
                        sessions[name] = session
                        held.callback(session.release_engine)
                        router.add(name, held.enter_context(Journal(session, self._clock)))
                if name in theirs:
                    why = f"session {name} is being worked on"
                    busy.append(Reclaimed(submission=job, fate=Fate.BUSY, why=why))
                else:
                    router.expect(job)
                    mine.append(job)
            yield mine, busy, sessions

    def _collect(self, job: Submission, found: Mapping[str, VideoMetadata]) -> Transcript | None:
        """The job's text, stored; None where the command was stopped before its turn."""
        if self._control.is_draining:
            return None
        facts = found.get(job.key.video_id)
        duration_s = None if facts is None else facts.duration_s
        reporter = SilentReporter()
        return self._again(
            job.key.video_id, reporter, lambda: self._source.collect(job, duration_s, reporter)
        )

    def _settled(
        self, job: Submission, future: "Future[Transcript | None]", session: Session | None
    ) -> Reclaimed:
        """Note how it ended.

        Raises:
            StopBatchError: going on makes no sense.
        """
        try:
            transcript = future.result()
        except StopBatchError:
            raise
        except StoppedError:
            return Reclaimed(submission=job, fate=Fate.LEFT)
        except TranscriptFailedError as error:
            return self._given_up(job, error, session)
        except BulkTranscribeError as error:  # not now; the job stays claimable
            return Reclaimed(submission=job, fate=Fate.RUNNING, why=error.message)
        if transcript is None:
            return Reclaimed(submission=job, fate=Fate.LEFT)
        files = () if session is None else self._finish(job, transcript, session)
        return Reclaimed(submission=job, fate=Fate.FETCHED, files=files)

    def _given_up(
        self, job: Submission, error: TranscriptFailedError, session: Session | None
    ) -> Reclaimed:
        state = None if session is None else session.state(job.key.video_id)
        if error.code == "job_not_found":  # it stays open: another key may know it
            return Reclaimed(submission=job, fate=Fate.UNKNOWN, why=error.message)
        if session is not None and state is not None and state.stage is not Stage.DONE:
            spent = self._stores.ledger.money(session.session_id, job.key.video_id).spent_usd
            result = Failed(
                video_id=job.key.video_id, error=error, can_retry=error.can_retry, spent_usd=spent
            )
            session.finish(state.moved(Stage.FAILED, self._clock.now()), result)
        return Reclaimed(submission=job, fate=Fate.FAILED, why=error.message)

    def _finish(
        self, job: Submission, transcript: Transcript, session: Session
    ) -> tuple[Path, ...]:
        """Write the video's files, and mark it done in its session."""
        video_id = job.key.video_id
        item, state = session.item(video_id), session.state(video_id)
        if item is None or state is None or state.stage is Stage.DONE:
            return ()
        facts = self._stores.transcripts.find_metadata([video_id]).get(video_id)
        files = self._exporter(session).write(item, facts, transcript)
        now = self._clock.now()
        result = Succeeded(
            video_id=video_id,
            source=transcript.source,
            files=tuple(map(str, files)),
            spent_usd=self._stores.ledger.money(session.session_id, video_id).spent_usd,
        )
        session.finish(state.moved(Stage.DONE, now, finished_at=now), result)
        return files


class RequestRouter:
    """A `RequestLog` that notes each request with the session of its job. Shared by all threads.

    `add` and `expect` are called before the first request.
    """

    def __init__(self) -> None:
        self._journals: dict[str, Journal] = {}
        self._sessions: dict[str, str] = {}

    def add(self, session_id: str, journal: Journal) -> None:
        """Note the requests of a session there."""
        self._journals[session_id] = journal

    def expect(self, job: Submission) -> None:
        """Requests about its video belong to its session."""
        self._sessions[job.key.video_id] = job.session_id

    def record(self, record: RequestRecord) -> None:
        """Note it; a request of a job without a session is not noted."""
        session_id = self._sessions.get(record.video_id or "", "")
        journal = self._journals.get(session_id)
        if journal is not None:
            journal.record(record)


class SilentReporter:
    """A `Reporter` whose news nobody draws."""

    def stage(self, stage: Stage, *, source: str | None = None) -> None:
        """Nobody looks."""

    def progress(self, fraction: float | None) -> None:
        """Nobody looks."""

    def waiting(self, reason: WaitReason | None, until_at: datetime | None = None) -> None:
        """Nobody looks."""


def counts(fates: Iterable[Reclaimed]) -> Counter[Fate]:
    """How many jobs met which fate."""
    return Counter(each.fate for each in fates)
