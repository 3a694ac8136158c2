"""The seams: what each room needs of another, as Protocols. `app.py` joins them.

Errors named here are those of `bulk_transcribe.errors`. Unless it says otherwise, everything
here may be shared by all threads.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Protocol

from bulk_transcribe.core.attempt import SourceAttempt
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.job import JobStatus, Submission
from bulk_transcribe.core.outcome import VideoResult
from bulk_transcribe.core.request import Capacity, RequestKind, RequestRecord, Ticket
from bulk_transcribe.core.stage import Stage, VideoState, WaitReason
from bulk_transcribe.core.transcript import ContentKey, Transcript
from bulk_transcribe.core.video import VideoItem, VideoMetadata

__all__ = [
    "AttemptLog",
    "CaptionFetcher",
    "Clock",
    "Exporter",
    "JobWatcher",
    "Limiter",
    "ListingSource",
    "MetadataSource",
    "PaidService",
    "Permit",
    "Reporter",
    "RequestLog",
    "SubmissionBook",
    "TranscriptSource",
    "TranscriptStore",
    "VideoLog",
]


class Permit(Protocol):
    """Leave to send one HTTP request. Used as `with limiter.permit(...) as permit:`.

    Leaving the block without a word counts the request as sent and answered now.
    """

    @property
    def waited_s(self) -> float:
        """Clock seconds between asking and being granted."""

    def is_fresh(self) -> bool:
        """Whether it was granted just now. An older one must not be used: give it back.

        Others may have stopped counting it, if this process stood still since.
        """

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The answer arrived. Header names in lower case. A 429 pauses the pool for everyone."""

    def unsent(self) -> None:
        """The request certainly never left (connection refused): give the permit back."""


class Limiter(Protocol):
    """One budget for everyone who uses the same account. One permit is one HTTP request."""

    def permit(self, kind: RequestKind, ticket: Ticket = ..., /) -> AbstractContextManager[Permit]:
        """Wait until one more request of this kind may go.

        Raises:
            DeadlineError: the permit would come after `ticket.deadline_s`.
            StoppedError: the run was halted while waiting.
        """

    def capacity(self, kind: RequestKind) -> Capacity:
        """What the limit allows now."""


class RequestLog(Protocol):
    """Notes every request that went out."""

    def record(self, record: RequestRecord) -> None: ...


class Reporter(Protocol):
    """What the steps tell of the one video they work on. Belongs to one thread."""

    def stage(self, stage: Stage, *, source: str | None = None) -> None:
        """The video entered a stage."""

    def progress(self, fraction: float | None) -> None:
        """How far the stage is, 0.0 to 1.0."""

    def waiting(self, reason: WaitReason | None, until_at: datetime | None = None) -> None:
        """Why it waits; None: it goes on. Fits `Ticket.on_wait`."""


class MetadataSource(Protocol):
    """Facts about videos."""

    def fetch(self, video_ids: Sequence[str]) -> dict[str, VideoMetadata]:
        """Facts by id, in batches where the service has them.

        A video that the service does not show is there with `Availability.ABSENT`.

        Raises:
            RetryableError, APIError, SourceBlockedError, AuthError.
        """


class ListingSource(Protocol):
    """Expands playlists and channels."""

    def playlist(
        self, playlist_id: str, *, limit: int | None = None, since: date | None = None
    ) -> Iterable[VideoItem]:
        """The videos in list order, at most `limit`, those published before `since` left out.

        Raises:
            InputError: unknown, private or endless list; the message says which.
            RetryableError, AuthError.
        """

    def channel(
        self, channel: str, *, limit: int | None = None, since: date | None = None
    ) -> Iterable[VideoItem]:
        """A channel's uploads, newest first. `channel`: "UC…", "@handle", "c/name", "user/name".

        Raises:
            InputError: there is no such channel.
            RetryableError, AuthError.
        """


class CaptionFetcher(Protocol):
    """Free captions."""

    def fetch(self, video_id: str, languages: Sequence[str], ticket: Ticket) -> Transcript:
        """The best caption track.

        Args:
            video_id: The video.
            languages: Wanted languages in order; "any" stands for whatever there is, the spoken
                language first. "en" also takes "en-GB"; hand-made ones before generated ones.
            ticket: For the permits of its requests.

        Raises:
            NoCaptionsError: nothing fits.
            VideoUnavailableError: for good.
            NotYetAvailableError: live or upcoming.
            RetryableError: worth another try.
            SourceBlockedError: YouTube refuses this address.
        """


