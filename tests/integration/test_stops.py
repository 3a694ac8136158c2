"""What ends a batch early, what is kept for later, and that later nothing is paid again."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from bulk_transcribe.app import InputRequest
from bulk_transcribe.core.stage import Stage
from bulk_transcribe.errors import (
    AuthError,
    CreditSpentError,
    InputError,
    OutputError,
    StoreError,
)
from bulk_transcribe.simulator import Faults, Ledger
from tests.integration.conftest import World, links


def _ended(ledger: Ledger) -> int:
    return sum(job.seen_done_at_s is not None for job in ledger.jobs)


def test_a_key_that_is_revoked_midway_stops_the_batch_and_resume_completes_it(
    world: Callable[..., World],
) -> None:
    here = world()
    under = here.start(links(16), max_concurrent=5)
    under.until(lambda ledger: _ended(ledger) >= 3)
    here.faults.update({"revoke_key": True})
    stopped = under.ended()

    assert isinstance(stopped.result.stopped_by, AuthError)
    assert 3 <= stopped.result.totals.done < 16
    assert stopped.result.totals.failed == stopped.result.totals.in_doubt == 0
    refused = [seen for seen in stopped.ledger.requests if seen.status == 401]
    assert 1 <= len(refused) <= 5  # those in flight at that moment, and no new ones
    stopped.check_counts()

    here.faults.update({"revoke_key": False})
    ran = here.run(session_id=stopped.session_id, max_concurrent=5)

    assert ran.result.is_complete
    assert {len(ids) for ids in ran.ledger.submits.values()} == {1}
    ran.check_books()


def test_when_the_credit_ends_midway_what_runs_is_fetched_and_the_rest_is_kept(
    world: Callable[..., World],
) -> None:
    here = world()
    under = here.start(links(16), max_concurrent=5)
    under.until(lambda ledger: _ended(ledger) >= 3)
    here.faults.update({"spend_credit": True})
    stopped = under.ended()

    assert isinstance(stopped.result.stopped_by, CreditSpentError)
    # every job that was paid for came home, though no further one could be bought
    assert stopped.result.totals.done == len(stopped.ledger.jobs) < 16
    assert stopped.result.totals.failed == stopped.result.totals.in_doubt == 0
    stopped.check_books()

    here.faults.update({"spend_credit": False})
    ran = here.run(session_id=stopped.session_id, max_concurrent=5)

    assert ran.result.is_complete
    ran.check_books()


def test_a_balance_that_runs_out_buys_what_it_can_and_is_never_overdrawn(
    world: Callable[..., World],
) -> None:
    here = world(
        balance_usd=Decimal("0.040"),
        least_balance_usd=Decimal(0),
        duration_s=(60.0, 60.0),
        key_role="api",  # the key may not read the balance: the service's word is all there is
    )

    ran = here.run(links(12), max_concurrent=4)

    assert isinstance(ran.result.stopped_by, CreditSpentError)
    # a minute of video costs 0.005 + 60 x 0.0000130208 = 0.005781
    assert len(ran.ledger.jobs) == ran.result.totals.done == 6
    assert ran.ledger.balance_usd == Decimal("0.040") - 6 * Decimal("0.005781")
    ran.check_books()


def test_at_the_services_least_balance_nothing_more_is_sent_and_the_figures_are_named(
    world: Callable[..., World],
) -> None:
    here = world(balance_usd=Decimal("0.515"), duration_s=(60.0, 60.0))

    ran = here.run(links(12), max_concurrent=4)

    assert len(ran.ledger.jobs) == ran.result.totals.done == 5
    assert ran.result.stopped_by is not None
    assert "$0.4861" in ran.result.stopped_by.message
    assert "$0.4900" in ran.result.stopped_by.message
    ran.check_books()

    again = here.run(session_id=ran.session_id, max_concurrent=4)

    assert "$0.4861" in str(again.result.stopped_by)
    # seen beforehand: not even a submit was tried
    assert again.ledger.counts["submit"] == ran.ledger.counts["submit"]


def test_a_halted_run_is_completed_by_resume_with_one_submit_a_video(
    world: Callable[..., World],
) -> None:
    here = world()
    under = here.start(links(14), max_concurrent=6)
    under.until(lambda ledger: len(ledger.jobs) >= 6)
    under.engine.control.halt()
    halted = under.ended()

    assert halted.result.was_interrupted
    assert halted.result.totals.done < 14
    halted.check_counts()
    ran = here.run(session_id=halted.session_id, max_concurrent=6)

    assert ran.result.totals.done + ran.result.totals.in_doubt == 14
    # a submit on the wire when the halt came was waited for: nothing is in doubt for it
    assert ran.result.totals.in_doubt == 0
    assert {len(ids) for ids in ran.ledger.submits.values()} == {1}
    ran.check_books()


def test_a_drained_run_finishes_what_is_in_flight_and_starts_nothing(
    world: Callable[..., World],
) -> None:
    here = world()
    under = here.start(links(14), max_concurrent=4)
    under.until(lambda ledger: len(ledger.jobs) >= 4)
    under.engine.control.drain()
    drained = under.ended()

    totals = drained.result.totals
    assert totals.done == len(drained.ledger.jobs) < 14
    assert totals.queued == 14 - totals.done
    drained.check_books()


def test_while_a_run_is_paused_nothing_is_bought_and_what_was_bought_is_fetched(
    world: Callable[..., World],
) -> None:
    here = world()
    under = here.start(links(12), max_concurrent=4)
    under.until(lambda ledger: len(ledger.jobs) >= 4)
    under.engine.control.pause()
    under.until(lambda ledger: _ended(ledger) == len(ledger.jobs))
    bought = len(here.simulator.ledger().jobs)
    from_s = here.simulator.clock.now_s()
    under.until(lambda _: here.simulator.clock.now_s() > from_s + 60.0)

    assert len(here.simulator.ledger().jobs) == bought < 12
    under.engine.control.resume()
    ran = under.ended()
    assert ran.result.is_complete
    ran.check_books()


def test_a_second_engine_on_the_same_session_is_refused(world: Callable[..., World]) -> None:
    here = world()
    under = here.start(links(4))
    with here.app() as second, pytest.raises((InputError, StoreError), match=under.session_id):
        second.engine(under.session_id)

    ran = under.ended()
    assert ran.result.is_complete
    ran.check_books()


def test_no_videos_are_a_batch_like_any_other(world: Callable[..., World]) -> None:
    here = world()
    with here.app() as app:
        gathered = app.gather(InputRequest(arguments=("no link at all",)), stdin=None)
        assert gathered.items == ()
        session_id = app.new_session(gathered)
        with app.engine(session_id) as engine:
            result = engine.run()
            assert engine.snapshot().fraction == 1.0

    ran = here.read(session_id, result)
    assert ran.result.is_complete
    assert ran.result.totals.total == ran.result.requests == 0
    assert ran.result.spent_usd == 0
    assert ran.ledger.requests == ()
    ran.check_books()


def test_a_second_session_of_the_same_videos_pays_nothing(world: Callable[..., World]) -> None:
    here = world()
    first = here.run(links(5))
    requests = len(first.ledger.requests)

    second = here.run(links(5))

    assert second.result.is_complete
    assert second.result.requests == second.result.spent_usd == 0
    assert len(second.ledger.requests) == requests
    assert all(receipt.was_known for receipt in second.receipts.values())
    assert all(state.stage is Stage.DONE for state in second.states.values())


def test_a_network_that_is_down_for_minutes_loses_nothing_that_was_paid_for(
    world: Callable[..., World],
) -> None:
    here = world()
    under = here.start(links(8), max_concurrent=8)
    under.until(lambda ledger: len(ledger.jobs) == 8)
    here.faults.update({"network_down": True})
    from_s = here.simulator.clock.now_s()
    under.until(lambda _: here.simulator.clock.now_s() > from_s + 180.0)
    here.faults.update({"network_down": False})

    ran = under.ended()

    assert ran.result.is_complete
    assert ran.ledger.counts["submit"] == 8
    ran.check_counts()
    ran.check_paid_once()
    ran.check_money()


def test_a_network_that_breaks_while_videos_are_sent_leaves_doubts_and_no_second_submit(
    world: Callable[..., World],
) -> None:
    here = world()
    under = here.start(links(16), max_concurrent=4)
    under.until(lambda ledger: _ended(ledger) >= 1)
    here.faults.update({"network_down": True})
    from_s = here.simulator.clock.now_s()
    under.until(lambda _: here.simulator.clock.now_s() > from_s + 60.0)
    here.faults.update({"network_down": False})

    ran = under.ended()

    totals = ran.result.totals
    # three in a row are enough: then nothing is sent until one probe is answered
    assert 1 <= totals.in_doubt <= 6
    assert totals.done == 16 - totals.in_doubt
    # whatever was bought came home: a doubt is about a request that never arrived here
    assert totals.done == len(ran.ledger.jobs)
    ran.check_counts()
    ran.check_paid_once()
    ran.check_money()


def test_a_service_that_garbles_every_submit_is_not_fed_the_whole_batch(
    world: Callable[..., World],
) -> None:
    """Each one is accepted and charged, and nobody hears of it."""
    here = world(Faults(garbage_body=True, only={"garbage_body": ("submit",)}))
    under = here.start(links(40), max_concurrent=4)
    from_s = here.simulator.clock.now_s()
    under.until(lambda _: here.simulator.clock.now_s() > from_s + 45.0)
    bought = len(here.simulator.ledger().jobs)
    here.faults.update({"garbage_body": False})

    ran = under.ended()

    assert bought <= 6
    assert ran.result.totals.in_doubt <= 7
    assert ran.result.totals.done == 40 - ran.result.totals.in_doubt
    ran.check_counts()
    ran.check_paid_once()
    ran.check_requests()


def test_files_that_were_deleted_are_written_again_by_resume(
    world: Callable[..., World],
) -> None:
    here = world()
    first = here.run(links(6))
    files = sorted((here.folder / "out").glob("*(vid*"))
    before = {path.name: path.read_bytes() for path in files}
    for path in files[:3]:
        path.unlink()
    kept_at_ns = files[-1].stat().st_mtime_ns

    ran = here.run(session_id=first.session_id)

    assert ran.result.is_complete
    assert ran.result.restored == 2  # two files each: one video lost both, the other one
    after = {path.name: path.read_bytes() for path in (here.folder / "out").glob("*(vid*")}
    assert after.keys() == before.keys()
    assert {n for n in after if n.endswith(".txt") and after[n] != before[n]} == set()
    assert files[-1].stat().st_mtime_ns == kept_at_ns  # what was there was not touched
    assert ran.ledger.charged_usd == first.ledger.charged_usd
    ran.check_paid_once()


def test_what_was_asked_for_before_a_run_that_cannot_begin_is_in_its_receipt(
    world: Callable[..., World],
) -> None:
    here = world()
    out = here.folder / "out"
    with here.app() as app:
        gathered = app.gather(InputRequest(arguments=links(2)), stdin=None)
        session_id = app.new_session(gathered)
        out.rmdir()
        out.write_text("in the way")
        with app.engine(session_id) as engine:
            with pytest.raises(OutputError):
                engine.run()
            requests = engine.requests()

    ledger = here.simulator.ledger()
    assert ledger.jobs == ()
    assert requests == len(ledger.requests) > 0
