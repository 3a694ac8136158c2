"""The page against the store, on real sessions: one after the other, many at once, in every state.

The page's own script is drawn; what it shows is compared with SQL of the judge's own. And a page
that lies is found out.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import streamlit as st

from bulk_transcribe.app import InputRequest
from bulk_transcribe.core.stage import Stage, VideoState
from bulk_transcribe.errors import StoreError
from bulk_transcribe.save.database import Database, open_database
from bulk_transcribe.save.session import SessionStatus, Wish
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.save.views import VideoTable
from bulk_transcribe.simulator import Faults, Ledger
from bulk_transcribe.ui.compatibility import CompatibilityReport, Part
from bulk_transcribe.ui.drawn import page_checker
from bulk_transcribe.ui.reading import Reading
from tests.integration.conftest import Under, World, links

#: The first drawing of a process imports what the page needs: seconds on a busy machine.
pytestmark = pytest.mark.timeout(120)


@pytest.fixture(autouse=True)
def page_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page reads the store of the test's world, and lets go of it at the end."""
    monkeypatch.setenv("BULK_TRANSCRIBE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    yield
    st.cache_resource.clear()


@contextmanager
def store_of(world: World) -> Iterator[Database]:
    with open_database(world.folder / "home" / "bulk-transcribe.sqlite3") as database:
        yield database


def report_of(world: World, session_id: str) -> CompatibilityReport:
    """One page, compared."""
    with store_of(world) as database:
        return page_checker(database, session_id).check_monitoring_integrity()


def agrees(world: World, session_id: str, status: SessionStatus) -> CompatibilityReport:
    """The page tells the truth of a session that stands like that."""
    report = report_of(world, session_id)
    assert not report.findings, "\n".join(map(str, report.findings))
    assert report.status == status.value
    return report


def wish(world: World, session_id: str, what: Wish, value: str = "") -> None:
    """Ask as the page asks: through the store."""
    with store_of(world) as database:
        SessionManager(database, world.simulator.clock).open_session(session_id).wish(what, value)


def has_done(number: int) -> Callable[[Ledger], bool]:
    return lambda ledger: sum(job.seen_done_at_s is not None for job in ledger.jobs) >= number


@pytest.mark.parametrize("slots", [1, 6])
def test_a_run_under_way_and_its_end(world: Callable[..., World], slots: int) -> None:
    here = world()
    under = here.start(links(8 * slots), max_concurrent=slots)
    under.until(has_done(1))
    agrees(here, under.session_id, SessionStatus.RUNNING)
    under.until(has_done(2))
    for _ in range(3):  # it moves while one looks, and may come to its end
        assert report_of(here, under.session_id).is_compatible
    ran = under.ended()
    assert ran.result.is_complete
    report = agrees(here, under.session_id, SessionStatus.FINISHED)
    assert (report.videos, report.looks) == (8 * slots, 1)


def test_more_in_flight_than_there_are_bars(world: Callable[..., World]) -> None:
    here = world(duration_s=(300.0, 300.0))
    under = here.start(links(40), max_concurrent=36)
    under.until(lambda ledger: len(ledger.jobs) >= 36)
    agrees(here, under.session_id, SessionStatus.RUNNING)
    under.engine.control.halt()
    under.ended()


def test_failures_doubts_and_videos_that_cannot_be_had(world: Callable[..., World]) -> None:
    faults = Faults(failing_jobs=0.3, drop_answer_after=2)
    here = world(faults, special={"vid00000001": "private", "vid00000002": "live"})
    under = here.start(links(12), max_concurrent=4)
    under.until(has_done(1))
    agrees(here, under.session_id, SessionStatus.RUNNING)
    ran = under.ended()
    totals = ran.result.totals
    assert totals.failed
    assert totals.in_doubt == 2
    assert totals.skipped
    agrees(here, under.session_id, SessionStatus.FINISHED)


def test_paused_stopped_and_resumed(world: Callable[..., World]) -> None:
    here = world()
    under = here.start(links(14), max_concurrent=3)
    under.until(has_done(2))
    wish(here, under.session_id, Wish.PAUSE)
    under.until(lambda _: under.app.sessions.list_sessions()[0].status is SessionStatus.PAUSED)
    agrees(here, under.session_id, SessionStatus.PAUSED)
    wish(here, under.session_id, Wish.STOP)
    stopped = under.ended()
    assert stopped.result.was_interrupted
    agrees(here, under.session_id, SessionStatus.STOPPED)

    again = here.start(session_id=under.session_id, max_concurrent=3)
    agrees(here, under.session_id, SessionStatus.RUNNING)
    assert again.ended().result.is_complete
    agrees(here, under.session_id, SessionStatus.FINISHED)


def test_a_run_that_was_stopped_by_a_refused_key(world: Callable[..., World]) -> None:
    here = world()
    under = here.start(links(8), max_concurrent=2)
    under.until(has_done(2))
    here.faults.update({"revoke_key": True})
    assert under.ended().result.stopped_by is not None
    agrees(here, under.session_id, SessionStatus.STOPPED)


def test_an_engine_that_died_is_shown_as_interrupted_and_nothing_as_in_progress(
    world: Callable[..., World],
) -> None:
    """Its process has gone, its videos are as it left them: half way."""
    here = world()
    with here.app() as app:
        session_id = app.new_session(app.gather(InputRequest(arguments=links(5)), stdin=None))
        session = app.sessions.claim_engine(session_id)
        states = session.states(limit=3)
        session.save_states(
            [state.moved(Stage.TRANSCRIBING, here.simulator.clock.now()) for state in states]
        )
    agrees(here, session_id, SessionStatus.INTERRUPTED)


def test_a_new_session_and_one_without_videos(world: Callable[..., World]) -> None:
    here = world()
    with here.app() as app:
        new = app.new_session(app.gather(InputRequest(arguments=links(3)), stdin=None))
        empty = app.sessions.create_session([], out_dir=here.folder / "out")
    agrees(here, new, SessionStatus.NEW)
    agrees(here, empty, SessionStatus.NEW)


def test_titles_that_look_like_markup_are_shown_as_they_are(world: Callable[..., World]) -> None:
    hostile = "**bold** <b>x</b> [a](http://x) :red[y] $x^2$ ~~z~~ `q` # :smile: | a\\*b -> --"
    here = world()
    with here.app() as app:
        session_id = app.new_session(app.gather(InputRequest(arguments=links(3)), stdin=None))
        session = app.sessions.claim_engine(session_id)
        now = here.simulator.clock.now()
        states = [
            replace(state, title=hostile).moved(
                Stage.TRANSCRIBING, now, worker=f"w_{state.position}"
            )
            for state in session.states()
        ]
        session.save_states(states)
        agrees(here, session_id, SessionStatus.RUNNING)
        session.release_engine()


class _Lies:
    """What the page is told in place of the truth."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def of_overview(self, change: Callable[[Any], Any]) -> None:
        honest = Reading.overview
        self._monkeypatch.setattr(
            Reading, "overview", lambda reading, session_id: change(honest(reading, session_id))
        )

    def of_table(self, change: Callable[[Any], Any]) -> None:
        honest = Reading.table

        def told(reading: Reading, *args: Any, **more: Any) -> Any:
            rows = honest(reading, *args, **more)
            return change(rows) if rows else rows

        self._monkeypatch.setattr(Reading, "table", told)


@pytest.fixture
def lies(monkeypatch: pytest.MonkeyPatch) -> _Lies:
    return _Lies(monkeypatch)


def _one_more_done(view: Any) -> Any:
    totals = view.info.totals
    wrong = replace(totals, done=totals.done + 1, queued=totals.queued - 1)
    return replace(view, info=replace(view.info, totals=wrong))


def _all_spent(view: Any) -> Any:
    return replace(
        view, money=replace(view.money, spent_usd=view.money.spent_usd + Decimal("0.01"))
    )


def _stale(view: Any) -> Any:
    old = VideoState(video_id="vid00000009", stage=Stage.TRANSCRIBING, title="An old one")
    return replace(view, active=(old, *view.active))


def _transcribing(under: Under) -> int:
    """As stored, not as the engine knows already."""
    stored = under.app.sessions.open_session(under.session_id)
    return stored.count(stages=[Stage.TRANSCRIBING])


@pytest.mark.parametrize(
    ("change", "part", "about"),
    [
        (_one_more_done, Part.GLOBAL, "videos done"),
        (_all_spent, Part.GLOBAL, "money spent"),
        (_stale, Part.CURRENT, "vid00000009"),
        (lambda view: replace(view, active=view.active * 2), Part.CURRENT, "vid"),
        (lambda view: replace(view, active=view.active[1:]), Part.CURRENT, "vid"),
        (
            lambda view: replace(view, info=replace(view.info, status=SessionStatus.PAUSED)),
            Part.GLOBAL,
            "status",
        ),
    ],
)
def test_a_page_that_is_told_wrong_figures_is_found_out(
    world: Callable[..., World], lies: _Lies, change: Callable[[Any], Any], part: Part, about: str
) -> None:
    here = world(Faults(stuck_jobs=True))  # under way, and nothing moves
    under = here.start(links(10), max_concurrent=3)
    under.until(lambda _: _transcribing(under) == 3)
    agrees(here, under.session_id, SessionStatus.RUNNING)
    lies.of_overview(change)
    findings = report_of(here, under.session_id).findings
    under.engine.control.halt()
    under.ended()
    assert [each for each in findings if each.part is part and about in each.about], findings
    if part is Part.CURRENT:
        assert {each.part for each in findings} == {part}


def _picked(table: VideoTable, rows: Sequence[int]) -> VideoTable:
    """The table with only these of its rows."""
    columns = {each.name: getattr(table, each.name) for each in fields(VideoTable)}
    return VideoTable(**{name: [column[n] for n in rows] for name, column in columns.items()})


def _with_first(table: VideoTable, **cells: str) -> VideoTable:
    """The table with other cells in its first row."""
    return replace(
        table, **{name: [cell, *getattr(table, name)[1:]] for name, cell in cells.items()}
    )


@pytest.mark.parametrize(
    ("change", "about"),
    [
        (lambda table: _picked(table, range(9)), "vid00000009"),
        (lambda table: _picked(table, [*range(9), 0]), "vid00000000"),
        (lambda table: _with_first(table, stage="failed"), "state of vid00000000"),
        (lambda table: _with_first(table, title="Another"), "title of vid00000000"),
        (lambda table: _picked(table, []), "the table"),
    ],
)
def test_a_table_that_is_told_wrong_rows_is_found_out(
    world: Callable[..., World], lies: _Lies, change: Callable[[Any], Any], about: str
) -> None:
    here = world()
    ran = here.run(links(10))
    assert ran.result.is_complete
    lies.of_table(change)
    with store_of(here) as database:
        checker = page_checker(database, ran.session_id)
        assert not checker.validate_status_table()
        assert checker.validate_global_progress()
        assert checker.validate_current_video()
        findings = checker.check_monitoring_integrity().findings
    assert about in {each.about for each in findings}
    assert {each.part for each in findings} == {Part.TABLE}


def test_a_page_that_breaks_off_is_found_out(
    world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = world()
    ran = here.run(links(2))

    def fail(*_: object, **__: object) -> None:
        raise StoreError("The database cannot be read.")

    monkeypatch.setattr(Reading, "overview", fail)
    assert Part.PAGE in {each.part for each in report_of(here, ran.session_id).findings}
