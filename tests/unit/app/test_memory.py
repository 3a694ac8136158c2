import subprocess
import sys

import pytest

#: Threads that are alive together, each of which allocates; then the number of heaps.
HEAPS = """
import ctypes, os, sys, threading
from bulk_transcribe.app.memory import share_one_heap
if sys.argv[1] == "shared" and not share_one_heap():
    sys.exit("no mallopt")
together = threading.Barrier(17)
def work():
    kept = [ctypes.create_string_buffer(4096) for _ in range(200)]
    together.wait()
    together.wait()
for _ in range(16):
    threading.Thread(target=work).start()
together.wait()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
end, begin = os.pipe()[::-1]
stream = libc.fdopen(end, b"w")
libc.malloc_info(0, ctypes.c_void_p(stream))
libc.fflush(ctypes.c_void_p(stream))
print(os.read(begin, 1_000_000).decode().count("<heap nr="))
together.wait()
"""


def heaps(how: str) -> int:
    done = subprocess.run(  # noqa: S603 -- our own code
        [sys.executable, "-c", HEAPS, how], capture_output=True, text=True, check=False, timeout=30
    )
    if "no mallopt" in done.stderr or "malloc_info" in done.stderr:
        pytest.skip("this C library has no mallopt")
    return int(done.stdout)


def test_threads_share_one_heap_once_it_was_asked_for() -> None:
    assert heaps("shared") == 1
    assert heaps("as it comes") > 1
