from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.order import Order
from bulk_transcribe.core.plan import BatchPlan, CaptionProbe, PriceCurve, Range
from bulk_transcribe.core.video import VideoItem
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


#: Two seconds more or less, and the last digits, which the price of a video allows for.
SLACK = Decimal("0.000023")


def around(low: str, high: str, *, videos: int) -> tuple[Decimal, Decimal]:
    """The range that the slack of so many videos makes of these bounds."""
    return max(Decimal(0), Decimal(low) - videos * SLACK), Decimal(high) + videos * SLACK


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
    assert made.forecast.cost_usd == around("0", "0.0056", videos=1)
    all_known = plan(items, known_ids=frozenset(item.video_id for item in items), price=None)
    assert all_known.forecast.cost_usd == FREE
    assert all_known.forecast.time_s == dict.fromkeys(Order, NOTHING)


def test_an_unknown_length_counts_as_the_mean_in_material_and_cost() -> None:
    forecast = plan(videos(100, None, 300), sources=("deapi",)).forecast
    assert (forecast.unknown_duration, forecast.material_s) == (1, 600)
    # 0.006 + 0.008, and the third is one of the two kinds
    assert forecast.cost_usd == around("0.02", "0.022", videos=2)
    assert plan(videos(None)).forecast.material_s == 300


def test_captions_alone_cost_nothing_and_deapi_alone_has_one_cost() -> None:
    items = videos(*[600] * 20)
    captions = plan(items, sources=("captions",), price=None).forecast
    assert (captions.cost_usd, captions.requests) == (FREE, NOTHING)
    assert captions.time_s[Order.INPUT] == Range(6.0, 6.0)
    deapi = plan(items, sources=("deapi",)).forecast
    assert deapi.cost_usd == around("0.22", "0.22", videos=20)
    assert deapi.cost_likely_usd == Decimal("0.22")
    low, high = deapi.time_s[Order.INPUT].low, deapi.time_s[Order.INPUT].high
    assert (low, high) == (2 * 95 * 0.8, 2 * 95 * 1.25)  # 15 s + 8 s a minute; two rounds of ten
    assert plan(items, sources=("deapi",), price=None).forecast.cost_usd is None


def test_the_share_of_captions_narrows_cost_and_time() -> None:
    items = videos(*[600] * 20)
    wide = plan(items).forecast
    narrow = plan(items, caption_share=Range(0.5, 0.75)).forecast
    assert wide.cost_usd == around("0", "0.22", videos=20)
    assert wide.cost_likely_usd is None  # nobody was asked
    assert narrow.cost_usd == (Decimal("0.054885"), Decimal("0.110230"))
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


def probe(free: int = 0, paid: int = 0, neither: int = 0) -> CaptionProbe:
    """Of a batch made by `videos`, the first ones are free, the next ones paid, and so on."""
    ids = [item.video_id for item in videos(*[60.0] * (free + paid + neither))]
    return CaptionProbe(
        free=frozenset(ids[:free]),
        paid=frozenset(ids[free : free + paid]),
        neither=frozenset(ids[free + paid :]),
    )


def test_a_probe_narrows_cost_and_time_and_tells_a_likely_figure() -> None:
    items = videos(*[600] * 40)
    made = make_plan(
        items, order=Order.INPUT, slots=10, rate_limit_rpm=300, price=PRICE, probe=probe(6, 2)
    ).forecast
    wide = plan(items, order=Order.INPUT).forecast

    assert made.cost_usd is not None
    assert wide.cost_usd is not None
    low, high = made.cost_usd
    assert Decimal("0.022") <= low < high < wide.cost_usd[1]
    assert made.cost_likely_usd is not None
    # 2 that are sure, and of 32 others about a quarter, at 0.011 each
    assert Decimal("0.055") < made.cost_likely_usd < Decimal("0.18")
    assert made.free_share is not None
    assert 0.4 < made.free_share.low < 0.75 < made.free_share.high < 1
    for order in Order:
        assert made.time_s[order].high < wide.time_s[order].high


def test_when_every_video_was_asked_the_cost_is_certain() -> None:
    items = videos(*[600] * 5)
    made = make_plan(
        items, order=Order.INPUT, slots=1, rate_limit_rpm=300, price=PRICE, probe=probe(2, 2, 1)
    ).forecast
    assert made.cost_usd == around("0.022", "0.022", videos=2)
    assert made.free_share == Range(0.6, 0.6)


def test_a_probe_that_was_blocked_leaves_everything_open() -> None:
    items = videos(*[600] * 20)
    blocked = CaptionProbe(note="YouTube refuses captions to this address for now.")
    made = make_plan(
        items, order=Order.INPUT, slots=1, rate_limit_rpm=300, price=PRICE, probe=blocked
    ).forecast
    assert made.cost_usd == plan(items).forecast.cost_usd
    assert (made.cost_likely_usd, made.free_share) == (None, None)
    assert made.probe == blocked


def test_videos_that_nobody_can_pay_for_cost_nothing() -> None:
    items = videos(600, 600, 600)
    made = make_plan(
        items,
        order=Order.INPUT,
        slots=1,
        rate_limit_rpm=300,
        price=PRICE,
        sources=("deapi",),
        unpaid_ids={items[0].video_id},
        balance_usd=Decimal(1),
    ).forecast
    assert made.cost_usd == around("0.022", "0.022", videos=2)
    assert made.affordable == 2


def test_what_can_be_afforded_is_bounded_by_balance_and_limit() -> None:
    items = videos(*[600] * 20)  # 0.011 each

    def afford(balance: str | None, limit: str | None) -> int | None:
        return make_plan(
            items,
            order=Order.INPUT,
            slots=1,
            rate_limit_rpm=300,
            price=PRICE,
            balance_usd=None if balance is None else Decimal(balance),
            max_cost_usd=None if limit is None else Decimal(limit),
        ).forecast.affordable

    assert afford("10", None) == 20
    assert afford("0.48", None) == 0
    assert afford("0.50", None) == 1  # 0.489 is left then, below what the service asks for
    assert afford("10", "0.05") == 4
    assert afford(None, "0.011") == 0  # it may cost a little more than quoted
    assert afford(None, None) is None
