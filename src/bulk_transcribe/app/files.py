"""A session's videos with their facts, and their files written again from the store."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from bulk_transcribe.core.stage import Stage, VideoState
from bulk_transcribe.core.transcript import Transcript
from bulk_transcribe.core.video import VideoItem, VideoMetadata
from bulk_transcribe.save.export.exporter import FileExporter
from bulk_transcribe.save.session import Session
from bulk_transcribe.save.transcripts import Transcripts

#: Videos whose facts are read at once.
_PORTION: Final = 500

Row = tuple[VideoItem, VideoState, VideoMetadata | None]


@dataclass(frozen=True, kw_only=True)
class Written:
    """How many videos got their files, where, and how many have no transcript to write."""

    folder: Path
    videos: int = 0
    without_transcript: int = 0


class NoFiles:
    """An `Exporter` of a worker: the transcript is in the store, and whoever watches writes it."""

    def write(
        self, item: VideoItem, metadata: VideoMetadata | None, transcript: Transcript
    ) -> tuple[Path, ...]:
        del item, metadata, transcript
        return ()


def write_files(session: Session, store: Transcripts, exporter: FileExporter) -> Written:
    """Write the files of every video that has a transcript, replacing what is there.

    Raises:
        OutputError: the folder cannot be written.
    """
    return _write(with_facts(session.items_and_states(), store), store, exporter)


def restore_files(session: Session, store: Transcripts, exporter: FileExporter) -> Written:
    """Write the files of finished videos that are gone from the folder; the rest stays untouched.

    Raises:
        OutputError: the folder cannot be written.
    """
    done = session.items_and_states(stages=[Stage.DONE])
    gone = (
        (item, state, facts)
        for item, state, facts in with_facts(done, store)
        if not exporter.has_all(item, facts)
    )
    return _write(gone, store, exporter)


def with_facts(rows: Iterator[tuple[VideoItem, VideoState]], store: Transcripts) -> Iterator[Row]:
    """The same videos with what is known of each, read some hundred at a time."""
    while portion := list(islice(rows, _PORTION)):
        facts = store.find_metadata([item.video_id for item, _ in portion])
        for item, state in portion:
            yield item, state, facts.get(item.video_id)


def _write(rows: Iterable[Row], store: Transcripts, exporter: FileExporter) -> Written:
    written = missing = 0
    for item, state, facts in rows:
        source = state.source if state.stage is Stage.DONE else None
        transcript = store.find_newest(item.video_id, source)
        if transcript is None:
            missing += 1
            continue
        exporter.write(item, facts, transcript)
        written += 1
    return Written(folder=exporter.out_dir, videos=written, without_transcript=missing)
