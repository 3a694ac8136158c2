"""Late is not lost: jobs that were paid for are fetched later, in whatever session they began."""

from collections.abc import Callable
from typing import Any

import pytest

from bulk_transcribe.app.reclaim import Fate, Reclaimed
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.job import SubmissionState
from bulk_transcribe.core.stage import Stage
from bulk_transcribe.errors import AuthError, InputError
from bulk_transcribe.simulator import Faults
from tests.integration.conftest import Ran, World, links

#: A quarter of an hour, after which a job is not waited for any longer, takes three seconds.
SPEED = 300.0
#: Jobs that are given up after a quarter of an hour, and end after a whole one.
LATE_S = 3_600.0


def wait(here: World, seconds: float) -> None:
    RunControl(here.simulator.clock).sleep_s(seconds)


def killed(here: World, count: int, prefix: str = "vid", **flags: Any) -> str:
    """A run that was left at once while all its jobs ran; its session."""
    under = here.start(links(count, prefix), **flags)
    before = len(here.simulator.ledger().jobs)
    under.until(lambda ledger: len(ledger.jobs) >= before + count)
    under.engine.control.halt()
    return under.ended().session_id


def reclaim(here: World, **flags: Any) -> dict[str, Reclaimed]:
    with here.app(**flags) as app:
        late = app.reclaim()
        return {each.submission.key.video_id: each for each in late.run(late.waiting())}


def look(here: World, session_id: str) -> Ran:
    """What is stored of a session; nothing is left to do in it."""
    return here.run(session_id=session_id)


def test_jobs_of_all_sessions_are_fetched_and_their_videos_are_done(
    world: Callable[..., World],
) -> None:
    here = world(clock_speed=SPEED, duration_s=(600.0, 900.0))
    first = killed(here, 3)
    second = killed(here, 2, "two", model="WhisperLargeV3Ct2")
    charged = here.simulator.ledger().charged_usd

    fates = reclaim(here)

    assert [each.fate for each in fates.values()] == [Fate.FETCHED] * 5
    assert all(path.exists() for each in fates.values() for path in each.files)
    assert sum(len(each.files) for each in fates.values()) == 5 * 2
    ledger = here.simulator.ledger()
    assert ledger.charged_usd == charged
    assert ledger.counts["submit"] == 5
    for session_id in (first, second):
        ran = look(here, session_id)
        assert ran.result.is_complete
        assert {state.stage for state in ran.states.values()} == {Stage.DONE}
        polled = [ran.receipts[name].spent_usd for name in ran.receipts]
        assert all(spent > 0 for spent in polled)
    assert reclaim(here) == {}
    assert here.simulator.ledger().counts["submit"] == 5


def test_a_late_job_frees_its_slot_and_is_fetched_when_it_has_ended(
    world: Callable[..., World],
) -> None:
    here = world(Faults(stuck_jobs=1, stuck_for_s=LATE_S), clock_speed=900.0)
    first = here.run(links(3), max_concurrent=1)
    assert (first.result.totals.done, first.codes()) == (2, {"job_overdue": 1})
    wait(here, LATE_S)

    (fate,) = reclaim(here).values()

    assert fate.fate is Fate.FETCHED
    ran = look(here, first.session_id)
    assert ran.result.is_complete
    ran.check_paid_once()
    ran.check_requests()
    ran.check_money()


def test_a_late_job_that_ends_while_the_run_is_alive_is_fetched_by_it(
    world: Callable[..., World],
) -> None:
    here = world(Faults(stuck_jobs=1, stuck_for_s=1_100.0), clock_speed=300.0)
    under = here.start(links(3), max_concurrent=1)
    under.until(lambda _ledger: under.engine.snapshot().late == 1)
    shown = under.engine.snapshot()
    assert shown.totals.finished + shown.totals.queued + shown.totals.active == 3
    ran = under.ended()

    assert ran.result.is_complete
    ran.check_books()


def test_resume_takes_up_a_late_job_by_itself(world: Callable[..., World]) -> None:
    here = world(Faults(stuck_jobs=1, stuck_for_s=LATE_S), clock_speed=900.0)
    first = here.run(links(2))
    assert first.codes() == {"job_overdue": 1}
    wait(here, LATE_S)

    second = here.run(session_id=first.session_id)

    assert second.result.is_complete
    second.check_books()


def test_a_job_that_still_runs_stays_claimable(world: Callable[..., World]) -> None:
    here = world(Faults(stuck_jobs=True), clock_speed=900.0)
    first = here.run(links(2))

    fates = reclaim(here)

    assert {each.fate for each in fates.values()} == {Fate.RUNNING}
    assert reclaim(here).keys() == fates.keys()
    assert here.simulator.ledger().counts["submit"] == 2
    assert look(here, first.session_id).codes() == {"job_overdue": 2}


def test_jobs_that_failed_or_are_unknown_are_told_apart(world: Callable[..., World]) -> None:
    here = world(Faults(failing_jobs=1), clock_speed=SPEED, duration_s=(600.0, 900.0))
    session_id = killed(here, 3)
    _, *others = here.simulator.ledger().jobs
    here.faults.missing_requests.add(others[0].request_id)

    fates = reclaim(here)

    kinds = sorted(each.fate.value for each in fates.values())
    assert kinds == ["failed", "fetched", "unknown"]
    assert fates[others[0].video_id].fate is Fate.UNKNOWN
    with here.app() as app:  # the unknown one is another key's, maybe
        (left,) = app.find_jobs([others[0].request_id])
        assert left.state is SubmissionState.ACCEPTED
        app.abandon([left])
        with pytest.raises(InputError):
            app.find_jobs([others[0].request_id])
    assert look(here, session_id).result.totals.done >= 1


def test_the_jobs_of_a_run_under_way_are_left_to_it(world: Callable[..., World]) -> None:
    here = world(clock_speed=50.0, duration_s=(2_400.0, 3_000.0))  # five minutes: six seconds
    under = here.start(links(2))
    under.until(lambda ledger: len(ledger.jobs) == 2)

    with here.app() as app:
        late = app.reclaim()
        jobs = late.waiting()
        fates = list(late.run(jobs))
        with pytest.raises(InputError, match="being worked on"):
            app.abandon(jobs)

    assert {each.fate for each in fates} == {Fate.BUSY}
    ran = under.ended()
    assert ran.result.is_complete
    ran.check_books()


def test_the_text_of_a_deleted_session_is_kept_in_the_store(world: Callable[..., World]) -> None:
    here = world(clock_speed=SPEED, duration_s=(600.0, 900.0))
    session_id = killed(here, 1)
    with here.app() as app:
        app.sessions.delete_session(session_id)

    (fate,) = reclaim(here).values()

    assert (fate.fate, fate.files) == (Fate.FETCHED, ())
    ran = here.run(links(1))
    assert ran.result.is_complete
    assert ran.ledger.counts["submit"] == 1


def test_a_key_that_is_refused_ends_it_and_loses_nothing(world: Callable[..., World]) -> None:
    here = world(clock_speed=SPEED, duration_s=(600.0, 900.0))
    killed(here, 2)
    here.faults.revoke_key = True
    with pytest.raises(AuthError):
        reclaim(here)
    here.faults.revoke_key = False
    assert {each.fate for each in reclaim(here).values()} == {Fate.FETCHED}


def test_an_expired_address_is_asked_for_anew(world: Callable[..., World]) -> None:
    here = world(clock_speed=SPEED, duration_s=(600.0, 900.0), result="url")
    killed(here, 2)
    here.faults.expire_urls_now = True
    assert {each.fate for each in reclaim(here).values()} == {Fate.FETCHED}
