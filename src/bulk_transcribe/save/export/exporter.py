"""Writes a video's files into a folder."""

import os
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.transcript import Transcript
from bulk_transcribe.core.video import VideoItem, VideoMetadata
from bulk_transcribe.errors import ConfigError
from bulk_transcribe.save.export.atomic import (
    atomic_file,
    output_errors,
    prepare_folder,
    sync_folder,
)
from bulk_transcribe.save.export.markdown import best_title, to_markdown
from bulk_transcribe.save.export.names import FileNames
from bulk_transcribe.save.export.paragraphs import paragraphs
from bulk_transcribe.save.export.record import to_json
from bulk_transcribe.save.export.subtitles import cues, to_srt, to_vtt

#: What can be written; each is also the ending of its files.
FORMATS = ("md", "srt", "vtt", "txt", "json")


class FileExporter:
    """Implements `Exporter`. May be shared by all threads.

    The files of a video are "Title [video_id].md" and so on. Writing a video again replaces its
    files under the name that it got first (see `FileNames`).

    Args:
        out_dir: The folder; made when it is first needed. Nothing is written outside of it.
        formats: Which of `FORMATS`, in the order in which paths are returned.
        clock: Dates the transcripts.
        tags: For the front matter.

    Raises:
        ConfigError: an unknown format, or none at all.
    """

    def __init__(
        self,
        out_dir: Path,
        formats: Sequence[str],
        *,
        clock: Clock,
        tags: Sequence[str] = ("transcript",),
    ) -> None:
        check_formats(formats)
        self.out_dir = out_dir.absolute()
        self._formats = tuple(dict.fromkeys(formats))
        self._clock = clock
        self._tags = tuple(tags)
        self._lock = threading.Lock()  # guards _names
        self._names: FileNames | None = None

    def prepare(self) -> None:
        """Make the folder and try whether it can be written; better known before paying.

        Raises:
            OutputError: it cannot be written.
        """
        with self._lock:
            self._prepared()

    def write(
        self, item: VideoItem, metadata: VideoMetadata | None, transcript: Transcript
    ) -> tuple[Path, ...]:
        """Write all formats, each of them atomically; the paths, absolute.

        Raises:
            OutputError: disk full, read-only, or no permission.
        """
        paths = self._paths(item, metadata)
        for name, path in zip(self._formats, paths, strict=True):
            text = file_text(
                name,
                item,
                metadata,
                transcript,
                transcribed_at=self._clock.now(),
                tags=self._tags,
            )
            with atomic_file(path) as file:
                file.write(text)
        sync_folder(self.out_dir)
        return paths

    def has_all(self, item: VideoItem, metadata: VideoMetadata | None) -> bool:
        """Whether every wanted file of the video is there, as this program or a person left it.

        Raises:
            OutputError: the folder cannot be read or made.
        """
        return all(path.is_file() for path in self._paths(item, metadata))

    def _paths(self, item: VideoItem, metadata: VideoMetadata | None) -> tuple[Path, ...]:
        with self._lock:
            stem = self._prepared().stem(item.video_id, best_title(item, metadata))
        return tuple(self.out_dir / f"{stem}.{name}" for name in self._formats)

    def _prepared(self) -> FileNames:
        if self._names is None:
            prepare_folder(self.out_dir)
            with output_errors(self.out_dir), os.scandir(self.out_dir) as entries:
                stems = {Path(entry.name) for entry in entries}
            self._names = FileNames(
                path.stem for path in stems if path.suffix.removeprefix(".") in FORMATS
            )
        return self._names


def check_formats(formats: Sequence[str]) -> None:
    """Refuse what cannot be written.

    Raises:
        ConfigError: an unknown format, or none at all.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ConfigError(
            f"{', '.join(unknown) or 'No format'} cannot be written.",
            next_step=f"Choose one or more of {', '.join(FORMATS)}.",
            code="bad_format",
        )


def file_text(
    name: str,
    item: VideoItem,
    metadata: VideoMetadata | None,
    transcript: Transcript,
    *,
    transcribed_at: datetime,
    tags: Sequence[str] = ("transcript",),
) -> str:
    """What stands in a video's file of the format `name`, one of `FORMATS`."""
    duration_s = (metadata.duration_s if metadata else None) or item.duration_s
    match name:
        case "md":
            return to_markdown(item, metadata, transcript, transcribed_at=transcribed_at, tags=tags)
        case "srt":
            return to_srt(cues(transcript, duration_s=duration_s))
        case "vtt":
            return to_vtt(cues(transcript, duration_s=duration_s))
        case "txt":
            parts = paragraphs(transcript.segments, transcript.text)
            return "".join(f"{part.text}\n\n" for part in parts).rstrip("\n") + "\n"
        case _:
            return to_json(item, metadata, transcript, transcribed_at=transcribed_at)
