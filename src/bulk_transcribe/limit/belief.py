"""What a limiter believes about an account, and why: for people and for other processes."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.limit.facts import AccountFacts, Moment
from bulk_transcribe.limit.rate import Pool
from bulk_transcribe.limit.window import Rules


@dataclass(frozen=True, kw_only=True)
class PoolBelief:
    """One limit: the kinds that draw on it, requests per window, how many count now."""

    kinds: tuple[str, ...]
    limit: int
    window_s: float
    used: int


@dataclass(frozen=True, kw_only=True)
class RestBelief:
    """One kind that rests after a refusal, and until when."""

    kind: str
    until_at: datetime
    is_daily: bool


@dataclass(frozen=True, kw_only=True)
class DayBelief:
    """One kind's limit for the day; `None` where the service has not said."""

    kind: str
    limit: int
    remaining: int | None
    resets_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class LimiterBelief:
    """All of it at one moment.

    Args:
        mode: "conservative", "aggressive", "auto", or "fixed" for limits that never change.
        plan: "basic", "premium" or "unknown".
        pools: The limits that hold, the largest first.
        why: Reasons in sentences.
        rests: Kinds that wait for a refusal to pass.
        days: Kinds with a limit for the day.
        trouble: Why the shared count cannot be read; "" when it can. Nothing goes out meanwhile.
    """

    mode: str
    plan: str
    pools: tuple[PoolBelief, ...]
    why: tuple[str, ...] = ()
    rests: tuple[RestBelief, ...] = ()
    days: tuple[DayBelief, ...] = ()
    trouble: str = ""

    @property
    def summary(self) -> str:
        """One line, such as "auto: poll+price+submit 120 of 300 a minute"."""
        parts = [
            f"{'+'.join(pool.kinds)} {pool.used} of {pool.limit} {_per(pool.window_s)}"
            for pool in self.pools
        ]
        parts += [
            f"{day.kind} {'?' if day.remaining is None else day.remaining} "
            f"of {day.limit} left today"
            for day in self.days
        ]
        parts += [
            f"{rest.kind} rests until {rest.until_at.astimezone():%Y-%m-%d %H:%M:%S}"
            + (" (daily limit)" if rest.is_daily else "")
            for rest in self.rests
        ]
        if self.trouble:
            parts.append(f"nothing goes out: {self.trouble}")
        return f"{self.mode}: " + ", ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: moments as ISO 8601 text, and the summary."""
        plain = asdict(
            self,
            dict_factory=lambda pairs: {
                name: value.isoformat() if isinstance(value, datetime) else value
                for name, value in pairs
            },
        )
        return plain | {"summary": self.summary}


def describe(
    *,
    facts: AccountFacts,
    mode: str,
    why: tuple[str, ...],
    rules: Rules,
    counted: Mapping[Pool, int],
    now: Moment,
    trouble: str,
) -> LimiterBelief:
    """Put it together. `now` is the moment at which `rules` and `counted` were true."""
    rests = {
        kind: RestBelief(
            kind=kind.value,
            until_at=now.at + timedelta(seconds=closure.until_s - now.reading_s),
            is_daily=closure.is_daily,
        )
        for kind, closure in rules.closed.items()
    }
    return LimiterBelief(
        mode=mode,
        plan=facts.plan.value,
        pools=tuple(
            PoolBelief(
                kinds=tuple(sorted(kind.value for kind in pool.kinds)),
                limit=pool.limit.requests,
                window_s=pool.limit.window_s,
                used=counted[pool],
            )
            for pool in sorted(rules.pools, key=lambda p: (-len(p.kinds), p.name))
        ),
        why=why,
        rests=tuple(rests[kind] for kind in sorted(rests)),
        days=tuple(_day(facts, kind, rests.get(kind)) for kind in _days(facts)),
        trouble=trouble,
    )


def _days(facts: AccountFacts) -> list[RequestKind]:
    return sorted(kind for kind, known in facts.kinds.items() if known.daily_limit is not None)


def _day(facts: AccountFacts, kind: RequestKind, rest: RestBelief | None) -> DayBelief:
    known = facts.of(kind)
    is_spent = rest is not None and rest.is_daily
    return DayBelief(
        kind=kind.value,
        limit=known.daily_limit or 0,
        remaining=0 if is_spent else known.daily_left,
        resets_at=rest.until_at if rest is not None and is_spent else None,
    )


def _per(window_s: float) -> str:
    return "a minute" if window_s == 60 else f"in {window_s:g} s"  # noqa: PLR2004 -- a minute
