"""The steps of one video: known already? -> facts -> sources in turn -> store -> files.

What each error leads to stands in `errors.ACTIONS`; `outcome_for` reads it. Nothing here repeats
a paid request: that is the deAPI source's business, and its book's (law 3).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Protocol, assert_never

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.outcome import Cancelled, Failed, InDoubt, Skipped, Succeeded, VideoResult
from bulk_transcribe.core.ports import Exporter, MetadataSource, Reporter, TranscriptStore
from bulk_transcribe.core.stage import Stage, WaitReason
from bulk_transcribe.core.transcript import ContentKey, Transcript
from bulk_transcribe.core.video import VideoItem, VideoMetadata
from bulk_transcribe.errors import (
    Action,
    APIError,
    AuthError,
    BulkTranscribeError,
    NotYetAvailableError,
    RetryableError,
    SourceBlockedError,
    UnderWayError,
    VideoUnavailableError,
    action_for,
)
from bulk_transcribe.process import verdict
from bulk_transcribe.process.gauge import Gauge

_log: Final = logging.getLogger(__name__)
#: How long to wait for another run that has the same video in hand, and between two looks.
_OTHER_RUN_S: Final = 1_800.0
_LOOK_AGAIN_S: Final = 5.0


class FoundTranscript(Protocol):
    """A transcript and the key under which it is stored."""

    @property
    def key(self) -> ContentKey: ...

    @property
    def transcript(self) -> Transcript: ...


class Transcripts(Protocol):
    """The sources in turn: `sources.chain.SourceChain`."""

    def keys(self, video_id: str) -> tuple[ContentKey, ...]: ...

    def has_job(self, video_id: str) -> bool: ...

    def fetch(
        self,
        item: VideoItem,
        metadata: VideoMetadata | None,
        reporter: Reporter,
        *,
        may_pay: bool = True,
    ) -> FoundTranscript: ...


def _untold(_metadata: VideoMetadata) -> None:
    """Nobody wants to know."""


def _nothing_spent(_video_id: str) -> Decimal:
    return Decimal(0)


@dataclass(frozen=True, kw_only=True)
class VideoTools:
    """What the steps of a video work with. Everything is shared by all threads.

    Args:
        sources: The ways to a transcript.
        store: Transcripts and facts of all sessions.
        exporter: Writes the files.
        control: The run's stop.
        clock: For the age of facts.
        reporter: Makes the reporter of one video.
        metadata: Asked for facts that the store does not have; None: go on without.
        on_metadata: Told the facts of a video (title, length) as soon as they are known.
        spent_usd: What the video has cost in this session.
        gauge: Counts waits, for the automatic concurrency.
        refresh: Ask the sources again even if the store knows a transcript. Not for a resumed
            session: what it has fetched already would be paid for again.
    """

    sources: Transcripts
    store: TranscriptStore
    exporter: Exporter
    control: RunControl
    clock: Clock
    reporter: Callable[[VideoItem], Reporter]
    metadata: MetadataSource | None = None
    on_metadata: Callable[[VideoMetadata], None] = _untold
    spent_usd: Callable[[str], Decimal] = _nothing_spent
    gauge: Gauge | None = None
    refresh: bool = False


class OneVideo:
    """Takes one video after the other from start to end. May be shared by all threads."""

    def __init__(self, tools: VideoTools) -> None:
        self._tools = tools

    def process(self, item: VideoItem) -> VideoResult:
        """Take a video through all its steps; how it ended.

        Raises:
            StopBatchError: going on would fail every other video as well.
        """
        tools = self._tools
        reporter = tools.reporter(item)
        if tools.gauge is not None:
            reporter = tools.gauge.watch(item.video_id, reporter)
        try:
            return self._steps_or_wait(item, reporter)
        except BulkTranscribeError as error:
            return outcome_for(error, item.video_id, tools.spent_usd)
        finally:
            if tools.gauge is not None:
                tools.gauge.forget(item.video_id)

    def _steps_or_wait(self, item: VideoItem, reporter: Reporter) -> Succeeded:
        """Take the steps; where another run has the video in hand, wait for its transcript."""
        until_s = self._tools.clock.now_s() + _OTHER_RUN_S
        may_know = not self._tools.refresh
        while True:
            try:
                return self._steps(item, reporter, may_know=may_know)
            except UnderWayError:
                if self._tools.clock.now_s() >= until_s:
                    raise
                reporter.waiting(WaitReason.OTHER_RUN)
                self._tools.control.sleep_s(_LOOK_AGAIN_S)
                reporter.waiting(None)
                may_know = True  # what the other run brings is as fresh as can be

    def _steps(self, item: VideoItem, reporter: Reporter, *, may_know: bool) -> Succeeded:
        tools = self._tools
        tools.control.raise_if_halted()
        known = self._known(item.video_id) if may_know else None
        if known is not None:
            metadata = self._stored_facts(item.video_id)
            self._tell(metadata)
            return self._exported(item, metadata, known, reporter, was_known=True)
        # a job that was paid for is fetched even if the video has become private meanwhile
        has_job = tools.sources.has_job(item.video_id)
        metadata = (
            self._stored_facts(item.video_id) if has_job else self._facts(item.video_id, reporter)
        )
        self._tell(metadata)
        if metadata is not None and not has_job:
            refusal = verdict.refusal(metadata)
            if refusal is not None:
                raise refusal
        tools.control.raise_if_halted()
        found = tools.sources.fetch(item, metadata, reporter, may_pay=verdict.may_pay(metadata))
        reporter.stage(Stage.SAVING, source=found.key.source)
        tools.store.save_transcript(found.key, found.transcript)
        return self._exported(item, metadata, found.transcript, reporter, was_known=False)

    def _known(self, video_id: str) -> Transcript | None:
        """The transcript that the store has, the first source's first."""
        for key in self._tools.sources.keys(video_id):
            transcript = self._tools.store.find_transcript(key)
            if transcript is not None:
                return transcript
        return None

    def _exported(
        self,
        item: VideoItem,
        metadata: VideoMetadata | None,
        transcript: Transcript,
        reporter: Reporter,
        *,
        was_known: bool,
    ) -> Succeeded:
        reporter.stage(Stage.SAVING, source=transcript.source)
        files = self._tools.exporter.write(item, metadata, transcript)
        return Succeeded(
            video_id=item.video_id,
            source=transcript.source,
            files=tuple(map(str, files)),
            was_known=was_known,
            spent_usd=Decimal(0) if was_known else self._tools.spent_usd(item.video_id),
        )

    def _stored_facts(self, video_id: str) -> VideoMetadata | None:
        return self._tools.store.find_metadata([video_id]).get(video_id)

    def _facts(self, video_id: str, reporter: Reporter) -> VideoMetadata | None:
        """What is known of the video: stored, else asked for, else None.

        Facts are nice to have: no trouble of their source stops the video. Bad news that are
        old are asked for again, and not believed where nobody answers.
        """
        stored = self._stored_facts(video_id)
        if stored is not None and not verdict.are_old_bad_news(stored, self._tools.clock.now()):
            return stored
        fetched = self._fetched_facts(video_id, reporter)
        if fetched is not None:
            return fetched
        return None if stored is None else verdict.without_news(stored)

    def _fetched_facts(self, video_id: str, reporter: Reporter) -> VideoMetadata | None:
        source = self._tools.metadata
        if source is None:
            return None
        reporter.stage(Stage.METADATA)
        try:
            found = source.fetch([video_id]).get(video_id)
        except (VideoUnavailableError, NotYetAvailableError):
            raise  # a fact about the video all the same
        except (RetryableError, SourceBlockedError, APIError, AuthError) as error:
            _log.info("%s: no facts: %s", video_id, error)
            return None
        if found is not None:
            self._tools.store.save_metadata([found])
        return found

    def _tell(self, metadata: VideoMetadata | None) -> None:
        if metadata is not None:
            self._tools.on_metadata(metadata)


