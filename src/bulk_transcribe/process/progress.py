"""Whether the service's progress figure tells when a job ends, and what it then says.

Nothing promises that the figure is gradual: it may jump from 0 to 100 or stand at one value. So it
is believed only after it has foretold the end of enough jobs of this batch.
"""

import math
import statistics
import threading
from collections import deque
from dataclasses import dataclass, field

from bulk_transcribe.core.jobtime import Prediction
from bulk_transcribe.process.aim import Later

_WINDOW = 32  # newest jobs that bear witness
_ENOUGH = 6  # of them before anything is believed
_GOOD_SHARE = 0.8  # of them must have had a figure between 0 and 1 that moved
_WIDEST_SCALE = 0.2  # of the rest of the time, logistic in log time: a factor of 1.8 within 90 %
_NARROWEST_SCALE = 0.04
_LOW, _HIGH = 0.05, 0.97  # figures outside say too little about the rest
_BASELINE = 0.1  # the figure must move this much before its own speed counts
_SHARP = 0.35  # an end seen within this share of the rest can judge a forecast
_MAD_TO_SCALE = 1.4826 / 1.8138  # median absolute deviation -> standard deviation -> logistic


@dataclass(frozen=True, slots=True)
class Reading:
    """A job's progress, 0.0 to 1.0, at an age."""

    age_s: float
    fraction: float


@dataclass(frozen=True, slots=True)
class Trust:
    """How the real rest of the time compares with the forecast rest, in log time."""

    bias: float
    scale: float


def rest_s(first: Reading, last: Reading) -> float | None:
    """Seconds from `last` to the end if the figure goes on as it did; None where it says nothing.

    From the speed between both readings where they lie apart, else from the speed since the start.
    """
    if not (_LOW <= last.fraction <= _HIGH and last.age_s > 0):
        return None
    moved = last.fraction - first.fraction
    if moved >= _BASELINE and last.age_s > first.age_s:
        return (1 - last.fraction) * (last.age_s - first.age_s) / moved
    return (1 - last.fraction) * last.age_s / last.fraction


def judge(errors: list[float | None]) -> Trust | None:
    """Whether forecasts with these errors (log of real over forecast rest) can be believed.

    None among them stands for a job whose figure never moved.
    """
    good = [error for error in errors if error is not None]
    if len(errors) < _ENOUGH or len(good) < _GOOD_SHARE * len(errors):
        return None
    bias = statistics.median(good)
    scale = _MAD_TO_SCALE * statistics.median(abs(error - bias) for error in good)
    return Trust(bias, max(_NARROWEST_SCALE, scale)) if scale <= _WIDEST_SCALE else None


class ProgressJudge:
    """Collects figures, judges them by the ends that followed. May be shared by all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards the fields below
        self._jobs: dict[str, _Track] = {}
        self._errors: deque[float | None] = deque(maxlen=_WINDOW)
        self._trust: Trust | None = None

    @property
    def is_trusted(self) -> bool:
        with self._lock:
            return self._trust is not None

    def saw_running(self, job: str, age_s: float, fraction: float | None) -> None:
        """A look found the job running with this figure (None: none was told)."""
        known = fraction is not None and math.isfinite(fraction)
        reading = Reading(age_s, min(1.0, max(0.0, fraction)) if known and fraction else 0.0)
        with self._lock:
            track = self._jobs.setdefault(job, _Track(first=reading, last=reading))
            track.add(reading)

    def saw_done(self, job: str, after_s: float, by_s: float) -> None:
        """The job ended between these ages: compare with what its figures foretold."""
        with self._lock:
            track = self._jobs.pop(job, None)
            if track is None:
                return
            if track.forecast is None:
                if track.looks > 1:
                    self._errors.append(None)
            else:
                at_s, forecast_s = track.forecast
                low_s, high_s = max(0.0, after_s - at_s), by_s - at_s
                if not high_s - low_s <= _SHARP * high_s:
                    return
                self._errors.append(math.log((low_s + high_s) / 2 / forecast_s))
            self._trust = judge(list(self._errors))

    def forget(self, job: str) -> None:
        """The job is no longer watched."""
        with self._lock:
            self._jobs.pop(job, None)

    def belief(self, job: str, *, narrower_than_s: float) -> Later | None:
        """When the job ends by its own figure; None where that is not known better elsewhere.

        Args:
            job: The job.
            narrower_than_s: The scale of what is believed without the figure, seconds.
        """
        with self._lock:
            track, trust = self._jobs.get(job), self._trust
            if track is None or trust is None:
                return None
            left_s = rest_s(track.first, track.last)
            last_s = track.last.age_s
        if left_s is None or left_s * trust.scale >= narrower_than_s:
            return None
        return Later(last_s, Prediction((left_s * math.exp(trust.bias),), trust.scale))

    def fraction(self, job: str) -> float | None:
        """The newest figure, where figures are trusted."""
        with self._lock:
            track = self._jobs.get(job)
            return track.last.fraction if track is not None and self._trust is not None else None


@dataclass(slots=True)
class _Track:
    """The figures of one job. The judge locks."""

    first: Reading
    last: Reading
    looks: int = 0
    #: Age and forecast rest of the middle of the job, kept for the day of judgement.
    forecast: tuple[float, float] | None = field(default=None)

    def add(self, reading: Reading) -> None:
        self.looks += 1
        if reading.fraction < self.last.fraction:  # went backwards: begin anew
            self.first = reading
        if self.first.fraction <= 0 < reading.fraction:
            self.first = reading  # the queue before the first movement is no part of its speed
        self.last = reading
        left_s = rest_s(self.first, reading)
        if left_s is not None and (self.forecast is None or reading.fraction <= 0.6):  # noqa: PLR2004 -- later ones flatter
            self.forecast = reading.age_s, left_s
