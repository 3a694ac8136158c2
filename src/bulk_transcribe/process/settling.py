"""What the account's balance tells of paid requests whose answers were lost. Arithmetic only.

Between two readings of the balance the account has paid for requests that are known, maybe for
those in doubt, and maybe for what other users of the account did. Others can only make the balance
fall further. So a request that costs more than what is missing was not paid, whoever else was
there; but one that would fit was perhaps paid, and perhaps somebody else was. That is why only
`NOT_PAID` settles anything, and `FITS` is no more than a word to the user.

::

    missing = balance before - balance now - known charges
    a set of requests fits, if its prices add up to what is missing

    a reading is higher     money was paid in: untold
    nothing fits            others used the account, or money was paid in: untold
    dearer than missing     not paid
    one set fits, in it     fits
    several sets fit        untold
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations, pairwise
from typing import Final

#: A balance is told as a floating number: closer than this nothing can be known.
ROUNDING_USD: Final = Decimal("0.00001")
#: A quote may be off by this much, or by this share of it: lengths are known to the second.
_QUOTE_OFF_USD, _QUOTE_OFF_SHARE = Decimal("0.00005"), Decimal("0.02")
#: Requests in doubt up to which all sets are looked at (4,096 of them).
_MOST_IN_DOUBT: Final = 12
_NOTHING: Final = Decimal(0)


class Verdict(enum.StrEnum):
    """What the balance tells of one request in doubt."""

    NOT_PAID = "not_paid"  # certain, unless money came in and left unseen between two readings
    FITS = "fits"  # what is missing is just its price; another user could have taken as much
    UNTOLD = "untold"


@dataclass(frozen=True, kw_only=True)
class Amount:
    """What a request takes from the account, US dollars. `high_usd` None: nobody can tell."""

    low_usd: Decimal = _NOTHING
    high_usd: Decimal | None = None

    @classmethod
    def told(cls, charged_usd: Decimal) -> "Amount":
        """The service told what it took."""
        return cls(low_usd=charged_usd, high_usd=charged_usd)

    @classmethod
    def quoted(cls, quoted_usd: Decimal | None, most_usd: Decimal | None = None) -> "Amount":
        """By its quote. Without a quote anything from nothing up is possible."""
        if quoted_usd is None:
            return cls(high_usd=most_usd)
        off_usd = max(_QUOTE_OFF_USD, quoted_usd * _QUOTE_OFF_SHARE)
        high_usd = max(quoted_usd + off_usd, most_usd or _NOTHING)
        return cls(low_usd=max(_NOTHING, quoted_usd - off_usd), high_usd=high_usd)

    @property
    def at_most(self) -> "Amount":
        """The same, if it was taken at all."""
        return Amount(high_usd=self.high_usd)


@dataclass(frozen=True, kw_only=True)
class Window:
    """The account between two readings of its balance.

    Args:
        before_usd: The balance at the first one.
        now_usd: The balance at the second one.
        charges: What known requests took between the two, each.
        refunds_usd: The most that may have come back of what was taken before: prices of
            requests that failed.
        returned_usd: The most that was taken and came back in between, likewise.
        is_whole: Everything that may have been taken for our requests is in `charges`; False
            where some were under way at the first reading.
        between_usd: Further balances that were read between the two, oldest first.
    """

    before_usd: Decimal
    now_usd: Decimal
    charges: tuple[Amount, ...] = ()
    refunds_usd: Decimal = _NOTHING
    returned_usd: Decimal = _NOTHING
    is_whole: bool = True
    between_usd: tuple[Decimal, ...] = ()

    @property
    def has_risen(self) -> bool:
        """Whether money came in that no failed request of ours explains.

        What came in may hide what was taken: nothing can be told of such a time.
        """
        seen = (self.before_usd, *self.between_usd, self.now_usd)
        explained_usd = self.refunds_usd + self.returned_usd + ROUNDING_USD
        return any(later - earlier > explained_usd for earlier, later in pairwise(seen))

    @property
    def most_missing_usd(self) -> Decimal:
        """The most that was taken beyond the known charges; negative where money came in."""
        known = sum((each.low_usd for each in self.charges), _NOTHING)
        return self.before_usd - self.now_usd + self.refunds_usd - known + ROUNDING_USD

    @property
    def least_missing_usd(self) -> Decimal | None:
        """The least of it; None where nobody can tell."""
        highs = [each.high_usd for each in self.charges]
        if not self.is_whole or None in highs:
            return None
        known = sum((high for high in highs if high is not None), _NOTHING)
        return self.before_usd - self.now_usd - known - ROUNDING_USD


def settle(window: Window, in_doubt: Sequence[Amount]) -> list[Verdict]:
    """A verdict for each request in doubt, in their order; [] for none.

    All requests in doubt that went out between the two readings must be there: one that is left
    out is taken for another user of the account.
    """
    sets = [] if window.has_risen else _fitting_sets(window, in_doubt)
    if not sets:
        return [Verdict.UNTOLD for _ in in_doubt]
    certain = sets[0] if len(sets) == 1 and window.is_whole else ()
    most = window.most_missing_usd
    verdicts = []
    for number, amount in enumerate(in_doubt):
        if amount.low_usd > most:
            verdicts.append(Verdict.NOT_PAID)
        elif number in certain and amount.high_usd is not None:
            verdicts.append(Verdict.FITS)
        else:
            verdicts.append(Verdict.UNTOLD)
    return verdicts


def _fitting_sets(window: Window, in_doubt: Sequence[Amount]) -> list[tuple[int, ...]]:
    numbers = range(len(in_doubt))
    if len(in_doubt) > _MOST_IN_DOUBT:
        # too many sets to look at all: whether nothing is missing can still be said
        return [()] if _fits(window, ()) else []
    return [
        chosen
        for size in range(len(in_doubt) + 1)
        for chosen in combinations(numbers, size)
        if _fits(window, [in_doubt[number] for number in chosen])
    ]


def _fits(window: Window, amounts: Iterable[Amount]) -> bool:
    amounts = tuple(amounts)
    if sum((each.low_usd for each in amounts), _NOTHING) > window.most_missing_usd:
        return False
    highs = [each.high_usd for each in amounts]
    least = window.least_missing_usd
    if least is None or None in highs:
        return True
    return sum((high for high in highs if high is not None), _NOTHING) >= least
