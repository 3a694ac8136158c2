"""The real command with one thing broken: `python broken.py PLAN ARGUMENTS...`.

The product has no hooks for tests. This child imports the command as it is, wraps one function
of it, and calls the command's own `main`. Everything else is the shipped program.

PLAN is a JSON object:

- `{"kill": {"at": "after_intent", "nth": 2}}`: SIGKILL by itself at a named point, the second time
  that it is reached.
- `{"clock": {"after_s": 1.0, "wall_s": -7200, "mono_s": 0}}`: after so many real seconds the wall
  clock and the monotonic one are off by so many seconds.
- `{"mutant": "..."}`: break a promise of the product, to see that the judge notices.
"""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

_LEDGER: Final = ("bulk_transcribe.save.submissions", "SubmissionLedger")
_EXPORTER: Final = ("bulk_transcribe.save.export.exporter", "FileExporter")
_SESSION: Final = ("bulk_transcribe.save.session", "Session")

#: Point -> module, class, function, and whether the end comes before or after it.
POINTS: Final[dict[str, tuple[str, str, str, str]]] = {
    "before_intent": (*_LEDGER, "intend", "before"),
    "after_intent": (*_LEDGER, "intend", "after"),
    "before_post": (*_LEDGER, "mark_sent", "after"),  # noted as sent; not one byte is out
    "after_answer": (*_LEDGER, "accept", "before"),  # the id is in memory alone
    "after_id": (*_LEDGER, "accept", "after"),
    "before_save": (*_LEDGER, "claim", "before"),
    "in_save": ("bulk_transcribe.save.submissions", "", "put_transcript", "after"),
    "after_save": (*_LEDGER, "claim", "after"),
    "before_files": (*_EXPORTER, "write", "before"),
    "in_files": ("bulk_transcribe.save.export.exporter", "", "atomic_file", "inside"),
    "after_files": (*_EXPORTER, "write", "after"),
    "before_end": (*_SESSION, "finish", "before"),
    "after_end": (*_SESSION, "finish", "after"),
    "in_news": (*_SESSION, "save_news", "before"),
    "before_session": (
        "bulk_transcribe.save.sessions",
        "SessionManager",
        "create_session",
        "before",
    ),
    "after_session": ("bulk_transcribe.save.sessions", "SessionManager", "create_session", "after"),
    "in_orphans": (*_LEDGER, "settle_orphans", "after"),
    "in_lists": ("bulk_transcribe.app.engine", "", "write_session_files", "before"),
}


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    threading.Event().wait()  # a signal to oneself may take a moment


def arm(at: str, nth: int) -> None:
    """Make the process end at a named point, the `nth` time that a thread gets there."""
    module, owner, name, when = POINTS[at]
    holder: Any = import_module(module)
    holder = getattr(holder, owner) if owner else holder
    plain = getattr(holder, name)
    lock, left = threading.Lock(), [nth]

    def is_due() -> bool:
        with lock:
            left[0] -= 1
            return left[0] == 0

    def before(*arguments: Any, **named: Any) -> Any:
        if is_due():
            _end()
        return plain(*arguments, **named)

    def after(*arguments: Any, **named: Any) -> Any:
        result = plain(*arguments, **named)
        if is_due():
            _end()
        return result

    @contextmanager
    def inside(*arguments: Any, **named: Any) -> Iterator[Any]:
        with plain(*arguments, **named) as file:
            yield file
            if is_due():  # some of it is written, and it has no name yet
                file.flush()
                _end()

    wrapped: dict[str, Callable[..., Any]] = {"before": before, "after": after, "inside": inside}
    setattr(holder, name, wrapped[when])


def shift_clock(after_s: float, wall_s: float, mono_s: float) -> None:
    """Put both clocks wrong from a moment on, as a person, NTP or a reboot does."""
    clock: Any = import_module("bulk_transcribe.core.clock")
    from_s = time.monotonic() + after_s

    def is_off() -> bool:
        return time.monotonic() >= from_s

    class Shifted(clock.datetime):  # type: ignore[misc] # the class is looked up at run time
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            real = clock_datetime.now(tz)
            return real + clock.timedelta(seconds=wall_s) if is_off() else real

    clock_datetime = clock.datetime
    clock.datetime = Shifted
    clock.time = SimpleNamespace(monotonic=lambda: time.monotonic() + (mono_s if is_off() else 0.0))
    plain_now = clock.SystemClock.now

    def now(self: Any) -> Any:
        """A scaled clock reads the calendar once: the step is added to what it makes of it."""
        if self.speed == 1.0 or not is_off() or self in born_wrong:
            return plain_now(self)
        return plain_now(self) + clock.timedelta(seconds=wall_s - mono_s * self.speed)

    plain_init = clock.SystemClock.__init__

    def init(self: Any, *arguments: Any, **named: Any) -> None:
        plain_init(self, *arguments, **named)
        if is_off():
            born_wrong.add(self)

    born_wrong: set[Any] = set()
    clock.SystemClock.now = now
    clock.SystemClock.__init__ = init


def _forget_to_sync() -> None:
    """Commit without waiting for the disk."""
    database: Any = import_module("bulk_transcribe.save.sqlite")
    assert database._begin_write  # where it is replaced, it has to be

    def hasty(connection: Any) -> None:
        connection.exec_driver_sql("PRAGMA synchronous=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    database._begin_write = hasty


def _send_lost_answers_again() -> None:
    """Take every lost answer for a refusal."""
    deapi: Any = import_module("bulk_transcribe.sources.deapi")
    deapi._is_refusal = lambda _error: True


def _note_the_intent_late() -> None:
    """Believe that nothing which a dead process left was sent."""
    ledger: Any = import_module("bulk_transcribe.save.submissions").SubmissionLedger
    ledger.mark_sent = lambda _self, _number: None
    plain = ledger.accept

    def accept(self: Any, number: int, request_id: str) -> None:
        states = import_module("bulk_transcribe.core.job").SubmissionState
        self._move(number, states.SENT)
        plain(self, number, request_id)

    ledger.accept = accept


def _call_it_done_early() -> None:
    """Leave the files out, and say done."""
    exporter: Any = import_module(_EXPORTER[0]).FileExporter
    exporter.write = lambda self, item, metadata, _transcript: self._paths(item, metadata)


MUTANTS: Final[dict[str, Callable[[], None]]] = {
    "no_sync": _forget_to_sync,
    "resend": _send_lost_answers_again,
    "late_note": _note_the_intent_late,
    "no_files": _call_it_done_early,
}


def main() -> None:
    """Break what the plan says and run the command."""
    plan = json.loads(sys.argv[1])
    sys.argv[:] = ["bulk-transcribe", *sys.argv[2:]]
    sys.path[:] = [p for p in sys.path if Path(p) != Path(__file__).parent]
    if "kill" in plan:
        arm(**plan["kill"])
    if "clock" in plan:
        shift_clock(**plan["clock"])
    if "mutant" in plan:
        MUTANTS[plan["mutant"]]()
    import_module("bulk_transcribe.cli.main").main()


if __name__ == "__main__":
    main()
