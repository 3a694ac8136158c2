"""What a person reads on the monitor page, taken from the elements that its script made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal


@dataclass(frozen=True, kw_only=True)
class ShownBar:
    """A progress bar: `percent` from 0 to 100 and the words at it."""

    percent: int
    text: str


@dataclass(frozen=True, kw_only=True)
class ShownMoney:
    """An amount as worded: what stands there, and by how much it may be rounded."""

    amount_usd: Decimal
    rounding_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class ShownRow:
    """A row of the status table. `number` counts from 1, as people do.

    `stage` is the stage's value where the word is known, else the word itself.
    """

    number: int
    video_id: str
    title: str
    stage: str


@dataclass(frozen=True, kw_only=True)
class ShownVideo:
    """A video shown in progress; `stage` as in `ShownRow`."""

    video_id: str
    stage: str


@dataclass(frozen=True, kw_only=True)
class Shown:
    """The monitor page of one session, as read.

    Args:
        troubles: What the script raised, in words; empty for a page that was drawn whole.
        status: The session's status, its value where the word is known; None where there is none.
        figures: Name of a count -> what stands there.
        spent: The money; None where the page names none.
        overall: The bar of the whole session; None where there is none.
        current: The videos shown in progress, in the order of the page.
        more_current: How many more the page says there are.
        table: The rows of the status table; None where there is no table.
    """

    troubles: tuple[str, ...] = ()
    status: str | None = None
    figures: Mapping[str, str] = field(default_factory=dict)
    spent: ShownMoney | None = None
    overall: ShownBar | None = None
    current: tuple[ShownVideo, ...] = ()
    more_current: int = 0
    table: tuple[ShownRow, ...] | None = None
