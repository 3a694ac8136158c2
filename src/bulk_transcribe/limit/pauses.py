"""After a refusal (429): how long everyone waits. Pure decisions."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.limit.facts import AccountFacts, Moment, Pause
from bulk_transcribe.limit.headers import RateHeaders
from bulk_transcribe.limit.window import Closure

#: Where the service does not say how long: 5 s at first, twice as long each time, at most 60 s
#: (the length of its window).
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 5.0, 60.0
#: A daily refusal that does not say when the day ends is tried again after an hour.
_DAILY_PAUSE_S = 3_600.0
#: "Wait 0 seconds" after a refusal would be a storm.
_SHORTEST_PAUSE_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """How a request with a permit ended.

    Args:
        kind: What it was for.
        permit_id: Its permit.
        granted_s: When that was granted: the request was sent after this reading.
        arrived: When the answer had arrived.
        status: HTTP status; None: no answer, or nobody said.
        headers: What the answer said about limits.
    """

    kind: RequestKind
    permit_id: int
    granted_s: float
    arrived: Moment
    status: int | None = None
    headers: RateHeaders = field(default_factory=RateHeaders)

    @property
    def is_refusal(self) -> bool:
        return self.status == 429  # noqa: PLR2004 -- Too Many Requests, RFC 6585

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 -- RFC 9110


def learn_pauses(
    facts: AccountFacts, answer: Answer, neighbours: Collection[RequestKind]
) -> AccountFacts:
    """The facts after an answer: a refusal pauses its pool, a success forgives.

    Args:
        facts: Before.
        answer: Of any status.
        neighbours: The kinds that share a pool with the answer's kind. They pause with it for
            the minute's limit; the day's limit belongs to one kind alone.
    """
    known = facts.of(answer.kind)
    if answer.is_success and _proves_over(answer, known.pause):
        return facts.with_kind(answer.kind, replace(known, pause=None))
    if answer.is_success and known.strikes and not _is_older_than_pause(answer, known.pause):
        return facts.with_kind(answer.kind, replace(known, strikes=0))
    if not answer.is_refusal:
        return facts
    is_late = _is_older_than_pause(answer, known.pause)
    length_s = _length_s(answer.headers, known.strikes)
    if not is_late and answer.headers.retry_after_s is None:
        facts = facts.with_kind(answer.kind, replace(known, strikes=min(16, known.strikes + 1)))
    is_daily = answer.headers.is_daily
    for kind in {answer.kind} if is_daily else {answer.kind, *neighbours}:
        paused = facts.of(kind)
        pause = _later(paused.pause, answer, length_s, is_late=is_late)
        facts = facts.with_kind(kind, replace(paused, pause=pause))
    return facts


def closures(facts: AccountFacts, now: Moment) -> dict[RequestKind, Closure]:
    """The kinds that rest now."""
    found: dict[RequestKind, Closure] = {}
    for kind, known in facts.kinds.items():
        left_s = 0.0 if known.pause is None else known.pause.left_s(now)
        if known.pause is not None and left_s > 0:
            found[kind] = Closure(until_s=now.reading_s + left_s, is_daily=known.pause.is_daily)
    return found


def _is_older_than_pause(answer: Answer, pause: Pause | None) -> bool:
    """Whether the request was sent before the latest pause had ended: it says nothing new."""
    if pause is None:
        return False
    began_s = pause.since.reading_s
    # a pause from before a new start of the machine lies in the future, and nobody is late for it
    return began_s <= answer.arrived.reading_s and answer.granted_s < began_s + pause.length_s


def _proves_over(answer: Answer, pause: Pause | None) -> bool:
    """Whether a success shows that a day's rest has ended early: the account was topped up."""
    if pause is None or not pause.is_daily or pause.left_s(answer.arrived) <= 0:
        return False
    began_s = pause.since.reading_s
    return answer.granted_s > began_s or began_s > answer.arrived.reading_s


def _length_s(headers: RateHeaders, strikes: int) -> float:
    if headers.retry_after_s is not None:
        return max(_SHORTEST_PAUSE_S, headers.retry_after_s)
    if headers.is_daily:
        return _DAILY_PAUSE_S
    return min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0**strikes)


def _later(pause: Pause | None, answer: Answer, length_s: float, *, is_late: bool) -> Pause:
    """The pause that holds after a refusal: never a shorter one.

    Many requests are refused at once, and their answers come one by one. They all mean the same
    end, so one that was sent before the pause began lengthens it only if it cannot mean that:
    counted from when it was *sent* it must end later. Without a time of its own it means nothing.
    """
    fresh = Pause(since=answer.arrived, length_s=length_s, is_daily=answer.headers.is_daily)
    if pause is None:
        return fresh
    left_s = pause.left_s(answer.arrived)
    if is_late and left_s > 0:
        on_the_way_s = answer.arrived.reading_s - answer.granted_s
        if answer.headers.retry_after_s is None or length_s - on_the_way_s <= left_s:
            return pause
    return fresh if length_s > left_s else pause
