"""One case: a folder, a simulator, the real command as processes, and ways to break them."""

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self

from bulk_transcribe.simulator import Faults, Simulator, SimulatorConfig

#: Clock seconds in a real one: a job of 25 seconds takes less than half a second.
SPEED: Final = 60.0
FORMATS: Final = ("txt", "json")
DATABASE: Final = "bulk-transcribe.sqlite3"
_BROKEN: Final = Path(__file__).with_name("broken.py")
_PASSED_ON: Final = frozenset({"PATH", "LANG", "PYTHONPATH", "SYSTEMROOT"})
#: Real seconds after which a command that should have ended counts as hung.
PATIENCE_S: Final = 120.0
_LOOK_EVERY_S: Final = 0.01


class HungError(Exception):
    """A command did not end, or did not come to where it should."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def was_killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def json(self) -> Any:
        """The last line of standard output; None where there is none."""
        lines = self.out.strip().splitlines()
        return json.loads(lines[-1]) if lines else None


@dataclass
class World:
    """Where one case takes place. Everything in it is drawn from its seed.

    Args:
        folder: Home, output and everything else.
        simulator: The services.
        rng: For whatever the case draws.
        links: What is asked for.
        slots: Videos in flight at once.
        sources: Where transcripts come from.
        environment: More variables for the command.
        mutant: A promise that the command is made to break.
        turns: Breaks in a row before the last resume.
        knows_the_limit: Whether the command was told the account's true limit.
        kills: SIGKILLs that met a running command.
        runs: Commands that worked.
        notes: What was tried.
        said: Exit code and last words of each command.
        expected: Stages in which a video may be at the end.
        books_are_whole: Whether every request must be noted: a kill takes those of the last second.
        written_before: Files that survived an earlier power cut.
    """

    folder: Path
    simulator: Simulator
    rng: random.Random
    links: tuple[str, ...]
    slots: int = 6
    sources: str = "deapi"
    environment: dict[str, str] = field(default_factory=dict)
    mutant: str | None = None
    turns: int = 3
    knows_the_limit: bool = True
    kills: int = 0
    runs: int = 0
    notes: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    expected: set[str] = field(default_factory=lambda: {"done", "in_doubt"})
    books_are_whole: bool = True
    written_before: set[str] = field(default_factory=set)
    _parts: ExitStack = field(default_factory=ExitStack)

    @classmethod
    @contextmanager
    def make(
        cls, seed: str, *, videos: int, mutant: str | None = None, turns: int = 3, **service: Any
    ) -> Iterator[Self]:
        """A world of its own, gone afterwards."""
        rng = random.Random(seed)
        fields: dict[str, Any] = {
            "clock_speed": SPEED,
            "duration_s": (30.0, 90.0),
            "seed": rng.randrange(1, 10_000),
        } | service
        with ExitStack() as parts:
            folder = Path(tempfile.mkdtemp(prefix="bulk-transcribe-chaos-"))
            parts.callback(shutil.rmtree, folder, ignore_errors=True)
            simulator = parts.enter_context(Simulator(SimulatorConfig(**fields)))
            links = tuple(f"https://youtu.be/{_video_id(rng)}" for _ in range(videos))
            world = cls(folder, simulator, rng, links, mutant=mutant, turns=turns)
            parts.enter_context(world._parts)
            yield world

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def database(self) -> Path:
        return self.home / DATABASE

    @property
    def faults(self) -> Faults:
        return self.simulator.faults

    @property
    def video_ids(self) -> tuple[str, ...]:
        return tuple(link.rpartition("/")[2] for link in self.links)

    def note(self, text: str) -> None:
        """Say what was tried, for whoever reads the report."""
        self.notes.append(text)

    def cleanup(self, call: Callable[[], Any]) -> None:
        """Do this when the case is over, whatever happens."""
        self._parts.callback(call)

    def start(
        self,
        *arguments: str,
        plan: Mapping[str, Any] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> "subprocess.Popen[str]":
        """Begin the command and leave it running. With a plan, one thing in it is broken."""
        broken = dict(plan or {}) | ({"mutant": self.mutant} if self.mutant else {})
        how = [str(_BROKEN), json.dumps(broken)] if broken else ["-m", "bulk_transcribe"]
        kept = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
        process = subprocess.Popen(  # noqa: S603 -- our own command
            [sys.executable, *how, *arguments],
            cwd=self.folder,
            env=kept
            | {"BULK_TRANSCRIBE_HOME": str(self.home), "COLUMNS": "120"}
            | self.simulator.environment()
            | self.environment
            | dict(more or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.runs += 1
        self.cleanup(lambda: _put_away(process))
        return process

    def begin(
        self,
        *flags: str,
        plan: Mapping[str, Any] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> "subprocess.Popen[str]":
        """Begin `run`, or `resume` where the store has the session already."""
        common = ("-j", str(self.slots), "--json", *flags)
        if self.has_session():
            return self.start("resume", *common, plan=plan, more=more)
        return self.start(
            "run", *self.links, "--sources", self.sources, "--order", "input",
            "-o", str(self.out), "--format", ",".join(FORMATS), *common,
            plan=plan, more=more,
        )  # fmt: skip

    def finish(self, process: "subprocess.Popen[str]") -> Ended:
        """Wait for a command's end.

        Raises:
            HungError: it does not come.
        """
        try:
            out, err = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired as error:
            process.kill()
            _, err = process.communicate()
            raise HungError(f"the command did not end: {err[-500:]}") from error
        ended = Ended(process.returncode, out, err)
        self.said.append(f"{ended.code}: {err[-600:].strip()}")
        self.kills += ended.was_killed
        return ended

    def run(
        self,
        *flags: str,
        plan: Mapping[str, Any] | None = None,
        more: Mapping[str, str] | None = None,
    ) -> Ended:
        """`run` or `resume`, to its end."""
        return self.finish(self.begin(*flags, plan=plan, more=more))

    def ask(self, *arguments: str) -> Ended:
        """A command that only reads."""
        self.runs -= 1
        return self.finish(self.start(*arguments))

    def kill(self, process: "subprocess.Popen[str]") -> Ended:
        """SIGKILL, now."""
        process.kill()
        return self.finish(process)

    def until(
        self, process: "subprocess.Popen[str]", ready: Callable[[], Any], *, within_s: float = 60.0
    ) -> bool:
        """Wait until something is so; False when the command ended before.

        Raises:
            HungError: neither happened.
        """
        until_s = time.monotonic() + within_s
        while not ready():
            if process.poll() is not None:
                return False
            if time.monotonic() > until_s:
                raise HungError("it did not come to where it should be broken")
            time.sleep(_LOOK_EVERY_S)
        return True

    def until_nobody_waits(self) -> None:
        """Wait until the service has let go of what it held."""
        self.faults.update({"hold": None})
        while self.simulator._state.held:
            time.sleep(_LOOK_EVERY_S)
        time.sleep(5 * _LOOK_EVERY_S)

    def pause(self, low_s: float, high_s: float) -> float:
        """Let a random time pass, in real seconds."""
        pause_s = self.rng.uniform(low_s, high_s)
        time.sleep(pause_s)
        return pause_s

    def jobs(self) -> int:
        """Jobs that the service has taken so far."""
        return len(self.simulator.ledger(with_requests=False).jobs)

    def ledger(self) -> Any:
        """The simulator's book, over its control API."""
        url = f"{self.simulator.url}/_sim/ledger"
        with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 -- 127.0.0.1
            return json.load(answer)

    def rows(self, query: str) -> list[dict[str, Any]]:
        """What the store says, by our own SQL on a copy of its files; [] before there is one."""
        if not self.database.exists():
            return []
        with tempfile.TemporaryDirectory() as folder:
            for end in ("", "-wal"):
                source = self.database.with_name(DATABASE + end)
                if source.exists():
                    shutil.copyfile(source, Path(folder) / source.name)
            with closing(sqlite3.connect(Path(folder) / DATABASE)) as connection:
                connection.row_factory = sqlite3.Row
                try:
                    return [dict(row) for row in connection.execute(query)]
                except sqlite3.OperationalError as error:
                    if "no such table" in str(error):
                        return []
                    raise

    def has_session(self) -> bool:
        """Whether a session was begun."""
        return bool(self.rows("SELECT session_id FROM sessions"))

    def balance(self, amount: str) -> None:
        """Set the account's balance."""
        self.simulator.set_balance(Decimal(amount))


def _video_id(rng: random.Random) -> str:
    return "ch" + "".join(rng.choices("abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMN23456789", k=9))


def _put_away(process: "subprocess.Popen[str]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.kill()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()
    process.wait()
