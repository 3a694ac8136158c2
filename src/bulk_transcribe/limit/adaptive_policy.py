"""deAPI's limits, learned from its answers. Pure decisions.

Its pages say two things: 300 requests a minute for the account, and 300 for each endpoint; and
they do not say whether looking at a job counts. So `auto` starts with one pool for everything,
compares what the answers say is left with what we sent (`evidence.py`), and gives two kinds pools
of their own once it is proved that they have them. The first refusal that contradicts that takes
it back. A pool is a largest set of kinds of which no two are proved apart: whatever pools the
service really has, each lies within one of ours, so the limit holds all the time.

The user's `rate_limit_rpm` is the ceiling of every pool, whatever the service would allow.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from bulk_transcribe.core.permit import BookedPermit, PermitBook
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.limit.evidence import judge_counts, judge_sources
from bulk_transcribe.limit.facts import (
    AccountFacts,
    KindFacts,
    Moment,
    PairFacts,
    Plan,
    Relation,
)
from bulk_transcribe.limit.headers import RateHeaders
from bulk_transcribe.limit.pauses import Answer, closures, learn_pauses
from bulk_transcribe.limit.rate import Pool, RateLimit
from bulk_transcribe.limit.window import Rules

MODES = ("auto", "conservative", "aggressive")
#: What deAPI limits; balance, models and result files are free (limits and quotas page).
LIMITED = (RequestKind.POLL, RequestKind.PRICE, RequestKind.SUBMIT)


@dataclass(frozen=True)
class _Preset:
    per_minute: int
    per_day: int


#: What the limits page says of the Basic plan; what an answer says goes before it.
_BASIC = {
    RequestKind.SUBMIT: _Preset(1, 10),
    RequestKind.POLL: _Preset(50, 200),
    RequestKind.PRICE: _Preset(50, 200),
}
#: Premium allows 300 a minute; a figure of this size is no Basic limit of any endpoint.
_SURELY_PREMIUM = 100
_WINDOW_S = 60.0
#: A limit heard longer ago is heard anew before many requests go out at once: plans change.
_FRESH_FOR = timedelta(days=1)
#: Numbers are compared at most this often, and over this long (two windows).
_JUDGE_EVERY_S, _JUDGE_BACK_S = 1.0, 150.0
#: Until the pools are known, a full limit is given out over this long: several times as long as
#: an answer takes (submits: 0.8 to 2.9 s), a quarter of the window.
_SPREAD_S = 15.0
#: After "independent" had to be taken back, no new evidence is heard for this long; doubles.
_COOLDOWN_S, _LONGEST_COOLDOWN_S = 600.0, 21_600.0
#: A daily limit that was met by an earlier run is tried once by a new one: the account may have
#: been topped up since. Not if that was only just.
_RETEST_AFTER_S = 300.0
#: The instants at which we and the service see a window end differ by less than this.
_SLACK_S = 1.0


class AdaptivePolicy:
    """Limits of one deAPI account. One for each limiter; `learn` and `granted` under its book.

    Args:
        mode: "conservative" (one pool), "aggressive" (a pool for each kind, unless the answers
            prove that two share one) or "auto".
        rate_limit_rpm: Most requests a minute in any pool.
    """

    def __init__(self, mode: str, rate_limit_rpm: int) -> None:
        if mode not in MODES:
            raise ValueError(f"{mode!r} is not a limit mode: use {', '.join(MODES)}")
        self.mode = mode
        self._rpm = RateLimit(rate_limit_rpm, _WINDOW_S).requests
        self._judged_s = float("-inf")
        self._untested = set(LIMITED)  # daily rests of earlier runs not yet tried by this one

    def in_mode(self, mode: str) -> "AdaptivePolicy":
        """The same in another mode.

        Raises:
            ValueError: there is no such mode.
        """
        other = AdaptivePolicy(mode, self._rpm)
        other._judged_s, other._untested = self._judged_s, self._untested
        return other

    def limits(self, kind: RequestKind) -> bool:
        return kind in LIMITED

    def rules(
        self, facts: AccountFacts, in_flight: Mapping[RequestKind, int], now: Moment
    ) -> Rules:
        closed = closures(facts, now)
        at_most: dict[RequestKind, int] = {}
        for kind in LIMITED:
            known, flying = facts.of(kind), in_flight.get(kind, 0)
            if kind in closed and self._may_test(kind, known, now):
                del closed[kind]
                at_most[kind] = max(0, 1 - flying)
                continue
            caps = [
                cap
                for cap in (_opening(known, flying, now), _day(known, flying))
                if cap is not None
            ]
            if caps:
                at_most[kind] = max(0, min(caps))
        return Rules(
            pools=self.pools(facts), closed=closed, at_most=at_most, per_s=self._pace_per_s(facts)
        )

    def pools(self, facts: AccountFacts) -> tuple[Pool, ...]:
        """The pools that we believe in."""
        limit = self._limits(facts)
        shared = [
            Pool.of(kinds, max(limit[kind] for kind in kinds), _WINDOW_S)
            for kinds in self._groups(facts)
        ]
        own = [
            Pool.of({kind}, limit[kind], _WINDOW_S)
            for kind in LIMITED
            if all(limit[kind] < p.limit.requests for p in shared if kind in p.kinds)
        ]
        return (*shared, *own)

    def why(self, facts: AccountFacts) -> tuple[str, ...]:
        """Why we believe so, in sentences."""
        reasons = []
        if self.mode != "auto":
            reasons.append(f"The mode is set to {self.mode}.")
        if facts.plan is Plan.BASIC:
            reasons.append("The account is on the Basic plan: it has limits for the day, too.")
        for one, other in itertools.combinations(LIMITED, 2):
            pair = facts.pair(one, other)
            if pair.why:
                reasons.append(f"{one.value} and {other.value}: {pair.relation.value}, {pair.why}.")
        for kind in LIMITED:
            heard = facts.of(kind).limit
            if heard is not None and heard > self._rpm:
                reasons.append(
                    f"The service would allow {heard} {kind.value} requests a minute; "
                    f"the setting rate_limit_rpm holds it to {self._rpm}."
                )
        if self.mode == "auto" and not reasons:
            reasons.append("Nothing is known yet, so all requests share one limit.")
        return tuple(reasons)

    def granted(self, facts: AccountFacts, kinds: Sequence[RequestKind]) -> AccountFacts:
        self._untested.difference_update(kinds)
        if facts.mode != self.mode or facts.rpm != self._rpm:
            facts = replace(facts, mode=self.mode, rpm=self._rpm)
        for kind in kinds:
            known = facts.of(kind)
            if known.daily_left:
                facts = facts.with_kind(kind, replace(known, daily_left=known.daily_left - 1))
        return facts

    def learn(
        self, facts: AccountFacts, answers: Sequence[Answer], book: PermitBook
    ) -> AccountFacts:
        for answer in answers:
            if not self.limits(answer.kind):
                continue
            facts = self._contradict(facts, answer)
            neighbours = _neighbours(self.pools(facts), answer.kind)
            facts = learn_pauses(facts, answer, neighbours)
            facts = _hear_limits(facts, answer, book)
            self._count_strangers(facts, answer, book)
        return self._judge(facts, answers, book)

    def is_open(self, facts: AccountFacts, kind: RequestKind) -> bool:
        """In question is only whether submits and polls share a pool: prices are asked rarely."""
        return (
            self.mode == "auto"
            and kind in {RequestKind.SUBMIT, RequestKind.POLL}
            and facts.pair(RequestKind.SUBMIT, RequestKind.POLL).relation is Relation.UNKNOWN
            and facts.plan is not Plan.BASIC
        )

    # Pools. -------------------------------------------------------------------------------------

    def _limits(self, facts: AccountFacts) -> dict[RequestKind, int]:
        """Requests a minute of each kind; what was never heard is as the least that was."""
        heard = {kind: limit for kind in LIMITED if (limit := _limit(facts, kind)) is not None}
        least = min(heard.values(), default=self._rpm)
        return {kind: min(self._rpm, heard.get(kind, least)) for kind in LIMITED}

    def _groups(self, facts: AccountFacts) -> list[frozenset[RequestKind]]:
        """The largest sets of kinds of which no two are apart."""
        whole = frozenset(LIMITED)
        sets = [
            frozenset(kinds)
            for size in range(len(whole), 0, -1)
            for kinds in itertools.combinations(LIMITED, size)
            if not any(self._are_apart(facts, a, b) for a, b in itertools.combinations(kinds, 2))
        ]
        return [kinds for kinds in sets if not any(kinds < larger for larger in sets)]

    def _are_apart(self, facts: AccountFacts, one: RequestKind, other: RequestKind) -> bool:
        relation = facts.pair(one, other).relation
        if self.mode == "conservative":
            return False
        if self.mode == "aggressive":
            return relation is not Relation.SHARED
        if relation is not Relation.UNKNOWN:
            return relation is Relation.INDEPENDENT
        if facts.plan is Plan.BASIC:  # the limits page lists them apart
            return True
        limits = _limit(facts, one), _limit(facts, other)
        return None not in limits and limits[0] != limits[1]  # one pool has one limit

    def _pace_per_s(self, facts: AccountFacts) -> float | None:
        """While it is open whether submits and polls share a pool, crowds are spread a little.

        Requests that are all under way at the same time prove nothing. Spreading costs a few
        seconds once, no throughput: places become free again as far apart as they were taken.
        """
        return self._rpm / _SPREAD_S if self.is_open(facts, RequestKind.POLL) else None

    def _may_test(self, kind: RequestKind, known: KindFacts, now: Moment) -> bool:
        """Whether a daily rest that an earlier run met may be tried once."""
        return (
            kind in self._untested
            and known.pause is not None
            and known.pause.is_daily
            and known.pause.length_s - known.pause.left_s(now) > _RETEST_AFTER_S
        )

    # Evidence. ----------------------------------------------------------------------------------

    def _contradict(self, facts: AccountFacts, answer: Answer) -> AccountFacts:
        """A refusal for the minute takes back what made its kind's pool an own one."""
        if not answer.is_refusal or answer.headers.is_daily:
            return facts
        for other in LIMITED:
            if other is answer.kind:
                continue
            pair = facts.pair(answer.kind, other)
            if pair.relation is Relation.INDEPENDENT:
                taken_back = PairFacts(
                    relation=Relation.SHARED,
                    why=f"a {answer.kind.value} request was refused while they were held apart",
                    since=answer.arrived,
                    relapses=pair.relapses + 1,
                )
                facts = facts.with_pair(answer.kind, other, taken_back)
        return facts

    def _judge(
        self, facts: AccountFacts, answers: Sequence[Answer], book: PermitBook
    ) -> AccountFacts:
        """Compare names with names, and now and then what is left with what was sent."""
        told = [a.arrived for a in answers if a.headers.remaining is not None or a.headers.source]
        if not told:
            return facts
        now = max(told, key=lambda moment: moment.reading_s)
        is_due = not 0 <= now.reading_s - self._judged_s < _JUDGE_EVERY_S
        permits: Sequence[BookedPermit] = ()
        if is_due:
            self._judged_s = now.reading_s
            permits = book.recent(now.reading_s - _JUDGE_BACK_S)
        for one, other in itertools.combinations(LIMITED, 2):
            pair = facts.pair(one, other)
            heard_from_s = _heard_from_s(pair, now.reading_s)
            fresh = [permit for permit in permits if permit.granted_s >= heard_from_s]
            finding = judge_counts(fresh, one, other, window_s=_WINDOW_S)
            # names do not overrule numbers, nor a refusal
            if finding.relation is Relation.UNKNOWN and pair.relation is Relation.UNKNOWN:
                finding = judge_sources(facts.of(one).source, facts.of(other).source)
            if finding.relation not in {Relation.UNKNOWN, pair.relation}:
                known = PairFacts(
                    relation=finding.relation,
                    why=finding.why,
                    since=now,
                    relapses=pair.relapses + (pair.relation is Relation.INDEPENDENT),
                )
                facts = facts.with_pair(one, other, known)
        return facts

    def _count_strangers(self, facts: AccountFacts, answer: Answer, book: PermitBook) -> None:
        """Book what others used up without this store, such as another machine.

        The service says how many are left. If even all of our requests that it can have counted
        do not explain that, somebody else sent the rest.
        """
        limit, remaining = answer.headers.limit, answer.headers.remaining
        if limit is None or remaining is None or not answer.is_success:
            return
        counts = book.counts(answer.granted_s - _WINDOW_S - _SLACK_S)
        ours = sum(counts.get(k, 0) for k in _neighbours(self.pools(facts), answer.kind))
        strangers = min(self._rpm, limit) - remaining - ours
        if strangers > 0:
            book.add_strangers(answer.kind, strangers, answer.arrived.reading_s)


