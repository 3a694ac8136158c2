"""The whole engine, joined as the command joins it, against the simulator in the same process.

Both share one fast clock: the arithmetic of minutes is the real one, the tests take seconds. The
simulator's ledger is the judge; what the program believes of itself is compared with it.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bulk_transcribe.app import App, Engine, InputRequest
from bulk_transcribe.config import load
from bulk_transcribe.core.outcome import BatchResult
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.core.stage import VideoState
from bulk_transcribe.save.database import open_database
from bulk_transcribe.save.receipts import Receipts, SessionReceipt, VideoReceipt
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.simulator import Faults, Ledger, Simulator, SimulatorConfig

#: Clock seconds in a real one: a transcription of half a minute takes a third of a second.
SPEED = 100.0
#: Real seconds within which anything that a test waits for must come.
_SOON_S = 30.0
_CAPTION_KINDS = frozenset({"watch", "player", "timedtext"})


def links(count: int, prefix: str = "vid") -> tuple[str, ...]:
    """`count` links; the simulator knows every well-formed id."""
    return tuple(
        f"https://youtu.be/{prefix}{number:0{11 - len(prefix)}d}" for number in range(count)
    )


@dataclass(frozen=True)
class Ran:
    """What a run left, as the program and as the simulator tell it."""

    session_id: str
    result: BatchResult
    states: Mapping[str, VideoState]
    receipt: SessionReceipt
    receipts: Mapping[str, VideoReceipt]
    ledger: Ledger

    def codes(self) -> Counter[str | None]:
        """Error codes of the videos that ended without a transcript."""
        return Counter(s.error_code for s in self.states.values() if s.stage.value != "done")

    def check_counts(self) -> None:
        """The parts add up to the total in what was returned and in what was stored."""
        totals = self.result.totals
        assert totals.finished + totals.unfinished == totals.total
        assert totals.total == len(self.states) == self.receipt.videos
        stages = Counter(state.stage.value for state in self.states.values())
        assert stages["done"] == totals.done
        assert stages["in_doubt"] == totals.in_doubt
        assert stages["failed"] + stages["crashed"] == totals.failed

    def check_paid_once(self) -> None:
        """No video was accepted twice, and none was sent again after its answer was lost."""
        assert self.ledger.duplicates == {}
        twice_reached = Counter(
            seen.video_id
            for seen in self.ledger.requests
            if seen.kind == "submit" and (seen.status is None or seen.status // 100 in {2, 5})
        )
        assert max(twice_reached.values(), default=0) <= 1

    def check_requests(self) -> None:
        """Every request that the simulator saw is in a receipt, kind by kind, video by video."""
        ours: Counter[str] = Counter()
        for kind, part in self.receipt.requests.items():
            ours[kind.value] += part.sent
        theirs: Counter[str] = Counter()
        for kind_seen, count in self.ledger.counts.items():
            theirs["captions" if kind_seen in _CAPTION_KINDS else kind_seen] += count
        assert ours == theirs
        assert self.result.requests == len(self.ledger.requests)
        for kind in (RequestKind.SUBMIT, RequestKind.POLL):
            by_video = Counter(r.video_id for r in self.ledger.requests if r.kind == kind.value)
            for video_id, receipt in self.receipts.items():
                sums = receipt.requests
                sent = sums[kind].sent if kind in sums else 0
                assert sent == by_video[video_id], (kind, video_id)

    def check_money(self) -> None:
        """To the last digit: the sum, and each video."""
        charged: Counter[str] = Counter()
        for job in self.ledger.jobs:
            charged[job.video_id] += job.charged_usd  # type: ignore[assignment]  # adds Decimals
        assert self.result.spent_usd == self.receipt.money.spent_usd == self.ledger.charged_usd
        for video_id, receipt in self.receipts.items():
            assert receipt.spent_usd == charged[video_id], video_id
            assert Decimal(self.states[video_id].spent_usd) == charged[video_id], video_id

    def check_books(self) -> None:
        """All of the above."""
        self.check_counts()
        self.check_paid_once()
        self.check_requests()
        self.check_money()


class Under:
    """A run under way in a thread."""

    def __init__(
        self, world: "World", app: App, engine: Engine, session_id: str, parts: ExitStack
    ) -> None:
        self._world = world
        self.app = app
        self.engine = engine
        self.session_id = session_id
        self._parts = parts
        self._running = engine.start()
        parts.callback(self._end)  # before the program is closed, whatever the test did

    def until(self, condition: Callable[[Ledger], bool]) -> None:
        """Wait until the simulator has seen something. Fails when the run ends before."""
        pause = threading.Event()
        for _ in range(int(_SOON_S / 0.01)):
            if condition(self._world.simulator.ledger()):
                return
            assert not self._running.is_over(wait_s=0), "the run was over before"
            pause.wait(0.01)
        pytest.fail("it did not come to that")

    def ended(self) -> Ran:
        """What the run left, at its end. The program is closed then, as a process would end."""
        assert self._running.is_over(wait_s=_SOON_S), "the run does not end"
        self.close()
        return self._world.read(self.session_id, self._running.result())

    def close(self) -> None:
        """End the run and close the program. A second close does nothing."""
        self._parts.close()

    def _end(self) -> None:
        if not self._running.is_over(wait_s=0):
            self.engine.control.halt()
            assert self._running.is_over(wait_s=_SOON_S), "the run does not halt"


class World:
    """A simulator, a folder, and runs of the program with them."""

    def __init__(self, simulator: Simulator, folder: Path, parts: ExitStack) -> None:
        self.simulator = simulator
        self.folder = folder
        self._parts = parts

    @property
    def faults(self) -> Faults:
        return self.simulator.faults

    def app(self, **flags: Any) -> App:
        """The program, to be opened with `with`."""
        settings = load(
            {
                "home": self.folder / "home",
                "out": self.folder / "out",
                "formats": "txt,json",
                "sources": "deapi",
                "max_concurrent": 8,
                "order": "input",
                # half a minute of life: on a busy machine a slow answer is not a lost one
                "request_timeout_s": 30.0 * SPEED,
            }
            | flags,
            self.simulator.environment(),
            self.folder,
        ).settings
        return App(settings, clock=self.simulator.clock)

    def start(
        self, wanted: Sequence[str] = (), *, session_id: str | None = None, **flags: Any
    ) -> Under:
        """Begin a run of new links, or go on with a session."""
        with ExitStack() as parts:
            app = parts.enter_context(self.app(**flags))
            if session_id is None:
                gathered = app.gather(InputRequest(arguments=tuple(wanted)), stdin=None)
                assert not gathered.problems
                session_id = app.new_session(gathered)
            else:
                app.sessions.prepare_resume(session_id)
            engine = parts.enter_context(app.engine(session_id))
            under = Under(self, app, engine, session_id, parts.pop_all())
        self._parts.callback(under.close)
        return under

    def run(
        self, wanted: Sequence[str] = (), *, session_id: str | None = None, **flags: Any
    ) -> Ran:
        """Run to the end."""
        return self.start(wanted, session_id=session_id, **flags).ended()

    def read(self, session_id: str, result: BatchResult) -> Ran:
        """What is in the store and in the ledger now."""
        with open_database(self.folder / "home" / "bulk-transcribe.sqlite3") as database:
            session = SessionManager(database, self.simulator.clock).open_session(session_id)
            receipts = Receipts(database)
            return Ran(
                session_id=session_id,
                result=result,
                states={state.video_id: state for state in session.all_states()},
                receipt=receipts.of_session(session_id),
                receipts={each.video_id: each for each in receipts.of_videos(session_id)},
                ledger=self.simulator.ledger(),
            )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes a world: `world(faults=Faults(...), rate_limit_rpm=60)`."""
    with ExitStack() as parts:

        def make(faults: Faults | None = None, **service: Any) -> World:
            fields: dict[str, Any] = {"clock_speed": SPEED, "duration_s": (30.0, 90.0)} | service
            simulator = parts.enter_context(Simulator(SimulatorConfig(**fields), faults=faults))
            return World(simulator, tmp_path, parts)

        yield make
