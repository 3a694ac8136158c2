"""The forecast of cost: its range holds what it promises, and no more than it must."""

import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_transcribe.core.plan import PriceCurve
from bulk_transcribe.plan.bill import Answers, bill, free_share

CURVE = PriceCurve(base_usd=Decimal("0.005"), per_second_usd=Decimal("0.00001302"))
NOBODY = Answers(asked=0, without=0)
LENGTHS = st.none() | st.floats(1.0, 40_000.0)


@given(
    sure=st.lists(LENGTHS, max_size=20),
    maybe=st.lists(LENGTHS, max_size=20),
    asked=st.integers(0, 8),
    without=st.integers(0, 8),
)
@settings(max_examples=40, deadline=None)
def test_the_figures_are_in_order_and_the_same_list_has_the_same_bill(
    sure: list[float | None], maybe: list[float | None], asked: int, without: int
) -> None:
    answers = Answers(asked=asked, without=min(asked, without))
    found = bill(sure, maybe, answers, CURVE)
    assert 0 <= found.low_usd <= found.likely_usd <= found.high_usd
    assert found == bill(sure, maybe, answers, CURVE)
    if None not in sure + maybe:
        total = sum(CURVE.most_usd(each) or 0 for each in (*sure, *maybe) if each is not None)
        assert found.high_usd <= total + Decimal("0.000002")


def test_no_videos_cost_nothing() -> None:
    found = bill((), (), NOBODY, CURVE)
    assert found.low_usd == found.likely_usd == found.high_usd == 0


def test_known_lengths_without_captions_have_one_price_but_for_the_seconds() -> None:
    found = bill([60.0, 3600.0], (), NOBODY, CURVE)
    total = CURVE.likely_usd(60.0) + CURVE.likely_usd(3600.0)
    assert found.likely_usd == total
    assert total - Decimal("0.0001") < found.low_usd < total < found.high_usd
    assert found.high_usd < total + Decimal("0.0001")


def test_lengths_that_nobody_knows_give_a_wide_range() -> None:
    found = bill([None] * 50, (), NOBODY, CURVE)
    assert found.high_usd > 5 * found.low_usd > 0


@pytest.mark.parametrize(("asked", "without"), [(8, 0), (8, 3), (8, 8), (3, 1), (0, 0)])
def test_the_share_is_around_what_was_seen_and_never_certain(asked: int, without: int) -> None:
    share = free_share(Answers(asked=asked, without=without))
    assert 0 < share.low < share.high < 1
    if asked:
        assert share.low <= 1 - without / asked + 0.001
        assert share.high >= 1 - without / asked - 0.001
        assert share.high - share.low < 0.85


def _is_inside(chance: random.Random, videos: int) -> bool:
    """A batch whose videos have captions with a chance of its own: is the true cost inside?"""
    share = chance.uniform(0.05, 0.95)
    lengths = [min(20_000.0, chance.lognormvariate(6.3, 1.0)) for _ in range(videos)]
    is_paid = [chance.random() > share for _ in range(videos)]
    asked = range(0, videos, max(1, videos // 8))[:8]
    answers = Answers(asked=len(asked), without=sum(is_paid[n] for n in asked))
    sure = [lengths[n] for n in asked if is_paid[n]]
    maybe = [lengths[n] for n in range(videos) if n not in asked]
    true = sum(
        (CURVE.likely_usd(s) for s, paid in zip(lengths, is_paid, strict=True) if paid), Decimal(0)
    )
    found = bill(sure, maybe, answers, CURVE)
    return found.low_usd <= true <= found.high_usd


@pytest.mark.parametrize("videos", [12, 60, 400])
def test_nine_times_of_ten_and_more_the_true_cost_is_inside(videos: int) -> None:
    chance = random.Random(videos)
    inside = sum(_is_inside(chance, videos) for _ in range(150))
    assert inside >= 0.92 * 150
