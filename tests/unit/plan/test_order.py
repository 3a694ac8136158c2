import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.order import Order
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.plan.order import counted_durations_s, in_order, typical_duration_s

durations = (
    st.none() | st.floats(0, 50_000) | st.sampled_from([0.0, -1.0, math.nan, math.inf, 60.0])
)


def videos(lengths: list[float | None]) -> list[VideoItem]:
    return [
        VideoItem(video_id=f"vid{number:08d}", duration_s=length)
        for number, length in enumerate(lengths)
    ]


def lengths(items: tuple[VideoItem, ...]) -> list[float | None]:
    return [item.duration_s for item in items]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order.SHORTEST_FIRST, [60.0, 120.0, None, 900.0]),
        (Order.LONGEST_FIRST, [900.0, None, 120.0, 60.0]),
        (Order.INPUT, [120.0, None, 900.0, 60.0]),
    ],
)
def test_an_unknown_length_counts_as_the_mean_of_the_known(
    order: Order, expected: list[float | None]
) -> None:
    assert typical_duration_s(videos([120.0, None, 900.0, 60.0])) == 360.0
    assert lengths(in_order(videos([120.0, None, 900.0, 60.0]), order)) == expected


def test_without_any_known_length_five_minutes_are_assumed() -> None:
    assert counted_durations_s(videos([None, 0.0, -5.0, math.nan, math.inf])) == [300.0] * 5
    assert typical_duration_s([]) == 300.0


@given(st.lists(durations), st.sampled_from(Order))
def test_an_order_is_a_permutation(given_lengths: list[float | None], order: Order) -> None:
    items = videos(given_lengths)
    ordered = in_order(items, order)
    assert sorted(item.video_id for item in ordered) == [item.video_id for item in items]


@given(st.lists(durations))
def test_orders_sort_and_keep_equal_lengths_in_input_order(
    given_lengths: list[float | None],
) -> None:
    items = videos(given_lengths)
    counted = dict(zip((item.video_id for item in items), counted_durations_s(items), strict=True))
    for order, sign in ((Order.SHORTEST_FIRST, 1), (Order.LONGEST_FIRST, -1)):
        keys = [(sign * counted[i.video_id], i.video_id) for i in in_order(items, order)]
        assert keys == sorted(keys)
    assert in_order(items, Order.INPUT) == tuple(items)
