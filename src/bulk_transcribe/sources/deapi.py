"""The paid service as a way to a transcript, under law 3: money first to disk.

::

    find_open ──accepted──> watch                     paid for earlier: never submitted again
        │──in doubt, or another's──> InDoubtError     never resent by itself
        └──nothing──> intend (durable)
                        └─ wait for a permit
                             └─ mark_sent (durable), then the bytes go out
                                  ├─ request id ──> accept (durable) ──> watch ──> claim | fail
                                  ├─ certainly not accepted ──> refuse, and the error
                                  └─ anything else ──> doubt, and InDoubtError

Whatever happens between `mark_sent` and `accept`, a kill included, the store keeps the request
as sent or in doubt, and `find_open` finds it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bulk_transcribe.clients.deapi_errors import job_failure
from bulk_transcribe.clients.deapi_text import parse_result
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.job import JobState, JobStatus, Submission, SubmissionState
from bulk_transcribe.core.plan import Price
from bulk_transcribe.core.ports import JobWatcher, PaidService, Reporter, SubmissionBook
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.core.stage import Stage, WaitReason
from bulk_transcribe.core.transcript import ContentKey, Transcript
from bulk_transcribe.core.video import VideoItem, VideoMetadata
from bulk_transcribe.errors import (
    APIError,
    BulkTranscribeError,
    GaveUpError,
    InDoubtError,
    RetryableError,
    SourceBlockedError,
    StopBatchError,
    StoreError,
    TranscriptFailedError,
    UnderWayError,
)

NAME: Final = "deapi"
#: What changes the text beside the model, as the key of a transcript spells it.
OPTIONS: Final = "include_ts=1"
#: Among what the limit lets through, a submit keeps the service busy; only overdue looks are more.
SUBMIT_URGENCY: Final = 0.8
#: A finished job's text is fetched before anything else of its kind.
RESULT_URGENCY: Final = 1.0
#: Code of the answer "no such job": normal right after the submit, wrong for long.
_UNKNOWN_JOB: Final = "job_not_found"
#: Fresh addresses asked for when the result's address has expired.
_FRESH_ADDRESSES: Final = 3

#: What a job of that length (seconds, None: not known) will cost, None where nobody can tell.
Quote = Callable[[float | None], Price | None]


class _PausedWhileWaitingError(Exception):
    """The run was paused between the wish to submit and the permit: nothing was sent."""


def deapi_key(video_id: str, model: str, options: str = OPTIONS) -> ContentKey:
    """Under which a transcript by this model, with these options, is kept and paid for."""
    return ContentKey(video_id=video_id, source=NAME, model=model, options=options)


class DeapiSource:
    """The port `TranscriptSource` on top of a `PaidService`. May be shared by all threads.

    Args:
        service: The paid service.
        book: Where every paid request stands before and after it goes out.
        watcher: Decides when to look at a running job.
        control: The run's pause and stop.
        clock: For moments.
        model: Slug of the model, part of the key: another model is another transcript.
        options: Further options that change the text, part of the key.
        quote: Expected price for a length, noted with the intent.
    """

    def __init__(
        self,
        service: PaidService,
        book: SubmissionBook,
        watcher: JobWatcher,
        *,
        control: RunControl,
        clock: Clock,
        model: str,
        options: str = OPTIONS,
        quote: Quote | None = None,
    ) -> None:
        self._service = service
        self._book = book
        self._watcher = watcher
        self._control = control
        self._clock = clock
        self._model = model
        self._options = options
        self._quote = quote

    @property
    def name(self) -> str:
        return NAME

    def key(self, video_id: str) -> ContentKey:
        return deapi_key(video_id, self._model, self._options)

    def fetch(
        self, item: VideoItem, metadata: VideoMetadata | None, reporter: Reporter
    ) -> Transcript:
        """Resume the video's open job, or pay for a new one, and bring its text home.

        The transcript is stored (`SubmissionBook.claim`) when this returns.

        Raises:
            InDoubtError: a paid request whose answer was lost, now or earlier.
            TranscriptFailedError: the service gave the job up, or does not know it for long.
            GaveUpError: the job is far beyond its expected end; it stays claimable.
            RetryableError: not accepted (call again), or the result could not be fetched yet
                (call again: the open job is found).
            VideoUnavailableError, NotYetAvailableError: refused for this video.
            SourceBlockedError, StopBatchError, StoppedError.
        """
        duration_s = _duration_s(item, metadata)
        submission = self._open_submission(item.video_id)
        if submission is None:
            submission = self._submit(item, duration_s, reporter)
        return self.collect(submission, duration_s, reporter)

    def collect(
        self, submission: Submission, duration_s: float | None, reporter: Reporter
    ) -> Transcript:
        """Bring the text of an accepted job home, of whatever model. Nothing is paid.

        Raises:
            TranscriptFailedError, GaveUpError, RetryableError, StopBatchError, StoppedError: as
                with `fetch`.
        """
        job = _Job(self._service, self._watcher, submission, reporter)
        status = job.finish(duration_s)
        if status.state is JobState.FAILED:
            raise self._failed(submission, status)
        return self._claim(submission, status, job.text_of(status))

    def _open_submission(self, video_id: str) -> Submission | None:
        """The accepted request to resume, or None where a new one may go out."""
        found = self._book.find_open(self.key(video_id))
        if found is None:
            return None
        if found.state is SubmissionState.ACCEPTED and found.request_id:
            return found
        raise _open_elsewhere(found)

    def _submit(self, item: VideoItem, duration_s: float | None, reporter: Reporter) -> Submission:
        reporter.stage(Stage.SUBMITTING, source=NAME)
        self._wait_while_paused(reporter)
        price = None if self._quote is None else self._quote(duration_s)
        submission = self._book.intend(
            self.key(item.video_id),
            quoted_usd=None if price is None else price.likely_usd,
            most_usd=None if price is None else price.most_usd,
        )
        request_id = _Sending(self._service, self._book, self._control, submission).send(
            item.url,
            Ticket(video_id=item.video_id, urgency=SUBMIT_URGENCY, on_wait=reporter.waiting),
            wait=lambda: self._wait_while_paused(reporter),
        )
        return replace(
            submission,
            state=SubmissionState.ACCEPTED,
            request_id=request_id,
            accepted_at=self._clock.now(),
        )

    def _wait_while_paused(self, reporter: Reporter) -> None:
        if not self._control.is_paused:
            self._control.raise_if_halted()
            return
        reporter.waiting(WaitReason.PAUSED)
        self._control.wait_while_paused()
        reporter.waiting(None)

    def _failed(self, submission: Submission, status: JobStatus) -> TranscriptFailedError:
        error = job_failure(status, video_id=submission.key.video_id)
        self._book.fail(submission.submission_id, error.message, status.charged_usd)
        return error

    def _claim(self, submission: Submission, status: JobStatus, text: str) -> Transcript:
        parsed = parse_result(text)
        transcript = Transcript(
            video_id=submission.key.video_id,
            source=NAME,
            text=parsed.text,
            segments=parsed.segments,
            language=parsed.language or status.language,
            model=submission.key.model,
            request_id=submission.request_id,
        )
        self._book.claim(submission.submission_id, transcript, status.charged_usd)
        return transcript


class _Sending:
    """One paid POST and its notes. Belongs to one thread."""

    def __init__(
        self,
        service: PaidService,
        book: SubmissionBook,
        control: RunControl,
        submission: Submission,
    ) -> None:
        self._service = service
        self._book = book
        self._control = control
        self._submission = submission
        self._number = submission.submission_id
        self._may_be_out = False

    def send(self, video_url: str, ticket: Ticket, *, wait: Callable[[], None]) -> str:
        """The request id, on disk. `wait` returns when a pause is over.

        Raises:
            InDoubtError: it may have been accepted, and nobody knows.
        """
        try:
            request_id = self._send_when_allowed(video_url, ticket, wait)
        except BaseException as error:
            settled = self._settled(error)
            if isinstance(settled, str):
                return settled
            if settled is error:
                raise
            raise settled from error
        try:
            self._book.accept(self._number, request_id)
        except Exception as error:
            raise _unnoted(error, request_id, self._submission.key) from error
        return request_id

    def _send_when_allowed(self, video_url: str, ticket: Ticket, wait: Callable[[], None]) -> str:
        nonce = self._submission.nonce
        while True:
            try:
                return self._service.submit(
                    video_url, ticket, nonce=nonce, on_sending=self._note_sent
                )
            except _PausedWhileWaitingError:
                wait()

    def _note_sent(self) -> None:
        """Called with the permit in hand, right before the bytes go out."""
        self._control.raise_if_halted()
        if self._control.is_paused:
            raise _PausedWhileWaitingError
        self._book.mark_sent(self._number)
        self._may_be_out = True

    def _settled(self, error: BaseException) -> BaseException | str:
        """Note how the request ended; the error to raise, or the id that a webhook has told."""
        # of a bug the class alone: its words may hold anything, a key among it
        is_ours = isinstance(error, BulkTranscribeError)
        detail = f"{type(error).__name__}: {error}"[:500] if is_ours else type(error).__name__
        if not self._may_be_out or _is_refusal(error):
            self._book.refuse(self._number, detail)
            return error
        now = self._book.doubt(self._number, detail)
        if not isinstance(error, RetryableError):
            return error  # a bug or Ctrl-C: not to be hidden, and noted as in doubt all the same
        if now.state is SubmissionState.ACCEPTED and now.request_id:
            return now.request_id
        video_id = self._submission.key.video_id
        return InDoubtError(
            f"{video_id}: deAPI's answer to the paid request was lost "
            f"({error.message.rstrip('.')}). It may have been accepted and paid.",
            video_id=video_id,
            next_step=_DOUBT_STEP,
        )


class _Job:
    """An accepted job on its way to its end. Belongs to one thread."""

    def __init__(
        self,
        service: PaidService,
        watcher: JobWatcher,
        submission: Submission,
        reporter: Reporter,
    ) -> None:
        self._service = service
        self._watcher = watcher
        self._submission = submission
        self._reporter = reporter
        self._request_id = submission.request_id or ""
        self._video_id = submission.key.video_id

    def finish(self, duration_s: float | None) -> JobStatus:
        """The job's last status."""
        self._reporter.stage(Stage.TRANSCRIBING, source=NAME)
        try:
            return self._watcher.watch(
                self._submission, duration_s=duration_s, look=self._look, reporter=self._reporter
            )
        except GaveUpError as error:
            if getattr(error.__cause__, "code", "") == _UNKNOWN_JOB:
                raise self._lost() from error
            raise

    def text_of(self, status: JobStatus) -> str:
        """The finished job's text; an expired address is replaced by a fresh one.

        Raises:
            RetryableError: it could not be fetched now; the job stays claimable.
        """
        for _ in range(_FRESH_ADDRESSES):
            try:
                return self._text_at(status)
            except RetryableError as error:
                if error.code != "expired_url":
                    raise
            status = self._look(self._ticket())
        return self._text_at(status)

    def _text_at(self, status: JobStatus) -> str:
        if status.state is not JobState.DONE:
            raise RetryableError(
                f"{self._video_id}: deAPI called job {self._request_id} done, "
                f"and now {status.status_word!r}.",
                next_step="The run looks again; the job is safe.",
                code="job_changed",
            )
        if status.text:
            return status.text
        if status.result_url is None:
            return ""
        return self._service.download(status.result_url, self._ticket())

    def _ticket(self) -> Ticket:
        return Ticket(
            video_id=self._video_id, urgency=RESULT_URGENCY, on_wait=self._reporter.waiting
        )

    def _look(self, ticket: Ticket) -> JobStatus:
        """One poll. How far the job is, and patience with an unknown one, are the watcher's."""
        return self._service.job(self._request_id, ticket)

    def _lost(self) -> TranscriptFailedError:
        # The submission stays open: with the right key it is found again, and nothing is paid
        # twice meanwhile.
        return TranscriptFailedError(
            f"{self._video_id}: deAPI no longer knows job {self._request_id}, "
            "which was paid for earlier.",
            video_id=self._video_id,
            request_id=self._request_id,
            next_step="If it was paid with another key, set that key and retry. "
            "If not, abandon the job, then retry: that pays again.",
            code=_UNKNOWN_JOB,
            can_retry=True,
        )


