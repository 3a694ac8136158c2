"""How long the paid service takes for a video of a given length, before and while we learn it.

`estimate_processing_time_s` is the design brief's estimate. `JobTimeModel` starts from it and
learns from every job of the batch. Its picture: a job of a video of `L` seconds ends after

    (min(u, cap) + r · max(0, u - cap)) · noise        with u = a + b · L

seconds, where the noise is log-logistic, a factor: it grows with the time, and how wide it is is
learned. The cap is the brief's, a time: a faster service reaches it with longer videos. There may
also be none: `r` is near 0 with a cap and near 1 without. `jobfit.py` finds the likeliest `a`, `b`,
`r` and noise. What remains uncertain about them widens the prediction, so it is wide at first and
where no such length was seen yet. Who asks when *many* jobs end takes `beliefs`: they err together.
"""

import math
import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from bulk_transcribe.core.jobfit import (
    BASE_S,
    CAP_S,
    KNOWN_LENGTH,
    LONGEST_S,
    PER_MINUTE_S,
    SHORTEST_S,
    UNKNOWN_LENGTH,
    Fit,
    Law,
    Prior,
    Sighting,
    fit,
    laws,
    sigmoid,
)

#: The length that the design brief assumes of a video whose length is not known.
ASSUMED_DURATION_S = 300.0

_WINDOW = 192  # newest jobs that count: enough for a steady fit, few enough to follow a change
_LATE = 0.05  # a job that runs on with this probability tells something before it ends
_STRIDE = 37  # a prime


def estimate_processing_time_s(duration_s: float | None) -> float:
    """Seconds to expect before anything was learned: 15 s + 8 s a minute of video, at most 300.

    Args:
        duration_s: Length of the video, seconds; None (not known) counts as 300 s, below 0 as 0.
    """
    if duration_s is None or math.isnan(duration_s):
        duration_s = ASSUMED_DURATION_S
    return min(CAP_S, BASE_S + PER_MINUTE_S * max(0.0, duration_s) / 60)


