"""One look at the book for a whole line: who may go now, and when the others may."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.permit import PermitBook
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.core.stage import WaitReason
from bulk_transcribe.limit.facts import AccountFacts, Moment, moment
from bulk_transcribe.limit.granted import LOST_ANSWER_S
from bulk_transcribe.limit.line import Waiter
from bulk_transcribe.limit.notes import Notes
from bulk_transcribe.limit.policy import Policy
from bulk_transcribe.limit.rate import Pool, RateLimit
from bulk_transcribe.limit.window import (
    Pace,
    Rules,
    Slots,
    counts_after_s,
    pool_counts,
    share_out,
    windows_of,
)

#: Real seconds between looks at the book while another process's requests in flight block us.
_LOOK_REAL_S = 0.25
#: With other processes at work more than this many places are not taken at one go, and this many
#: real seconds are left to them. Who is at work, and who had more, shows over two windows (clock
#: seconds): in one alone a wave of places that become free would hide who held them.
_AT_ONCE, _TURN_REAL_S, _OTHERS_LATELY_S = 4, 0.05, 120.0
#: Where permits are spread, the next ones follow after this long at least (clock seconds).
_PACED_S = 0.25
#: The longest sleep of a leader: what other processes learn, such as an end of a pause, is
#: noticed at least this often (clock seconds).
_LONGEST_SLEEP_S = 60.0
#: How long answered permits are kept for evidence, and how often the rest is swept out.
_KEEP_S, _SWEEP_S = 180.0, 30.0
#: A process that ended is noticed at least this often while permits are taken (clock seconds).
_SETTLE_S = 5.0

#: Why nobody of a kind can go, and until when; None: until some answer arrives.
Blocked = dict[RequestKind, tuple[WaitReason, float | None]]


@dataclass(kw_only=True)
class Round:
    """What one look at the book brought."""

    granted: list[tuple[Waiter, int]] = field(default_factory=list)
    late: list[Waiter] = field(default_factory=list)
    waits: dict[Waiter, tuple[WaitReason, float | None]] = field(default_factory=dict)
    blocked: Blocked = field(default_factory=dict)
    next_s: float = math.inf
    per_s: float | None = None
    now_s: float = 0.0


class Dealer:
    """Deals the permits out. Belongs to the leader of the line: one thread at a time.

    Args:
        policy: Which limits hold; may be replaced at any time.
        clock: The time.
        notes: What is known of the account.
    """

    def __init__(self, policy: Policy, clock: Clock, notes: Notes) -> None:
        self.policy = policy
        self._clock = clock
        self._notes = notes
        self._swept_s = self._settled_s = -math.inf
        self._stood_back = False
        self._pace = Pace()

    def look(self, book: PermitBook, waiters: Sequence[Waiter], found: Round) -> None:
        """Give out what can be given out, and find out when the next place becomes free.

        Args:
            book: Open, for this thread alone.
            waiters: In the order of their turn.
            found: Takes what was found, also where this fails half way.
        """
        facts = self._notes.read(book)
        now = moment(self._clock)  # read inside of the block: no booking is later than this
        found.now_s = now.reading_s
        going = self._choose(book, facts, waiters, now, found)
        if self._settle_book(book, found) and found.blocked:
            going = self._choose(book, facts, waiters, now, found)
        going = self._leave_some(book, going, found)
        going = self._keep_pace(going, found)
        if going:
            kinds = [waiter.kind for waiter in going]
            found.granted = list(zip(going, book.grant(kinds, found.now_s), strict=True))
            self._notes.keep(book, facts, self.policy.granted(facts, kinds))
        if found.blocked and book.others_in_flight():
            found.next_s = min(found.next_s, found.now_s + _LOOK_REAL_S * self._clock.speed)

    def _keep_pace(self, going: list[Waiter], found: Round) -> list[Waiter]:
        """Of a crowd, only as many as the pace allows."""
        if found.per_s is None:
            return going
        chosen = going[: self._pace.allows(found.per_s, found.now_s)]
        self._pace.took(len(chosen), found.per_s)
        if len(chosen) < len(going):
            found.next_s = min(found.next_s, found.now_s + max(_PACED_S, 1 / found.per_s))
        return chosen

    def _leave_some(self, book: PermitBook, going: list[Waiter], found: Round) -> list[Waiter]:
        """Where places are scarce and other processes are at work, let them have their share.

        Who has more than its share stands back for a moment before it takes what is then still
        free, and of many places that are free together only half is taken at one go. Nothing is
        left unused: what the others do not take in that moment is ours.
        """
        if not going or not found.blocked:
            return going
        own, others = book.by_owner(found.now_s - _OTHERS_LATELY_S)
        if not others:
            return going
        share = (own + sum(others)) / (1 + len(others))
        next_s = found.now_s + _TURN_REAL_S * self._clock.speed
        if own > share and not self._stood_back:
            self._stood_back = True
            found.next_s = min(found.next_s, next_s)
            return []
        self._stood_back = False
        if len(going) <= _AT_ONCE:
            return going
        found.next_s = min(found.next_s, next_s)
        return going[: max(_AT_ONCE, len(going) // 2)]

    def _settle_book(self, book: PermitBook, found: Round) -> bool:
        """Whether permits of ended processes were found; looked for when somebody has to wait."""
        is_due = not 0 <= found.now_s - self._settled_s < _SETTLE_S
        if not found.blocked and not is_due:
            return False
        self._settled_s = found.now_s
        return book.settle(found.now_s, found.now_s + LOST_ANSWER_S) > 0

    def _choose(
        self,
        book: PermitBook,
        facts: AccountFacts,
        waiters: Sequence[Waiter],
        now: Moment,
        found: Round,
    ) -> list[Waiter]:
        """Who may go; `found` learns the prospects of the others."""
        now_s = now.reading_s
        in_flight = book.in_flight()
        rules = self.policy.rules(facts, in_flight, now)
        self._sweep(book, rules, now_s)
        taken = counted(book, rules, now_s)
        found.per_s = rules.per_s
        places = share_out([waiter.kind for waiter in waiters], rules, taken)
        going = [waiters[place] for place in places]
        chosen = set(places)
        staying = [waiter for place, waiter in enumerate(waiters) if place not in chosen]
        found.late, found.waits, found.blocked = [], {}, {}
        if staying:
            slots = {
                pool: Slots(
                    pool.limit,
                    book.answered(pool.kinds, counts_after_s(pool.limit, now_s)),
                    sum(in_flight.get(kind, 0) for kind in pool.kinds),
                    now_s,
                )
                for pool in rules.pools
            }
            ahead = {pool: sum(w.kind in pool.kinds for w in going) for pool in rules.pools}
            _add_prospects(found, staying, rules, slots, ahead)
        times_s = [until_s for _, until_s in found.blocked.values() if until_s is not None]
        found.next_s = min([now_s + _LONGEST_SLEEP_S, *times_s])
        return going

    def _sweep(self, book: PermitBook, rules: Rules, now_s: float) -> None:
        if not 0 <= now_s - self._swept_s < _SWEEP_S:
            self._swept_s = now_s
            book.prune(now_s - max(windows_of(rules)) - _KEEP_S)


def counted(book: PermitBook, rules: Rules, now_s: float) -> dict[Pool, int]:
    """How many permits count in each pool at this reading."""
    counts = {
        window_s: book.counts(counts_after_s(RateLimit(1, window_s), now_s))
        for window_s in windows_of(rules)
    }
    return pool_counts(rules, counts)


def _add_prospects(
    found: Round,
    staying: Sequence[Waiter],
    rules: Rules,
    slots: Mapping[Pool, Slots],
    ahead: dict[Pool, int],
) -> None:
    """Work out why and until when, at least, each of those waits that cannot go now.

    Args:
        found: Takes it; those that can never go in time are late.
        staying: In the order of their turn.
        rules: What holds now.
        slots: When the places of each pool become free.
        ahead: How many go before them in each pool; counted on.
    """
    for waiter in staying:
        pools = rules.pools_of(waiter.kind)
        closed = rules.closed.get(waiter.kind)
        times_s = [slots[pool].earliest_s(ahead[pool]) for pool in pools]
        at_s = max([*times_s, closed.until_s] if closed else times_s)
        if waiter.ticket.deadline_s is not None and at_s > waiter.ticket.deadline_s:
            found.late.append(waiter)
            continue
        for pool in pools:
            ahead[pool] += 1
        is_daily = closed is not None and closed.is_daily
        reason = WaitReason.DAILY_LIMIT if is_daily else WaitReason.LIMIT
        # there is room, and still it stays: it waits for an answer, and nobody knows when
        wait = (reason, at_s if at_s > found.now_s else None)
        found.waits[waiter] = wait
        found.blocked.setdefault(waiter.kind, wait)
