"""A process that sends as many requests as its limiter lets it, from several threads.

Run as `python -m tests.contract.permit_child DATABASE PORT LIMIT SPEED NAME`; ends with its
standard input.
"""

import socket
import sys
import threading
from pathlib import Path

from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.errors import StoppedError
from bulk_transcribe.limit import DistributedRateLimiter, FixedPolicy, RateLimit
from bulk_transcribe.save.database import open_database
from bulk_transcribe.save.permits import DatabasePermitStore

#: More than half of the limit, so that one process could take it all.
_THREADS = 40


def main(path: str, port: str, limit: str, speed: str, name: str) -> None:
    clock = SystemClock(float(speed))
    control = RunControl(clock)
    with open_database(Path(path)) as database:
        limiter = DistributedRateLimiter(
            FixedPolicy({frozenset({RequestKind.SUBMIT}): RateLimit(int(limit), 60.0)}),
            clock=clock,
            store=DatabasePermitStore(database),
            account="account",
            control=control,
        )

        def work() -> None:
            with socket.create_connection(("127.0.0.1", int(port))) as line:
                while True:
                    try:
                        with limiter.permit(RequestKind.SUBMIT) as permit:
                            line.sendall(name.encode())
                            if not line.recv(1):
                                return
                            permit.answered(200, {})
                    except (StoppedError, OSError):
                        return

        workers = [threading.Thread(target=work) for _ in range(_THREADS)]
        for worker in workers:
            worker.start()
        print("started", flush=True)  # noqa: T201 -- tells the test
        sys.stdin.read()
        control.halt()
        for worker in workers:
            worker.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
