"""The log file: one line a record, no secret in it, never larger than a few megabytes."""

import logging
import logging.handlers
from collections.abc import Sequence
from contextlib import suppress

from bulk_transcribe.clients.redact import Redactor
from bulk_transcribe.config import Settings
from bulk_transcribe.errors import StoreError

_MAX_BYTES = 5_000_000
_BACKUPS = 2


class RedactingFormatter(logging.Formatter):
    """Writes `***` for each secret, in messages and tracebacks alike.

    Nobody is meant to log a key; this is the net below.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(threadName)s %(name)s %(message)s")
        self._redact = Redactor(secrets)

    def format(self, record: logging.LogRecord) -> str:
        return self._redact(super().format(record))


def start(settings: Settings) -> None:
    """Send the package's log to `settings.log_path`; a second call replaces the first.

    Raises:
        StoreError: the data folder cannot be written.
    """
    try:
        settings.home.mkdir(parents=True, exist_ok=True)
        handler = logging.handlers.RotatingFileHandler(
            settings.log_path, maxBytes=_MAX_BYTES, backupCount=_BACKUPS, encoding="utf-8"
        )
    except OSError as error:
        raise StoreError(
            f"The data folder {settings.home} cannot be written: {error.strerror}.",
            next_step="Choose another with --home or BULK_TRANSCRIBE_HOME.",
        ) from error
    handler.setFormatter(RedactingFormatter(settings.secrets))
    logger = logging.getLogger("bulk_transcribe")
    stop()
    logger.addHandler(handler)
    logger.setLevel(settings.log_level.upper())
    logger.propagate = False


def stop() -> None:
    """Close the log file."""
    logger = logging.getLogger("bulk_transcribe")
    for handler in tuple(logger.handlers):
        logger.removeHandler(handler)
        with suppress(OSError):
            handler.close()
