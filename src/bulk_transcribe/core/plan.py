"""What would be done: the videos in order, and what is known of time and cost before the start."""

from dataclasses import dataclass, field
from decimal import Decimal

from bulk_transcribe.core.order import Order
from bulk_transcribe.core.video import VideoItem


@dataclass(frozen=True)
class Range:
    """A forecast figure between two bounds, both included."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class PriceCurve:
    """What the paid service charges: an amount per video and one per second of it, US dollars."""

    base_usd: Decimal
    per_second_usd: Decimal

    def price_usd(self, duration_s: float, *, videos: int = 1) -> Decimal:
        """The price of this many videos that last `duration_s` together; of none it is 0."""
        if not videos:
            return Decimal(0)
        return self.base_usd * videos + self.per_second_usd * Decimal(str(duration_s))


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
        cost_usd: Lowest (all captions free) and highest (all paid) cost; None where the price
            is not known.
        balance_usd: The account's balance, where known.
    """

    videos: int
    known: int
    unknown_duration: int
    material_s: float
    requests: Range
    time_s: dict[Order, Range] = field(default_factory=dict)
    cost_usd: tuple[Decimal, Decimal] | None = None
    balance_usd: Decimal | None = None


@dataclass(frozen=True, kw_only=True)
class BatchPlan:
    """The videos in the order of work. A permutation of what went in."""

    items: tuple[VideoItem, ...]
    order: Order
    forecast: Forecast
