"""How a run is at a moment, noted every few seconds by its engine for whoever watches."""

import json
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import RowMapping, and_, delete, func, insert, select

from bulk_transcribe.save.database import Database, outlasting
from bulk_transcribe.save.pulse_tables import pulses

#: Rows that a session keeps; the newest and, evenly, of the rest as many as fit.
MOST_KEPT: Final = 480


@dataclass(frozen=True, kw_only=True)
class Belief:
    """What the limiter believes of the account, as its engine told it.

    Args:
        summary: One line.
        why: The reasons, in sentences.
    """

    summary: str = ""
    why: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Pulse:
    """A run at one moment.

    Args:
        at: The moment.
        finished: Videos that are finished; those left for later are not.
        active: Videos in flight.
        slots: Videos that may be in flight at once.
        is_auto: Whether the engine chooses the slots by itself.
        is_draining: Whether a stop was asked for: nothing new is started.
        low_s: With `high_s`: until the last video ends, in eight of ten cases; zeros when
            nothing is left.
        likely_s: The middle of it.
        high_s: See `low_s`.
        videos_per_min: Videos that ended in the last five minutes, a minute; None before the
            first end.
        limited_60s: Requests of this run in the last 60 s that count against the paid service.
        limit_60s: How many the service takes in 60 s, as the limiter believes; None where there
            is no paid service.
        spent_usd: What the videos that ended have cost.
        belief: Of the limiter.
    """

    at: datetime
    finished: int
    active: int
    slots: int
    is_auto: bool
    is_draining: bool
    low_s: float
    likely_s: float
    high_s: float
    videos_per_min: float | None
    limited_60s: int
    limit_60s: int | None
    spent_usd: Decimal
    belief: Belief = Belief()


def stride(number: int, *, most: int = MOST_KEPT) -> int:
    """Of the pulses 0 to `number`, those whose number it divides are kept: at most `most`."""
    step = 1
    while number // step >= most:
        step *= 2
    return step


class Pulses:
    """Writes the pulses of a session. Belongs to its engine: one writer at a time.

    The newest pulse is always there. Of the older ones every one stays at first, then every
    second, every fourth and so on, so that a chart of a long run is as even as that of a short
    one and the table does not grow with time.
    """

    def __init__(self, database: Database, session_id: str) -> None:
        self._database = database
        self._session_id = session_id
        self._next: int | None = None  # read from the store at the first write

    @outlasting
    def write(self, pulse: Pulse) -> None:
        """Note a pulse; a power cut may undo the newest ones.

        Raises:
            StoreError: it could not be written.
        """
        of_session = pulses.c.session_id == self._session_id
        with self._database.transaction(durable=False) as connection:
            number = self._next
            if number is None:
                newest = select(func.max(pulses.c.number)).where(of_session)
                found = connection.execute(newest).scalar()
                number = 0 if found is None else found + 1
            step = stride(number)
            leaves = pulses.c.number % step != 0
            if number > 0 and step == stride(number - 1):  # all but the last were thinned before
                leaves = and_(leaves, pulses.c.number == number - 1)
            connection.execute(delete(pulses).where(of_session, leaves))
            connection.execute(insert(pulses).values(_row(self._session_id, number, pulse)))
        self._next = number + 1


def _row(session_id: str, number: int, pulse: Pulse) -> dict[str, Any]:
    """A row; its columns are called as the fields are."""
    row = asdict(pulse) | {"session_id": session_id, "number": number}
    return row | {"belief": json.dumps(row["belief"])}


def pulse_of(row: RowMapping) -> Pulse:
    """The pulse of a row."""
    told: dict[str, Any] = json.loads(row["belief"])
    belief = Belief(summary=told["summary"], why=tuple(told["why"]))
    return Pulse(**{each.name: row[each.name] for each in fields(Pulse)} | {"belief": belief})
