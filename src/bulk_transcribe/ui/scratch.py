"""A folder of a browser tab for what it uploaded and what it may download."""

import shutil
import tempfile
import weakref
from pathlib import Path


class Scratch:
    """A folder that is there when it is first asked for, and gone with this object."""

    def __init__(self) -> None:
        self._folder: Path | None = None

    @property
    def folder(self) -> Path:
        """The folder; only this user may look into it."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="bulk-transcribe-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        return self._folder
