"""The sources in turn: free ones first, and what each answer leads to.

"Nothing here" leads to the next source. "Blocked" does not (law 6): the source rests for everyone,
and what its videos do meanwhile is the user's choice (`WhenBlocked`).
"""

import enum
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Protocol

from bulk_transcribe.core.attempt import AttemptOutcome, SourceAttempt
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.ports import AttemptLog, Reporter, TranscriptSource
from bulk_transcribe.core.stage import Stage, WaitReason
from bulk_transcribe.core.transcript import ContentKey, Transcript
from bulk_transcribe.core.video import VideoItem, VideoMetadata
from bulk_transcribe.errors import (
    Action,
    APIError,
    BulkTranscribeError,
    GaveUpError,
    InDoubtError,
    NextSourceError,
    RetryableError,
    SourceBlockedError,
    VideoUnavailableError,
    action_for,
)
from bulk_transcribe.sources.rest import SourceRest, Turn

#: A video waits this long for resting sources, all waits together: two rests of YouTube's.
PATIENCE_S: Final = 3000.0
#: Sources that cost money.
PAID: Final = frozenset({"deapi"})


class WhenBlocked(enum.StrEnum):
    """What a video does while a source rests."""

    WAIT = "wait"  # for the source, up to the patience; then it fails and can be retried
    PAY = "pay"  # go on to the next source; where there is none, wait
    FAIL = "fail"  # at once; it can be retried


class Again(Protocol):
    """Calls until it works or is hopeless: `process.backoff.Backoff`."""

    def __call__(
        self, video_id: str, reporter: Reporter, call: Callable[[], Transcript], /
    ) -> Transcript: ...


def once(_video_id: str, _reporter: Reporter, call: Callable[[], Transcript], /) -> Transcript:
    """Call once; an `Again` without patience."""
    return call()


def _no_job(_key: ContentKey) -> bool:
    return False


@dataclass(frozen=True)
class Found:
    """A transcript and the key under which it is stored."""

    key: ContentKey
    transcript: Transcript


@dataclass(frozen=True, kw_only=True)
class ChainRules:
    """How a chain goes about its sources.

    Args:
        again: Repeats a call that met trouble.
        when_blocked: What a video does while a source rests.
        patience_s: How long a video waits for resting sources, all waits together.
        paid: Names of the sources that cost money.
        has_job: Whether a paid job of this content is on its way already.
    """

    again: Again = once
    when_blocked: WhenBlocked = WhenBlocked.WAIT
    patience_s: float = PATIENCE_S
    paid: Collection[str] = PAID
    has_job: Callable[[ContentKey], bool] = _no_job


