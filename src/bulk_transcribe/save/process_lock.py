"""Locks on files that the operating system lets go of when their process ends, however it ends.

They tell a living process from a dead one without guessing: a process id can be given out again
and means nothing in another container, a heartbeat stops while a laptop sleeps.
"""

import os
import sys
from pathlib import Path
from typing import Self

if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int, *, wait: bool) -> bool:
        while True:
            try:
                # LK_LOCK gives up by itself after ten tries of a second each
                msvcrt.locking(handle, msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            except OSError:
                if not wait:
                    return False
            else:
                return True

    def _is_locked(handle: int) -> bool:
        return not _lock(handle, wait=False)

else:
    import fcntl

    def _lock(handle: int, *, wait: bool) -> bool:
        return _flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))

    def _is_locked(handle: int) -> bool:
        # a shared lock: two who look at the same time do not take each other for the owner
        return not _flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)

    def _flock(handle: int, how: int) -> bool:
        try:
            fcntl.flock(handle, how)
        except BlockingIOError:
            return False
        return True


class ProcessLock:
    """An exclusive lock on a file. Held until `release` or until the process ends.

    Two locks of one file exclude each other within a process, too. Taking and releasing belong
    to one thread at a time.
    """

    def __init__(self, path: Path, handle: int) -> None:
        self.path = path
        self._handle = handle

    @classmethod
    def take(cls, path: Path) -> Self:
        """Wait for the lock.

        Raises:
            OSError: the file cannot be made, or its file system has no locks.
        """
        while True:
            lock = cls._open_and_lock(path, wait=True)
            if lock is not None:
                return lock

    @classmethod
    def try_take(cls, path: Path) -> Self | None:
        """The lock, or None while somebody else has it.

        Raises:
            OSError: the file cannot be made, or its file system has no locks.
        """
        return cls._open_and_lock(path, wait=False)

    @classmethod
    def is_held(cls, path: Path) -> bool:
        """Whether somebody has the lock. A file that does not exist is held by nobody."""
        try:
            handle = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            return _is_locked(handle)
        finally:
            os.close(handle)

    def release(self, *, remove: bool = False) -> None:
        """Let go; `remove` also deletes the file. Releasing twice does nothing."""
        if self._handle < 0:
            return
        handle, self._handle = self._handle, -1
        if sys.platform == "win32":  # an open file cannot be deleted there
            os.close(handle)
            if remove:
                self._delete()
        else:
            if remove:
                self._delete()
            os.close(handle)

    def _delete(self) -> None:
        try:
            self.path.unlink(missing_ok=True)
        except PermissionError:  # Windows: somebody is just looking at it; it is tidied up later
            return

    @classmethod
    def _open_and_lock(cls, path: Path, *, wait: bool) -> Self | None:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            if _lock(handle, wait=wait) and _is_still(path, handle):
                kept, handle = handle, -1
                return cls(path, kept)
            return None
        finally:
            if handle >= 0:
                os.close(handle)


def _is_still(path: Path, handle: int) -> bool:
    """Whether the locked file is the one at `path`: it may have been deleted in between."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
