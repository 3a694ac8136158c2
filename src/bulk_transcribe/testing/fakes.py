"""Small doubles of the ports in `core/ports.py`: real interfaces, memory instead of the world.

All of them may be shared by all threads. What they were asked stands in their public lists.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from bulk_transcribe.core.attempt import SourceAttempt
from bulk_transcribe.core.order import Order
from bulk_transcribe.core.outcome import VideoResult
from bulk_transcribe.core.plan import BatchPlan, Forecast, Range
from bulk_transcribe.core.ports import Reporter
from bulk_transcribe.core.stage import Stage, WaitReason
from bulk_transcribe.core.transcript import ContentKey, Segment, Transcript
from bulk_transcribe.core.video import VideoItem, VideoMetadata


def make_items(number: int, *, duration_s: float | None = 300.0) -> tuple[VideoItem, ...]:
    """So many videos; the first one's id is "v0000000000", eleven characters like all."""
    return tuple(
        VideoItem(video_id=f"v{n:010}", title=f"Video {n}", duration_s=duration_s)
        for n in range(number)
    )


def make_plan(items: Sequence[VideoItem]) -> BatchPlan:
    """A plan of these videos as they come, with an empty forecast."""
    forecast = Forecast(
        videos=len(items), known=0, unknown_duration=0, material_s=0.0, requests=Range(0, 0)
    )
    return BatchPlan(items=tuple(items), order=Order.INPUT, forecast=forecast)


def make_transcript(video_id: str, source: str = "captions") -> Transcript:
    """Two segments that name their video."""
    segments = (Segment(0.0, 1.5, f"This is {video_id}."), Segment(1.5, 3.0, "The end."))
    return Transcript(
        video_id=video_id,
        source=source,
        text=" ".join(segment.text for segment in segments),
        segments=segments,
        language="en",
    )


@dataclass(frozen=True)
class Told:
    """One word of a reporter: the stage, progress or wait, whichever was told."""

    stage: Stage | None = None
    fraction: float | None = None
    waiting: WaitReason | None = None
    until_at: datetime | None = None


class FakeReporter:
    """Keeps what it was told, in order."""

    def __init__(self, video_id: str = "") -> None:
        self.video_id = video_id
        self.told: list[Told] = []

    @property
    def stages(self) -> list[Stage]:
        """The stages in order."""
        return [word.stage for word in self.told if word.stage is not None]

    @property
    def waits(self) -> list[WaitReason]:
        """Why it waited, in order."""
        return [word.waiting for word in self.told if word.waiting is not None]

    def stage(self, stage: Stage, *, source: str | None = None) -> None:  # noqa: ARG002 -- port
        self.told.append(Told(stage=stage))

    def progress(self, fraction: float | None) -> None:
        self.told.append(Told(fraction=fraction))

    def waiting(self, reason: WaitReason | None, until_at: datetime | None = None) -> None:
        self.told.append(Told(waiting=reason, until_at=until_at))


#: What a fake does when asked: gives the transcript, or raises the error.
Answer = Transcript | BaseException


class FakeSource:
    """A `TranscriptSource` that answers from a script.

    Args:
        name: "captions" or "deapi".
        answers: For each video the answers in order; the last one is repeated. A video that is
            not there gets a transcript.
        during: Called with the video and its reporter before each answer.
    """

    def __init__(
        self,
        name: str = "captions",
        answers: Mapping[str, Sequence[Answer]] | None = None,
        *,
        during: Callable[[VideoItem, Reporter], None] | None = None,
    ) -> None:
        self._name = name
        self._answers = {video_id: list(many) for video_id, many in (answers or {}).items()}
        self._during = during
        self._lock = threading.Lock()  # guards _answers and asked
        self.asked: list[str] = []

    @property
    def name(self) -> str:
        return self._name

    def key(self, video_id: str) -> ContentKey:
        return ContentKey(video_id=video_id, source=self._name)

    def fetch(
        self,
        item: VideoItem,
        metadata: VideoMetadata | None,  # noqa: ARG002 -- the port's
        reporter: Reporter,
    ) -> Transcript:
        with self._lock:
            self.asked.append(item.video_id)
        reporter.stage(Stage.CAPTIONS, source=self._name)
        if self._during is not None:
            self._during(item, reporter)
        with self._lock:
            answers = self._answers.get(item.video_id) or [
                make_transcript(item.video_id, self._name)
            ]
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, BaseException):
            raise answer
        return answer


class MemoryTranscripts:
    """A `TranscriptStore` without a disk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards both dicts
        self.transcripts: dict[ContentKey, Transcript] = {}
        self.metadata: dict[str, VideoMetadata] = {}

    def find_transcript(self, key: ContentKey) -> Transcript | None:
        with self._lock:
            return self.transcripts.get(key)

    def save_transcript(self, key: ContentKey, transcript: Transcript) -> None:
        with self._lock:
            self.transcripts[key] = transcript

    def find_metadata(self, video_ids: Sequence[str]) -> dict[str, VideoMetadata]:
        with self._lock:
            return {v: self.metadata[v] for v in video_ids if v in self.metadata}

    def save_metadata(self, metadata: Iterable[VideoMetadata]) -> None:
        with self._lock:
            self.metadata |= {each.video_id: each for each in metadata}


class FakeExporter:
    """An `Exporter` that only says which files it would write.

    Args:
        error: Raised instead, if given.
    """

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.written: list[Transcript] = []

    def write(
        self,
        item: VideoItem,
        metadata: VideoMetadata | None,  # noqa: ARG002 -- the port's
        transcript: Transcript,
    ) -> tuple[Path, ...]:
        if self.error is not None:
            raise self.error
        self.written.append(transcript)
        return (Path(f"{item.video_id}.md"),)


class FakeMetadata:
    """A `MetadataSource` that answers from memory.

    Args:
        facts: Facts by id; other videos are left out of the answer.
        error: Raised instead, if given.
    """

    def __init__(
        self, facts: Iterable[VideoMetadata] = (), *, error: Exception | None = None
    ) -> None:
        self.facts = {each.video_id: each for each in facts}
        self.error = error
        self.asked: list[str] = []

    def fetch(self, video_ids: Sequence[str]) -> dict[str, VideoMetadata]:
        self.asked.extend(video_ids)
        if self.error is not None:
            raise self.error
        return {v: self.facts[v] for v in video_ids if v in self.facts}


@dataclass
class FakeAttemptLog:
    """An `AttemptLog` in memory."""

    attempts: list[SourceAttempt] = field(default_factory=list)

    def record(self, attempt: SourceAttempt) -> None:
        self.attempts.append(attempt)


class ResultBook:
    """Keeps each video's end, and refuses to take one twice."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards results
        self.results: dict[str, VideoResult] = {}

    def finish(self, result: VideoResult) -> None:
        """Note a video's end.

        Raises:
            ValueError: the video has ended before.
        """
        with self._lock:
            if result.video_id in self.results:
                raise ValueError(f"{result.video_id} ends a second time")
            self.results[result.video_id] = result
