"""The cost limit where things are not as they should be: no prices, no charges told, captions."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from bulk_transcribe.errors import CostLimitError
from bulk_transcribe.simulator import Faults
from tests.integration.conftest import World, links

#: A minute of video: 0.005 + 60 x 0.0000130208.
MINUTE = Decimal("0.005781")


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_limit_is_used_up_as_far_as_whole_videos_fit_and_no_further(
    world: Callable[..., World], version: str
) -> None:
    """v1 never tells what it took: there, the most that each can have cost counts for good."""
    here = world(duration_s=(60.0, 60.0))
    limit = MINUTE * 5 + Decimal("0.001")
    ran = here.run(links(12), max_cost_usd=str(limit), deapi_version=version)

    assert isinstance(ran.result.stopped_by, CostLimitError)
    assert ran.ledger.charged_usd == MINUTE * 5
    assert ran.result.totals.done == 5
    ran.check_books()

    again = here.run(session_id=ran.session_id, max_cost_usd=str(limit), deapi_version=version)
    assert isinstance(again.result.stopped_by, CostLimitError)
    assert again.ledger.charged_usd == MINUTE * 5

    more = here.run(session_id=ran.session_id, max_cost_usd="1", deapi_version=version)
    assert more.result.is_complete
    more.check_books()


def test_a_limit_is_kept_when_the_session_goes_on_without_a_word_of_it(
    world: Callable[..., World],
) -> None:
    here = world(duration_s=(60.0, 60.0))
    ran = here.run(links(6), max_cost_usd=str(MINUTE * 2 + Decimal("0.001")))
    with here.app() as app:
        stored = app.stored_flags(ran.session_id)
    again = here.run(session_id=ran.session_id, **stored)
    assert isinstance(again.result.stopped_by, CostLimitError)
    assert again.ledger.charged_usd == MINUTE * 2

    here.run(session_id=ran.session_id, **(stored | {"max_cost_usd": "none"}))
    with here.app() as app:
        assert app.stored_flags(ran.session_id)["max_cost_usd"] == "none"


def test_without_prices_nothing_is_sent_under_a_limit_and_all_is_without_one(
    world: Callable[..., World],
) -> None:
    here = world(Faults(server_error_500=1.0, only={"server_error_500": ("price",)}))
    ran = here.run(links(5), max_cost_usd="10")

    assert ran.result.stopped_by is not None
    assert ran.result.stopped_by.code == "no_price"
    assert ran.ledger.jobs == ()
    assert ran.result.totals.failed == 0

    free = here.run(session_id=ran.session_id)
    assert free.result.is_complete
    assert len(free.ledger.jobs) == 5


def test_at_the_limit_the_captions_of_the_others_are_still_fetched(
    world: Callable[..., World],
) -> None:
    here = world(duration_s=(60.0, 60.0), caption_share=0.5)
    wanted = links(24)
    limit = MINUTE * 3 + Decimal("0.001")
    ran = here.run(wanted, sources="captions,deapi", max_cost_usd=str(limit), max_concurrent=4)

    assert isinstance(ran.result.stopped_by, CostLimitError)
    free = sum(1 for state in ran.states.values() if state.source == "captions")
    assert ran.result.totals.done == free + 3
    # every video was asked for captions: what is left has none
    assert ran.ledger.counts["watch"] == len(wanted)
    left = ran.result.totals.cancelled
    assert left == len(wanted) - free - 3 > 0
    ran.check_books()

    rest = here.run(session_id=ran.session_id, sources="captions,deapi", max_cost_usd="none")
    assert rest.result.is_complete
    rest.check_books()
