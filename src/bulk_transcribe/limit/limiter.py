"""One budget of requests for everyone who uses the same account.

How a permit is given out: callers stand in one line (`line.py`). The first of them is its leader:
it opens the account's book in the store, decides for the whole line at once (`window.py`), wakes
those who may go, and sleeps until the next place becomes free. When it goes itself, the next one
leads. So there is no thread of its own, one transaction serves a whole crowd, and only those who
have something to do are woken.
"""

import logging
import math
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import NamedTuple, Self

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.permit import PermitBook, PermitStore
from bulk_transcribe.core.request import Capacity, RequestKind, Ticket
from bulk_transcribe.core.stage import WaitReason
from bulk_transcribe.errors import DeadlineError, StoreError
from bulk_transcribe.limit.belief import LimiterBelief, describe
from bulk_transcribe.limit.facts import AccountFacts, Moment, read_facts, write_facts
from bulk_transcribe.limit.headers import RateHeaders, read_headers
from bulk_transcribe.limit.line import Line, Waiter
from bulk_transcribe.limit.memory import MemoryPermitStore
from bulk_transcribe.limit.pauses import Answer
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

_log = logging.getLogger(__name__)

#: A request whose answer never came may reach the service after we hung up: bytes in the
#: kernel's buffers and in proxies. It counts as answered this much later.
LOST_ANSWER_S = 2.0
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
#: While the store cannot be reached nothing is given out. It is tried again this often, and
#: after the patience everyone who waits gets the error (clock seconds).
_STORE_RETRY_S, _STORE_PATIENCE_S = 1.0, 60.0
#: A wait for a deadline ends a moment after it: a permit exactly at the deadline is in time.
_AFTER_S = 0.001
#: How long answered permits are kept for evidence, and how often the rest is swept out.
_KEEP_S, _SWEEP_S = 180.0, 30.0
#: A process that ended is noticed at least this often while permits are taken (clock seconds).
_SETTLE_S = 5.0


class Unused(NamedTuple):
    """A permit whose request never left."""

    permit_id: int
    granted_s: float


class GrantedPermit:
    """Leave to send one request. Belongs to the thread that got it; only its first word counts."""

    def __init__(
        self, limiter: "DistributedRateLimiter", waiter: Waiter, permit_id: int, waited_s: float
    ) -> None:
        self._limiter = limiter
        self._kind = waiter.kind
        self._permit_id = permit_id
        self._granted_s = waiter.granted_s
        self._is_told = False
        self.waited_s = waited_s

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """The answer arrived. Header names in lower case. A 429 pauses the pool for everyone."""
        if not self._is_told:
            self._end(self._limiter.moment(), status, headers)

    def unsent(self) -> None:
        """The request certainly never left: give the permit back."""
        if not self._is_told:
            self._is_told = True
            self._limiter.take_back(Unused(self._permit_id, self._granted_s))

    def done(self, *, is_lost: bool = False) -> None:
        """Nobody told how it went: it counts as sent and answered now (lost: a little later)."""
        if not self._is_told:
            now = self._limiter.moment()
            later_s = LOST_ANSWER_S if is_lost else 0.0
            arrived = Moment(
                reading_s=now.reading_s + later_s, at=now.at + timedelta(seconds=later_s)
            )
            self._end(arrived, None, {})

    def _end(self, arrived: Moment, status: int | None, headers: Mapping[str, str]) -> None:
        self._is_told = True
        self._limiter.note(
            Answer(
                kind=self._kind,
                permit_id=self._permit_id,
                granted_s=self._granted_s,
                arrived=arrived,
                status=status,
                headers=read_headers(headers, arrived.at) if headers else RateHeaders(),
            )
        )


class _FreePermit:
    """For a kind without any limit."""

    waited_s = 0.0

    def answered(self, status: int, headers: Mapping[str, str]) -> None:
        """Nothing to learn."""

    def unsent(self) -> None:
        """Nothing to give back."""

    def done(self, *, is_lost: bool = False) -> None:
        """Nothing to count."""


_FREE = _FreePermit()


#: Why nobody of a kind can go, and until when; None: until some answer arrives.
_Blocked = dict[RequestKind, tuple[WaitReason, float | None]]


