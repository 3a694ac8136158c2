"""What would be done: the videos in order, and what is known of time and cost before the start."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from functools import cached_property
from typing import Final

from bulk_transcribe.core.order import Order
from bulk_transcribe.core.video import VideoItem

#: Prices have six digits after the point, as the service quotes them.
PRICE_STEP: Final = Decimal("0.000001")
#: deAPI takes no new jobs while the balance is below it.
LEAST_BALANCE_USD: Final = Decimal("0.49")
#: Three prices, each rounded to the step, can be this far from one line.
_OFF_LINE: Final = 2 * PRICE_STEP
#: How much longer the service may find a video than YouTube says it is.
_LONGER_S: Final = 2.0


def _exact(seconds: float) -> Decimal:
    return Decimal(str(seconds))


@dataclass(frozen=True)
class Range:
    """A forecast figure between two bounds, both included."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Price:
    """What one video costs, US dollars: as the service would quote it, and the most it can be."""

    likely_usd: Decimal
    most_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class PriceCurve:
    """What the paid service charges: an amount per video and one per second of it, US dollars.

    Args:
        base_usd: Of the straight line through the outermost quotes.
        per_second_usd: Its slope.
        quotes: The quotes themselves, (seconds, price), shortest first. Where they are not on the
            line (a service that charges by the minute begun), prices between them are taken from
            the nearest two, and the longer one's price is the bound.
    """

    base_usd: Decimal
    per_second_usd: Decimal
    quotes: tuple[tuple[float, Decimal], ...] = ()

    @classmethod
    def through(cls, quotes: Sequence[tuple[float, Decimal]]) -> "PriceCurve":
        """The curve of at least two quotes of different lengths."""
        ordered = tuple(sorted(quotes))
        (low_s, low_usd), (high_s, high_usd) = ordered[0], ordered[-1]
        slope = (high_usd - low_usd) / (_exact(high_s) - _exact(low_s))
        return cls(base_usd=low_usd - slope * _exact(low_s), per_second_usd=slope, quotes=ordered)

    @cached_property
    def is_line(self) -> bool:
        """Whether all quotes are on the line, but for their last digit."""
        return all(abs(self._on_line(at_s) - usd) <= _OFF_LINE for at_s, usd in self.quotes)

    def likely_usd(self, duration_s: float) -> Decimal:
        """What the service would quote for one video."""
        if self.is_line:
            return max(Decimal(0), self._on_line(duration_s)).quantize(PRICE_STEP)
        before, after = self._neighbours(duration_s)
        share = (_exact(duration_s) - _exact(before[0])) / (_exact(after[0]) - _exact(before[0]))
        between = before[1] + (after[1] - before[1]) * share
        return max(Decimal(0), between).quantize(PRICE_STEP)

    def most_usd(self, duration_s: float) -> Decimal | None:
        """The most that one video can be charged; None beyond what the quotes tell.

        Lengths are told in whole seconds and the service measures its own: some seconds more are
        allowed for. The last digits of the quotes, and of the charge itself, are rounded.
        """
        at_s = duration_s + _LONGER_S
        if self.is_line:
            quoted_s = self.quotes[-1][0] - self.quotes[0][0] if self.quotes else at_s
            slack = PRICE_STEP * (2 + math.ceil(at_s / quoted_s))
            return (max(Decimal(0), self._on_line(at_s)) + slack).quantize(
                PRICE_STEP, rounding=ROUND_CEILING
            )
        return next((usd for to_s, usd in self.quotes if to_s >= at_s), None)

    def price(self, duration_s: float) -> Price | None:
        """Both; None beyond what the quotes tell."""
        most_usd = self.most_usd(duration_s)
        if most_usd is None:
            return None
        return Price(likely_usd=min(self.likely_usd(duration_s), most_usd), most_usd=most_usd)

    def _on_line(self, duration_s: float) -> Decimal:
        return self.base_usd + self.per_second_usd * _exact(duration_s)

    def _neighbours(self, duration_s: float) -> tuple[tuple[float, Decimal], tuple[float, Decimal]]:
        """The quotes on both sides, or the two nearest where all are on one side."""
        after = next((n for n, (at_s, _) in enumerate(self.quotes) if at_s >= duration_s), None)
        number = len(self.quotes) - 1 if after is None else max(1, after)
        return self.quotes[number - 1], self.quotes[number]


@dataclass(frozen=True, kw_only=True)
class CaptionProbe:
    """What a few videos of a batch said when they were asked for captions.

    Args:
        free: Ids of those that have them.
        paid: Those that have none, and have to be paid for.
        neither: Those that cannot be had at all.
        note: Why it was broken off, in a sentence; "" if it was not.
    """

    free: frozenset[str] = frozenset()
    paid: frozenset[str] = frozenset()
    neither: frozenset[str] = frozenset()
    note: str = ""

    @property
    def asked(self) -> int:
        """Videos that gave an answer."""
        return len(self.free) + len(self.paid) + len(self.neither)


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a batch will take, as far as known before it starts.

    Args:
        videos: Videos in the batch.
        known: Of these, transcripts that we have already (free, no request).
        unknown_duration: Videos whose length is not known; they count with the mean of the
            others, or 300 s when no length is known (the brief's assumption).
        material_s: Seconds of video to transcribe, the unknown ones counted as above.
        requests: Requests to the paid service, if every video needs it.
        time_s: Order -> seconds until the whole batch ends, lowest and highest.
        cost_usd: Lowest and highest cost. Without a probe that is from all captions free to all
            paid. None where the price is not known.
        cost_likely_usd: The figure in the middle; None where nothing tells.
        free_share: Share of the videos, 0 to 1, that need not be paid for, lowest and highest;
            None where nobody asked, or where it is no question.
        probe: The videos that were asked for captions; None if none were.
        balance_usd: The account's balance, where known.
        max_cost_usd: The user's cost limit, if any.
        affordable: How many videos, in the order of work, balance and limit would pay for if
            each had to be paid for; None where neither is known, or nothing is paid.
    """

    videos: int
    known: int
    unknown_duration: int
    material_s: float
    requests: Range
    time_s: dict[Order, Range] = field(default_factory=dict)
    cost_usd: tuple[Decimal, Decimal] | None = None
    cost_likely_usd: Decimal | None = None
    free_share: Range | None = None
    probe: CaptionProbe | None = None
    balance_usd: Decimal | None = None
    max_cost_usd: Decimal | None = None
    affordable: int | None = None


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """The videos in the order of work. A permutation of what went in."""

    items: tuple[VideoItem, ...]
    order: Order
    forecast: Forecast
