"""Do two kinds of request draw on one pool of the service? Pure findings from what it said.

Every answer says how many requests are left in the pool that it was counted in. An answer with
"all but this one" (299 of 300) opens a clean window of its pool: for 60 s from the moment its
request was sent, nothing that was counted before can matter and nothing can be given back, neither
in a fixed window nor in a sliding one. What a later answer of one kind, the witness, says in there:

- If both kinds drew on one pool, whichever of them opened the window, at least our own requests of
  both kinds would be used up. Others who use the account can only add to that. Fewer used up:
  **independent** pools. So the second look at a job may prove it, some seconds after the start.
- In a window that the witness itself opened, more used up than our requests of the witness
  explain: a **shared** pool.

Requests whose place in the order is not certain (they were under way at the same time) count for
neither side, and a few missing ones prove nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bulk_transcribe.core.permit import BookedPermit
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.limit.facts import Relation

#: So many requests of the other kind must be missing (or found) before it means anything.
ENOUGH = 5
#: So many answers of the witness must agree.
_VOICES = 2
#: A service that keeps its windows in whole seconds may end them so much early.
_SLACK_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What the answers show, and how."""

    relation: Relation
    why: str


UNDECIDED = Finding(relation=Relation.UNKNOWN, why="")


def judge_counts(
    permits: Sequence[BookedPermit], one: RequestKind, other: RequestKind, *, window_s: float
) -> Finding:
    """What the numbers of remaining requests show about two kinds.

    Args:
        permits: Of all processes that use the account through the same store.
        one: A kind.
        other: Another kind.
        window_s: Length of the service's window.
    """
    for witness, suspect in ((one, other), (other, one)):
        finding = _hear(permits, witness, suspect, window_s)
        if finding.relation is not Relation.UNKNOWN:
            return finding
    return UNDECIDED


def judge_sources(one: str | None, other: str | None) -> Finding:
    """What the names show that the service itself gives to the two kinds' pools."""
    if one is None or other is None:
        return UNDECIDED
    if one == other:
        return Finding(relation=Relation.SHARED, why=f"the service names one pool for both ({one})")
    return Finding(
        relation=Relation.INDEPENDENT, why=f"the service names two pools ({one}, {other})"
    )


def _hear(
    permits: Sequence[BookedPermit], witness: RequestKind, suspect: RequestKind, window_s: float
) -> Finding:
    own = [permit for permit in permits if permit.kind is witness]
    others = [permit for permit in permits if permit.kind is suspect]
    if len(others) < ENOUGH:
        return UNDECIDED
    openers = [permit for permit in (*others, *own) if _used(permit) == 1 and permit.is_counted]
    for opener in reversed(openers):
        voices = _CleanWindow(opener, own, others, window_s).latest(_VOICES)
        for relation in (Relation.INDEPENDENT, Relation.SHARED):
            if len(voices) == _VOICES and all(voice.relation is relation for voice in voices):
                return voices[-1]
    return UNDECIDED


class _CleanWindow:
    """From an answer that said "all but this one" on, for one window."""

    def __init__(
        self,
        opener: BookedPermit,
        own: Sequence[BookedPermit],
        others: Sequence[BookedPermit],
        window_s: float,
    ) -> None:
        self._opener = opener
        self._opened_s = _end_s(opener)
        self._closes_s = opener.granted_s + window_s - _SLACK_S
        self._own = own
        self._others = others

    def latest(self, count: int) -> list[Finding]:
        """What the latest answers of the witness in this window show."""
        heard = [
            permit
            for permit in self._own
            if permit.is_counted
            and permit.limit == self._opener.limit
            and permit.granted_s >= self._opened_s
            and _end_s(permit) <= self._closes_s
            and _used(permit) is not None
        ]
        return [self._voice(permit) for permit in heard[-count:]]

    def _voice(self, heard: BookedPermit) -> Finding:
        used = _used(heard) or 0
        own_surely = 2 + sum(self._surely_before(permit, heard) for permit in self._own)
        own_perhaps = 2 + sum(self._perhaps_before(permit, heard) for permit in self._own)
        others = sum(self._surely_before(permit, heard) for permit in self._others)
        missing = own_surely + others - used  # the opener is among the two, whatever its kind
        suspects = f"{others} {self._others[0].kind.value} requests"
        if others >= ENOUGH and missing >= ENOUGH:
            return Finding(
                relation=Relation.INDEPENDENT,
                why=f"{suspects} left the {heard.kind.value} limit untouched "
                f"({used} of {heard.limit} used)",
            )
        is_own_window = self._opener.kind is heard.kind
        if is_own_window and others >= ENOUGH and used - own_perhaps >= ENOUGH:
            return Finding(
                relation=Relation.SHARED,
                why=f"{suspects} used up the {heard.kind.value} limit, too "
                f"({used} of {heard.limit} used)",
            )
        return UNDECIDED

    def _surely_before(self, permit: BookedPermit, heard: BookedPermit) -> bool:
        """Whether it was counted after the opener and before `heard`, beyond doubt."""
        return (
            permit.is_counted
            and permit.granted_s >= self._opened_s
            and _end_s(permit) <= heard.granted_s
        )

    def _perhaps_before(self, permit: BookedPermit, heard: BookedPermit) -> bool:
        return (
            permit is not heard
            and permit is not self._opener
            and permit.granted_s <= _end_s(heard)
            and _end_s(permit) >= self._opener.granted_s
        )


def _used(permit: BookedPermit) -> int | None:
    if permit.limit is None or permit.remaining is None:
        return None
    return permit.limit - permit.remaining


def _end_s(permit: BookedPermit) -> float:
    return float("inf") if permit.answered_s is None else permit.answered_s