_DOUBT_STEP: Final = (
    "Look at deapi.ai for the job or its charge, then decide: adopt, resend or skip."
)


def _is_refusal(error: BaseException) -> bool:
    """Whether the service certainly did not accept: it said so, or nothing reached it."""
    if isinstance(error, RetryableError):
        return error.never_sent or error.refused
    if isinstance(error, StoreError):  # ours: tells nothing of the request
        return False
    return isinstance(error, APIError | StopBatchError | SourceBlockedError)


def _open_elsewhere(found: Submission) -> InDoubtError:
    video_id = found.key.video_id
    if found.state is SubmissionState.IN_DOUBT or found.state is SubmissionState.ACCEPTED:
        return InDoubtError(
            f"{video_id}: the answer to an earlier paid request was lost. "
            "It may have been accepted and paid.",
            video_id=video_id,
            next_step=_DOUBT_STEP,
        )
    return UnderWayError(
        f"{video_id}: another run is sending this video to deAPI right now.",
        video_id=video_id,
        next_step="Wait for the other run, then retry.",
        can_retry=True,
    )


def _unnoted(error: Exception, request_id: str, key: ContentKey) -> StoreError:
    """The answer is here, but its id could not be written down: say it, so that it is not lost."""
    return StoreError(
        f"{key.video_id}: deAPI accepted the job as {request_id}, but that could not be noted: "
        f"{error}",
        next_step=f"Keep the id {request_id}: the job is paid for and can be fetched with it.",
        code="unnoted_job",
    )


def _duration_s(item: VideoItem, metadata: VideoMetadata | None) -> float | None:
    known = metadata.duration_s if metadata is not None else None
    return item.duration_s if known is None else known
