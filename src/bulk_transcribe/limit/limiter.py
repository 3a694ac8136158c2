"""One budget of requests for everyone who uses the same account.

How a permit is given out: callers stand in one line (`line.py`). The first of them is its leader:
it opens the account's book in the store, decides for the whole line at once (`deal.py`, by the rule
in `window.py`), wakes those who may go, and sleeps until the next place becomes free. When it goes
itself, the next one leads. So there is no thread of its own, one transaction serves a whole crowd,
and only those who have something to do are woken. How a request ended goes into the book through
`returns.py`; what its caller holds meanwhile is in `granted.py`.
"""

import logging
import math
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.permit import PermitStore
from bulk_transcribe.core.request import Capacity, RequestKind, Ticket
from bulk_transcribe.core.stage import WaitReason
from bulk_transcribe.errors import StoreError
from bulk_transcribe.limit.belief import LimiterBelief, describe
from bulk_transcribe.limit.deal import Blocked, Dealer, Round, counted
from bulk_transcribe.limit.facts import AccountFacts, Moment, moment
from bulk_transcribe.limit.granted import FREE, FreePermit, GrantedPermit, Unused
from bulk_transcribe.limit.line import Line, Waiter, is_over, too_late
from bulk_transcribe.limit.memory import MemoryPermitStore
from bulk_transcribe.limit.notes import Notes
from bulk_transcribe.limit.pauses import Answer
from bulk_transcribe.limit.policy import Policy
from bulk_transcribe.limit.rate import Pool
from bulk_transcribe.limit.returns import Returns
from bulk_transcribe.limit.window import Rules

_log = logging.getLogger(__name__)