class SourceChain:
    """Asks the sources in turn. May be shared by all threads.

    Args:
        sources: In the order in which they are asked; at least one.
        rests: Which of them rest.
        clock: Time.
        attempts: Where each try is noted.
        rules: How to go about it.
    """

    def __init__(
        self,
        sources: Sequence[TranscriptSource],
        rests: SourceRest,
        *,
        clock: Clock,
        attempts: AttemptLog | None = None,
        rules: ChainRules | None = None,
    ) -> None:
        if not sources:
            raise ValueError("a chain needs at least one source")
        self._sources = tuple(sources)
        self._rests = rests
        self._clock = clock
        self._attempts = attempts
        self._rules = rules or ChainRules()

    def keys(self, video_id: str) -> tuple[ContentKey, ...]:
        """Under which the store may know a transcript, in the order of the sources."""
        return tuple(source.key(video_id) for source in self._sources)

    def has_job(self, video_id: str) -> bool:
        """Whether a paid job of this video is on its way already: it is fetched, come what may.

        Raises:
            StoreError: the database cannot be read.
        """
        return any(self._has_job(source, video_id) for source in self._sources)

    def fetch(
        self,
        item: VideoItem,
        metadata: VideoMetadata | None,
        reporter: Reporter,
        *,
        may_pay: bool = True,
    ) -> Found:
        """The first transcript that a source has; a source with a job on its way comes first.

        Args:
            item: The video.
            metadata: Its facts, where known.
            reporter: Told where the video is.
            may_pay: Whether paid sources are asked. A job on its way is fetched all the same.

        Raises:
            VideoUnavailableError: no source has one; the message says what each of them said.
            APIError: the video's own trouble, or a source rested for too long (`can_retry`).
            StopBatchError, StoppedError.
        """
        video_id = item.video_id
        with_job = [s for s in self._sources if self._has_job(s, video_id)]
        others = [
            s
            for s in self._sources
            if s not in with_job and (may_pay or s.name not in self._rules.paid)
        ]
        walk = _Walk(item, metadata, reporter)
        sources = with_job + others
        for number, source in enumerate(sources, start=1):
            try:
                transcript = self._transcript(source, walk, is_last=number == len(sources))
            except NextSourceError as error:
                walk.said.append((source.name, error))
            except _MoveOnError as moved:
                walk.said.append((source.name, moved.error))
            else:
                return Found(source.key(video_id), transcript)
        raise self._nothing(walk, may_pay=may_pay)

    def _has_job(self, source: TranscriptSource, video_id: str) -> bool:
        return source.name in self._rules.paid and self._rules.has_job(source.key(video_id))

    def _transcript(self, source: TranscriptSource, walk: "_Walk", *, is_last: bool) -> Transcript:
        """Ask until the source answers, resting with it as often as need be."""
        policy = self._rules.when_blocked
        waits = policy is WhenBlocked.WAIT or (policy is WhenBlocked.PAY and is_last)
        error = SourceBlockedError(f"{source.name} rests", source=source.name)
        try:
            while True:
                try:
                    return self._rules.again(
                        walk.item.video_id,
                        walk.reporter,
                        lambda: self._ask_once(source, walk, waits=waits),
                    )
                except SourceBlockedError as blocked:
                    error = blocked  # the rest has begun: the next round waits, or says so
        except _RestsError:
            if policy is WhenBlocked.PAY and not is_last:
                raise _MoveOnError(error) from error
            raise _blocked_too_long(walk.item.video_id, error, waits=waits) from error

    def _ask_once(self, source: TranscriptSource, walk: "_Walk", *, waits: bool) -> Transcript:
        turn = self._enter(source.name, walk, waits=waits)
        reporter = _Proving(walk.reporter, lambda: self._rests.worked(turn))
        try:
            transcript = self._noted(source, walk, reporter)
        except SourceBlockedError as error:
            self._rests.blocked(turn, error.retry_after_s)
            raise
        except InDoubtError as error:
            # Sent just now and not answered: a dead line or a broken service would bring one
            # video after the other into doubt, each of them perhaps paid for.
            if isinstance(error.__cause__, RetryableError):
                self._rests.troubled(turn, error.__cause__.retry_after_s)
            raise
        except GaveUpError:
            raise  # says nothing of the source
        except (NextSourceError, APIError):
            self._rests.worked(turn)  # an answer about the video: the source talks to us
            raise
        else:
            self._rests.worked(turn)
            return transcript
        finally:
            self._rests.leave(turn)

    def _enter(self, source: str, walk: "_Walk", *, waits: bool) -> Turn:
        if not waits:
            turn = self._rests.try_enter(source)
        else:
            from_s = self._clock.now_s()
            turn = self._rests.enter(
                source,
                give_up_at_s=from_s + self._rules.patience_s - walk.rested_s,
                on_wait=walk.reporter.waiting,
            )
            walk.rested_s += self._clock.now_s() - from_s
        if turn is None:
            raise _RestsError
        return turn

    def _noted(self, source: TranscriptSource, walk: "_Walk", reporter: Reporter) -> Transcript:
        """One call of the source, and a note of how it went."""
        started_at = self._clock.now()
        try:
            transcript = source.fetch(walk.item, walk.metadata, reporter)
        except BaseException as error:
            self._note(source.name, walk.item.video_id, started_at, error)
            raise
        self._note(source.name, walk.item.video_id, started_at, None)
        return transcript

    def _note(
        self, source: str, video_id: str, started_at: datetime, error: BaseException | None
    ) -> None:
        if self._attempts is None:
            return
        known = error if isinstance(error, BulkTranscribeError) else None
        bug = None if error is None else type(error).__name__
        self._attempts.record(
            SourceAttempt(
                video_id=video_id,
                source=source,
                started_at=started_at,
                ended_at=self._clock.now(),
                outcome=outcome_of(error),
                error=known.message if known else bug,
                error_code=known.code if known else None,
            )
        )

    def _nothing(self, walk: "_Walk", *, may_pay: bool) -> VideoUnavailableError:
        video_id = walk.item.video_id
        said = "; ".join(
            f"{name} said: {_bare(error.message, video_id)}" for name, error in walk.said
        )
        is_blocked = any(isinstance(error, SourceBlockedError) for _, error in walk.said)
        has_paid = any(source.name in self._rules.paid for source in self._sources)
        if not has_paid:
            next_step = "Set DEAPI_API_KEY to have it transcribed from its sound."
        elif not may_pay:
            next_step = "The video is age-restricted, and deAPI does not take those: leave it out."
        else:
            next_step = next((e.next_step for _, e in reversed(walk.said) if e.next_step), "")
        return VideoUnavailableError(
            f"{video_id}: no transcript to be had. {said or 'No source may be asked.'}",
            video_id=video_id,
            next_step=next_step,
            code="no_transcript",
            can_retry=is_blocked or not has_paid,
        )


