"""Power cuts: what was not synced is gone.

SIGKILL alone cannot show that: the system still writes what a dead process left with it. So the
command runs with a small library (`synced.c`) preloaded that notes what each `fsync` brought to
the disk, and after the kill everything else is thrown away.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Final

from tests.chaos.world import DATABASE, World

_SOURCE: Final = Path(__file__).with_name("synced.c")
_once = threading.Lock()


@cache
def _library() -> Path | None:
    """The library, compiled once; None where that cannot be done."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        return None
    folder = Path(tempfile.mkdtemp(prefix="bulk-transcribe-chaos-c-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    made = folder / "synced.so"
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(_SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 -- our own words
    return made if done.returncode == 0 else None


@contextmanager
def preloaded(world: World) -> Iterator[dict[str, str] | None]:
    """The environment in which syncs are noted; None where that is not possible."""
    with _once:
        library = _library()
    if library is None:
        yield None
        return
    synced = _synced(world)
    synced.mkdir(exist_ok=True)
    for end in ("", "-wal"):  # what earlier runs left has long been written
        source = world.database.with_name(DATABASE + end)
        if source.exists():
            shutil.copyfile(source, synced / source.name)
    yield {"LD_PRELOAD": str(library), "CHAOS_SYNCED": str(synced)}
    shutil.rmtree(synced)


def cut_power(world: World) -> str:
    """Leave only what was synced; in a few words, what went."""
    synced = _synced(world)
    lost_bytes = 0
    for end in ("", "-wal"):
        path = world.database.with_name(DATABASE + end)
        kept = synced / path.name
        before = path.read_bytes() if path.exists() else b""
        after = kept.read_bytes() if kept.exists() else b""
        lost_bytes += sum(a != b for a, b in zip(before, after, strict=False))
        lost_bytes += abs(len(before) - len(after))
        if kept.exists():
            shutil.copyfile(kept, path)
        else:
            path.unlink(missing_ok=True)
    world.database.with_name(DATABASE + "-shm").unlink(missing_ok=True)
    return f"{lost_bytes} bytes of the database and {_lose_files(world, synced)} files lost"


def _lose_files(world: World, synced: Path) -> int:
    """Take back names whose folder was not synced since, and content that was not synced."""
    notes = synced / ".notes"
    lines = notes.read_text().splitlines() if notes.exists() else []
    named = {line[2:] for line in lines if line.startswith("D ")}
    whole = {int(line[2:]) for line in lines if line.startswith("F ")}
    lost = 0
    for path in world.out.glob("*") if world.out.is_dir() else ():
        if not path.is_file() or str(path) in world.written_before:
            continue
        if str(path) not in named:
            path.unlink()
            lost += 1
        elif path.stat().st_ino not in whole:
            os.truncate(path, 0)
            lost += 1
        else:
            world.written_before.add(str(path))
    return lost


def _synced(world: World) -> Path:
    return world.folder / "synced"
