"""The limit, as the service counts it, while whole batches run against it."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from bulk_transcribe.simulator import Ledger
from tests.integration.conftest import World, links

PAID_POOL = frozenset({"submit", "poll", "price"})


def _most_within(ledger: Ledger, kind: str, window_s: float) -> int:
    at_s = [seen.at_s for seen in ledger.requests if seen.kind == kind]
    return max(
        (sum(first <= other < first + window_s for other in at_s) for first in at_s), default=0
    )


@pytest.mark.parametrize("window", ["fixed", "sliding"])
@pytest.mark.parametrize("pools", ["shared", "independent"])
def test_where_the_limit_is_the_bottleneck_it_is_never_passed(
    world: Callable[..., World], window: str, pools: str
) -> None:
    here = world(rate_limit_rpm=40, window=window, pools=pools, jitter_s=(0.0, 3.0))

    ran = here.run(links(45), max_concurrent=30, rate_limit_rpm=40)

    assert ran.result.is_complete
    assert ran.ledger.breaches == 0
    # never over it; how close to it is for the benchmarks to say, on a machine that is not busy
    assert 15 <= ran.ledger.worst_window() <= 40
    assert ran.ledger.refused_429 == 0
    ran.check_books()


def test_a_limit_that_is_set_too_high_is_learned_from_the_answers(
    world: Callable[..., World],
) -> None:
    here = world(rate_limit_rpm=30)

    ran = here.run(links(30), max_concurrent=20, rate_limit_rpm=300)

    assert ran.result.is_complete
    assert ran.ledger.refused_429 == 0
    assert ran.ledger.worst_window() <= 30
    ran.check_books()


def test_a_limit_that_nobody_tells_is_learned_from_the_first_refusals(
    world: Callable[..., World],
) -> None:
    here = world(rate_limit_rpm=20, window="sliding", headers_on_success=False)

    ran = here.run(links(40), max_concurrent=30, rate_limit_rpm=300)

    assert ran.result.is_complete
    assert 1 <= ran.ledger.refused_429 <= 60  # a crowd or two, and then it is known
    assert {len(ids) for ids in ran.ledger.submits.values()} == {1}
    ran.check_books()


def test_a_basic_account_is_asked_once_a_minute(world: Callable[..., World]) -> None:
    here = world(plan="basic", clock_speed=300.0)

    ran = here.run(links(7), max_concurrent=7)

    assert ran.result.is_complete
    assert ran.ledger.refused_429 <= 1
    assert ran.ledger.breaches <= 1
    assert _most_within(ran.ledger, "submit", 60.0) == 1
    ran.check_books()


def test_a_basic_account_waits_for_the_next_day_and_then_goes_on(
    world: Callable[..., World],
) -> None:
    here = world(plan="basic", clock_speed=20_000.0)  # a day in 4 s

    ran = here.run(links(12), max_concurrent=4)

    assert ran.result.is_complete
    assert _most_within(ran.ledger, "submit", 86_400.0) <= 11
    accepted = [seen for seen in ran.ledger.requests if seen.kind == "submit" and seen.counted]
    assert len(accepted) == 12
    assert accepted[10].at_s - accepted[0].at_s >= 86_400.0
    assert ran.ledger.refused_429 <= 2
    ran.check_books()


def test_two_programs_with_one_key_share_its_limit(world: Callable[..., World]) -> None:
    here = world(rate_limit_rpm=60)
    first = here.start(links(30, "one"), max_concurrent=20, rate_limit_rpm=60)
    second = here.start(links(30, "two"), max_concurrent=20, rate_limit_rpm=60)

    ends = (first.ended(), second.ended())

    ledger = here.simulator.ledger()
    assert all(ran.result.is_complete for ran in ends)
    assert ledger.breaches == ledger.refused_429 == 0
    assert ledger.worst_window() <= 60
    assert sum(ran.result.requests for ran in ends) == len(ledger.requests)
    assert sum(ran.result.spent_usd for ran in ends) == ledger.charged_usd
    # neither had to stand back until the other one was through
    halfway = [request for request in ledger.requests if request.kind == "submit"][:30]
    prefixes = [(request.video_id or "")[:3] for request in halfway]
    assert min(prefixes.count("one"), prefixes.count("two")) >= 5


def test_two_programs_with_the_same_videos_pay_for_each_once(world: Callable[..., World]) -> None:
    here = world()
    first = here.start(links(10), max_concurrent=5)
    second = here.start(links(10), max_concurrent=5)

    ends = (first.ended(), second.ended())

    ledger = here.simulator.ledger()
    assert all(ran.result.is_complete for ran in ends)
    assert {len(ids) for ids in ledger.submits.values()} == {1}
    assert ledger.counts["submit"] == 10
    assert sum(ran.result.spent_usd for ran in ends) == ledger.charged_usd
    for ran in ends:
        ran.check_counts()


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_both_versions_of_the_service_give_the_same_batch(
    world: Callable[..., World], version: str
) -> None:
    here = world(envelopes="mixed", status_words="varied")

    ran = here.run(links(6), deapi_version=version)

    assert ran.result.is_complete
    ran.check_counts()
    ran.check_paid_once()
    ran.check_requests()
    if version == "v2":
        ran.check_money()
    else:  # v1 does not tell what it took: the quotes stand for it, right but for rounding
        off_usd = abs(ran.result.spent_usd - ran.ledger.charged_usd)
        assert off_usd <= 6 * Decimal("0.000002")