def outcome_for(
    error: BulkTranscribeError,
    video_id: str,
    spent_usd: Callable[[str], Decimal] = _nothing_spent,
) -> VideoResult:
    """How a video ends that met this error.

    Raises:
        BulkTranscribeError: `error` itself, where it is not the video's (`StopBatchError`).
    """
    action = action_for(error)
    match action:
        case Action.STOP_BATCH | None:
            raise error
        case Action.LEAVE:
            return Cancelled(video_id=video_id)
        case Action.HOLD:
            return InDoubt(video_id=video_id, error=error)
        case Action.SKIP:
            return Skipped(video_id=video_id, error=error, can_retry=True)
        case Action.WAIT | Action.RETRY | Action.REST_SOURCE:
            # met outside of every retry: nothing is wrong with the video
            return _failed(error, video_id, spent_usd, can_retry=True)
        case Action.GIVE_UP | Action.NEXT_SOURCE | Action.REFUSE:
            can_retry = error.can_retry if isinstance(error, APIError) else False
            return _failed(error, video_id, spent_usd, can_retry=can_retry)
        case _:
            assert_never(action)


def _failed(
    error: BulkTranscribeError,
    video_id: str,
    spent_usd: Callable[[str], Decimal],
    *,
    can_retry: bool,
) -> Failed:
    return Failed(
        video_id=video_id, error=error, can_retry=can_retry, spent_usd=spent_usd(video_id)
    )