class JobTimeModel:
    """Predicts when jobs end and learns from those that did. May be shared by all threads.

    Predictions never get shorter for a longer video or a higher probability. Learning from a job
    costs microseconds; every few jobs one caller refits (some milliseconds, on the newest 192
    jobs) while the others go on with the fit before.
    """

    def __init__(self) -> None:
        self._known = _Learner(KNOWN_LENGTH)
        self._unknown = _Learner(UNKNOWN_LENGTH)

    @property
    def jobs(self) -> int:
        """Jobs learned from so far."""
        return self._known.seen + self._unknown.seen

    def saw_running(self, job: str, duration_s: float | None, age_s: float) -> None:
        """Note that a job still runs at this age, until `observe` or `forget` names it again.

        Without this the first jobs to end, which are the quick ones, would be taken for typical.
        """
        if age_s > 0:
            self._learner(duration_s).running(job, Sighting(_length_s(duration_s), age_s, math.inf))

    def observe(
        self,
        duration_s: float | None,
        *,
        done_by_s: float,
        not_done_at_s: float = 0.0,
        job: str = "",
    ) -> None:
        """Learn from a job that is done.

        Args:
            duration_s: Length of the video, None where not known.
            done_by_s: The job's age when it was seen done.
            not_done_at_s: Its age when it was last seen running, 0 if it never was.
            job: The name given to `saw_running`, if it was called.

        Numbers that cannot be (not above 0, not a number, infinite) are ignored.
        """
        learner = self._learner(duration_s)
        learner.forget(job)
        if not (math.isfinite(done_by_s) and done_by_s > 0) or math.isnan(not_done_at_s):
            return
        after_s = max(0.0, min(not_done_at_s, done_by_s))
        learner.done(Sighting(_length_s(duration_s), after_s, done_by_s))

    def forget(self, job: str) -> None:
        """Drop what `saw_running` noted: the job failed or is no longer watched."""
        self._known.forget(job)
        self._unknown.forget(job)

    def quantile_s(self, duration_s: float | None, q: float) -> float:
        """The age by which a job is done with probability `q` (0 to 1, ends excluded), seconds."""
        return self.predict(duration_s).quantile_s(q)

    def probability_done(
        self, duration_s: float | None, age_s: float, not_done_at_s: float = 0.0
    ) -> float:
        """How likely a job is done at `age_s`, given that it was running at `not_done_at_s`."""
        return self.predict(duration_s).probability_done(age_s, not_done_at_s)

    def predict(self, duration_s: float | None) -> "Prediction":
        """The whole distribution for one length, as known now."""
        return predict(self._learner(duration_s).fit, _length_s(duration_s))

    def beliefs(self, count: int) -> list["Belief"]:
        """So many ways in which the service may work, each as likely as any other of them.

        The same ones as long as nothing is learned: a forecast does not flicker.
        """
        known, unknown = self._known.laws, self._unknown.laws
        return [
            Belief(
                known[len(known) * number // count],
                # in another order: what the one is has nothing to do with the other
                unknown[len(unknown) * (number * _STRIDE % count) // count],
            )
            for number in range(count)
        ]

    def _learner(self, duration_s: float | None) -> "_Learner":
        return self._unknown if _is_unknown(duration_s) else self._known


@dataclass(frozen=True, slots=True)
class Prediction:
    """When a job ends: a mixture, in equal parts, of log-logistic distributions of one scale."""

    medians_s: tuple[float, ...]
    scale: float

    @property
    def mean_s(self) -> float:
        """Mean age at the end."""
        angle = math.pi * self.scale
        return sum(self.medians_s) / len(self.medians_s) * angle / math.sin(angle)

    @property
    def spread(self) -> float:
        """The scale of the one log-logistic distribution that is about as wide."""
        logs = [math.log(m) for m in self.medians_s]
        middle = sum(logs) / len(logs)
        variance = sum((x - middle) ** 2 for x in logs) / len(logs)
        return math.sqrt(self.scale**2 + 3 * variance / math.pi**2)

    def survival(self, age_s: float) -> float:
        """The probability that the job still runs at this age."""
        if age_s <= 0:
            return 1.0
        log_s = math.log(max(SHORTEST_S, min(age_s, LONGEST_S)))
        inner = (sigmoid((math.log(m) - log_s) / self.scale) for m in self.medians_s)
        return sum(inner) / len(self.medians_s)

    def probability_done(self, age_s: float, not_done_at_s: float = 0.0) -> float:
        """How likely it is done at `age_s`, given that it was running at `not_done_at_s`."""
        if not age_s > not_done_at_s:
            return 0.0
        before = self.survival(not_done_at_s)
        if before <= 0.0:
            return 1.0
        return min(1.0, max(0.0, 1.0 - self.survival(age_s) / before))

    def quantile_s(self, q: float) -> float:
        """The age by which it is done with probability `q` (0 to 1, ends excluded)."""
        if not 0 < q < 1:
            raise ValueError(f"a probability between 0 and 1, both excluded, not {q}")
        stretch = math.exp(self.scale * (math.log(q) - math.log1p(-q)))
        low_s = min(LONGEST_S, min(self.medians_s) * stretch)
        high_s = min(LONGEST_S, max(self.medians_s) * stretch)
        while high_s > low_s * 1.0005:
            middle_s = math.sqrt(low_s * high_s)
            if self.survival(middle_s) > 1 - q:
                low_s = middle_s
            else:
                high_s = middle_s
        return high_s


@dataclass(frozen=True, slots=True)
class Belief:
    """One way in which the service may work: for videos of known length, and for the others."""

    known: Law
    unknown: Law

    def median_s(self, duration_s: float | None) -> float:
        """The age at which half of the jobs of such videos are done."""
        law = self.unknown if _is_unknown(duration_s) else self.known
        return law.median_s(_length_s(duration_s))

    def scale(self, duration_s: float | None) -> float:
        """How much luck there is: the scale of a logistic distribution in log time."""
        return (self.unknown if _is_unknown(duration_s) else self.known).scale


def predict(found: Fit, duration_s: float) -> Prediction:
    """The distribution for one length."""
    return Prediction(tuple(law.median_s(duration_s) for law in found.parts()), found.scale)


class _Learner:
    """The jobs of one kind and their newest fit."""

    def __init__(self, prior: Prior) -> None:
        self._prior = prior
        self._lock = threading.Lock()  # guards the fields below; `fit` may be read without
        self._window: deque[Sighting] = deque(maxlen=_WINDOW)
        self._running: dict[str, Sighting] = {}
        self._unlearned = 0
        self._is_fitting = False
        self.seen = 0
        self.fit = Fit.before(prior)
        self.laws = laws(self.fit, prior, ())

    def running(self, job: str, sighting: Sighting) -> None:
        prediction = predict(self.fit, sighting.duration_s)
        is_late = prediction.survival(sighting.after_s) < _LATE
        with self._lock:
            self._running.pop(job, None)  # the newest go last
            self._running[job] = sighting
            while len(self._running) > _WINDOW:
                del self._running[next(iter(self._running))]
            # what contradicts the fit is learned from before it ends: only the quick ones ended
            sightings = self._due() if is_late else None
        if sightings is not None:
            self._refit(sightings)

    def forget(self, job: str) -> None:
        with self._lock:
            self._running.pop(job, None)

    def done(self, sighting: Sighting) -> None:
        with self._lock:
            self._window.append(sighting)
            self.seen += 1
            sightings = self._due()
        if sightings is not None:
            self._refit(sightings)

    def _due(self) -> tuple[Sighting, ...] | None:
        """The jobs to fit now, if it is time. Holds the lock; `_refit` must follow."""
        self._unlearned += 1
        if self._is_fitting or self._unlearned < min(16, 1 + self.seen // 12):
            return None
        self._is_fitting = True
        self._unlearned = 0
        return (*self._window, *self._running.values())

    def _refit(self, sightings: Sequence[Sighting]) -> None:
        try:
            self.fit = fit(sightings, self._prior, self.fit)
            self.laws = laws(self.fit, self._prior, sightings)
        finally:
            with self._lock:
                self._is_fitting = False


def _is_unknown(duration_s: float | None) -> bool:
    return duration_s is None or math.isnan(duration_s)


def _length_s(duration_s: float | None) -> float:
    """The length to reckon with, seconds."""
    if duration_s is None or math.isnan(duration_s):
        return ASSUMED_DURATION_S
    return max(0.0, min(duration_s, LONGEST_S))
