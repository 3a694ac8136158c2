from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.process.settling import Amount, Verdict, Window, settle

CENT = Decimal("0.01")


def told(*cents: int | str) -> tuple[Amount, ...]:
    return tuple(Amount.told(Decimal(each) * CENT) for each in cents)


def window(fell_by: int | str, *known: Amount, **more: object) -> Window:
    return Window(
        before_usd=Decimal(10),
        now_usd=Decimal(10) - Decimal(fell_by) * CENT,
        charges=known,
        **more,  # type: ignore[arg-type]
    )


def test_nothing_in_doubt_gives_no_verdicts() -> None:
    assert settle(window(5), []) == []


def test_a_balance_that_did_not_fall_tells_that_none_was_paid() -> None:
    assert settle(window(0), told(2, 3)) == [Verdict.NOT_PAID, Verdict.NOT_PAID]


def test_known_charges_are_taken_off_first() -> None:
    assert settle(window(7, *told(3, 4)), told(2)) == [Verdict.NOT_PAID]


def test_what_is_missing_may_be_the_one_whose_price_it_is() -> None:
    assert settle(window(9, *told(4)), told(5)) == [Verdict.FITS]


def test_the_one_set_that_fits_is_found_and_dearer_ones_were_not_paid() -> None:
    verdicts = settle(window(5), told(2, 3, 9))
    assert verdicts == [Verdict.FITS, Verdict.FITS, Verdict.NOT_PAID]


def test_cheaper_ones_that_do_not_fit_are_left_since_another_user_could_have_paid_the_rest() -> (
    None
):
    assert settle(window(5), told(5, 2)) == [Verdict.FITS, Verdict.UNTOLD]


def test_of_two_equal_ones_nobody_can_say_which() -> None:
    assert settle(window(5), told(5, 5)) == [Verdict.UNTOLD, Verdict.UNTOLD]


def test_what_fits_nothing_was_somebody_elses_and_nothing_is_settled() -> None:
    assert settle(window(4), told(5, 9)) == [Verdict.UNTOLD, Verdict.UNTOLD]


def test_money_that_was_paid_in_settles_nothing() -> None:
    assert settle(window(-500), told(5)) == [Verdict.UNTOLD]


def test_where_money_came_in_meanwhile_nothing_is_settled_though_the_sums_agree() -> None:
    """A top-up of just the price hides a charge: it was called unpaid, and sent again."""
    hidden = window(0, between_usd=(Decimal(9),))
    assert settle(hidden, told(5)) == [Verdict.UNTOLD]
    assert settle(window(0, between_usd=(Decimal(10),)), told(5)) == [Verdict.NOT_PAID]


def test_what_came_back_for_failed_requests_is_no_money_from_elsewhere() -> None:
    dipped = {"between_usd": (Decimal("9.98"), Decimal(10))}
    assert settle(window(0, **dipped, returned_usd=2 * CENT), told(5)) == [Verdict.NOT_PAID]
    assert settle(window(0, **dipped, returned_usd=CENT), told(5)) == [Verdict.UNTOLD]


def test_a_refund_could_hide_a_charge() -> None:
    assert settle(window(0, refunds_usd=5 * CENT), told(5)) == [Verdict.UNTOLD]
    assert settle(window(0, refunds_usd=4 * CENT), told(5)) == [Verdict.NOT_PAID]


def test_a_request_under_way_at_the_first_reading_could_be_what_is_missing() -> None:
    assert settle(window(5, is_whole=False), told(5)) == [Verdict.UNTOLD]
    assert settle(window(0, is_whole=False), told(5)) == [Verdict.NOT_PAID]


def test_a_price_that_nobody_knows_is_never_told() -> None:
    unknown = Amount.quoted(None)
    assert settle(window(0), [unknown]) == [Verdict.UNTOLD]
    assert settle(window(3), [unknown, *told(5)]) == [Verdict.UNTOLD, Verdict.NOT_PAID]


