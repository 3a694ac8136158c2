"""From states and running figures to the backlog that `eta.py` works off. Pure."""

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache

from bulk_transcribe.core.jobtime import JobTimeModel, Prediction
from bulk_transcribe.core.stage import Stage, VideoState, WaitReason
from bulk_transcribe.monitor.eta import Backlog
from bulk_transcribe.monitor.pace import PaidEnd

_BEYOND_SUBMIT = frozenset({Stage.TRANSCRIBING, Stage.SAVING})
_SAVING_S = 1.0
_OVERDUE = 0.005  # a job that runs on with this probability says nothing more of its rest
_OVERDUE_REST = 0.1  # of its age
_BUCKETS = 32  # lengths within a 32nd of an e-fold count as one
_BUCKETS_KEPT = 65_536  # more than there are seconds in the longest video
_MOST_DOUBT = 0.5
_AROUND_S = 2.0  # slot time before and after a job, before any end; counts as one end
_NOTICE_S, _NOTICE_SPREAD_S = 2.0, 3.0  # the same for how late a job is found done
_JOB_SPREAD = 0.2  # of a job's time, and at least
_JOB_SPREAD_S = 2.0
_STUCK = 3.0  # so many spreads from its expectation a job says no more than one that is nearer
_LOGISTIC_SD = math.pi / math.sqrt(3)


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """The running figures that a forecast needs; see `Pace`."""

    active: tuple[str, ...]
    paid: frozenset[str]  # of the active ones, those that need the paid service
    slots: int
    requests_per_min: float | None
    limited_recent: int
    requests_per_paid: float
    paid_ends: tuple[PaidEnd, ...]
    doubt: float
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
    expected = Expected(model, outlook.paid_ends)
    waiting = [state for state in states.values() if state.stage is Stage.QUEUED]
    submitting_s, in_flight_s, undecided = [], [], []
    for video_id in outlook.active:
        state = states[video_id]
        if state.waiting is WaitReason.LATE:
            continue  # it has no slot, and nobody knows when it ends
        if state.stage in _BEYOND_SUBMIT:
            in_flight_s.append(_rest_s(state, expected, now_at))
        elif video_id in outlook.paid:
            submitting_s.append(expected.slot_s(state.duration_s))
        else:
            undecided.append(state)
    queued = undecided + waiting
    paid_per_s, burst = math.inf, 0.0
    if outlook.requests_per_min is not None:
        paid_per_s = outlook.requests_per_min / 60 / outlook.requests_per_paid
        room = max(0.0, outlook.requests_per_min - outlook.limited_recent)
        burst = room / outlook.requests_per_paid
    # when nothing waits any more, what runs says how regular jobs of such lengths are
    left = queued or [states[video_id] for video_id in outlook.active]
    middle = left[len(left) // 2].duration_s if left else None
    return Backlog(
        queued_s=[expected.slot_s(state.duration_s) for state in queued],
        submitting_s=submitting_s,
        in_flight_s=in_flight_s,
        slots=max(outlook.slots, 1),
        quick_share=outlook.quick_share,
        quick_share_doubt=outlook.quick_share_doubt,
        quick_s=outlook.quick_s,
        paid_per_s=paid_per_s,
        burst=burst,
        spread=min(1.0, _LOGISTIC_SD * expected.prediction(middle).scale),
        doubt=max(outlook.doubt, expected.doubt([state.duration_s for state in queued])),
    )


class Expected:
    """Means by length, worked out once for lengths that are nearly the same.

    Args:
        model: What paid jobs take.
        paid_ends: Paid videos that ended, to learn from what a slot is occupied beyond that.
    """

    def __init__(self, model: JobTimeModel, paid_ends: Sequence[PaidEnd] = ()) -> None:
        self._model = model
        self._paid_ends = paid_ends
        self._predictions: dict[int | None, Prediction] = {}
        self._means_s: dict[int | None, float] = {}

    def prediction(self, duration_s: float | None) -> Prediction:
        """When a job of about this length ends."""
        return self._predicted(_bucket(duration_s))

    def doubt(self, durations_s: Sequence[float | None]) -> float:
        """Standard deviation of the time of all together, as a share: what is not learned yet.

        Lengths that no job had so far may take a time of their own, all of them alike.
        """
        alike = Counter(map(_bucket, durations_s))
        predictions = [(count, self._predicted(bucket)) for bucket, count in alike.items()]
        if not predictions:
            return 0.0
        weighted = ([count * s for s in p.medians_s] for count, p in predictions)
        totals_s = [sum(parts) for parts in zip(*weighted, strict=True)]
        mean_s = statistics.fmean(totals_s)
        doubt = statistics.pstdev(totals_s) / mean_s
        share = self._predicted(_bucket(durations_s[0])).rival_share
        rival_s = sum(count * p.rival_s for count, p in predictions)
        apart = abs(rival_s - mean_s) / mean_s if share else 0.0
        return min(_MOST_DOUBT, math.hypot(doubt, math.sqrt(share) * apart))

    def slot_s(self, duration_s: float | None) -> float:
        """Mean time that a paid video occupies a slot."""
        return self._mean_s(_bucket(duration_s)) + self.extra_s

    @cached_property
    def extra_s(self) -> float:
        """Mean slot time of a paid video beyond its processing: facts, notice, saving.

        The time before and after a job is known exactly. Of how late its end was noticed short
        jobs tell most: the longer a job, the more of its time is luck.
        """
        around_s = sum(end.around_s for end in self._paid_ends)
        around_s = (around_s + _AROUND_S) / (len(self._paid_ends) + 1)
        weight = _NOTICE_SPREAD_S**-2
        total_s, weights = weight * _NOTICE_S, weight
        for end in self._paid_ends:
            expected_s = self._mean_s(_bucket(end.duration_s))
            spread_s = max(_JOB_SPREAD_S, _JOB_SPREAD * expected_s)
            beyond_s = end.job_s - expected_s
            beyond_s = max(-_STUCK * spread_s, min(_STUCK * spread_s, beyond_s))
            weight = spread_s**-2
            total_s += weight * beyond_s
            weights += weight
        return max(0.0, around_s + total_s / weights)

    def _predicted(self, bucket: int | None) -> Prediction:
        found = self._predictions.get(bucket)
        if found is None:
            length_s = None if bucket is None else math.expm1(bucket / _BUCKETS)
            found = self._predictions[bucket] = self._model.predict(length_s)
        return found

    def _mean_s(self, bucket: int | None) -> float:
        found = self._means_s.get(bucket)
        if found is None:
            found = self._means_s[bucket] = self._predicted(bucket).mean_s
        return found


@lru_cache(maxsize=_BUCKETS_KEPT)
def _bucket(duration_s: float | None) -> int | None:
    """Lengths of one bucket are nearly the same; None: not known."""
    if duration_s is None or not math.isfinite(duration_s):
        return None
    return round(_BUCKETS * math.log1p(max(0.0, duration_s)))


def _rest_s(state: VideoState, expected: Expected, now_at: datetime) -> float:
    """Mean seconds until a video whose job runs, or ended, leaves its slot."""
    if state.stage is Stage.SAVING or state.since_at is None:
        return _SAVING_S
    age_s = max(0.0, (now_at - state.since_at).total_seconds())
    return job_rest_s(expected.prediction(state.duration_s), age_s) + expected.extra_s


def job_rest_s(prediction: Prediction, age_s: float) -> float:
    """The median rest of a job that still runs at `age_s`."""
    running = prediction.survival(age_s)
    if running < _OVERDUE:
        return age_s * _OVERDUE_REST
    return max(0.0, prediction.quantile_s(1 - running / 2) - age_s)
