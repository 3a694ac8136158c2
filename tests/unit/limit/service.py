"""Plays deAPI's rate limits, with its own count. Knows nothing of the limiter's code."""

from collections import defaultdict
from dataclasses import dataclass, field

from bulk_transcribe.core.request import RequestKind

SUBMIT, POLL, PRICE = RequestKind.SUBMIT, RequestKind.POLL, RequestKind.PRICE


@dataclass(kw_only=True)
class Bucket:
    """One pool: fixed windows that open with their first request, or a sliding one."""

    limit: int
    window_s: float = 60.0
    is_sliding: bool = False
    hits_s: list[float] = field(default_factory=list)
    opened_s: float | None = None

    def current(self, now_s: float) -> list[float]:
        if self.is_sliding:
            return [at_s for at_s in self.hits_s if at_s > now_s - self.window_s]
        if self.opened_s is None or now_s >= self.opened_s + self.window_s:
            return []
        return [at_s for at_s in self.hits_s if at_s >= self.opened_s]

    def frees_s(self, now_s: float) -> float:
        first_s = self.current(now_s)[0] if self.is_sliding else self.opened_s
        return (first_s or 0.0) + self.window_s

    def hit(self, now_s: float) -> bool:
        current = self.current(now_s)
        if len(current) >= self.limit:
            return False
        if not current:
            self.opened_s = now_s
        self.hits_s.append(now_s)
        return True


@dataclass(kw_only=True)
class Service:
    """Answers requests.

    `pools` names the bucket of each kind; kinds without one are not limited and their answers
    say nothing. `days` are buckets for the day, one for each kind that has one.
    """

    pools: dict[RequestKind, Bucket]
    days: dict[RequestKind, Bucket] = field(default_factory=dict)
    tells: bool = True  # limits on successes, too
    names: dict[RequestKind, str] = field(default_factory=dict)
    refused: int = 0
    served: dict[RequestKind, int] = field(default_factory=lambda: defaultdict(int))

    def request(self, kind: RequestKind, now_s: float) -> tuple[int, dict[str, str]]:
        bucket, day = self.pools.get(kind), self.days.get(kind)
        for limited, kind_of_limit in ((day, "daily"), (bucket, "minute")):
            if limited is not None and len(limited.current(now_s)) >= limited.limit:
                self.refused += 1
                wait_s = max(1, int(limited.frees_s(now_s) - now_s) + 1)
                return 429, self._headers(kind, now_s) | {
                    "retry-after": str(wait_s),
                    "x-ratelimit-type": kind_of_limit,
                }
        for limited in (day, bucket):
            if limited is not None:
                assert limited.hit(now_s)
        self.served[kind] += 1
        return 200, self._headers(kind, now_s) if self.tells else {}

    def _headers(self, kind: RequestKind, now_s: float) -> dict[str, str]:
        headers = {}
        if kind in self.pools:
            bucket = self.pools[kind]
            headers["x-ratelimit-limit"] = str(bucket.limit)
            headers["x-ratelimit-remaining"] = str(bucket.limit - len(bucket.current(now_s)))
        if kind in self.days:
            day = self.days[kind]
            headers["x-ratelimit-daily-limit"] = str(day.limit)
            headers["x-ratelimit-daily-remaining"] = str(day.limit - len(day.current(now_s)))
        if kind in self.names:
            headers["x-ratelimit-source"] = self.names[kind]
        return headers


def shared(limit: int = 300, *, is_sliding: bool = False) -> Service:
    bucket = Bucket(limit=limit, is_sliding=is_sliding)
    return Service(pools=dict.fromkeys((SUBMIT, POLL, PRICE), bucket))


def independent(limit: int = 300, *, is_sliding: bool = False) -> Service:
    kinds = (SUBMIT, POLL, PRICE)
    return Service(pools={kind: Bucket(limit=limit, is_sliding=is_sliding) for kind in kinds})


def basic() -> Service:
    def day(limit: int) -> Bucket:
        return Bucket(limit=limit, window_s=86_400.0)

    return Service(
        pools={SUBMIT: Bucket(limit=1), POLL: Bucket(limit=50), PRICE: Bucket(limit=50)},
        days={SUBMIT: day(10), POLL: day(200), PRICE: day(200)},
    )