def test_more_in_doubt_than_sets_can_be_made_of_are_told_only_if_nothing_is_missing() -> None:
    many = told(*range(1, 31))
    assert set(settle(window(0), many)) == {Verdict.NOT_PAID}
    assert set(settle(window(40), many)) == {Verdict.UNTOLD}


def test_a_quote_may_be_off_a_little() -> None:
    quoted = Amount.quoted(Decimal("0.0200"))
    assert settle(window("1.97"), [quoted]) == [Verdict.FITS]
    assert settle(window("1.9"), [quoted]) == [Verdict.UNTOLD]


def test_many_charges_that_are_known_by_quote_only_hide_a_cheap_one() -> None:
    quotes = [Amount.quoted(Decimal("0.02"))] * 200
    assert settle(window(400, *quotes), told(5)) == [Verdict.UNTOLD]


amounts = st.decimals(min_value="0.005", max_value=1, places=6)


@given(
    known=st.lists(st.tuples(amounts, st.booleans()), max_size=8),
    doubts=st.lists(st.tuples(amounts, st.booleans()), min_size=1, max_size=5),
    others=st.lists(st.one_of(amounts, st.just(Decimal("0.02"))), max_size=3),
    refunded=st.lists(amounts, max_size=2),
    before_them=st.lists(st.tuples(amounts, st.booleans()), max_size=2),
    rounding=st.decimals(min_value="-0.000005", max_value="0.000005", places=7),
    misquote=st.decimals(min_value="-0.02", max_value="0.02", places=3),
)
def test_whatever_others_spend_a_request_that_was_paid_is_never_called_unpaid(
    known: list[tuple[Decimal, bool]],
    doubts: list[tuple[Decimal, bool]],
    others: list[Decimal],
    refunded: list[Decimal],
    before_them: list[tuple[Decimal, bool]],
    rounding: Decimal,
    misquote: Decimal,
) -> None:
    fell = sum((price for price, _ in known), Decimal(0))
    fell += sum((price for price, was_paid in doubts if was_paid), Decimal(0))
    fell += sum(others, Decimal(0)) - sum(refunded, Decimal(0))
    fell += sum((price for price, came_late in before_them if came_late), Decimal(0))
    charges = tuple(
        Amount.told(price) if is_told else Amount.quoted(price * (1 + misquote))
        for price, is_told in known
    )
    seen = Window(
        before_usd=Decimal(50),
        now_usd=Decimal(50) - fell + rounding,
        charges=charges,
        refunds_usd=sum(refunded, Decimal(0)),
        is_whole=not before_them,
    )
    verdicts = settle(seen, [Amount.quoted(price * (1 + misquote)) for price, _ in doubts])
    for (_, was_paid), verdict in zip(doubts, verdicts, strict=True):
        assert not (was_paid and verdict is Verdict.NOT_PAID)


@given(doubts=st.lists(st.tuples(amounts, st.booleans()), min_size=1, max_size=5))
def test_alone_on_the_account_what_fits_was_paid_and_what_is_dearer_was_not(
    doubts: list[tuple[Decimal, bool]],
) -> None:
    fell = sum((price for price, was_paid in doubts if was_paid), Decimal(0))
    seen = Window(before_usd=Decimal(50), now_usd=Decimal(50) - fell)
    verdicts = settle(seen, [Amount.told(price) for price, _ in doubts])
    for (_, was_paid), verdict in zip(doubts, verdicts, strict=True):
        assert verdict is Verdict.UNTOLD or (verdict is Verdict.FITS) == was_paid
    if fell == 0:
        assert set(verdicts) == {Verdict.NOT_PAID}


@pytest.mark.parametrize("quoted", ["0.000001", "0.0052", "3.1"])
def test_the_range_of_a_quote_holds_the_quote(quoted: str) -> None:
    amount = Amount.quoted(Decimal(quoted), most_usd=Decimal("0.001"))
    assert amount.high_usd is not None
    assert 0 <= amount.low_usd <= Decimal(quoted) <= amount.high_usd
    assert amount.at_most.low_usd == 0