class PaidService(Protocol):
    """The paid transcription service. No call repeats a POST by itself."""

    def submit(
        self,
        video_url: str,
        ticket: Ticket,
        *,
        nonce: str = "",
        on_sending: Callable[[], None] | None = None,
    ) -> str:
        """Send one paid request; the request id.

        Args:
            video_url: The video's address.
            ticket: For the permit.
            nonce: The secret end of the address at which the service is to tell how the job
                gets on; "": it is not to tell.
            on_sending: Called once the permit is granted, right before the first byte goes out.
                If it raises, nothing is sent, the permit is given back and its error comes out
                unchanged. Whatever is raised before that call was certainly never sent.

        Raises:
            RetryableError: with `never_sent` or `refused` it was not accepted; with neither it
                may have been: the caller must treat it as in doubt.
            VideoUnavailableError: refused for this video (422).
            AuthError, CreditSpentError.
        """

    def job(self, request_id: str, ticket: Ticket) -> JobStatus:
        """Ask once how a job is (one poll)."""

    def download(self, result_url: str, ticket: Ticket) -> str:
        """The result text behind a presigned address.

        Raises:
            RetryableError: with code "expired_url" where the address has expired: poll once more.
        """

    def price_usd(self, duration_s: float, ticket: Ticket) -> Decimal:
        """Quote for a video of that length."""

    def balance_usd(self, ticket: Ticket) -> Decimal | None:
        """The account's balance; None where the key may not read it (API-role keys)."""


class JobWatcher(Protocol):
    """Decides when to look at a running job (aimed polling)."""

    def watch(
        self,
        submission: Submission,
        *,
        duration_s: float | None,
        look: Callable[[Ticket], JobStatus],
        reporter: Reporter,
    ) -> JobStatus:
        """Look until the job is done or failed; the last status.

        A look that fails with a `RetryableError` is repeated, never answered by a new submit.

        Raises:
            GaveUpError: the job is far beyond its expected end; it stays claimable.
            StoppedError: the run was halted.
        """


class TranscriptSource(Protocol):
    """A way to a transcript."""

    @property
    def name(self) -> str:
        """One of "captions" and "deapi"."""

    def key(self, video_id: str) -> ContentKey:
        """Under which the store keeps what this source would give."""

    def fetch(
        self, item: VideoItem, metadata: VideoMetadata | None, reporter: Reporter
    ) -> Transcript:
        """The transcript.

        Raises:
            NextSourceError: nothing here; try the next source.
            APIError, RetryableError, SourceBlockedError, StopBatchError, StoppedError.
        """


class AttemptLog(Protocol):
    """Notes each try of a source on a video of the session it was made for."""

    def record(self, attempt: SourceAttempt) -> None:
        """Keep it. May be written a little later; a lost one costs nothing but history.

        Raises:
            StoreError: the database cannot be written.
        """


class TranscriptStore(Protocol):
    """What was transcribed before, in any session."""

    def find_transcript(self, key: ContentKey) -> Transcript | None: ...

    def save_transcript(self, key: ContentKey, transcript: Transcript) -> None:
        """Durable on return. Saving the same key again replaces it."""

    def find_metadata(self, video_ids: Sequence[str]) -> dict[str, VideoMetadata]: ...

    def save_metadata(self, metadata: Iterable[VideoMetadata]) -> None: ...


class SubmissionBook(Protocol):
    """Money first to disk: every paid request, durable before and after it goes out (law 3)."""

    def find_open(self, key: ContentKey) -> Submission | None:
        """The newest submission of this content that is not settled.

        That is one which is intended, sent, accepted or in doubt. Intended and sent ones are
        only seen here while their process lives; `settle_orphans` puts the rest in doubt.
        """

    def intend(
        self,
        key: ContentKey,
        *,
        quoted_usd: Decimal | None = None,
        most_usd: Decimal | None = None,
    ) -> Submission:
        """Commit the intent of a paid request. Nothing may be sent before this returns.

        Args:
            key: What is paid for.
            quoted_usd: The likely price, None where it is not known.
            most_usd: The highest it can be, None where nobody can tell.

        Raises:
            CostLimitError, CreditSpentError: it does not fit into what may be spent.
            CostUnknownError: there is a cost limit, and this video's price is not known.
            InDoubtError: an open submission of the same content exists (another thread or
                process got there first).
        """

    def mark_sent(self, submission_id: int) -> None: ...

    def accept(self, submission_id: int, request_id: str) -> None: ...

    def refuse(self, submission_id: int, detail: str) -> None:
        """The service certainly did not accept it."""

    def doubt(self, submission_id: int, detail: str) -> Submission:
        """The answer was lost; the request as it is now: accepted, where its id became known."""

    def claim(
        self,
        submission_id: int,
        transcript: Transcript,
        charged_usd: Decimal | None,
    ) -> None:
        """Store the transcript under the submission's key and close it, in one transaction."""

    def fail(self, submission_id: int, detail: str, charged_usd: Decimal | None = None) -> None:
        """The service gave the job up."""

    def abandon(self, submission_id: int, detail: str) -> None: ...


class Exporter(Protocol):
    """Writes a video's files."""

    def write(
        self, item: VideoItem, metadata: VideoMetadata | None, transcript: Transcript
    ) -> tuple[Path, ...]:
        """Write all wanted formats atomically; the paths. Writing again replaces the same files.

        Raises:
            OutputError: disk full, read-only, or no permission.
        """


class VideoLog(Protocol):
    """Where the monitor's news go to disk. The store is the truth (law 4)."""

    def save_states(self, states: Sequence[VideoState]) -> None:
        """Many videos, one transaction. Called about once a second, and at the end."""

    def finish(self, state: VideoState, result: VideoResult) -> None:
        """A video's end, durable on return."""
