"""What is known of an account: learned from answers, kept in the store, read by every process."""

import enum
import logging
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.request import RequestKind

_log = logging.getLogger(__name__)

#: Two ways to measure the time since a pause began may differ by this before one is distrusted.
_SAME_CLOCK_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One moment on both clocks: the monotonic reading, and the calendar."""

    reading_s: float
    at: datetime


def moment(clock: Clock) -> Moment:
    """Now, on both clocks."""
    return Moment(reading_s=clock.now_s(), at=clock.now())


@dataclass(frozen=True, kw_only=True)
class Pause:
    """A rest that the service asked for.

    Args:
        since: When it began.
        length_s: How long it lasts from there.
        is_daily: Whether the day's allowance is used up, not the minute's.
    """

    since: Moment
    length_s: float
    is_daily: bool = False

    def left_s(self, now: Moment) -> float:
        """Seconds that it still lasts; 0.0 or less when it is over. Never more than its length.

        The monotonic clock decides as long as it is the same one: after a new start of the
        machine its readings begin anew, and then the calendar says how long ago that was.
        """
        by_reading_s = now.reading_s - self.since.reading_s
        by_calendar_s = (now.at - self.since.at).total_seconds()
        is_same_clock = by_reading_s >= 0 and abs(by_reading_s - by_calendar_s) < _SAME_CLOCK_S
        passed_s = by_reading_s if is_same_clock else by_calendar_s
        return self.length_s - max(0.0, passed_s)


@dataclass(frozen=True, kw_only=True)
class KindFacts:
    """What is known of one kind of request.

    Args:
        limit: Requests a minute, as the service last said.
        daily_limit: Requests a day, as the service last said; None: none, or none known.
        daily_left: How many of them are left, those in flight already taken off.
        source: The service's own name of the pool that it counts these requests in.
        pause: The latest rest, over or not.
        strikes: Refusals without a time to wait since the last success; each makes the next
            pause longer.
        opening: How many may be in flight until the service has said its limit; None: any.
        heard_at: When the service last said a limit.
    """

    limit: int | None = None
    daily_limit: int | None = None
    daily_left: int | None = None
    source: str | None = None
    pause: Pause | None = None
    strikes: int = 0
    opening: int | None = None
    heard_at: datetime | None = None


class Relation(enum.StrEnum):
    """Whether two kinds draw on one pool of the service."""

    SHARED = "shared"
    INDEPENDENT = "independent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True)
class PairFacts:
    """What is known of two kinds.

    Args:
        relation: The finding.
        why: The evidence in a sentence.
        since: When it was found.
        relapses: How often "independent" had to be taken back.
    """

    relation: Relation = Relation.UNKNOWN
    why: str = ""
    since: Moment | None = None
    relapses: int = 0


class Plan(enum.StrEnum):
    """The account's plan with deAPI (https://docs.deapi.ai, limits and quotas)."""

    UNKNOWN = "unknown"
    BASIC = "basic"  # never paid: 1 submit a minute and 10 a day
    PREMIUM = "premium"


@dataclass(frozen=True, kw_only=True)
class AccountFacts:
    """All that is known of an account. Empty at first; `pairs` is keyed by `pair_name`."""

    kinds: dict[RequestKind, KindFacts] = field(default_factory=dict)
    pairs: dict[str, PairFacts] = field(default_factory=dict)
    plan: Plan = Plan.UNKNOWN
    mode: str = ""  # as the limiter that gave out the latest permit was told
    rpm: int | None = None  # likewise: the user's ceiling

    def of(self, kind: RequestKind) -> KindFacts:
        return self.kinds.get(kind, _NOTHING)

    def pair(self, one: RequestKind, other: RequestKind) -> PairFacts:
        return self.pairs.get(pair_name(one, other), _NO_EVIDENCE)

    def with_kind(self, kind: RequestKind, known: KindFacts) -> "AccountFacts":
        return replace(self, kinds={**self.kinds, kind: known})

    def with_pair(self, one: RequestKind, other: RequestKind, known: PairFacts) -> "AccountFacts":
        return replace(self, pairs={**self.pairs, pair_name(one, other): known})


_NOTHING = KindFacts()
_NO_EVIDENCE = PairFacts()
_adapter = TypeAdapter(AccountFacts)


def pair_name(one: RequestKind, other: RequestKind) -> str:
    """The same for both orders, such as "poll+submit"."""
    return "+".join(sorted((one.value, other.value)))


def write_facts(facts: AccountFacts) -> str:
    """As text, for a store."""
    return _adapter.dump_json(facts, exclude_defaults=True).decode()


def read_facts(text: str) -> AccountFacts:
    """From `write_facts`. Nothing, or text of another version, is the same as knowing nothing."""
    if not text:
        return AccountFacts()
    try:
        return _adapter.validate_json(text)
    except ValidationError:
        _log.warning("What was kept of an account's limits cannot be read; learning it anew.")
        return AccountFacts()