@dataclass(kw_only=True)
class _Round:
    """What one look at the book brought."""

    granted: list[tuple[Waiter, int]] = field(default_factory=list)
    late: list[Waiter] = field(default_factory=list)
    waits: dict[Waiter, tuple[WaitReason, float | None]] = field(default_factory=dict)
    blocked: _Blocked = field(default_factory=dict)
    next_s: float = math.inf
    per_s: float | None = None
    now_s: float = 0.0


class DistributedRateLimiter:
    """Permits for requests, one account's worth for all threads and processes together.

    The service never counts more than the limit in any window (proof in `window.py`), and a
    permit is only refused while that many count. There is no share for each thread: one busy
    thread may use the whole limit. Everyone of the same store and `account` shares the limit;
    what a killed process had in flight comes back a window after its end was noticed.

    A full limit goes out at once at the start (the service allows it, and spreading it would only
    waste places); how quickly a batch grows is decided by those who ask.

    May be shared by all threads. `close` it (or use a `with` block) to forget the `control`.

    Args:
        policy: Which limits hold.
        clock: The time.
        store: Where the permits are booked; without one, this limiter stands alone.
        account: Whose limit it is: a salted hash, never a key itself.
        control: Its halt ends all waits.
    """

    def __init__(
        self,
        policy: Policy,
        *,
        clock: Clock,
        store: PermitStore | None = None,
        account: str = "",
        control: RunControl | None = None,
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._store = store or MemoryPermitStore()
        #: The name in the store. Readings of clocks of different speeds cannot be compared.
        self.account = account if clock.speed == 1.0 else f"{account}@{clock.speed:g}"
        self._control = control
        self._lock = threading.Lock()  # guards the fields below; never held during I/O
        self._line = Line()
        self._joined = 0
        self._leader: Waiter | None = None
        self._due_s = math.inf  # when the leader looks at the book again; -inf: at once
        self._blocked: _Blocked = {}  # as the leader found it last
        self._answers: list[Answer | Unused] = []  # not yet in the book
        self._is_writing = False
        self._swept_s = self._settled_s = -math.inf  # these four belong to the leader
        self._stood_back = False
        self._pace = Pace()
        self._trouble: StoreError | None = None
        self._trouble_since_s = 0.0
        self._read: tuple[str, AccountFacts] = ("", AccountFacts())
        self._forget = control.on_change(self._wake_all) if control else lambda: None

    @contextmanager
    def permit(
        self, kind: RequestKind, ticket: Ticket | None = None, /
    ) -> "Iterator[GrantedPermit | _FreePermit]":
        """Wait until one more request of this kind may go; the permit ends with the block.

        Raises:
            DeadlineError: the permit would come after `ticket.deadline_s`.
            StoppedError: the run was halted while waiting.
            StoreError: the shared count could not be reached for a minute.
        """
        permit = self.acquire(kind, ticket)
        try:
            yield permit
        except BaseException:
            permit.done(is_lost=True)
            raise
        permit.done()

    def acquire(
        self, kind: RequestKind, ticket: Ticket | None = None
    ) -> "GrantedPermit | _FreePermit":
        """As `permit`, without the block: the caller must end the permit, or it counts for ever."""
        ticket = ticket or Ticket()
        self._raise_if_halted()
        if not self._policy.limits(kind):
            ticket.on_wait(None, None)
            return _FREE
        with self._lock:
            self._joined += 1
            waiter = Waiter(kind, ticket, self._clock.now_s(), self._joined, self._lock)
            self._line.join(waiter)
            self._greet(waiter)
        try:
            permit_id = self._wait_for_turn(waiter)
            waited_s = max(0.0, waiter.granted_s - waiter.since_s)
            ticket.on_wait(None, None)
        except BaseException:
            self._drop(waiter)
            raise
        return GrantedPermit(self, waiter, permit_id, waited_s)

    def record_request(self, kind: RequestKind) -> None:
        """Count a request that went out just now without having asked, whatever the limit says.

        Raises:
            StoreError: the shared count cannot be reached.
        """
        if self._policy.limits(kind):
            with self._store.open(self.account) as book:
                book.add_strangers(kind, 1, self._clock.now_s())

    def get_remaining_capacity(self, kind: RequestKind) -> int | None:
        """How many requests of this kind could go at once; None where nothing is limited."""
        capacity = self.capacity(kind)
        return None if capacity.limit is None else capacity.remaining

    def capacity(self, kind: RequestKind) -> Capacity:
        """What the limit allows now. With an unreachable store: nothing, for nothing would go."""
        if not self._policy.limits(kind):
            return Capacity(limit=None, window_s=60.0, used=0, remaining=sys.maxsize)
        facts, rules, counted, _ = self._overview()
        pools = rules.pools_of(kind)
        tight = min(pools, key=lambda pool: pool.limit.requests - counted[pool])
        closed = rules.closed.get(kind)
        known = facts.of(kind)
        remaining = max(0, tight.limit.requests - counted[tight])
        with self._lock:
            waiting = sum(waiter.kind in tight.kinds for waiter in self._line)
        return Capacity(
            limit=tight.limit.requests,
            window_s=tight.limit.window_s,
            used=counted[tight],
            remaining=0 if closed else min(remaining, rules.at_most.get(kind, remaining)),
            waiting=waiting,
            paused_until_s=closed.until_s if closed else None,
            daily_limit=known.daily_limit,
            daily_remaining=0 if closed and closed.is_daily else known.daily_left,
            daily_reset_s=closed.until_s if closed and closed.is_daily else None,
        )

    def belief(self) -> LimiterBelief:
        """What this limiter believes and why; for the page and `status`."""
        facts, rules, counted, trouble = self._overview()
        return describe(
            facts=facts,
            mode=self._policy.mode,
            why=self._policy.why(facts),
            rules=rules,
            counted=counted,
            now=self.moment(),
            trouble=trouble,
        )

    def close(self) -> None:
        """Hear no more of the control. Permits can still be taken and ended."""
        self._forget()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def change_policy(self, policy: Policy) -> None:
        """Other limits hold from now on; what was booked before counts for them, too."""
        with self._lock:
            self._policy = policy
            self._wake_leader()

    def _overview(self) -> tuple[AccountFacts, Rules, dict[Pool, int], str]:
        """What is known, what holds, how many count in each pool, and what keeps us from knowing.

        With an unreachable store all limits count as used up.
        """
        policy = self._policy
        try:
            with self._store.view(self.account) as book:
                facts = self._facts(book)
                now = self.moment()
                rules = policy.rules(facts, book.in_flight(), now)
                return facts, rules, _counted(book, rules, now.reading_s), ""
        except StoreError as error:
            facts = self._read[1]
            rules = policy.rules(facts, {}, self.moment())
            full = {pool: pool.limit.requests for pool in rules.pools}
            return facts, rules, full, error.message

    # What permits tell. -------------------------------------------------------------------------

    def moment(self) -> Moment:
        """Now, on both clocks."""
        return Moment(reading_s=self._clock.now_s(), at=self._clock.now())

    def note(self, answer: Answer) -> None:
        """An answer arrived. Never fails: what cannot be written now counts as in flight."""
        with self._lock:
            self._answers.append(answer)
        self._write_answers()

    def take_back(self, unused: Unused) -> None:
        """A permit was not used."""
        with self._lock:
            self._answers.append(unused)
        self._write_answers()

    # The line. ----------------------------------------------------------------------------------

    def _greet(self, waiter: Waiter) -> None:
        """Tell the leader of a newcomer, unless it is known that it cannot go yet."""
        if self._leader is None:
            self._leader = waiter
            self._due_s = -math.inf
            return
        reason, until_s = self._blocked.get(waiter.kind, (WaitReason.LIMIT, -math.inf))
        is_blocked = until_s is None or until_s > self._clock.now_s()
        if is_blocked:
            waiter.inform(reason, until_s)
        if not is_blocked or waiter.ticket.deadline_s is not None:
            self._wake_leader()

    def _wake_leader(self) -> None:
        self._due_s = -math.inf
        if self._leader is not None:
            self._leader.signal.notify()

    def _wake_all(self) -> None:
        """Everyone looks whether the run was halted."""
        with self._lock:
            for waiter in self._line:
                waiter.signal.notify()

    def _wait_for_turn(self, me: Waiter) -> int:
        while True:
            with self._lock:
                self._sleep_until_something_happens(me)
                if me.error is not None:
                    raise me.error
                if me.permit_id is not None:
                    return me.permit_id
                news, me.news = me.news, None
                is_leader = me is self._leader and self._due_s <= self._clock.now_s()
                is_late = _is_over(me, self._clock.now_s())
            self._raise_if_halted()
            if is_late:
                raise _too_late(me)
            if news is not None:
                me.ticket.on_wait(news[0], self._at(news[1]))
            if is_leader:
                self._lead()

    def _sleep_until_something_happens(self, me: Waiter) -> None:
        """Until `me` is settled, has news, is late, must look at the book, or the run is halted."""
        while not me.is_settled and me.news is None:
            now_s = self._clock.now_s()
            wake_s = self._due_s if me is self._leader else math.inf
            if wake_s <= now_s or _is_over(me, now_s) or self._is_halted():
                return
            if me.ticket.deadline_s is not None:
                wake_s = min(wake_s, me.ticket.deadline_s + _AFTER_S)
            self._clock.wait(me.signal, None if wake_s == math.inf else wake_s - now_s)

    def _drop(self, me: Waiter) -> None:
        """It gave up: out of the line, and what it may have been granted meanwhile comes back."""
        with self._lock:
            self._line.leave(me)
            self._hand_over(me)
            permit_id = me.permit_id
        if permit_id is not None:
            self.take_back(Unused(permit_id, me.granted_s))

    def _hand_over(self, me: Waiter) -> None:
        if self._leader is me:
            self._leader = self._line.first
            if self._leader is not None:
                self._leader.signal.notify()

    def _is_halted(self) -> bool:
        return self._control is not None and self._control.is_halted

    def _raise_if_halted(self) -> None:
        if self._control is not None:
            self._control.raise_if_halted()

    def _at(self, reading_s: float | None) -> datetime | None:
        if reading_s is None:
            return None
        return self._clock.now() + timedelta(seconds=max(0.0, reading_s - self._clock.now_s()))

    # The leader. --------------------------------------------------------------------------------

    def _lead(self) -> None:
        """Look at the book once, for everyone in the line."""
        self._write_answers()
        with self._lock:
            self._due_s = math.inf  # a newcomer from here on makes us look again
            waiters = list(self._line)
        found = _Round()
        try:
            with self._store.open(self.account) as book:
                self._look(book, waiters, found)
        except StoreError as error:
            self._store_failed(error)
            return
        except BaseException:
            with self._lock:
                self._due_s = -math.inf
            self._take_back_all(found, (permit_id for _, permit_id in found.granted))
            raise
        with self._lock:
            unused = self._release(found)
            self._blocked = found.blocked
            for waiter, wait in found.waits.items():
                if not waiter.is_settled:
                    waiter.inform(*wait)
            self._due_s = min(self._due_s, found.next_s)
            self._trouble = None
        self._take_back_all(found, unused)

    def _release(self, found: _Round) -> list[int]:
        """Wake those whose wait is over; the permits of those who are gone already."""
        unused: list[int] = []
        for waiter, permit_id in found.granted:
            if not self._line.leave(waiter):
                unused.append(permit_id)
                continue
            waiter.permit_id, waiter.granted_s = permit_id, found.now_s
            waiter.signal.notify()
            self._hand_over(waiter)
        for waiter in found.late:
            if self._line.leave(waiter):
                waiter.error = _too_late(waiter)
                waiter.signal.notify()
                self._hand_over(waiter)
        return unused

    def _take_back_all(self, found: _Round, permit_ids: Iterable[int]) -> None:
        for permit_id in permit_ids:
            self.take_back(Unused(permit_id, found.now_s))

    def _store_failed(self, error: StoreError) -> None:
        """Nothing goes out while nobody can count: no share of our own would be safe."""
        with self._lock:
            now_s = self._clock.now_s()
            if self._trouble is None:
                _log.warning("The shared count of requests cannot be reached: %s", error)
                self._trouble_since_s = now_s
            self._trouble = error
            is_over = now_s - self._trouble_since_s >= _STORE_PATIENCE_S
            for waiter in list(self._line):
                if is_over:
                    self._line.leave(waiter)
                    waiter.error = StoreError(
                        error.message, next_step=error.next_step, code=error.code
                    )
                    waiter.signal.notify()
                    self._hand_over(waiter)
                else:
                    waiter.inform(WaitReason.LIMIT, None)
            self._due_s = now_s + _STORE_RETRY_S

    def _look(self, book: PermitBook, waiters: Sequence[Waiter], found: _Round) -> None:
        """Give out what can be given out, and find out when the next place becomes free."""
        facts = self._facts(book)
        now = self.moment()  # read inside of the block: no booking is later than this
        found.now_s = now.reading_s
        going = self._choose(book, facts, waiters, now, found)
        if self._settle_book(book, found) and found.blocked:
            going = self._choose(book, facts, waiters, now, found)
        going = self._leave_some(book, going, found)
        going = self._keep_pace(going, found)
        if going:
            kinds = [waiter.kind for waiter in going]
            found.granted = list(zip(going, book.grant(kinds, found.now_s), strict=True))
            self._keep(book, facts, self._policy.granted(facts, kinds))
        if found.blocked and book.others_in_flight():
            found.next_s = min(found.next_s, found.now_s + _LOOK_REAL_S * self._clock.speed)

    def _keep_pace(self, going: list[Waiter], found: _Round) -> list[Waiter]:
        """Of a crowd, only as many as the pace allows."""
        if found.per_s is None:
            return going
        chosen = going[: self._pace.allows(found.per_s, found.now_s)]
        self._pace.took(len(chosen), found.per_s)
        if len(chosen) < len(going):
            found.next_s = min(found.next_s, found.now_s + max(_PACED_S, 1 / found.per_s))
        return chosen

    def _leave_some(self, book: PermitBook, going: list[Waiter], found: _Round) -> list[Waiter]:
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

    def _settle_book(self, book: PermitBook, found: _Round) -> bool:
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
        found: _Round,
    ) -> list[Waiter]:
        """Who may go; `found` learns the prospects of the others."""
        now_s = now.reading_s
        in_flight = book.in_flight()
        rules = self._policy.rules(facts, in_flight, now)
        self._sweep(book, rules, now_s)
        counted = _counted(book, rules, now_s)
        found.per_s = rules.per_s
        places = share_out([waiter.kind for waiter in waiters], rules, counted)
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

    # The book. ----------------------------------------------------------------------------------

    def _write_answers(self) -> None:
        """Write down what permits told; one thread does it for all that come meanwhile."""
        while True:
            with self._lock:
                if self._is_writing or not self._answers:
                    return
                self._is_writing = True
                batch, self._answers = self._answers, []
            is_news = False
            try:
                with self._store.open(self.account) as book:
                    is_news = self._write(book, batch)
            except StoreError as error:
                _log.debug("Answers cannot be counted yet: %s", error)
                with self._lock:  # until they can, they count as in flight: that is safe
                    self._answers[:0] = batch
                return
            finally:
                with self._lock:
                    self._is_writing = False
                    if is_news:
                        self._wake_leader()

    def _write(self, book: PermitBook, batch: Sequence[Answer | Unused]) -> bool:
        """Whether those in line may want to know: a place became free or the rules changed."""
        answers: list[Answer] = []
        for told in batch:
            if isinstance(told, Unused):
                book.give_back(told.permit_id, told.granted_s)
                continue
            answers.append(told)
            book.answer(
                told.permit_id,
                told.arrived.reading_s,
                is_counted=told.is_success,
                limit=told.headers.limit,
                remaining=told.headers.remaining,
            )
        before = self._facts(book)
        after = self._policy.learn(before, answers, book)
        self._keep(book, before, after)
        is_waited_for = any(until_s is None for _, until_s in self._blocked.values())
        return after != before or len(answers) < len(batch) or is_waited_for

    def _facts(self, book: PermitBook) -> AccountFacts:
        text = book.note()
        known_text, facts = self._read
        if text != known_text:
            facts = read_facts(text)
            self._read = (text, facts)
        return facts

    def _keep(self, book: PermitBook, before: AccountFacts, after: AccountFacts) -> None:
        if after != before:
            text = write_facts(after)
            book.keep_note(text)
            self._read = (text, after)

    def _sweep(self, book: PermitBook, rules: Rules, now_s: float) -> None:
        if not 0 <= now_s - self._swept_s < _SWEEP_S:
            self._swept_s = now_s
            book.prune(now_s - max(windows_of(rules)) - _KEEP_S)


def _counted(book: PermitBook, rules: Rules, now_s: float) -> dict[Pool, int]:
    counts = {
        window_s: book.counts(counts_after_s(RateLimit(1, window_s), now_s))
        for window_s in windows_of(rules)
    }
    return pool_counts(rules, counts)


def _add_prospects(
    found: _Round,
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


def _is_over(waiter: Waiter, now_s: float) -> bool:
    return waiter.ticket.deadline_s is not None and now_s > waiter.ticket.deadline_s


def _too_late(waiter: Waiter) -> DeadlineError:
    return DeadlineError(
        f"The limit leaves no room for this {waiter.kind.value} request in time.",
        next_step="It is tried again.",
    )
