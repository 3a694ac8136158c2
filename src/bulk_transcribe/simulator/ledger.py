"""What the simulator saw, in its own count: the judge's book."""

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, NamedTuple

WINDOW_S: Final = 60.0


class RequestSeen(NamedTuple):
    """A request that arrived.

    `at_s` is the clock's reading when it was counted, `status` None where the connection was cut
    instead of an answer. `pool` is the limit that it belongs to, None for unlimited routes;
    `counted` tells whether that limit was charged.
    """

    at_s: float
    kind: str
    method: str
    path: str
    status: int | None
    counted: bool
    pool: str | None
    video_id: str | None


class DeliverySeen(NamedTuple):
    """One attempt to deliver a webhook.

    `status` is None where nobody answered, `fault` what was wrong with it on purpose.
    """

    at_s: float
    delivery_id: str
    event: str
    request_id: str
    attempt: int
    status: int | None
    fault: str


@dataclass(frozen=True, kw_only=True)
class JobSeen:
    """A paid job. Times are readings of the clock.

    Args:
        request_id: Its id.
        video_id: Its video.
        nth: Which submit of this video, from 1.
        endpoint: Where it was submitted.
        state: pending, processing, done or error, when the ledger was taken.
        submitted_at_s: When it was accepted and charged.
        done_at_s: When it ends, also if that is to come; None for one that never does.
        seen_done_at_s: When a client was first told that it had ended.
        charged_usd: What it cost.
        refunded_usd: What of it was given back.
    """

    request_id: str
    video_id: str
    nth: int
    endpoint: str
    state: str
    submitted_at_s: float
    done_at_s: float | None
    seen_done_at_s: float | None
    charged_usd: Decimal
    refunded_usd: Decimal

    @property
    def noticed_after_s(self) -> float | None:
        """Seconds from the end of the job to the first answer that told so; None: not told yet."""
        if self.seen_done_at_s is None or self.done_at_s is None:
            return None
        return self.seen_done_at_s - self.done_at_s


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """Everything counted so far.

    Args:
        requests: In order of arrival; () if they were left out.
        counts: Kind -> requests.
        statuses: HTTP code -> answers; 0 for cut connections.
        jobs: In order of submission.
        submits: Video id -> its request ids; more than one means that it was paid again.
        charged_usd: Sum of all charges.
        refunded_usd: Sum of all refunds.
        balance_usd: What is left.
        limits: Pool -> its limit a minute.
        worst: Pool -> the most requests received in any 60 s, refused ones included.
        breaches: Requests that came when their pool had received its limit in the last 60 s.
        deliveries: Attempts to deliver webhooks, in their order.
    """

    requests: tuple[RequestSeen, ...]
    counts: Mapping[str, int]
    statuses: Mapping[int, int]
    jobs: tuple[JobSeen, ...]
    submits: Mapping[str, tuple[str, ...]]
    charged_usd: Decimal
    refunded_usd: Decimal
    balance_usd: Decimal
    limits: Mapping[str, int]
    worst: Mapping[str, int]
    breaches: int
    deliveries: tuple[DeliverySeen, ...] = ()

    @property
    def refused_429(self) -> int:
        """Answers with status 429, YouTube's included."""
        return self.statuses.get(429, 0)

    @property
    def duplicates(self) -> dict[str, tuple[str, ...]]:
        """The videos that were paid more than once, with their request ids."""
        return {video_id: ids for video_id, ids in self.submits.items() if len(ids) > 1}

    def worst_window(self, window_s: float = WINDOW_S, *, pool: str | None = None) -> int:
        """The most requests that one pool received within any `window_s` seconds.

        Refused and unanswered ones included. A request is out of the window when exactly
        `window_s` have passed. 0 without requests.

        Args:
            window_s: Length of the window; others than 60 need `requests`.
            pool: Look at this one only; None takes the worst of all.
        """
        worst = self.worst if window_s == WINDOW_S else worst_windows(self.requests, window_s)
        return max(worst.values(), default=0) if pool is None else worst.get(pool, 0)

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON can hold it: amounts as text, videos as lists."""
        return {
            "requests": [each._asdict() for each in self.requests],
            "counts": dict(self.counts),
            "statuses": {str(status): count for status, count in self.statuses.items()},
            "jobs": [_job_as_json(job) for job in self.jobs],
            "submits": {video_id: list(ids) for video_id, ids in self.submits.items()},
            "charged_usd": str(self.charged_usd),
            "refunded_usd": str(self.refunded_usd),
            "balance_usd": str(self.balance_usd),
            "limits": dict(self.limits),
            "worst_window": self.worst_window(),
            "worst_windows": dict(self.worst),
            "breaches": self.breaches,
            "refused_429": self.refused_429,
            "deliveries": [each._asdict() for each in self.deliveries],
        }


def _job_as_json(job: JobSeen) -> dict[str, Any]:
    return {
        "request_id": job.request_id,
        "video_id": job.video_id,
        "nth": job.nth,
        "endpoint": job.endpoint,
        "state": job.state,
        "submitted_at_s": job.submitted_at_s,
        "done_at_s": job.done_at_s,
        "seen_done_at_s": job.seen_done_at_s,
        "noticed_after_s": job.noticed_after_s,
        "charged_usd": str(job.charged_usd),
        "refunded_usd": str(job.refunded_usd),
    }


def worst_windows(requests: Iterable[RequestSeen], window_s: float) -> dict[str, int]:
    """Pool -> the most requests received in any window of that length."""
    lately: dict[str, deque[float]] = {}
    worst: dict[str, int] = {}
    for request in requests:
        if request.pool is not None:
            within = lately.setdefault(request.pool, deque())
            _slide(within, request.at_s, window_s)
            worst[request.pool] = max(worst.get(request.pool, 0), len(within))
    return worst


def _slide(within: "deque[float]", at_s: float, window_s: float) -> None:
    """Move the window so that it ends with this request."""
    within.append(at_s)
    while within[0] + window_s <= at_s:  # added as callers add, so that rounding is the same
        within.popleft()


class Book:
    """Writes down what comes in, in constant time for each request. Its owner locks."""

    def __init__(self) -> None:
        self.requests: list[RequestSeen] = []
        self.counts: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.limits: dict[str, int] = {}
        self.worst: dict[str, int] = {}
        self.breaches = 0
        self.deliveries: list[DeliverySeen] = []
        self._lately: dict[str, deque[float]] = {}

    def note(self, request: RequestSeen, limit_rpm: int | None) -> None:
        """Write down one request, with the limit of its pool."""
        self.requests.append(request)
        self.counts[request.kind] += 1
        self.statuses[request.status or 0] += 1
        if request.pool is None or limit_rpm is None:
            return
        self.limits[request.pool] = limit_rpm
        within = self._lately.setdefault(request.pool, deque())
        _slide(within, request.at_s, WINDOW_S)
        self.worst[request.pool] = max(self.worst.get(request.pool, 0), len(within))
        self.breaches += len(within) > limit_rpm
