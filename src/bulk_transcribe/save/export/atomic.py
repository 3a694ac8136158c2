"""Files that are there complete or not at all, and disk trouble in plain words."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from bulk_transcribe.errors import OutputError

#: End of the names of files that are being written.
_PART = ".bulk-transcribe-part"
#: Seconds after which such a file was left by a program that was killed: writing takes far less.
_LEFT_AFTER_S = 3_600.0


@contextmanager
def atomic_file(path: Path) -> Iterator[TextIO]:
    """A text file (UTF-8, newlines as written) that replaces `path` when the block ends well.

    It is on disk before it is given its name; after an error `path` is what it was.

    Raises:
        OutputError: it cannot be written; the message says why.
    """
    part = path.with_name(f".{secrets.token_hex(8)}{_PART}")
    with output_errors(path):
        # not through tempfile: that makes files which only their owner may read
        handle = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        try:
            with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a power cut, where the system can do that."""
    if os.name == "nt":  # folders cannot be opened there
        return
    with output_errors(folder):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def prepare_folder(folder: Path) -> None:
    """Make the folder, try whether it can be written, and clear what a killed program left.

    Raises:
        OutputError: it cannot be written; the message says why.
    """
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".{secrets.token_hex(8)}{_PART}"
        try:
            probe.write_bytes(b"?")  # a full disk makes the file and refuses its content
            now_s = probe.stat().st_mtime  # by the clock that also dated the others
            for left in folder.glob(f".*{_PART}"):
                if left != probe and now_s - _modified_s(left, now_s) > _LEFT_AFTER_S:
                    left.unlink(missing_ok=True)
        finally:
            probe.unlink(missing_ok=True)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` into an `OutputError` with a next step."""
    try:
        yield
    except OSError as error:
        raise explain(error, path) from error


def explain(error: OSError, path: Path) -> OutputError:
    """The error in plain words."""
    for numbers, code, what, next_step in _CAUSES:
        if error.errno in numbers:
            return OutputError(f"{path} cannot be written: {what}.", next_step=next_step, code=code)
    return OutputError(
        f"{path} cannot be written: {error.strerror or error}.",
        next_step="Check the output folder, or choose another one; then resume.",
    )


_CAUSES: tuple[tuple[frozenset[int], str, str, str], ...] = (
    (
        frozenset({errno.ENOSPC, errno.EDQUOT}),
        "disk_full",
        "the disk is full",
        "Free some space, then resume; nothing that was paid for is lost.",
    ),
    (
        frozenset({errno.EROFS}),
        "output_read_only",
        "the disk is read-only",
        "Choose another output folder, then resume.",
    ),
    (
        frozenset({errno.EACCES, errno.EPERM}),
        "output_no_permission",
        "you have no permission",
        "Make the output folder writable, or choose another one; then resume.",
    ),
    (
        frozenset({errno.ENOENT, errno.ENOTDIR}),
        "output_gone",
        "its folder is not there",
        "Was it moved, or a drive removed? Bring it back or choose another one; then resume.",
    ),
)


def _modified_s(path: Path, default_s: float) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # just finished
        return default_s