@dataclass
class _Walk:
    """One video on its way along the chain. Belongs to one thread."""

    item: VideoItem
    metadata: VideoMetadata | None
    reporter: Reporter
    rested_s: float = 0.0
    said: list[tuple[str, BulkTranscribeError]] = field(default_factory=list)


class _RestsError(Exception):
    """The source rests, and this video does not wait (any longer)."""


class _MoveOnError(Exception):
    """The source rests, and the user chose to go on to the next one."""

    def __init__(self, error: SourceBlockedError) -> None:
        super().__init__(str(error))
        self.error = error


class _Proving:
    """Passes everything on; an accepted job proves that the source talks to us.

    So a source whose jobs take minutes is not probed for minutes.
    """

    def __init__(self, inner: Reporter, prove: Callable[[], None]) -> None:
        self._inner = inner
        self._prove = prove

    def stage(self, stage: Stage, *, source: str | None = None) -> None:
        if stage is Stage.TRANSCRIBING:
            self._prove()
        self._inner.stage(stage, source=source)

    def progress(self, fraction: float | None) -> None:
        self._inner.progress(fraction)

    def waiting(self, reason: WaitReason | None, until_at: datetime | None = None) -> None:
        self._inner.waiting(reason, until_at)


_OUTCOMES: Final = {
    Action.REFUSE: AttemptOutcome.FAILED,
    Action.LEAVE: AttemptOutcome.STOPPED,
    Action.NEXT_SOURCE: AttemptOutcome.NOTHING,
    Action.GIVE_UP: AttemptOutcome.FAILED,
    Action.SKIP: AttemptOutcome.NOT_YET,
    Action.HOLD: AttemptOutcome.IN_DOUBT,
    Action.WAIT: AttemptOutcome.LIMITED,
    Action.RETRY: AttemptOutcome.TROUBLE,
    Action.REST_SOURCE: AttemptOutcome.BLOCKED,
    Action.STOP_BATCH: AttemptOutcome.STOPPED_BATCH,
    None: AttemptOutcome.CRASHED,
}


def outcome_of(error: BaseException | None) -> AttemptOutcome:
    """How a try ended, by its error; None: it gave a transcript."""
    return AttemptOutcome.GOT if error is None else _OUTCOMES[action_for(error)]


def _blocked_too_long(video_id: str, error: SourceBlockedError, *, waits: bool) -> APIError:
    rested = "rested for too long" if waits else "rests"
    return APIError(
        f"{video_id}: {error.source} {rested}: {_bare(error.message, video_id)}",
        video_id=video_id,
        next_step=error.next_step or "Retry it in an hour; or set when_blocked to pay.",
        code="blocked",
        can_retry=True,
    )


def _bare(message: str, video_id: str) -> str:
    return message.removeprefix(f"{video_id}: ")
