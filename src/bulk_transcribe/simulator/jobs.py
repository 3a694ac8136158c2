"""Paid jobs: what each costs, how long it takes, how it ends, and the account's balance."""

import heapq
import math
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal
from uuid import UUID

from bulk_transcribe.simulator.catalogue import Video
from bulk_transcribe.simulator.config import SimulatorConfig
from bulk_transcribe.simulator.faults import Faults
from bulk_transcribe.simulator.seeded import between, number, share

State = Literal["pending", "processing", "done", "error"]

#: Cents are split: prices have six digits after the point, as quoted by the service.
_PRICE_STEP: Final = Decimal("0.000001")
#: Word stamps cost half as much again.
WORD_FACTOR: Final = Decimal("1.5")
METADATA_USD: Final = Decimal("0.005")
_BRIEF_BASE_S: Final = 15.0
_BRIEF_PER_MIN_S: Final = 8.0
_BRIEF_MOST_S: Final = 300.0
_BRIEF_NOISE: Final = 0.15
#: Share of a "brief" job's time that it waits before it runs, and the most of it.
_WAITING_SHARE: Final = 0.2
_WAITING_MOST_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a submit asks for."""

    video: Video
    endpoint: str
    model: str
    include_ts: bool
    inline: bool
    ts_level: str = "segment"
    with_metadata: bool = False
    webhook_url: str = ""  # "": nobody wants to be told
    webhook_secret: str = field(default="", repr=False)


@dataclass(slots=True)
class Job:
    """One paid job. Times are readings of the clock; `done_at_s` is infinite when it is stuck."""

    request_id: str
    nth: int  # submit of this video, from 1
    wish: Wish
    submitted_at_s: float
    started_at_s: float
    done_at_s: float
    charged_usd: Decimal
    error_code: str | None
    refunded_usd: Decimal = Decimal(0)
    seen_done_at_s: float | None = None

    def state(self, now_s: float) -> State:
        """Where it is at that time."""
        if now_s >= self.done_at_s:
            return "done" if self.error_code is None else "error"
        return "processing" if now_s >= self.started_at_s else "pending"

    def progress(self, now_s: float) -> float:
        """Percent of the running time that is over, 100.0 at the end. A stuck job stays at 99."""
        if now_s >= self.done_at_s:
            return 100.0
        if now_s < self.started_at_s:
            return 0.0
        if math.isinf(self.done_at_s):
            return 99.0
        running_s = self.done_at_s - self.started_at_s
        return round(min(99.9, (now_s - self.started_at_s) / running_s * 100.0), 2)


class Jobs:
    """All jobs of the account, and its money. Its owner locks."""

    def __init__(self, config: SimulatorConfig, faults: Faults) -> None:
        self._config = config
        self._faults = faults
        self._jobs: dict[str, Job] = {}
        self._of_video: dict[str, list[str]] = {}
        self._refunds: list[tuple[float, str]] = []  # a heap by time
        self._balance_usd = config.balance_usd
        self.charged_usd = Decimal(0)
        self.refunded_usd = Decimal(0)

    def price_usd(
        self, duration_s: float, *, word_level: bool = False, with_metadata: bool = False
    ) -> Decimal:
        """What a video of that length costs; the charge equals the quote."""
        price = self._config.base_price_usd + self._config.price_usd_per_s * Decimal(
            str(duration_s)
        )
        price = price * WORD_FACTOR if word_level else price
        price += METADATA_USD if with_metadata else 0
        return price.quantize(_PRICE_STEP)

    def price_of(self, wish: Wish) -> Decimal:
        """What this wish costs."""
        return self.price_usd(
            wish.video.duration_s,
            word_level=wish.ts_level in {"word", "char"},
            with_metadata=wish.with_metadata,
        )

    def balance_usd(self, now_s: float) -> Decimal:
        """What is left, refunds that are due included."""
        self._refund_until(now_s)
        return Decimal(0) if self._faults.spend_credit else self._balance_usd

    def set_balance(self, balance_usd: Decimal) -> None:
        """As if somebody paid in, or took out."""
        self._balance_usd = balance_usd

    def can_pay(self, wish: Wish, now_s: float) -> bool:
        """Whether the balance is high enough for one more job."""
        least = max(self._config.least_balance_usd, self.price_of(wish))
        return self.balance_usd(now_s) >= least

    def submit(self, wish: Wish, now_s: float) -> Job:
        """Take a job and charge for it. Ask `can_pay` first."""
        video = wish.video
        nth = len(self._of_video.get(video.video_id, ())) + 1
        request_id = _request_id(self._config.seed, video.video_id, nth)
        waits_s, runs_s = job_time_s(self._config, video, nth)
        is_stuck = video.kind == "stuck" or self._goes_wrong("stuck_jobs", video.video_id, nth)
        job = Job(
            request_id=request_id,
            nth=nth,
            wish=wish,
            submitted_at_s=now_s,
            started_at_s=now_s + waits_s,
            done_at_s=now_s + (self._stuck_s() if is_stuck else waits_s + runs_s),
            charged_usd=self.price_of(wish),
            error_code=self._error_code(video, nth),
        )
        self._balance_usd -= job.charged_usd
        self.charged_usd += job.charged_usd
        self._jobs[request_id] = job
        self._of_video.setdefault(video.video_id, []).append(request_id)
        if job.error_code is not None and self._config.refund_failed and not is_stuck:
            heapq.heappush(self._refunds, (job.done_at_s, request_id))
        return job

    def find(self, request_id: str, now_s: float) -> Job | None:
        """The job of an id; None for a foreign one, and for one that a fault hides."""
        job = self._jobs.get(request_id)
        if job is None or request_id in self._faults.missing_requests:
            return None
        is_hidden = now_s < job.submitted_at_s + self._faults.hidden_after_submit_s
        return None if is_hidden else job

    def told(self, request_id: str, now_s: float) -> None:
        """Note that a client was told of the job: whether it had ended by then is of interest."""
        job = self.find(request_id, now_s)
        if job is not None and job.seen_done_at_s is None and now_s >= job.done_at_s:
            job.seen_done_at_s = now_s

    def all(self, now_s: float) -> list[Job]:
        """Every job, in order of submission."""
        self._refund_until(now_s)
        return list(self._jobs.values())

    def submits(self) -> dict[str, tuple[str, ...]]:
        """Video id -> its request ids in order: more than one means paid more than once."""
        return {video_id: tuple(ids) for video_id, ids in self._of_video.items()}

    def _refund_until(self, now_s: float) -> None:
        while self._refunds and self._refunds[0][0] <= now_s:
            job = self._jobs[heapq.heappop(self._refunds)[1]]
            job.refunded_usd = job.charged_usd
            self._balance_usd += job.charged_usd
            self.refunded_usd += job.charged_usd

    def _error_code(self, video: Video, nth: int) -> str | None:
        if video.kind == "age":
            return "AGE_RESTRICTED"
        if video.kind in {"private", "gone", "live", "upcoming"}:
            return "INVALID_INPUT"
        fails = video.kind == "failing" or self._goes_wrong("failing_jobs", video.video_id, nth)
        return self._faults.failing_code if fails else None

    def _stuck_s(self) -> float:
        late_s = self._faults.stuck_for_s
        return math.inf if late_s is None else late_s

    def _goes_wrong(self, fault: str, video_id: str, nth: int) -> bool:
        return self._faults.happens(fault, "submit", self._config.seed, video_id, nth)


def job_time_s(config: SimulatorConfig, video: Video, nth: int) -> tuple[float, float]:
    """Seconds that a job waits and then runs; the same for the same video and submit."""
    about = (config.seed, video.video_id, nth)
    if config.latency == "field":
        waits_s = between(2.0, 20.0, *about, "queue")
        return waits_s, 5.0 + between(0.02, 0.07, *about, "run") * video.duration_s
    expected_s = min(_BRIEF_MOST_S, _BRIEF_BASE_S + _BRIEF_PER_MIN_S * video.duration_s / 60.0)
    total_s = expected_s * between(1 - _BRIEF_NOISE, 1 + _BRIEF_NOISE, *about, "brief")
    waits_s = min(_WAITING_MOST_S, _WAITING_SHARE * total_s) * share(*about, "queue")
    return waits_s, total_s - waits_s


def _request_id(seed: int, video_id: str, nth: int) -> str:
    high, low = number(seed, "request", video_id, nth), number(seed, "id", video_id, nth)
    return str(UUID(int=high << 64 | low, version=4))
