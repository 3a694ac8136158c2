"""A process that sends as many requests as its limiter lets it, from several threads.

Run as `python -m tests.contract.permit_child DATABASE PORT LIMIT SPEED NAME [AHEAD_S]`; ends with
its standard input. Its clock is ahead of this machine's by so many seconds.
"""

import socket
import sys
import threading
from datetime import datetime, timedelta

from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.errors import StoppedError
from bulk_transcribe.limit import DistributedRateLimiter, FixedPolicy, RateLimit
from bulk_transcribe.save.database import open_database
from bulk_transcribe.save.permits import DatabasePermitStore
from tests.postgres import place_of

#: More than half of the limit, so that one process could take it all.
_THREADS = 40


class WrongClock(SystemClock):
    """The clock of a machine that was started at another time, and is set wrongly."""

    def __init__(self, speed: float, ahead_s: float) -> None:
        super().__init__(speed)
        self._ahead_s = ahead_s

    def now_s(self) -> float:
        return super().now_s() + self._ahead_s * self.speed

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._ahead_s)


def main(path: str, port: str, limit: str, speed: str, name: str, ahead_s: str = "0") -> None:
    machine = WrongClock(float(speed), float(ahead_s))
    with open_database(place_of(path)) as database:
        clock = database.clock(machine)
        control = RunControl(clock)
        limiter = DistributedRateLimiter(
            FixedPolicy({frozenset({RequestKind.SUBMIT}): RateLimit(int(limit), 60.0)}),
            clock=clock,
            store=DatabasePermitStore(database, clock),
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
