"""Free captions in a batch: what they save, and what happens while YouTube refuses them."""

from collections.abc import Callable

import pytest

from bulk_transcribe.simulator import Faults, Ledger
from tests.integration.conftest import World, links

BOTH = "captions,deapi"
#: A rest of YouTube's takes a quarter of an hour.
FAST = 600.0


def _read(ledger: Ledger) -> int:
    return ledger.counts.get("timedtext", 0)


def test_what_has_captions_is_free_and_only_the_rest_is_paid(world: Callable[..., World]) -> None:
    here = world(caption_share=1.0)

    ran = here.run((*links(5), *links(3, "NOCC")), sources=BOTH)

    assert ran.result.is_complete
    sources = {video_id: state.source for video_id, state in ran.states.items()}
    assert {v for v, source in sources.items() if source == "deapi"} == set(ran.ledger.submits)
    assert all(video_id.startswith("NOCC") for video_id in ran.ledger.submits)
    assert len(ran.ledger.submits) == 3
    ran.check_books()


@pytest.mark.parametrize("how", ["429", "bot", "recaptcha"])
def test_a_block_midway_is_waited_for_and_nothing_is_paid(
    world: Callable[..., World], how: str
) -> None:
    here = world(caption_share=1.0, clock_speed=FAST)
    under = here.start(links(12), sources=BOTH, max_concurrent=3)
    under.until(lambda ledger: _read(ledger) >= 4)
    here.faults.update({"captions_blocked": how})
    from_s = here.simulator.clock.now_s()
    under.until(lambda _: here.simulator.clock.now_s() > from_s + 600.0)
    asked = here.simulator.ledger().counts["watch"]
    here.faults.update({"captions_blocked": None})

    ran = under.ended()

    assert ran.result.is_complete
    assert ran.ledger.jobs == ()
    assert ran.result.spent_usd == 0
    assert asked <= 12 + 2  # those in flight, and a probe or two in ten minutes
    ran.check_books()


def test_who_chose_to_pay_for_blocked_captions_pays(world: Callable[..., World]) -> None:
    here = world(Faults(captions_blocked="bot"), caption_share=1.0)

    ran = here.run(links(12), sources=BOTH, when_blocked="pay", max_concurrent=3)

    assert ran.result.is_complete
    assert len(ran.ledger.jobs) == 12
    assert ran.ledger.counts["watch"] <= 4  # a source that rests is not asked
    ran.check_books()


def test_who_chose_to_fail_keeps_the_rest_for_later(world: Callable[..., World]) -> None:
    here = world(caption_share=1.0)
    under = here.start(links(8), sources=BOTH, when_blocked="fail", max_concurrent=2)
    under.until(lambda ledger: _read(ledger) >= 2)
    here.faults.update({"captions_blocked": "bot"})

    ran = under.ended()

    assert ran.result.totals.failed > 0
    assert ran.result.totals.done + ran.result.totals.failed == 8
    assert set(ran.codes()) == {"blocked"}
    assert all(state.can_retry for state in ran.states.values() if state.error)
    assert ran.ledger.jobs == ()
    ran.check_books()


@pytest.mark.parametrize("fault", ["captions_garbage", "captions_po_token"])
def test_captions_that_cannot_be_read_end_in_a_transcript_or_in_a_plain_word(
    world: Callable[..., World], fault: str
) -> None:
    here = world(Faults(**{fault: 0.3}), caption_share=1.0)  # type: ignore[arg-type]

    ran = here.run(links(10), sources=BOTH)

    totals = ran.result.totals
    assert totals.done + totals.failed == 10
    assert totals.done >= 5
    assert all(s.error and s.next_step for s in ran.states.values() if s.stage.value == "failed")
    ran.check_books()


def test_a_consent_page_is_passed(world: Callable[..., World]) -> None:
    here = world(Faults(consent_page=True), caption_share=1.0)

    ran = here.run(links(3), sources="captions")

    assert ran.result.is_complete
    ran.check_books()


def test_videos_that_cannot_be_had_cost_nothing_and_say_why(world: Callable[..., World]) -> None:
    here = world()
    prefixes = ("PRIV", "GONE", "LIVE", "SOON", "AGED")
    wanted = [link for prefix in prefixes for link in links(1, prefix)]

    ran = here.run((*wanted, *links(2, "NOCC")), sources=BOTH)

    totals = ran.result.totals
    assert (totals.done, totals.failed, totals.skipped) == (2, 3, 2)
    assert len(ran.ledger.jobs) == 2
    assert all(s.error and s.error_code for s in ran.states.values() if s.stage.value != "done")
    ran.check_books()