#: A request goes out within so many real seconds after its permit was granted, or not on that
#: permit. Far less than what has to pass until others stop counting a permit in flight: a lease
#: (15 s), the time that a request takes (30 s), and the window.
_FRESH_REAL_S = 5.0
#: While the store cannot be reached nothing is given out. It is tried again this often, and
#: after the patience everyone who waits gets the error (clock seconds).
_STORE_RETRY_S, _STORE_PATIENCE_S = 1.0, 60.0
#: A wait for a deadline ends a moment after it: a permit exactly at the deadline is in time.
_AFTER_S = 0.001


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
        self._blocked: Blocked = {}  # as the leader found it last
        self._trouble: StoreError | None = None
        self._trouble_since_s = 0.0
        self._notes = Notes()
        self._dealer = Dealer(policy, clock, self._notes)  # the leader's
        self._returns = Returns(
            self._store, self.account, self._notes, on_written=self._book_changed
        )
        self._forget = control.on_change(self._wake_all) if control else lambda: None

    @contextmanager
    def permit(
        self, kind: RequestKind, ticket: Ticket | None = None, /
    ) -> Iterator[GrantedPermit | FreePermit]:
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
    ) -> GrantedPermit | FreePermit:
        """As `permit`, without the block: the caller must end the permit, or it counts for ever."""
        ticket = ticket or Ticket()
        self._raise_if_halted(ticket)
        if not self._policy.limits(kind):
            ticket.on_wait(None, None)
            return FREE
        with self._lock:
            self._joined += 1
            waiter = Waiter(kind, ticket, self._clock.now_s(), self._joined, self._lock)
            self._line.join(waiter)
            self._greet(waiter)
        forget = ticket.control.on_change(self._wake_all) if ticket.control else None
        try:
            permit_id = self._wait_for_turn(waiter)
            waited_s = max(0.0, waiter.granted_s - waiter.since_s)
            ticket.on_wait(None, None)
        except BaseException:
            self._drop(waiter)
            raise
        finally:
            if forget is not None:
                forget()
        unused = Unused(permit_id, waiter.granted_s)
        return GrantedPermit(self, kind, unused, waited_s=waited_s)

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
        facts, rules, taken, _ = self._overview()
        pools = rules.pools_of(kind)
        tight = min(pools, key=lambda pool: pool.limit.requests - taken[pool])
        closed = rules.closed.get(kind)
        known = facts.of(kind)
        remaining = max(0, tight.limit.requests - taken[tight])
        with self._lock:
            waiting = sum(waiter.kind in tight.kinds for waiter in self._line)
        return Capacity(
            limit=tight.limit.requests,
            window_s=tight.limit.window_s,
            used=taken[tight],
            remaining=0 if closed else min(remaining, rules.at_most.get(kind, remaining)),
            waiting=waiting,
            paused_until_s=closed.until_s if closed else None,
            daily_limit=known.daily_limit,
            daily_remaining=0 if closed and closed.is_daily else known.daily_left,
            daily_reset_s=closed.until_s if closed and closed.is_daily else None,
            is_telling=self._policy.is_open(facts, kind),
        )

    def belief(self) -> LimiterBelief:
        """What this limiter believes and why; for the page and `status`."""
        facts, rules, taken, trouble = self._overview()
        return describe(
            facts=facts,
            mode=self._policy.mode,
            why=self._policy.why(facts),
            rules=rules,
            counted=taken,
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
            self._policy = self._dealer.policy = policy
            self._wake_leader()

    def _overview(self) -> tuple[AccountFacts, Rules, dict[Pool, int], str]:
        """What is known, what holds, how many count in each pool, and what keeps us from knowing.

        With an unreachable store all limits count as used up.
        """
        policy = self._policy
        try:
            with self._store.view(self.account) as book:
                facts = self._notes.read(book)
                now = self.moment()
                rules = policy.rules(facts, book.in_flight(), now)
                return facts, rules, counted(book, rules, now.reading_s), ""
        except StoreError as error:
            facts = self._notes.last
            rules = policy.rules(facts, {}, self.moment())
            full = {pool: pool.limit.requests for pool in rules.pools}
            return facts, rules, full, error.message

    # What permits tell. -------------------------------------------------------------------------

    def moment(self) -> Moment:
        """Now, on both clocks."""
        return moment(self._clock)

    def is_fresh(self, granted_s: float) -> bool:
        """Whether a permit that was granted at this reading may still be used."""
        return self._clock.now_s() - granted_s <= _FRESH_REAL_S * self._clock.speed

    def note(self, answer: Answer) -> None:
        """An answer arrived. Never fails: what cannot be written now counts as in flight."""
        self._returns.add(answer, self._policy)

    def take_back(self, unused: Unused) -> None:
        """A permit was not used."""
        self._returns.add(unused, self._policy)

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

    def _book_changed(self, is_news: bool) -> None:  # noqa: FBT001 -- a callback
        """Those in line may want to know of a free place, of new rules, or of any answer."""
        with self._lock:
            if is_news or any(until_s is None for _, until_s in self._blocked.values()):
                self._wake_leader()

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
                is_late = is_over(me, self._clock.now_s())
            self._raise_if_halted(me.ticket)
            if is_late:
                raise too_late(me)
            if news is not None:
                me.ticket.on_wait(news[0], self._at(news[1]))
            if is_leader:
                self._lead()

    def _sleep_until_something_happens(self, me: Waiter) -> None:
        """Until `me` is settled, has news, is late, must look at the book, or the run is halted."""
        while not me.is_settled and me.news is None:
            now_s = self._clock.now_s()
            wake_s = self._due_s if me is self._leader else math.inf
            if wake_s <= now_s or is_over(me, now_s) or self._is_halted(me.ticket):
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

    def _is_halted(self, ticket: Ticket) -> bool:
        return any(each is not None and each.is_halted for each in (self._control, ticket.control))

    def _raise_if_halted(self, ticket: Ticket) -> None:
        for control in (self._control, ticket.control):
            if control is not None:
                control.raise_if_halted()

    def _at(self, reading_s: float | None) -> datetime | None:
        if reading_s is None:
            return None
        return self._clock.now() + timedelta(seconds=max(0.0, reading_s - self._clock.now_s()))

    # The leader. --------------------------------------------------------------------------------

    def _lead(self) -> None:
        """Look at the book once, for everyone in the line."""
        self._returns.write(self._policy)
        with self._lock:
            self._due_s = math.inf  # a newcomer from here on makes us look again
            waiters = list(self._line)
        found = Round()
        try:
            with self._store.open(self.account) as book:
                self._dealer.look(book, waiters, found)
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

    def _release(self, found: Round) -> list[int]:
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
                waiter.error = too_late(waiter)
                waiter.signal.notify()
                self._hand_over(waiter)
        return unused

    def _take_back_all(self, found: Round, permit_ids: Iterable[int]) -> None:
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
