"""The plan of a batch: the videos in order, and what is known of time and cost beforehand."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from bulk_transcribe.core.jobtime import estimate_processing_time_s
from bulk_transcribe.core.order import Order
from bulk_transcribe.core.plan import BatchPlan, Forecast, PriceCurve, Range
from bulk_transcribe.core.video import VideoItem, VideoMetadata
from bulk_transcribe.errors import ConfigError
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
_CENT_FRACTION: Final = Decimal("0.000001")
_NO_FACTS: Final[Mapping[str, VideoMetadata]] = MappingProxyType({})
_ALL_OR_NONE: Final = Range(0.0, 1.0)


def make_plan(  # noqa: PLR0913 -- each a fact of its own, by name
    items: Sequence[VideoItem],
    *,
    order: Order,
    slots: Slots,
    rate_limit_rpm: int,
    known_ids: Collection[str] = (),
    metadata: Mapping[str, VideoMetadata] = _NO_FACTS,
    price: PriceCurve | None = None,
    balance_usd: Decimal | None = None,
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
        metadata: Facts by video id; they fill in what an item lacks.
        price: What the paid service charges, if known.
        balance_usd: The account's balance, if known.
        caption_share: Share of the videos that have free captions, 0 to 1: lowest and highest.
        sources: Where transcripts come from. Without "captions" every video is paid for, without
            "deapi" none is.
        captions_rpm: Requests a minute that youtube.com is asked.

    Raises:
        ConfigError: the number of slots or the limit is below 1.
    """
    if min(rate_limit_rpm, captions_rpm) < 1 or (slots != "auto" and slots < 1):
        raise ConfigError("A plan needs at least one slot and one request a minute.")
    items = [_with_facts(item, metadata.get(item.video_id)) for item in items]
    known = frozenset(known_ids)
    to_do = [item for item in items if item.video_id not in known]
    share = _share(caption_share, sources)
    limits = Limits(slots=slots, paid_rpm=rate_limit_rpm, captions_rpm=captions_rpm)
    asks_captions = "captions" in sources
    durations_s = counted_durations_s(to_do)
    material_s = math.fsum(durations_s)
    forecast = Forecast(
        videos=len(items),
        known=len(items) - len(to_do),
        unknown_duration=sum(not has_known_duration(item) for item in to_do),
        material_s=material_s,
        requests=_requests(durations_s, limits) if "deapi" in sources else Range(0.0, 0.0),
        time_s={
            each: _time_s(in_order(to_do, each), limits, share, asks_captions=asks_captions)
            for each in Order
        },
        cost_usd=_cost_usd(len(to_do), material_s, price, share),
        balance_usd=balance_usd,
    )
    return BatchPlan(items=in_order(items, order), order=order, forecast=forecast)


def _with_facts(item: VideoItem, facts: VideoMetadata | None) -> VideoItem:
    if facts is None:
        return item
    return replace(
        item,
        title=item.title or facts.title,
        channel=item.channel or facts.channel,
        duration_s=item.duration_s if has_known_duration(item) else facts.duration_s,
    )


def _share(caption_share: Range, sources: Collection[str]) -> Range:
    if "captions" not in sources:
        return Range(0.0, 0.0)
    if "deapi" not in sources:
        return Range(1.0, 1.0)
    return caption_share


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


def _cost_usd(
    videos: int, material_s: float, price: PriceCurve | None, share: Range
) -> tuple[Decimal, Decimal] | None:
    """Lowest and highest cost; None where something is paid and the price is not known."""
    if not videos or share.low >= 1:
        return Decimal(0), Decimal(0)
    if price is None:
        return None
    total = price.price_usd(material_s, videos=videos)
    low, high = (
        (total * (1 - Decimal(str(captions)))).quantize(_CENT_FRACTION)
        for captions in (share.high, share.low)
    )
    return low, high
