"""The plan of a batch: the videos in order, and what is known of time and cost beforehand."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from functools import cached_property
from typing import Final

from bulk_transcribe.core.jobtime import estimate_processing_time_s
from bulk_transcribe.core.order import Order
from bulk_transcribe.core.plan import (
    PRICE_STEP,
    BatchPlan,
    CaptionProbe,
    Forecast,
    PriceCurve,
    Range,
)
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import ConfigError
from bulk_transcribe.plan.bill import Answers, affordable, bill, free_share
from bulk_transcribe.plan.estimate import (
    REQUESTS_A_VIDEO,
    Job,
    Limits,
    Slots,
    simulate_s,
    slot_count,
)
from bulk_transcribe.plan.order import counted_durations_s, has_known_duration, in_order

#: How far the service may be from the estimate, lowest and highest: its times scatter by 20 %.
_FASTER: Final = 0.8
_SLOWER: Final = 1.25
#: Three requests to youtube.com, one after the other.
_CAPTIONS_S: Final = 3.0
#: No job is looked at more often than every two seconds on average, however idle the limit is.
_LOOKS_PER_S: Final = 0.5
#: Nor more often than this, however long it takes.
_MOST_LOOKS: Final = 100.0
_ALL_OR_NONE: Final = Range(0.0, 1.0)
_NOBODY_ASKED: Final = Answers(asked=0, without=0)


def make_plan(  # noqa: PLR0913 -- each a fact of its own, by name
    items: Sequence[VideoItem],
    *,
    order: Order,
    slots: Slots,
    rate_limit_rpm: int,
    known_ids: Collection[str] = (),
    price: PriceCurve | None = None,
    balance_usd: Decimal | None = None,
    max_cost_usd: Decimal | None = None,
    unpaid_ids: Collection[str] = (),
    probe: CaptionProbe | None = None,
    caption_share: Range = _ALL_OR_NONE,
    sources: Collection[str] = ("captions", "deapi"),
    captions_rpm: int = 120,
) -> BatchPlan:
    """Order the videos, and forecast what they take.

    No videos give a plan without items whose figures are all 0.

    Args:
        items: The videos, each once.
        order: The order of work.
        slots: Videos in flight at once, or "auto".
        rate_limit_rpm: Requests a minute that the paid service allows.
        known_ids: Videos whose transcripts we have: free, and done at once.
        price: What the paid service charges, if known.
        balance_usd: The account's balance, if known.
        max_cost_usd: What the user allows it to cost, if there is a limit.
        unpaid_ids: Videos that will not be paid for whatever happens: private, age-restricted.
        probe: Which of some videos have captions; it takes the place of `caption_share`.
        caption_share: Share of the videos that have free captions, 0 to 1: lowest and highest.
        sources: Where transcripts come from. Without "captions" every video is paid for, without
            "deapi" none is.
        captions_rpm: Requests a minute that youtube.com is asked.

    Raises:
        ConfigError: the number of slots or the limit is below 1.
    """
    if min(rate_limit_rpm, captions_rpm) < 1 or (slots != "auto" and slots < 1):
        raise ConfigError("A plan needs at least one slot and one request a minute.")
    known = frozenset(known_ids)
    to_do = [item for item in items if item.video_id not in known]
    groups = _Groups.of(to_do, sources, probe, frozenset(unpaid_ids))
    share = groups.share(caption_share)
    limits = Limits(slots=slots, paid_rpm=rate_limit_rpm, captions_rpm=captions_rpm)
    asks_captions = "captions" in sources
    durations_s = counted_durations_s(to_do)
    cost_usd, cost_likely_usd = groups.cost_usd(price, caption_share)
    ordered = in_order(to_do, order)
    forecast = Forecast(
        videos=len(items),
        known=len(items) - len(to_do),
        unknown_duration=sum(not has_known_duration(item) for item in to_do),
        material_s=math.fsum(durations_s),
        requests=_requests(durations_s, limits) if "deapi" in sources else Range(0.0, 0.0),
        time_s={
            each: _time_s(in_order(to_do, each), limits, share, asks_captions=asks_captions)
            for each in Order
        },
        cost_usd=cost_usd,
        cost_likely_usd=cost_likely_usd,
        free_share=groups.free_share,
        probe=probe,
        balance_usd=balance_usd,
        max_cost_usd=max_cost_usd,
        affordable=(
            affordable(
                counted_durations_s([item for item in ordered if item.video_id in groups.paid_ids]),
                price,
                balance_usd=balance_usd,
                limit_usd=max_cost_usd,
            )
            if price is not None and groups.is_paid_at_all
            else None
        ),
    )
    return BatchPlan(items=in_order(items, order), order=order, forecast=forecast)


@dataclass(frozen=True, kw_only=True)
class _Groups:
    """The videos to do, by what is known of their price before the start.

    Args:
        sure: Will be paid for.
        maybe: Will be paid for if they have no captions, which nobody has asked yet.
        free: Will certainly not be paid for.
        answers: What was asked of others; None where nobody was asked or it is no question.
    """

    sure: tuple[VideoItem, ...] = ()
    maybe: tuple[VideoItem, ...] = ()
    free: tuple[VideoItem, ...] = ()
    answers: Answers | None = None

    @classmethod
    def of(
        cls,
        to_do: Sequence[VideoItem],
        sources: Collection[str],
        probe: CaptionProbe | None,
        unpaid: frozenset[str],
    ) -> "_Groups":
        items = tuple(to_do)
        if "deapi" not in sources:
            return cls(free=items)
        probe = probe or CaptionProbe()
        paid = probe.paid if "captions" in sources else {item.video_id for item in items}
        never = probe.free | probe.neither | unpaid
        sure = tuple(item for item in items if item.video_id in paid - never)
        free = tuple(item for item in items if item.video_id in never)
        known = {item.video_id for item in (*sure, *free)}
        maybe = tuple(item for item in items if item.video_id not in known)
        has_answers = probe.asked > 0 and "captions" in sources
        answers = Answers(asked=probe.asked, without=len(probe.paid)) if has_answers else None
        return cls(sure=sure, maybe=maybe, free=free, answers=answers)

    @property
    def is_paid_at_all(self) -> bool:
        """Whether any video may be paid for."""
        return bool(self.sure or self.maybe)

    @property
    def free_share(self) -> Range | None:
        """Of all videos to do; None where nobody was asked."""
        return None if self.answers is None else self.share(_ALL_OR_NONE)

    @cached_property
    def paid_ids(self) -> frozenset[str]:
        """Those that are, or may have to be, paid for."""
        return frozenset(item.video_id for item in (*self.sure, *self.maybe))

    def share(self, caption_share: Range) -> Range:
        """The share of all videos to do that need not be paid for, lowest and highest."""
        videos = len(self.sure) + len(self.maybe) + len(self.free)
        if not videos:
            return Range(1.0, 1.0)
        of_maybe = caption_share if self.answers is None else free_share(self.answers)
        low, high = (
            (len(self.free) + part * len(self.maybe)) / videos
            for part in (of_maybe.low, of_maybe.high)
        )
        return Range(low, high)

    def cost_usd(
        self, price: PriceCurve | None, caption_share: Range
    ) -> tuple[tuple[Decimal, Decimal] | None, Decimal | None]:
        """Lowest and highest, and likely cost; None where something is paid at unknown prices."""
        nothing = Decimal(0)
        if not self.sure and (not self.maybe or caption_share.low >= 1):
            return (nothing, nothing), nothing
        if price is None:
            return None, None
        sure_s, maybe_s = _lengths_s(self.sure), _lengths_s(self.maybe)
        if self.answers is not None or not self.maybe:
            found = bill(sure_s, maybe_s, self.answers or _NOBODY_ASKED, price)
            return (found.low_usd, found.high_usd), found.likely_usd
        low, high = (
            bill(sure_s, (), _NOBODY_ASKED, price),
            bill(sure_s + maybe_s, (), _NOBODY_ASKED, price),
        )
        lowest = low.low_usd + (high.low_usd - low.low_usd) * _exact(1 - caption_share.high)
        highest = low.high_usd + (high.high_usd - low.high_usd) * _exact(1 - caption_share.low)
        return (
            lowest.quantize(PRICE_STEP, rounding=ROUND_FLOOR),
            highest.quantize(PRICE_STEP, rounding=ROUND_CEILING),
        ), None


def _lengths_s(items: Sequence[VideoItem]) -> list[float | None]:
    return [item.duration_s if has_known_duration(item) else None for item in items]


def _exact(share: float) -> Decimal:
    return Decimal(str(share))


def _time_s(
    items: Sequence[VideoItem], limits: Limits, share: Range, *, asks_captions: bool
) -> Range:
    """Seconds to the end: with most captions and a quick service, with fewest and a slow one."""
    durations_s = counted_durations_s(items)
    quick = _jobs(durations_s, share.high, _FASTER, asks_captions=asks_captions)
    slow = _jobs(durations_s, share.low, _SLOWER, asks_captions=asks_captions)
    ends_s = simulate_s(quick, limits), simulate_s(slow, limits)
    return Range(min(ends_s), max(ends_s))  # "auto" may give slow jobs more slots


def _jobs(
    durations_s: Sequence[float], captions: float, pace: float, *, asks_captions: bool
) -> list[Job]:
    """What each video takes, those with captions spread evenly over the batch.

    One without captions is asked for them, too, before it is paid for.
    """
    asking_s = _CAPTIONS_S if asks_captions else 0.0
    jobs = []
    for number, duration_s in enumerate(durations_s):
        has_captions = math.floor((number + 1) * captions) > math.floor(number * captions)
        job_s = 0.0 if has_captions else estimate_processing_time_s(duration_s) * pace
        jobs.append(
            Job(
                time_s=asking_s + job_s,
                paid_requests=0 if has_captions else REQUESTS_A_VIDEO,
                asks_captions=asks_captions,
            )
        )
    return jobs


def _requests(durations_s: Sequence[float], limits: Limits) -> Range:
    """Paid requests if no video has captions: one look each, up to what the limit leaves idle."""
    videos = len(durations_s)
    if not videos:
        return Range(0.0, 0.0)
    jobs = [Job(time_s=estimate_processing_time_s(each)) for each in durations_s]
    mean_s = math.fsum(job.time_s for job in jobs) / videos
    in_flight = min(videos, slot_count(jobs, limits))
    spare_a_job = limits.paid_rpm / 60 * mean_s / in_flight - 1
    looks = max(1.0, min(spare_a_job, mean_s * _LOOKS_PER_S, _MOST_LOOKS))
    return Range(float(REQUESTS_A_VIDEO * videos), float(math.ceil((1 + looks) * videos)))
