"""Everything that the paid service does wrong in a batch, and what the batch makes of it."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from bulk_transcribe.core.stage import Stage
from bulk_transcribe.simulator import Faults
from tests.integration.conftest import World, links


def test_a_calm_batch_is_done_and_its_books_agree(world: Callable[..., World]) -> None:
    here = world()

    ran = here.run(links(12))

    assert ran.result.is_complete
    assert len(ran.ledger.jobs) == 12
    assert ran.ledger.breaches == ran.ledger.refused_429 == 0
    ran.check_books()
    assert len(list((here.folder / "out").glob("*.txt"))) == 12


@pytest.mark.parametrize("retry_after_s", [60.0, None])
@pytest.mark.parametrize("kinds", [("submit", "poll"), ("poll",)])
def test_a_storm_of_429s_costs_time_and_nothing_else(
    world: Callable[..., World], retry_after_s: float | None, kinds: tuple[str, ...]
) -> None:
    here = world(Faults(storm_429=6, storm_retry_after_s=retry_after_s, only={"storm_429": kinds}))

    ran = here.run(links(10))

    assert ran.result.is_complete
    assert ran.ledger.refused_429 == 6
    assert {len(ids) for ids in ran.ledger.submits.values()} == {1}
    ran.check_books()


def test_while_a_429_asks_for_a_pause_nothing_limited_goes_out(
    world: Callable[..., World],
) -> None:
    here = world()
    under = here.start(links(12), max_concurrent=4)
    under.until(lambda ledger: len(ledger.jobs) >= 4)
    here.faults.update({"storm_429": 1, "storm_retry_after_s": 40.0})

    ran = under.ended()

    assert ran.result.is_complete
    limited = [seen for seen in ran.ledger.requests if seen.kind in {"submit", "poll"}]
    (refused_s,) = (seen.at_s for seen in limited if seen.status == 429)
    later = [seen.at_s for seen in limited if seen.at_s > refused_s]
    # those that were on the wire when the answer came are not to be called back: two real
    # hundredths of a second, and no more of them than slots
    early = [at_s for at_s in later if at_s < refused_s + 40.0]
    assert len(early) <= 4
    assert all(at_s < refused_s + 3.0 for at_s in early)
    ran.check_books()


@pytest.mark.parametrize("fault", ["html_502_after", "drop_answer_after", "garbage_body"])
def test_an_answer_that_is_lost_after_the_work_leaves_the_video_in_doubt(
    world: Callable[..., World], fault: str
) -> None:
    here = world(Faults(**{fault: 3}, only={fault: ("submit",)}))  # type: ignore[arg-type]

    ran = here.run(links(9))

    totals = ran.result.totals
    assert (totals.done, totals.in_doubt) == (6, 3)
    assert len(ran.ledger.jobs) == 9  # all were accepted and charged, three of them unheard
    ran.check_counts()
    ran.check_paid_once()
    ran.check_requests()
    money = ran.receipt.money
    told_usd = money.spent_usd + money.at_risk_usd  # what was charged unheard is at risk
    assert money.at_risk_usd > 0
    assert abs(told_usd - ran.ledger.charged_usd) <= 3 * Decimal("0.000002")
    for state in ran.states.values():
        if state.stage is Stage.IN_DOUBT:
            assert "may have been accepted and paid" in (state.error or "")
            assert state.next_step


@pytest.mark.parametrize("fault", ["server_error_500", "html_502", "drop_answer_before"])
def test_a_submit_that_broke_before_the_work_is_in_doubt_too(
    world: Callable[..., World], fault: str
) -> None:
    """From outside, a 5xx before the work looks like one after it: nothing is sent again."""
    here = world(Faults(**{fault: 2}, only={fault: ("submit",)}))  # type: ignore[arg-type]

    ran = here.run(links(8))

    assert (ran.result.totals.done, ran.result.totals.in_doubt) == (6, 2)
    assert len(ran.ledger.jobs) == 6
    ran.check_books()


def test_a_video_in_doubt_is_not_sent_again_by_resume(world: Callable[..., World]) -> None:
    here = world(Faults(drop_answer_after=2))
    first = here.run(links(5))
    assert first.result.totals.in_doubt == 2

    second = here.run(session_id=first.session_id)

    assert (second.result.totals.done, second.result.totals.in_doubt) == (3, 2)
    assert second.ledger.counts["submit"] == 5
    second.check_counts()


@pytest.mark.parametrize("fault", ["server_error_500", "html_502", "garbage_body"])
def test_polls_that_break_are_repeated_and_never_lead_to_a_submit(
    world: Callable[..., World], fault: str
) -> None:
    here = world(Faults(**{fault: 0.4}, only={fault: ("poll",)}))  # type: ignore[arg-type]

    ran = here.run(links(12))

    assert ran.result.is_complete
    assert ran.ledger.counts["submit"] == 12
    broken = sum(seen.kind == "poll" and seen.status in {500, 502} for seen in ran.ledger.requests)
    assert broken > 0 or fault == "garbage_body"
    assert ran.ledger.breaches == 0
    ran.check_books()


def test_slow_answers_change_nothing_but_the_time(world: Callable[..., World]) -> None:
    here = world(Faults(slow_answer_s=15.0))

    ran = here.run(links(8))

    assert ran.result.is_complete
    assert ran.result.elapsed_s > 30.0
    ran.check_books()


def test_a_new_job_that_is_not_known_at_first_is_asked_for_again(
    world: Callable[..., World],
) -> None:
    here = world(Faults(hidden_after_submit_s=60.0))

    ran = here.run(links(6))

    assert ran.result.is_complete
    assert ran.ledger.statuses[404] > 0
    assert ran.ledger.counts["submit"] == 6
    ran.check_counts()
    ran.check_paid_once()
    ran.check_money()


def test_a_result_whose_address_has_expired_is_asked_for_anew(
    world: Callable[..., World],
) -> None:
    here = world(result="url", url_expiry_s=1e6)
    under = here.start(links(10), max_concurrent=10)
    under.until(lambda ledger: sum(job.seen_done_at_s is not None for job in ledger.jobs) >= 2)
    here.faults.update({"expire_urls_now": True})

    ran = under.ended()

    assert ran.result.is_complete
    assert ran.ledger.counts["download"] >= 10
    ran.check_books()


def test_addresses_that_expire_at_once_fail_the_video_but_not_its_payment(
    world: Callable[..., World],
) -> None:
    here = world(result="url", url_expiry_s=1e-6)

    ran = here.run(links(3))

    assert ran.result.totals.failed == 3
    assert all(state.can_retry for state in ran.states.values())
    assert ran.ledger.counts["submit"] == 3
    ran.check_counts()
    ran.check_paid_once()
    ran.check_requests()


def test_failing_and_stuck_jobs_are_their_own_trouble(world: Callable[..., World]) -> None:
    here = world(clock_speed=300.0)  # a stuck job is given up after a quarter of an hour
    wanted = (*links(4), *links(2, "FAIL"), *links(2, "STUK"))

    ran = here.run(wanted)

    totals = ran.result.totals
    assert (totals.done, totals.failed) == (4, 4)
    assert ran.codes() == {"processing_error": 2, "job_overdue": 2}
    ran.check_counts()
    ran.check_paid_once()
    ran.check_requests()
