"""Errors on a page: said where they happen, while the rest of the page stays."""

from collections.abc import Iterator
from contextlib import contextmanager

from bulk_transcribe.errors import BulkTranscribeError
from bulk_transcribe.ui.telling import tell_error


@contextmanager
def said() -> Iterator[None]:
    """What the block raises on purpose is shown with its next step; bugs go on their way."""
    try:
        yield
    except BulkTranscribeError as error:
        tell_error(error)
