"""The order of work. Pure."""

import math
from collections.abc import Iterable, Sequence
from typing import assert_never

from bulk_transcribe.core.jobtime import ASSUMED_DURATION_S
from bulk_transcribe.core.order import Order
from bulk_transcribe.core.video import VideoItem


def has_known_duration(item: VideoItem) -> bool:
    """Whether the video's length is known: a number above 0 (a live stream's 0 says nothing)."""
    duration_s = item.duration_s
    return duration_s is not None and math.isfinite(duration_s) and duration_s > 0


def typical_duration_s(items: Iterable[VideoItem]) -> float:
    """The mean of the known lengths, seconds; 300, the brief's assumption, if none is known."""
    known = [item.duration_s or 0.0 for item in items if has_known_duration(item)]
    return math.fsum(known) / len(known) if known else ASSUMED_DURATION_S


def counted_durations_s(items: Sequence[VideoItem]) -> list[float]:
    """Each video's length, seconds, in the same order; an unknown one counts as a typical one."""
    typical_s = typical_duration_s(items)
    return [item.duration_s or 0.0 if has_known_duration(item) else typical_s for item in items]


def in_order(items: Sequence[VideoItem], order: Order) -> tuple[VideoItem, ...]:
    """The same videos in the order of work; videos of equal length stay in input order."""
    durations_s = counted_durations_s(items)
    positions = range(len(items))
    match order:
        case Order.INPUT:
            return tuple(items)
        case Order.SHORTEST_FIRST:
            return tuple(items[n] for n in sorted(positions, key=durations_s.__getitem__))
        case Order.LONGEST_FIRST:
            return tuple(items[n] for n in sorted(positions, key=lambda n: -durations_s[n]))
        case _ as never:
            assert_never(never)
