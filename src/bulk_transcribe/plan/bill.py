"""What a batch will cost: the likely figure, and the range in which it will lie. Pure.

What is not known beforehand is which videos have free captions, and the length of some. The share
with captions is learned from a few that were asked (a probe), by Jeffreys' rule: after k of n the
share is as Beta(k + 1/2, n - k + 1/2) tells. From there the cost of the whole batch is drawn many
times, always with the same dice, and the range leaves out the outermost draws on both sides.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from random import Random
from statistics import fmean, pstdev
from typing import Final

from bulk_transcribe.core.plan import LEAST_BALANCE_USD, PRICE_STEP, PriceCurve, Range

_DRAWS: Final = 1_000
_SEED: Final = 20_260_101
#: Of the draws, so much is left out at each end of a cost, and at each end of a share.
_COST_TAIL: Final = 0.02
_SHARE_TAIL: Final = 0.05
#: Beyond so many videos their sum is as good as normal, and is not added up one by one.
_ONE_BY_ONE: Final = 200
#: Lengths that a batch may have of which not one is known, seconds: clips, talks, lectures, films.
_ANY_S: Final = (60.0, 180.0, 300.0, 600.0, 1200.0, 2400.0, 5400.0)


@dataclass(frozen=True, kw_only=True)
class Bill:
    """Cost of a batch, US dollars, rounded to the service's step; `likely_usd` is the mean."""

    low_usd: Decimal
    likely_usd: Decimal
    high_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the videos that were asked for captions said."""

    asked: int
    without: int

    def paid_share(self, dice: Random) -> float:
        """One draw of the share of all videos that has to be paid for."""
        return dice.betavariate(self.without + 0.5, self.asked - self.without + 0.5)


def free_share(answers: Answers) -> Range:
    """Between which shares, 0 to 1, the videos without a need to pay are, nine times of ten.

    Nobody asked gives nearly 0 to nearly 1.
    """
    dice = _dice()
    free = sorted(1.0 - answers.paid_share(dice) for _ in range(_DRAWS * 4))
    return Range(_quantile(free, _SHARE_TAIL), _quantile(free, 1 - _SHARE_TAIL))


def bill(
    sure_s: Sequence[float | None],
    maybe_s: Sequence[float | None],
    answers: Answers,
    curve: PriceCurve,
) -> Bill:
    """The cost of videos that are paid for in any case, and of those that may have captions.

    No videos cost nothing. Within a tail of 2 % at each side, as far as the asked ones stand for
    the others.

    Args:
        sure_s: Lengths of those that will be paid for, seconds; None where not known.
        maybe_s: The same of those that nobody has asked for captions.
        answers: What was asked of others of the same batch.
        curve: Prices.
    """
    draw = _Draw(sure_s, maybe_s, answers, curve)
    dice = _dice()
    costs = sorted(draw.cost(dice) for _ in range(1 if draw.is_certain else _DRAWS))
    slack = math.fsum(_slack(each, curve) for each in (*sure_s, *maybe_s))
    low = max(0.0, _quantile(costs, _COST_TAIL) - slack)
    high = _quantile(costs, 1 - _COST_TAIL) + slack
    return Bill(
        low_usd=_dollars(low, ROUND_FLOOR),
        # the mean: where all that were asked are free, the median would call the rest free, too
        likely_usd=_dollars(min(max(low, fmean(costs)), high), ROUND_CEILING),
        high_usd=_dollars(high, ROUND_CEILING),
    )


def affordable(
    lengths_s: Sequence[float],
    curve: PriceCurve,
    *,
    balance_usd: Decimal | None,
    limit_usd: Decimal | None,
) -> int | None:
    """How many videos, in this order, could be paid for if each had to be.

    Args:
        lengths_s: Their lengths, seconds.
        curve: Prices.
        balance_usd: What is there; a video is sent while it is at least the service's least
            balance and the price. None: not known.
        limit_usd: What may be spent; None: no limit.

    Returns:
        None where neither balance nor limit is known.
    """
    if balance_usd is None and limit_usd is None:
        return None
    spent = reserved = Decimal(0)
    for number, length_s in enumerate(lengths_s):
        price = curve.price(length_s)
        likely = curve.likely_usd(length_s) if price is None else price.likely_usd
        most = likely if price is None else price.most_usd
        is_short = balance_usd is not None and balance_usd - spent < max(LEAST_BALANCE_USD, likely)
        if is_short or (limit_usd is not None and reserved + most > limit_usd):
            return number
        spent += likely
        reserved += likely
    return len(lengths_s)


class _Draw:
    """Draws what a batch costs, again and again."""

    def __init__(
        self,
        sure_s: Sequence[float | None],
        maybe_s: Sequence[float | None],
        answers: Answers,
        curve: PriceCurve,
    ) -> None:
        self._answers = answers
        self._sure = [_price(each, curve) for each in sure_s if each is not None]
        self._sure_unknown = len(sure_s) - len(self._sure)
        self._maybe = [None if each is None else _price(each, curve) for each in maybe_s]
        known = self._sure + [each for each in self._maybe if each is not None]
        self._is_blind = not known
        self._prices = known or [_price(each, curve) for each in _ANY_S]
        self._sure_usd = math.fsum(self._sure)
        of_maybe = [each for each in self._maybe if each is not None] or self._prices
        self._mean, self._spread = fmean(of_maybe), pstdev(of_maybe)

    @property
    def is_certain(self) -> bool:
        return not self._maybe and not self._sure_unknown

    def cost(self, dice: Random) -> float:
        """One draw, US dollars."""
        # where no length is known, the videos of a batch are likely to be of one kind
        prices = [dice.choice(self._prices)] if self._is_blind else self._prices
        return (
            self._sure_usd
            + self._sum_of(prices, self._sure_unknown, dice)
            + self._maybe_cost(prices, dice)
        )

    def _maybe_cost(self, prices: Sequence[float], dice: Random) -> float:
        videos = len(self._maybe)
        if not videos:
            return 0.0
        paid = _number(videos, self._answers.paid_share(dice), dice)
        if videos <= _ONE_BY_ONE:
            drawn = dice.sample(self._maybe, paid)
            known = math.fsum(each for each in drawn if each is not None)
            return known + self._sum_of(prices, drawn.count(None), dice)
        if self._is_blind:
            return paid * prices[0]
        without_return = math.sqrt(paid * (1 - paid / videos))
        return max(0.0, dice.gauss(paid * self._mean, self._spread * without_return))

    def _sum_of(self, prices: Sequence[float], number: int, dice: Random) -> float:
        """The sum of so many prices, each drawn from these."""
        if len(prices) == 1:
            return number * prices[0]
        if number <= _ONE_BY_ONE:
            return math.fsum(dice.choices(prices, k=number)) if number else 0.0
        return max(0.0, dice.gauss(number * self._mean, self._spread * math.sqrt(number)))


def _dice() -> Random:
    """The same for everyone: equal lists have equal forecasts."""
    return Random(_SEED)  # noqa: S311 -- a forecast, no secret


def _number(videos: int, share: float, dice: Random) -> int:
    """How many of them it is, each with that chance."""
    if videos <= _ONE_BY_ONE:
        return sum(dice.random() < share for _ in range(videos))
    drawn = dice.gauss(videos * share, math.sqrt(videos * share * (1 - share)))
    return min(videos, max(0, round(drawn)))


def _price(length_s: float, curve: PriceCurve) -> float:
    return float(curve.likely_usd(length_s))


def _slack(length_s: float | None, curve: PriceCurve) -> float:
    """How far the charge may be from the quote: rounding, and a second more or less."""
    if length_s is None:
        return 0.0
    price = curve.price(length_s)
    return 0.0 if price is None else float(price.most_usd - price.likely_usd)


def _quantile(ordered: Sequence[float], share: float) -> float:
    """The value below which that share of the ordered values is."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _dollars(amount: float, rounding: str) -> Decimal:
    return Decimal(str(round(amount, 9))).quantize(PRICE_STEP, rounding=rounding)
