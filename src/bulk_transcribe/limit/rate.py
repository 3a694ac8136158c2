"""What a limit is: so many requests in so many seconds, for the kinds that share it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from bulk_transcribe.core.request import RequestKind


@dataclass(frozen=True)
class RateLimit:
    """At most `requests` in any `window_s` seconds."""

    requests: int
    window_s: float = 60.0

    def __post_init__(self) -> None:
        if self.requests < 1:
            raise ValueError(f"a limit of {self.requests} requests lets nothing through")
        if not self.window_s > 0:
            raise ValueError(f"a window of {self.window_s} s is no window")


@dataclass(frozen=True)
class Pool:
    """One limit and the kinds of request that draw on it. A kind may belong to several pools."""

    kinds: frozenset[RequestKind]
    limit: RateLimit

    @classmethod
    def of(cls, kinds: Iterable[RequestKind], requests: int, window_s: float = 60.0) -> Self:
        return cls(frozenset(kinds), RateLimit(requests, window_s))

    @property
    def name(self) -> str:
        """The kinds in alphabetical order, such as "poll+submit"."""
        return "+".join(sorted(kind.value for kind in self.kinds))
