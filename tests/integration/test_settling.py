"""Paid requests whose answers were lost, settled by the account's balance."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from bulk_transcribe.app.settling import SETTLE_AFTER_S
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.stage import Stage
from bulk_transcribe.simulator import Faults
from tests.integration.conftest import World, links

#: A quarter of an hour passes in a real second.
SPEED = 900.0


def later(here: World) -> None:
    RunControl(here.simulator.clock).sleep_s(SETTLE_AFTER_S)


def test_what_never_arrived_is_found_unpaid_and_sent_again_by_resume(
    world: Callable[..., World],
) -> None:
    here = world(Faults(drop_answer_before=2), clock_speed=SPEED)
    first = here.run(links(5))
    assert first.result.totals.in_doubt == 2
    later(here)

    with here.app() as app:
        settled = app.settle()
        assert (len(settled.not_paid), settled.in_doubt) == (2, ())
    second = here.run(session_id=first.session_id)

    assert second.result.is_complete
    assert len(second.ledger.jobs) == 5
    assert second.ledger.duplicates == {}


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_what_was_charged_unheard_stays_in_doubt_and_is_called_paid(
    world: Callable[..., World], version: str
) -> None:
    here = world(Faults(drop_answer_after=1), clock_speed=SPEED)
    first = here.run(links(4), deapi_version=version)
    (lost,) = (job for job in first.ledger.jobs if job.seen_done_at_s is None)
    later(here)

    with here.app(deapi_version=version) as app:
        settled = app.settle()

    (doubt,) = settled.in_doubt
    assert settled.not_paid == ()
    assert doubt.key.video_id == lost.video_id
    assert settled.fitting == {doubt.submission_id}
    assert doubt.balance_before_usd == Decimal(50)
    again = here.run(session_id=first.session_id)
    assert again.ledger.counts["submit"] == 4


@pytest.mark.parametrize("came_in", [Decimal("-0.03"), Decimal(10)])
def test_when_others_move_the_account_nothing_is_settled(
    world: Callable[..., World], came_in: Decimal
) -> None:
    here = world(Faults(drop_answer_before=1), clock_speed=SPEED)
    first = here.run(links(4))
    here.simulator.set_balance(first.ledger.balance_usd + came_in)
    later(here)

    with here.app() as app:
        settled = app.settle()

    assert settled.not_paid == ()
    assert len(settled.in_doubt) == 1
    assert not settled.fitting


def test_a_key_that_may_not_read_the_balance_settles_nothing(world: Callable[..., World]) -> None:
    here = world(Faults(drop_answer_before=1), clock_speed=SPEED, key_role="api")
    here.run(links(3))
    later(here)

    with here.app() as app:
        settled = app.settle()

    assert len(settled.in_doubt) == 1
    assert settled.told_at is None


def test_a_run_settles_at_its_end_what_can_be_told_by_then(world: Callable[..., World]) -> None:
    here = world(Faults(drop_answer_before=1), clock_speed=SPEED, special={"vid00000003": "long"})
    first = here.run(links(2))
    assert first.result.totals.in_doubt == 1
    later(here)

    second = here.run(links(1, prefix="new"))  # another session: whatever is in doubt is looked at

    assert second.result.is_complete
    third = here.run(session_id=first.session_id)
    assert third.result.is_complete
    assert all(state.stage is Stage.DONE for state in third.states.values())
    assert third.ledger.duplicates == {}
