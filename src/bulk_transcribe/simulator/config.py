"""How the simulated services behave: one frozen value, checked on creation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Final, Literal, get_args

Plan = Literal["premium", "basic"]
WindowKind = Literal["fixed", "sliding"]
Pools = Literal["shared", "independent"]
Polls = Literal["inside", "outside"]
DailyReset = Literal["rolling", "midnight"]
Latency = Literal["brief", "field"]
ProgressStyle = Literal["gradual", "jump", "none"]
ResultStyle = Literal["inline", "url", "auto"]
Envelopes = Literal["docs", "laravel", "mixed"]
KeyRole = Literal["admin", "api"]
StatusWords = Literal["official", "varied"]
BadVideo = Literal["submit", "job", "mixed"]
DataApiErrors = Literal["legacy", "modern"]
VideoKind = Literal[
    "plain",
    "private",
    "gone",
    "live",
    "upcoming",
    "age",
    "no_captions",
    "silent",
    "failing",
    "stuck",
    "long",
]

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "plan": get_args(Plan),
    "window": get_args(WindowKind),
    "pools": get_args(Pools),
    "polls": get_args(Polls),
    "daily_reset": get_args(DailyReset),
    "latency": get_args(Latency),
    "progress": get_args(ProgressStyle),
    "result": get_args(ResultStyle),
    "envelopes": get_args(Envelopes),
    "key_role": get_args(KeyRole),
    "status_words": get_args(StatusWords),
    "bad_video": get_args(BadVideo),
    "data_api_errors": get_args(DataApiErrors),
}


def _nothing() -> Mapping[str, VideoKind]:
    return MappingProxyType({})


def _no_lengths() -> Mapping[str, float]:
    return MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class SimulatorConfig:
    """What the simulated services are like. All times in the clock's seconds.

    Where the real service is documented in two ways, there is a switch with both.

    Args:
        seed: Same seed, same videos, prices, job times and faults.
        clock_speed: Clock seconds per real second, where the simulator makes its own clock.
        plan: "premium" (`rate_limit_rpm`) or "basic" (1 submit a minute and 10 a day; 50 polls a
            minute and 200 a day; the same for price calls).
        window: "fixed" opens with the first request and starts anew when it ends, as Laravel's
            limiter does; "sliding" looks at the last 60 s at any moment.
        rate_limit_rpm: Requests a minute of a premium account.
        daily_limit: Requests a day of each premium pool; None for no limit.
        pools: Premium: one "shared" pool, or "independent" ones for each endpoint.
        polls: Premium: status calls "inside" the shared pool, or "outside" in one of their own.
        headers_on_success: X-RateLimit headers on every limited answer, not only on refusals.
        names_pools: X-RateLimit-Source among them: the name of the pool.
        daily_reset: A day's window is "rolling" from its first request, or ends at "midnight" UTC.
        latency: Job time. "brief": 15 s and 8 s for each minute of video, at most 300 s, give or
            take 15 %. "field": 2 to 20 s in the queue, 5 s, and 0.02 to 0.07 of the length.
        progress: The progress field grows gradually, jumps from 0 to 100, or stays null.
        jitter_s: Least and most network delay of a request; part of it passes before the server
            counts the request, the rest after. Real seconds if the clock is not a running one.
        result: Text in the status answer ("inline"), behind an address ("url"), or "auto": as
            the submit asked.
        url_expiry_s: How long a result's address is good for.
        balance_usd: Credit of the account; text is read as a decimal number.
        least_balance_usd: A submit is refused below it.
        base_price_usd: Price of a video without its length (measured: $0.005).
        price_usd_per_s: Price of a second of video (measured: $0.0000130208).
        refund_failed: Give the money of a failed job back when it fails.
        bad_video: A video that cannot be had is refused at "submit", fails as a "job", or either
            ("mixed", by its id).
        status_words: "official" ones, or "varied": a running job is also "queued", "in_progress".
        models: Model slugs that transcribe.
        api_key: The one key that is accepted; None accepts any of the shape number|token.
        key_role: With "api" the balance answers 403.
        webhook_secret: What webhooks are signed with whose request brings no secret (version 1).
        webhook_http: Deliver to http://127.0.0.1 as well, as no real service does: for tests.
        youtube_api_key: The one key that the Data API accepts; None accepts any but an empty one.
        data_api_errors: Shape of the Data API's answer to a bad key.
        quota_units: Data API calls a day (Pacific time).
        envelopes: Error bodies as documented ("docs"), as observed ("laravel"), or "mixed".
        caption_share: Share of ordinary videos that have captions.
        silent_share: Share of ordinary videos in which nobody speaks.
        duration_s: Shortest and longest video, drawn evenly; None spreads lengths from 30 s to
            2 h, short ones more often.
        durations_s: Video id -> its length, for those that must have a certain one.
        special: Video id -> kind, for those that must be of a certain kind.

    Raises:
        ValueError: a value is out of its range; the message names it.
    """

    seed: int = 1
    clock_speed: float = 1.0
    plan: Plan = "premium"
    window: WindowKind = "fixed"
    rate_limit_rpm: int = 300
    daily_limit: int | None = None
    pools: Pools = "shared"
    polls: Polls = "inside"
    headers_on_success: bool = True
    names_pools: bool = True
    daily_reset: DailyReset = "rolling"
    latency: Latency = "brief"
    progress: ProgressStyle = "gradual"
    jitter_s: tuple[float, float] = (0.0, 0.0)
    result: ResultStyle = "auto"
    url_expiry_s: float = 86_400.0
    balance_usd: Decimal = Decimal(50)
    least_balance_usd: Decimal = Decimal("0.49")
    base_price_usd: Decimal = Decimal("0.005")
    price_usd_per_s: Decimal = Decimal("0.0000130208")
    refund_failed: bool = False
    bad_video: BadVideo = "mixed"
    status_words: StatusWords = "official"
    models: tuple[str, ...] = ("WhisperLargeV3", "WhisperLargeV3Ct2")
    api_key: str | None = field(default="1|simulated", repr=False)
    key_role: KeyRole = "admin"
    webhook_secret: str = field(default="simulated-webhook-secret", repr=False)
    webhook_http: bool = False
    youtube_api_key: str | None = field(default="simulated-youtube-key", repr=False)
    data_api_errors: DataApiErrors = "legacy"
    quota_units: int = 10_000
    envelopes: Envelopes = "laravel"
    caption_share: float = 0.6
    silent_share: float = 0.0
    duration_s: tuple[float, float] | None = None
    durations_s: Mapping[str, float] = field(default_factory=_no_lengths)
    special: Mapping[str, VideoKind] = field(default_factory=_nothing)

    def __post_init__(self) -> None:
        for name in ("balance_usd", "least_balance_usd", "base_price_usd", "price_usd_per_s"):
            object.__setattr__(self, name, Decimal(getattr(self, name)))
            _require(getattr(self, name) >= 0, f"{name} must not be negative")
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            _require(value in choices, f"{name} must be one of {', '.join(choices)}, not {value!r}")
        for name in ("caption_share", "silent_share"):
            value = getattr(self, name)
            _require(0.0 <= value <= 1.0, f"{name} must be between 0 and 1, not {value}")
        _require(self.clock_speed > 0, f"clock_speed must be above 0, not {self.clock_speed}")
        _require(
            self.rate_limit_rpm >= 1, f"rate_limit_rpm must be 1 or more: {self.rate_limit_rpm}"
        )
        _require(self.daily_limit is None or self.daily_limit >= 1, "daily_limit must be 1 or more")
        _require(self.url_expiry_s > 0, "url_expiry_s must be above 0")
        _require(_is_range(self.jitter_s), f"jitter_s must be (least, most), not {self.jitter_s}")
        _require(
            self.duration_s is None or _is_range(self.duration_s),
            f"duration_s must be (least, most), not {self.duration_s}",
        )
        for video_id, kind in self.special.items():
            known = get_args(VideoKind)
            _require(kind in known, f"special[{video_id!r}] must be one of {', '.join(known)}")


def _is_range(pair: tuple[float, float]) -> bool:
    low, high = pair
    return 0.0 <= low <= high


def _require(holds: bool, message: str) -> None:  # noqa: FBT001 -- a condition and its message
    if not holds:
        raise ValueError(message)
