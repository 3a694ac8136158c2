"""The files that people read: Markdown, subtitles, plain text, JSON, and lists of a session."""

from bulk_transcribe.save.export.exporter import FORMATS, FileExporter
from bulk_transcribe.save.export.session_files import write_session_files

__all__ = ["FORMATS", "FileExporter", "write_session_files"]
