"""Runs hostile inputs one by one and counts what must never happen.

A *traceback* is any exception that is not one of ours (or that a target allows by name), a failed
assertion about the result included. A *hang* is an input that takes longer than `HANG_S` of
processor time. An *escape* is a file written outside of the sandbox, a program started, or a
connection or name lookup outside of what the target plays itself.

Every input is drawn from (seed, target, number) alone, so one line of a report is enough to see it
again.
"""

import os
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bulk_transcribe.errors import BulkTranscribeError
from tests.fuzz.mischief import Mischief

#: Processor seconds for one input. The slowest honest ones take a tenth of it.
HANG_S: Final = 5.0
#: Real seconds after which an input is broken off, where the process may use the alarm clock.
BROKEN_OFF_S: Final = 30.0

_WRITING: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
#: Audit event -> which of its arguments are paths that change.
_CHANGES: Final = {
    "os.mkdir": (0,),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.rename": (0, 1),
    "os.link": (0, 1),
    "os.symlink": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
    "sqlite3.connect": (0,),
}
_OUTSIDE: Final = frozenset(
    {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}
    | {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile"}
)


class HangError(BaseException):
    """Raised by the alarm clock. No `except Exception` may swallow it."""


@dataclass(frozen=True)
class Sandbox:
    """Where an input may leave files: `out` for what the product writes, `inputs` for its food."""

    root: Path

    @property
    def out(self) -> Path:
        return self.root / "out"

    @property
    def inputs(self) -> Path:
        return self.root / "in"

    def make(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        self.inputs.mkdir(parents=True, exist_ok=True)


@dataclass(frozen=True, kw_only=True)
class Target:
    """One edge of the product.

    Args:
        name: Short; stands in the report.
        feed: Draws one input and gives it to the product; asserts on what comes back.
        share: Of all inputs, in parts of the sum.
        allowed: Exceptions that are an answer, beside our own.
        may_call: Addresses ("127.0.0.1:9") that it may be asked to connect to.
    """

    name: str
    feed: Callable[[Mischief, Sandbox], None]
    share: int = 10
    allowed: tuple[type[BaseException], ...] = ()
    may_call: tuple[str, ...] = ()


@dataclass
class Row:
    """What the inputs of one target led to."""

    name: str
    inputs: int = 0
    tracebacks: int = 0
    hangs: int = 0
    escapes: int = 0
    slowest_s: float = 0.0
    reports: list[str] = field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        return not (self.tracebacks or self.hangs or self.escapes)


class _Watch:
    """The process's audit hook; sees nothing outside of `looking`. Hooks cannot be taken away."""

    def __init__(self) -> None:
        self._root = ""
        self._may_call: tuple[str, ...] = ()
        self._is_looking = False
        self.seen: list[str] = []
        sys.addaudithook(self._hook)

    @contextmanager
    def looking(self, root: Path, may_call: tuple[str, ...]) -> Iterator[list[str]]:
        self._root, self._may_call, self.seen = f"{root}{os.sep}", may_call, []
        self._is_looking = True
        try:
            yield self.seen
        finally:
            self._is_looking = False

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        if not self._is_looking:
            return
        if event in _OUTSIDE:
            self._note_call(event, args)
        elif event == "open":
            path, _, flags = args
            if isinstance(flags, int) and flags & _WRITING:
                self._note_path(event, path)
        elif event in _CHANGES:
            for number in _CHANGES[event]:
                self._note_path(event, args[number])

    def _note_call(self, event: str, args: tuple[Any, ...]) -> None:
        where = args[1] if event == "socket.connect" else args[:2]
        shown = ":".join(map(str, where[:2])) if isinstance(where, tuple) else str(where)
        if shown not in self._may_call:
            self.seen.append(f"{event} {shown[:200]}")

    def _note_path(self, event: str, path: Any) -> None:
        if isinstance(path, int):  # a file that is open already
            return
        text = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 -- `..` goes, links stay
        if text != os.devnull and not f"{text}{os.sep}".startswith(self._root):
            self.seen.append(f"{event} {text[:200]}")


_watch: _Watch | None = None


def run_target(
    target: Target,
    *,
    seed: int,
    numbers: Sequence[int],
    root: Path,
    with_alarm: bool = False,
) -> Row:
    """Feed a target with the inputs of these numbers.

    Args:
        target: The edge.
        seed: Same seed, same inputs.
        numbers: Which of the endless row of inputs.
        root: A folder of the caller's, used for the sandbox.
        with_alarm: Break an input off after `BROKEN_OFF_S`; only in the main thread of a process
            that does not use SIGALRM itself (pytest-timeout does).
    """
    global _watch  # noqa: PLW0603 -- one hook for the process
    _watch = _watch or _Watch()
    row = Row(target.name)
    sandbox = Sandbox(root.resolve() / target.name.replace(" ", "-"))
    sandbox.make()
    for number in numbers:
        mischief = Mischief(random.Random(f"{seed}/{target.name}/{number}"))
        started_s = time.process_time()
        failure: BaseException | None = None
        with _watch.looking(sandbox.root, target.may_call) as escapes:
            try:
                with _alarm(with_alarm):
                    target.feed(mischief, sandbox)
            except (KeyboardInterrupt, MemoryError):
                raise
            except BaseException as error:  # noqa: BLE001 -- whatever it is, it is counted
                is_answer = isinstance(error, (BulkTranscribeError, *target.allowed))
                failure = None if is_answer else error
        took_s = time.process_time() - started_s
        _note(row, number, failure, escapes, took_s)
    return row


def _note(
    row: Row, number: int, failure: BaseException | None, escapes: list[str], took_s: float
) -> None:
    row.inputs += 1
    row.slowest_s = max(row.slowest_s, took_s)
    if isinstance(failure, HangError) or took_s > HANG_S:
        row.hangs += 1
        row.reports.append(f"{row.name} #{number}: took {took_s:.1f} s")
    elif failure is not None:
        row.tracebacks += 1
        told = "".join(traceback.format_exception(failure, limit=-6, chain=False))
        row.reports.append(f"{row.name} #{number}: {told[-2000:]}")
    if escapes:
        row.escapes += 1
        row.reports.append(f"{row.name} #{number}: escaped: {'; '.join(escapes[:3])}")


@contextmanager
def _alarm(is_on: bool) -> Iterator[None]:  # noqa: FBT001 -- private
    if not is_on:
        yield
        return

    def ring(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, BROKEN_OFF_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def shares(targets: Sequence[Target], inputs: int) -> list[int]:
    """How many of the inputs each target gets: by its share, one at least; the sum is `inputs`."""
    whole = sum(target.share for target in targets)
    counts = [max(1, inputs * target.share // whole) for target in targets]
    counts[0] += max(0, inputs - sum(counts))
    return counts
