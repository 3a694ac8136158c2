"""From states and running figures to the backlog that `eta.py` works off. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from bulk_transcribe.core.jobtime import JobTimeModel
from bulk_transcribe.core.stage import Stage, VideoState, WaitReason
from bulk_transcribe.monitor.eta import Backlog, Running, Service, runs
from bulk_transcribe.monitor.pace import PaidEnd

_BEYOND_SUBMIT = frozenset({Stage.TRANSCRIBING, Stage.SAVING})
_SAVING_S = 1.0
_BUCKETS = 32  # lengths within a 32nd of an e-fold count as one
_BUCKETS_KEPT = 65_536  # more than there are seconds in the longest video
_AROUND_S = 2.0  # slot time before and after a job, before any end; counts as one end
_NOTICE_S, _NOTICE_SPREAD_S = 2.0, 3.0  # the same for how late a job is found done
_JOB_SPREAD = 0.2  # of a job's time, and at least
_JOB_SPREAD_S = 2.0
_STUCK = 3.0  # so many spreads from its expectation a job says no more than one that is nearer


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """The running figures that a forecast needs; see `Pace`."""

    active: tuple[str, ...]
    looked_at: Mapping[str, datetime]  # when the jobs of the active ones were looked at last
    paid: frozenset[str]  # of the active ones, those that need the paid service
    slots: int
    requests_per_min: float | None
    limited_recent: int
    requests_per_paid: float
    paid_ends: tuple[PaidEnd, ...]
    quick_s: float
    quick_share: float
    quick_share_doubt: float


def backlog_of(
    states: Mapping[str, VideoState], outlook: Outlook, model: JobTimeModel, now_at: datetime
) -> Backlog:
    """What is left to do.

    Args:
        states: All videos in the order of work.
        outlook: The running figures.
        model: What paid jobs take.
        now_at: The moment.
    """
    waiting = [state for state in states.values() if state.stage is Stage.QUEUED]
    submitting: list[VideoState] = []
    undecided: list[VideoState] = []
    running: list[Running] = []
    classes = Classes()
    ending_s: list[float] = []
    for video_id in outlook.active:
        state = states[video_id]
        if state.waiting is WaitReason.LATE:
            continue  # it has no slot, and nobody knows when it ends
        if state.stage is Stage.TRANSCRIBING and state.since_at is not None:
            age_s = max(0.0, (now_at - state.since_at).total_seconds())
            looked_at = outlook.looked_at.get(video_id, state.since_at)
            seen_s = min(age_s, max(0.0, (looked_at - state.since_at).total_seconds()))
            running.append(Running(classes.of(state.duration_s), age_s, seen_s))
        elif state.stage in _BEYOND_SUBMIT:
            ending_s.append(_SAVING_S)
        elif video_id in outlook.paid:
            submitting.append(state)
        else:
            undecided.append(state)
    queued = undecided + waiting
    paid_per_s, burst = math.inf, 0.0
    if outlook.requests_per_min is not None:
        paid_per_s = outlook.requests_per_min / 60 / outlook.requests_per_paid
        room = max(0.0, outlook.requests_per_min - outlook.limited_recent)
        burst = room / outlook.requests_per_paid
    return Backlog(
        queued=[classes.of(state.duration_s) for state in queued],
        submitting=[classes.of(state.duration_s) for state in submitting],
        running=running,
        ending_s=ending_s,
        extra_s=extra_s(model, outlook.paid_ends),
        # last, when all classes are known
        services=classes.services(model, runs(len(queued) + len(outlook.active))),
        slots=max(outlook.slots, 1),
        quick_share=outlook.quick_share,
        quick_share_doubt=outlook.quick_share_doubt,
        quick_s=outlook.quick_s,
        paid_per_s=paid_per_s,
        burst=burst,
    )


class Classes:
    """Lengths that are nearly the same are one class, so that what they take is worked out once."""

    def __init__(self) -> None:
        self._numbers: dict[int | None, int] = {}

    def of(self, duration_s: float | None) -> int:
        """The class of this length."""
        return self._numbers.setdefault(_bucket(duration_s), len(self._numbers))

    def services(self, model: JobTimeModel, count: int) -> list[Service]:
        """So many ways in which the service may work, for the classes asked for so far."""
        lengths_s = [_middle_s(bucket) for bucket in self._numbers]
        return [
            Service([belief.median_s(s) for s in lengths_s], [belief.scale(s) for s in lengths_s])
            for belief in model.beliefs(count)
        ]


def extra_s(model: JobTimeModel, paid_ends: Sequence[PaidEnd]) -> float:
    """Mean slot time of a paid video beyond its processing: facts, notice, saving.

    The time before and after a job is known exactly. Of how late its end was noticed short jobs
    tell most: the longer a job, the more of its time is luck.
    """
    means_s: dict[int | None, float] = {}
    around_s = sum(end.around_s for end in paid_ends)
    around_s = (around_s + _AROUND_S) / (len(paid_ends) + 1)
    weight = _NOTICE_SPREAD_S**-2
    total_s, weights = weight * _NOTICE_S, weight
    for end in paid_ends:
        bucket = _bucket(end.duration_s)
        if bucket not in means_s:
            means_s[bucket] = model.predict(_middle_s(bucket)).mean_s
        expected_s = means_s[bucket]
        spread_s = max(_JOB_SPREAD_S, _JOB_SPREAD * expected_s)
        beyond_s = end.job_s - expected_s
        beyond_s = max(-_STUCK * spread_s, min(_STUCK * spread_s, beyond_s))
        weight = spread_s**-2
        total_s += weight * beyond_s
        weights += weight
    return max(0.0, around_s + total_s / weights)


@lru_cache(maxsize=_BUCKETS_KEPT)
def _bucket(duration_s: float | None) -> int | None:
    """Lengths of one bucket are nearly the same; None: not known."""
    if duration_s is None or not math.isfinite(duration_s):
        return None
    return round(_BUCKETS * math.log1p(max(0.0, duration_s)))


def _middle_s(bucket: int | None) -> float | None:
    """The length that stands for a bucket."""
    return None if bucket is None else math.expm1(bucket / _BUCKETS)
