import subprocess
import sys
from pathlib import Path

from bulk_transcribe.save.process_lock import ProcessLock

HOLD = """
import sys
from pathlib import Path
from bulk_transcribe.save.process_lock import ProcessLock
lock = ProcessLock.take(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_lock_excludes_others_until_it_is_released(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    assert not ProcessLock.is_held(path)
    lock = ProcessLock.take(path)
    assert ProcessLock.is_held(path)
    assert ProcessLock.try_take(path) is None
    lock.release()
    lock.release()
    assert not ProcessLock.is_held(path)


def test_looking_does_not_take(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    ProcessLock.take(path).release()
    assert not ProcessLock.is_held(path)
    lock = ProcessLock.try_take(path)
    assert lock is not None
    lock.release(remove=True)
    assert not path.exists()


def test_a_killed_process_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "one.lock"
    with subprocess.Popen(  # noqa: S603 -- our own program
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert ProcessLock.is_held(path)
        holder.kill()
        holder.wait()
    assert not ProcessLock.is_held(path)
