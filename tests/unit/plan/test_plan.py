from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.order import Order
from bulk_transcribe.core.plan import BatchPlan, PriceCurve, Range
from bulk_transcribe.core.video import VideoItem, VideoMetadata
from bulk_transcribe.errors import ConfigError
from bulk_transcribe.plan.estimate import Slots
from bulk_transcribe.plan.plan import make_plan

PRICE = PriceCurve(base_usd=Decimal("0.005"), per_second_usd=Decimal("0.00001"))
NOTHING = Range(0.0, 0.0)
ANY_SHARE = Range(0.0, 1.0)
FREE = (Decimal(0), Decimal(0))


def videos(*durations_s: float | None) -> list[VideoItem]:
    return [
        VideoItem(video_id=f"vid{number:08d}", duration_s=duration_s)
        for number, duration_s in enumerate(durations_s)
    ]


def plan(
    items: list[VideoItem],
    *,
    order: Order = Order.SHORTEST_FIRST,
    slots: Slots = 10,
    known_ids: frozenset[str] = frozenset(),
    price: PriceCurve | None = PRICE,
    caption_share: Range = ANY_SHARE,
    sources: tuple[str, ...] = ("captions", "deapi"),
) -> BatchPlan:
    return make_plan(
        items,
        order=order,
        slots=slots,
        rate_limit_rpm=300,
        known_ids=known_ids,
        price=price,
        caption_share=caption_share,
        sources=sources,
    )


@pytest.mark.parametrize("slots", [1, 10, "auto"])
def test_a_plan_of_no_videos_is_all_zeros(slots: Slots) -> None:
    made = plan([], slots=slots)
    forecast = made.forecast
    assert made.items == ()
    assert (forecast.videos, forecast.known, forecast.unknown_duration) == (0, 0, 0)
    assert (forecast.material_s, forecast.requests) == (0.0, NOTHING)
    assert forecast.time_s == dict.fromkeys(Order, NOTHING)
    assert forecast.cost_usd == FREE


def test_the_items_are_in_the_order_that_was_asked_for() -> None:
    items = videos(300, 60, 900)
    made = plan(items, order=Order.LONGEST_FIRST)
    assert [item.duration_s for item in made.items] == [900, 300, 60]
    assert made.order is Order.LONGEST_FIRST


def test_known_transcripts_cost_neither_time_nor_money() -> None:
    items = videos(60, 3600, None)
    made = plan(items, known_ids=frozenset({"vid00000001", "vid00000002", "elsewhere00"}))
    assert len(made.items) == 3
    assert (made.forecast.known, made.forecast.unknown_duration) == (2, 0)
    assert made.forecast.material_s == 60
    assert made.forecast.requests.low == 2
    assert made.forecast.cost_usd == (Decimal(0), Decimal("0.0056"))
    all_known = plan(items, known_ids=frozenset(item.video_id for item in items), price=None)
    assert all_known.forecast.cost_usd == FREE
    assert all_known.forecast.time_s == dict.fromkeys(Order, NOTHING)


def test_an_unknown_length_counts_as_the_mean_in_material_and_cost() -> None:
    forecast = plan(videos(100, None, 300), sources=("deapi",)).forecast
    assert (forecast.unknown_duration, forecast.material_s) == (1, 600)
    assert forecast.cost_usd == (Decimal("0.021"), Decimal("0.021"))
    assert plan(videos(None)).forecast.material_s == 300


def test_metadata_fills_in_what_an_item_lacks() -> None:
    facts = VideoMetadata(video_id="vid00000000", title="Title", duration_s=120.0)
    made = make_plan(
        videos(None, 60),
        order=Order.LONGEST_FIRST,
        slots=1,
        rate_limit_rpm=300,
        metadata={facts.video_id: facts},
    )
    assert [(item.title, item.duration_s) for item in made.items] == [("Title", 120), (None, 60)]
    assert made.forecast.unknown_duration == 0


def test_captions_alone_cost_nothing_and_deapi_alone_has_one_cost() -> None:
    items = videos(*[600] * 20)
    captions = plan(items, sources=("captions",), price=None).forecast
    assert (captions.cost_usd, captions.requests) == (FREE, NOTHING)
    assert captions.time_s[Order.INPUT] == Range(6.0, 6.0)
    deapi = plan(items, sources=("deapi",)).forecast
    assert deapi.cost_usd == (Decimal("0.22"), Decimal("0.22"))
    low, high = deapi.time_s[Order.INPUT].low, deapi.time_s[Order.INPUT].high
    assert (low, high) == (2 * 95 * 0.8, 2 * 95 * 1.25)  # 15 s + 8 s a minute; two rounds of ten
    assert plan(items, sources=("deapi",), price=None).forecast.cost_usd is None


def test_the_share_of_captions_narrows_cost_and_time() -> None:
    items = videos(*[600] * 20)
    wide = plan(items).forecast
    narrow = plan(items, caption_share=Range(0.5, 0.75)).forecast
    assert wide.cost_usd == (Decimal(0), Decimal("0.22"))
    assert narrow.cost_usd == (Decimal("0.055"), Decimal("0.11"))
    for order in Order:
        assert wide.time_s[order].low <= narrow.time_s[order].low
        assert narrow.time_s[order].high <= wide.time_s[order].high


def test_the_longest_first_end_the_batch_sooner() -> None:
    """Mixed lengths on ten slots: the last video to begin should not be the longest."""
    items = videos(*range(60, 1860, 36))
    times = plan(items, sources=("deapi",)).forecast.time_s
    assert times[Order.LONGEST_FIRST].high < 0.9 * times[Order.SHORTEST_FIRST].high


def test_the_limit_bounds_what_many_slots_can_do() -> None:
    times = plan(videos(*[60.0] * 3000), slots=512, sources=("deapi",)).forecast.time_s
    # 150 videos a minute, the first 150 at once: 19 minutes and one job
    assert times[Order.INPUT].high == 19 * 60 + 23 * 1.25


def test_requests_grow_with_what_the_limit_leaves_idle() -> None:
    items = videos(*[300] * 100)
    few = plan(items, slots=5).forecast.requests
    many = plan(items, slots=100).forecast.requests
    assert few.low == many.low == 200
    assert few.high > many.high >= 200


@pytest.mark.parametrize(("slots", "rpm"), [(0, 300), (-1, 300), (1, 0)])
def test_a_plan_needs_a_slot_and_a_request(slots: int, rpm: int) -> None:
    with pytest.raises(ConfigError):
        make_plan([], order=Order.INPUT, slots=slots, rate_limit_rpm=rpm)


@given(
    st.lists(st.none() | st.floats(0, 20_000), max_size=30),
    st.sampled_from(Order),
    st.integers(1, 40) | st.just("auto"),
    st.sets(st.integers(0, 30)),
)
def test_a_plan_is_a_permutation_and_its_ranges_have_two_ends(
    durations_s: list[float | None], order: Order, slots: Slots, known: set[int]
) -> None:
    items = videos(*durations_s)
    made = plan(items, order=order, slots=slots, known_ids=frozenset(f"vid{n:08d}" for n in known))
    assert sorted(item.video_id for item in made.items) == [item.video_id for item in items]
    forecast = made.forecast
    assert forecast.cost_usd is not None
    assert 0 <= forecast.cost_usd[0] <= forecast.cost_usd[1]
    assert 0 <= forecast.requests.low <= forecast.requests.high
    assert set(forecast.time_s) == set(Order)
    assert all(0 <= span.low <= span.high for span in forecast.time_s.values())