def _limit(facts: AccountFacts, kind: RequestKind) -> int | None:
    """Requests a minute, as heard or as the plan has it."""
    heard = facts.of(kind).limit
    return _BASIC[kind].per_minute if heard is None and facts.plan is Plan.BASIC else heard


def _neighbours(pools: Sequence[Pool], kind: RequestKind) -> frozenset[RequestKind]:
    """The kinds that share a pool with one, itself included."""
    return frozenset(k for pool in pools if kind in pool.kinds for k in pool.kinds)


def _opening(known: KindFacts, in_flight: int, now: Moment) -> int | None:
    """How many may go while the limit is not known: one, then one more with each success.

    With headers the first answer ends this. Without, the number doubles with each round, and an
    account that allows one request a minute meets one refusal instead of three hundred.
    """
    if known.heard_at is not None and timedelta(0) <= now.at - known.heard_at < _FRESH_FOR:
        return None
    return (known.opening or 1) - in_flight


def _day(known: KindFacts, in_flight: int) -> int | None:
    """How many may go for what is left of the day.

    When nothing is left and nobody has said until when, one request goes to be told.
    """
    if known.daily_left is None:
        return None
    return known.daily_left or 1 - in_flight


def _hear_limits(facts: AccountFacts, answer: Answer, book: PermitBook) -> AccountFacts:
    """What the headers say about the limits of the kind, and so about the plan."""
    headers, before = answer.headers, facts.of(answer.kind)
    known = before
    if headers.source is not None:
        known = replace(known, source=headers.source)
    if headers.limit is not None and not (headers.is_daily and headers.daily_limit is None):
        known = replace(known, limit=headers.limit, heard_at=answer.arrived.at)
        if not answer.is_refusal:  # a plan without a limit for the day does not name one
            known = replace(known, daily_limit=headers.daily_limit)
    if headers.daily_limit is not None:
        known = replace(known, daily_limit=headers.daily_limit)
    known = replace(known, daily_left=_daily_left(known, answer, book))
    if known.heard_at is None:
        if answer.is_refusal:
            known = replace(known, opening=1)
        elif answer.is_success:
            known = replace(known, opening=min(1024, (known.opening or 1) + 1))
    facts = facts if known == before else facts.with_kind(answer.kind, known)
    return replace(facts, plan=_plan(facts, answer)) if headers != RateHeaders() else facts


