"""Who decides which limits hold: the seam between the limiter's machinery and its judgement."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from bulk_transcribe.core.permit import PermitBook
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.limit.facts import AccountFacts, Moment
from bulk_transcribe.limit.pauses import Answer, closures, learn_pauses
from bulk_transcribe.limit.rate import Pool, RateLimit
from bulk_transcribe.limit.window import Rules


class Policy(Protocol):
    """Turns what is known of an account into limits, and answers into knowledge. No I/O."""

    @property
    def mode(self) -> str:
        """Its name, shown to users."""

    def pools(self, facts: AccountFacts) -> tuple[Pool, ...]:
        """The limits, pauses aside."""

    def why(self, facts: AccountFacts) -> tuple[str, ...]:
        """Why these, in sentences; may be empty."""

    def limits(self, kind: RequestKind) -> bool:
        """Whether there is any limit on this kind."""

    def is_open(self, facts: AccountFacts, kind: RequestKind) -> bool:
        """Whether answers of this kind would tell which limits it shares with others."""

    def rules(
        self, facts: AccountFacts, in_flight: Mapping[RequestKind, int], now: Moment
    ) -> Rules:
        """What holds now."""

    def granted(self, facts: AccountFacts, kinds: Sequence[RequestKind]) -> AccountFacts:
        """What is known after these permits were given out."""

    def learn(
        self, facts: AccountFacts, answers: Sequence[Answer], book: PermitBook
    ) -> AccountFacts:
        """What is known after these answers. The book has them already."""


class FixedPolicy:
    """The same limits always; only a refusal pauses them. Immutable.

    Args:
        limits: The limit of each group of kinds. Kinds in no group are free.
    """

    mode = "fixed"

    def __init__(self, limits: Mapping[frozenset[RequestKind], RateLimit]) -> None:
        self._pools = tuple(Pool(kinds, limit) for kinds, limit in limits.items())
        self._kinds = frozenset().union(*limits)

    def limits(self, kind: RequestKind) -> bool:
        return kind in self._kinds

    def pools(self, facts: AccountFacts) -> tuple[Pool, ...]:
        del facts
        return self._pools

    def why(self, facts: AccountFacts) -> tuple[str, ...]:
        del facts
        return ()

    def is_open(self, facts: AccountFacts, kind: RequestKind) -> bool:
        del facts, kind
        return False

    def rules(
        self, facts: AccountFacts, in_flight: Mapping[RequestKind, int], now: Moment
    ) -> Rules:
        del in_flight
        return Rules(pools=self._pools, closed=closures(facts, now))

    def granted(self, facts: AccountFacts, kinds: Sequence[RequestKind]) -> AccountFacts:
        del kinds
        return facts

    def learn(
        self, facts: AccountFacts, answers: Sequence[Answer], book: PermitBook
    ) -> AccountFacts:
        del book
        for answer in answers:
            neighbours = [k for p in self._pools if answer.kind in p.kinds for k in p.kinds]
            facts = learn_pauses(facts, answer, neighbours)
        return facts
