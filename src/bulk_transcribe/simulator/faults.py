"""What goes wrong, and when: set from a test, the command line or over HTTP while it runs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, get_args

from bulk_transcribe.simulator.seeded import share

#: How often: a float is a share of the requests (1.0: all), a whole number that many next ones,
#: True always, False or 0 never.
Rate = float | int | bool

CaptionsBlock = Literal["429", "bot", "recaptcha"]
LimitType = Literal["minute", "daily"]
HoldPoint = Literal["before_work", "before_answer"]

_API: Final = ("submit", "poll", "price", "account")
_YOUTUBE: Final = ("watch", "player", "timedtext")
_WEBHOOK_RATES: Final = (
    "webhook_lost",
    "webhook_twice",
    "webhook_reordered",
    "webhook_forged",
    "webhook_unsigned",
    "webhook_stale",
    "webhook_garbage",
)
#: Kinds of requests that a fault strikes unless `only` says otherwise.
_STRIKES: Final[Mapping[str, tuple[str, ...]]] = {
    "server_error_500": _API,
    "html_502": _API,
    "html_502_after": _API,
    "garbage_body": _API,
    "slow_answer_s": _API,
    "drop_answer_before": ("submit",),
    "drop_answer_after": ("submit",),
    "storm_429": ("submit", "poll", "price"),
    "captions_garbage": _YOUTUBE,
    "hold": ("submit",),
    **dict.fromkeys(_WEBHOOK_RATES, ("webhook",)),
}
KINDS: Final = (*_API, "download", "data_api", *_YOUTUBE, "other", "webhook")
_RATES: Final = (
    "server_error_500",
    "html_502",
    "html_502_after",
    "drop_answer_before",
    "drop_answer_after",
    "garbage_body",
    "stuck_jobs",
    "failing_jobs",
    "storm_429",
    "captions_garbage",
    "captions_po_token",
    *_WEBHOOK_RATES,
)


@dataclass(kw_only=True)
class Faults:
    """What goes wrong. Fields may be changed at any time, from any thread.

    Which requests a share strikes is drawn from the seed, the request's subject (the video, the
    job) and how often that subject was asked for, not from the order of arrival.

    Args:
        server_error_500: JSON 500; counted against the limit, nothing was done.
        html_502: A proxy's page; nothing was done.
        html_502_after: A proxy's page, but the work was done: a submit was accepted and charged.
        drop_answer_before: The connection is reset and nothing was done.
        drop_answer_after: The connection is reset after the work was done.
        garbage_body: 200 with a body that is no JSON, after the work was done.
        slow_answer_s: Seconds that each answer takes longer.
        stuck_jobs: Jobs that never end, or `stuck_for_s` after their submit.
        stuck_for_s: How late stuck jobs end; None: they never do.
        failing_jobs: Jobs that fail with `failing_code`.
        failing_code: Error code of failing jobs.
        missing_requests: Request ids that the service no longer knows.
        hidden_after_submit_s: How long a new job answers 404.
        storm_429: Refusals whatever the count.
        storm_retry_after_s: Their Retry-After; None leaves the header out.
        storm_type: Their X-RateLimit-Type.
        captions_blocked: How YouTube refuses everybody; None: it does not.
        captions_garbage: Pages without a key, players that are no JSON, empty caption files.
        captions_po_token: Caption addresses that ask for a token.
        consent_page: The consent page comes before the watch page.
        revoke_key: The key is refused.
        spend_credit: The account counts as empty.
        expire_urls_now: All result addresses given out so far are dead; turns itself off.
        network_down: Every connection is closed.
        hold: Requests wait at this point until it is None again: read but not worked on, or
            worked on but not answered. What still waits when the network goes down is lost.
        quota_exceeded: The Data API's quota is spent.
        webhook_lost: Webhooks that are never sent. This and the next ones are drawn when the job
            is taken, for each of its events.
        webhook_twice: Webhooks that are sent twice, with one number.
        webhook_reordered: Webhooks that come up to a minute late, after those that follow.
        webhook_forged: Webhooks signed with another secret, at the first attempt.
        webhook_unsigned: Webhooks without a signature, likewise.
        webhook_stale: Webhooks signed an hour ago, likewise.
        webhook_garbage: Webhooks, well signed, whose body is no JSON, likewise.
        only: Fault -> kinds of requests that it strikes, in place of its usual ones.

    Raises:
        ValueError: a name or a value is not known.
    """

    server_error_500: Rate = 0
    html_502: Rate = 0
    html_502_after: Rate = 0
    drop_answer_before: Rate = 0
    drop_answer_after: Rate = 0
    garbage_body: Rate = 0
    slow_answer_s: float = 0.0
    stuck_jobs: Rate = 0
    stuck_for_s: float | None = None
    failing_jobs: Rate = 0
    failing_code: str = "PROCESSING_ERROR"
    missing_requests: set[str] = field(default_factory=set)
    hidden_after_submit_s: float = 0.0
    storm_429: Rate = 0
    storm_retry_after_s: float | None = 60.0
    storm_type: LimitType = "minute"
    captions_blocked: CaptionsBlock | None = None
    captions_garbage: Rate = 0
    captions_po_token: Rate = 0
    consent_page: bool = False
    revoke_key: bool = False
    spend_credit: bool = False
    expire_urls_now: bool = False
    network_down: bool = False
    hold: HoldPoint | None = None
    quota_exceeded: bool = False
    webhook_lost: Rate = 0
    webhook_twice: Rate = 0
    webhook_reordered: Rate = 0
    webhook_forged: Rate = 0
    webhook_unsigned: Rate = 0
    webhook_stale: Rate = 0
    webhook_garbage: Rate = 0
    only: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for each in fields(self):
            setattr(self, each.name, _checked(each.name, getattr(self, each.name)))

    def update(self, changes: Mapping[str, Any]) -> None:
        """Change some faults, all or none.

        Raises:
            ValueError: a name or a value is not known; nothing was changed.
        """
        known = {each.name for each in fields(self)}
        unknown = sorted(set(changes) - known)
        if unknown:
            raise ValueError(f"no such fault: {', '.join(unknown)}")
        checked = {name: _checked(name, value) for name, value in changes.items()}
        for name, value in checked.items():
            setattr(self, name, value)

    def strikes(self, name: str, kind: str) -> bool:
        """Whether the fault is meant for requests of this kind."""
        return kind in self.only.get(name, _STRIKES.get(name, KINDS))

    def happens(self, name: str, kind: str, seed: int, *about: object) -> bool:
        """Whether the fault strikes this request. Uses up one of a number of next ones.

        Not safe against itself: its owner locks.
        """
        rate: Rate = getattr(self, name)
        if not rate or not self.strikes(name, kind):
            return False
        if isinstance(rate, bool):
            return True
        if isinstance(rate, int):
            setattr(self, name, rate - 1)
            return True
        return share(seed, name, kind, *about) < rate


def _checked(name: str, value: Any) -> Any:
    """The value in the type of the field.

    Raises:
        ValueError: it does not fit.
    """
    if name in _RATES:
        return _checked_rate(name, value)
    if name == "missing_requests":
        return set(_words(name, value))
    if name == "only":
        return _checked_only(value)
    if name == "captions_blocked":
        value = str(value) if _is_number(value) else value  # 429 from a command line
    fits, wanted = _FITS.get(name, _FITS["a switch"])
    return _require(name, value, fits(value), wanted)


def _checked_rate(name: str, value: Any) -> Rate:
    fits = isinstance(value, bool | int) and value >= 0
    fits = fits or (isinstance(value, float) and 0.0 <= value <= 1.0)
    rate: Rate = _require(name, value, fits, "a share from 0.0 to 1.0, a whole number or true")
    return rate


def _checked_only(value: Any) -> dict[str, tuple[str, ...]]:
    _require("only", value, isinstance(value, Mapping), "fault -> kinds of requests")
    checked = {fault: _words("only", kinds) for fault, kinds in value.items()}
    for fault, kinds in checked.items():
        _require("only", fault, fault in _STRIKES, f"one of {', '.join(_STRIKES)}")
        _require("only", kinds, set(kinds) <= set(KINDS), f"some of {', '.join(KINDS)}")
    return checked


def _words(name: str, value: Any) -> tuple[str, ...]:
    fits = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    words = tuple(_require(name, value, fits, "a list of words"))
    for word in words:
        _require(name, word, isinstance(word, str), "words")
    return words


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_time(value: Any) -> bool:
    return _is_number(value) and 0 <= value < float("inf")


#: Field -> whether a value fits it, and what would; fields that are not here are switches.
_FITS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "slow_answer_s": (_is_time, "seconds, 0 or more"),
    "hidden_after_submit_s": (_is_time, "seconds, 0 or more"),
    "stuck_for_s": (lambda v: v is None or _is_time(v), "seconds or null"),
    "storm_retry_after_s": (lambda v: v is None or _is_time(v), "seconds or null"),
    "storm_type": (lambda v: v in get_args(LimitType), "minute or daily"),
    "captions_blocked": (
        lambda v: v is None or v in get_args(CaptionsBlock),
        "429, bot, recaptcha or null",
    ),
    "hold": (
        lambda v: v is None or v in get_args(HoldPoint),
        "before_work, before_answer or null",
    ),
    "failing_code": (lambda v: isinstance(v, str) and bool(v), "a word"),
    "a switch": (lambda v: isinstance(v, bool), "true or false"),
}


def _require(name: str, value: Any, fits: bool, wanted: str) -> Any:  # noqa: FBT001
    if not fits:
        raise ValueError(f"{name} must be {wanted}, not {value!r}")
    return value