def _daily_left(known: KindFacts, answer: Answer, book: PermitBook) -> int | None:
    """What is left of the day, those in flight taken off.

    The answer's number may or may not have counted the requests that were under way together with
    its own: between those two the number that we kept ourselves is the best.
    """
    if answer.is_refusal and answer.headers.is_daily:
        return 0
    said = answer.headers.daily_remaining
    if said is None:
        return known.daily_left if known.daily_limit is not None else None
    together = sum(
        permit.kind is answer.kind
        and permit.permit_id != answer.permit_id
        and permit.granted_s <= answer.arrived.reading_s
        for permit in book.recent(answer.granted_s - _SLACK_S)
    )
    least, most = max(0, said - together), said
    return least if known.daily_left is None else min(most, max(least, known.daily_left))


def _plan(facts: AccountFacts, answer: Answer) -> Plan:
    """A limit for the day alone is no proof of Basic where so many a minute are allowed."""
    submit = facts.of(RequestKind.SUBMIT).limit
    if submit is not None and submit >= _SURELY_PREMIUM:
        return Plan.PREMIUM
    refused_for_the_day = answer.is_refusal and answer.headers.is_daily
    has_day = any(facts.of(kind).daily_limit is not None for kind in LIMITED)
    if refused_for_the_day or has_day or submit == _BASIC[RequestKind.SUBMIT].per_minute:
        return Plan.BASIC
    return facts.plan


def _heard_from_s(pair: PairFacts, now_s: float) -> float:
    """From which reading on evidence is heard."""
    if pair.since is None or pair.since.reading_s > now_s or pair.relapses == 0:
        return float("-inf")
    cooldown_s = min(_LONGEST_COOLDOWN_S, _COOLDOWN_S * 2.0 ** (pair.relapses - 1))
    return pair.since.reading_s + cooldown_s
