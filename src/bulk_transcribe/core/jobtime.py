"""How long the paid service takes for a video of a given length, before and while we learn it.

`estimate_processing_time_s` is the design brief's estimate. `JobTimeModel` starts from it and
learns from every job of the batch. Its picture: a job of a video of `L` seconds ends after

    (min(u, cap) + r · max(0, u - cap)) · noise        with u = a + b · L

seconds, where the noise is log-logistic. The cap is the brief's, a time: a faster service reaches
it with longer videos. There may also be none: `r` is near 0 with a cap and near 1 without, and
the likelier of both beliefs is taken. Nobody sees a
job end: it was still running at one look and done at the next, so each job says only that its end
lies in an interval. The fit maximises the probability of these intervals times a prior around the
brief's figures. A small share of jobs may come from a far wider distribution, which takes stuck
jobs and nonsense out of the fit. What remains uncertain about `a`, `b` and `r` widens the
prediction, so it is wide at first and where no such length was seen yet.
"""

import math
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

#: The design brief's estimate: a fixed part, a part by length, a cap.
BASE_S = 15.0
PER_MINUTE_S = 8.0
CAP_S = 300.0
#: The length that the design brief assumes of a video whose length is not known.
ASSUMED_DURATION_S = 300.0

_LONGEST_S = 7 * 86_400.0  # lengths and ages beyond a week count as a week
_SHORTEST_S = 0.05  # no job is over sooner; keeps logarithms finite
_EXACT = 0.01  # intervals are widened to at least this share of their end: clocks are not perfect

_WINDOW = 192  # newest jobs that count: enough for a steady fit, few enough to follow a change
_OUTLIERS = 0.03  # share of jobs that may follow the wide distribution
_OUTLIER_SCALE = 1.2  # its scale in log time: a factor of 20 either way within 90 %
_ANNEALED_SCALE = 0.7  # where a fit from scratch starts, so that any speed of the service is found
_SCALE_BOUNDS = (0.02, 0.6)
_TRUSTED = 0.8  # a fit that explains fewer of the jobs is sought anew from a wide start
_ROUNDS = 30  # at most; a dozen is usual from a wide start, three from the fit before
_SETTLED = 0.01  # stop when no figure moves by more than 1 %

_NO_CAP = 0.25  # spread of log r around 0 where there is no cap
_NO_CAP_SHARE = 0.1  # how likely that is before any job
_BETWEEN = math.log(0.4)  # a log r below is that of a cap
_LATE = 0.05  # a job that runs on with this probability tells something before it ends
_NEAR = 0.8  # jobs of this share of the cap tell whether there is one

_Vector = tuple[float, float, float]
_Matrix = tuple[_Vector, _Vector, _Vector]


def estimate_processing_time_s(duration_s: float | None) -> float:
    """Seconds to expect before anything was learned: 15 s + 8 s a minute of video, at most 300.

    Args:
        duration_s: Length of the video, seconds; None (not known) counts as 300 s, below 0 as 0.
    """
    if duration_s is None or math.isnan(duration_s):
        duration_s = ASSUMED_DURATION_S
    return min(CAP_S, BASE_S + PER_MINUTE_S * max(0.0, duration_s) / 60)


@dataclass(frozen=True, slots=True)
class Sighting:
    """A job's end as far as it was seen: later than `after_s`, not later than `by_s`.

    Seconds of age. `by_s` is infinite for a job that still runs, `after_s` is 0 for one that was
    done at the first look.
    """

    duration_s: float
    after_s: float
    by_s: float


@dataclass(frozen=True, slots=True)
class Prior:
    """What is believed before the first job: logarithms of (a, b, r), their spread, the noise."""

    centre: _Vector = (math.log(BASE_S), math.log(PER_MINUTE_S / 60), math.log(0.02))
    spread: _Vector = (0.5, 0.4, 0.8)
    scale: float = 0.11  # logistic, in log time: a standard deviation of 20 %
    scale_spread: float = 0.5  # of its logarithm


KNOWN_LENGTH = Prior()
UNKNOWN_LENGTH = Prior(scale=0.35)  # lengths differ, so times do


@dataclass(frozen=True, slots=True)
class Fit:
    """The likeliest (log a, log b, log r) and noise scale, and how uncertain the former are."""

    params: _Vector
    scale: float
    root: _Matrix  # lower triangle, times its transpose = covariance of params
    inliers: float = 1.0  # share of the jobs that the fit explains
    evidence: float = 0.0  # log probability of the jobs under the belief, but for a constant
    rival: _Vector | None = None  # params under the other belief about the cap
    rival_share: float = 0.0  # and its probability

    @classmethod
    def before(cls, prior: Prior) -> "Fit":
        """The fit to no job at all."""
        one, two, three = prior.spread
        root = ((one, 0.0, 0.0), (0.0, two, 0.0), (0.0, 0.0, three))
        rival = (*prior.centre[:2], 0.0)
        share = _NO_CAP_SHARE
        return cls(prior.centre, prior.scale, root, rival=rival, rival_share=share)


def fit(sightings: Sequence[Sighting], prior: Prior, start: Fit | None = None) -> Fit:
    """The likeliest parameters for these jobs; none at all give the prior.

    Args:
        sightings: Jobs, in any order.
        prior: What is believed without them.
        start: An earlier fit to start from. It is used while it explains most of the jobs; else
            the search starts wide, so that a service far from the brief's figures is found.
    """
    if not sightings:
        return Fit.before(prior)
    if start is not None:
        found = _likelier(sightings, prior, start.params, start.scale)
        if found.inliers > _TRUSTED:
            return found
    return _likelier(sightings, prior, prior.centre, _ANNEALED_SCALE)


def _likelier(sightings: Sequence[Sighting], prior: Prior, begin: _Vector, scale: float) -> Fit:
    """The likelier of two beliefs: there is a cap, or there is none.

    No slope leads from one to the other, so both are climbed from their own start and compared by
    how well they explain all jobs. Without a job near the cap there is nothing to compare.
    """
    log_a, log_b, log_r = begin
    is_capped = log_r < _BETWEEN
    capped = _climb(
        sightings, prior, (log_a, log_b, log_r if is_capped else prior.centre[2]), scale
    )
    if all(_median_s(capped.params, s.duration_s)[0] < CAP_S * _NEAR for s in sightings):
        rival = (*capped.params[:2], 0.0)
        return replace(capped, rival=rival, rival_share=_NO_CAP_SHARE)
    without = replace(prior, centre=(*prior.centre[:2], 0.0), spread=(*prior.spread[:2], _NO_CAP))
    begin = (log_a, log_b, 0.0 if is_capped else log_r)
    uncapped = _climb(sightings, without, begin, scale)
    odds = uncapped.evidence - capped.evidence
    no_cap = _sigmoid(odds + math.log(_NO_CAP_SHARE / (1 - _NO_CAP_SHARE)))
    if no_cap > 0.5:  # noqa: PLR2004 -- the likelier one
        return replace(uncapped, rival=capped.params, rival_share=1 - no_cap)
    return replace(capped, rival=uncapped.params, rival_share=no_cap)


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

    def expected_s(self, duration_s: float | None) -> float:
        """The mean age at which a job of this length ends, seconds."""
        return self.predict(duration_s).mean_s

    def probability_done(
        self, duration_s: float | None, age_s: float, not_done_at_s: float = 0.0
    ) -> float:
        """How likely a job is done at `age_s`, given that it was running at `not_done_at_s`."""
        return self.predict(duration_s).probability_done(age_s, not_done_at_s)

    def predict(self, duration_s: float | None) -> "Prediction":
        """The whole distribution for one length, as known now."""
        return predict(self._learner(duration_s).fit, _length_s(duration_s))

    def _learner(self, duration_s: float | None) -> "_Learner":
        is_known = duration_s is not None and not math.isnan(duration_s)
        return self._known if is_known else self._unknown


@dataclass(frozen=True, slots=True)
class Prediction:
    """When a job ends: a mixture, in equal parts, of log-logistic distributions of one scale.

    `rival_s` is the median under the other belief about the cap, of probability `rival_share`. Only
    those who say how sure they are need it.
    """

    medians_s: tuple[float, ...]
    scale: float
    rival_s: float = 0.0
    rival_share: float = 0.0

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
        log_s = math.log(max(_SHORTEST_S, min(age_s, _LONGEST_S)))
        inner = (_sigmoid((math.log(m) - log_s) / self.scale) for m in self.medians_s)
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
        low_s = min(_LONGEST_S, min(self.medians_s) * stretch)
        high_s = min(_LONGEST_S, max(self.medians_s) * stretch)
        while high_s > low_s * 1.0005:
            middle_s = math.sqrt(low_s * high_s)
            if self.survival(middle_s) > 1 - q:
                low_s = middle_s
            else:
                high_s = middle_s
        return high_s


def predict(found: Fit, duration_s: float) -> Prediction:
    """The distribution for one length. Each part is a likely set of parameters.

    The parts lie one spread out on either side along each axis of the covariance, so that their
    mean and covariance are those of the parameters (third-degree cubature).
    """
    reach = math.sqrt(3.0)
    columns = tuple(zip(*found.root, strict=True))
    medians_s = []
    for column in columns:
        for sign in (-reach, reach):
            here = _vector(p + sign * step for p, step in zip(found.params, column, strict=True))
            medians_s.append(_median_s(here, duration_s)[0])
    if found.rival is None:
        return Prediction(tuple(medians_s), found.scale)
    rival_s = _median_s(found.rival, duration_s)[0]
    return Prediction(tuple(medians_s), found.scale, rival_s, found.rival_share)


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
        finally:
            with self._lock:
                self._is_fitting = False


@dataclass(frozen=True, slots=True)
class _Derivatives:
    """Slope and bend (minus the second derivative) of the log probability at one point."""

    slope: _Vector  # by the three parameters
    bend: _Matrix
    scale_slope: float  # by the logarithm of the scale
    scale_bend: float
    inliers: float  # how many jobs this point explains
    height: float  # the log probability itself, but for a constant


def _climb(sightings: Sequence[Sighting], prior: Prior, params: _Vector, scale: float) -> Fit:
    """Climb to the likeliest parameters from a start; always ends (bounded steps and rounds)."""
    intervals = [_log_interval(sighting) for sighting in sightings]
    here = _derivatives(sightings, intervals, prior, params, scale)
    for _round in range(_ROUNDS):
        step = _solve(here.bend, here.slope)
        log_step = max(-0.4, min(0.4, here.scale_slope / here.scale_bend))
        params = _moved(params, step)
        scale = min(max(scale * math.exp(log_step), _SCALE_BOUNDS[0]), _ANNEALED_SCALE)
        if max(abs(log_step), *(abs(part) for part in step)) < _SETTLED:
            break
        here = _derivatives(sightings, intervals, prior, params, scale)
    root = _root(_inverse(here.bend))
    room = sum(math.log(max(row[i], 1e-9) / prior.spread[i]) for i, row in enumerate(root))
    share = here.inliers / len(sightings)
    return Fit(params, min(scale, _SCALE_BOUNDS[1]), root, share, here.height + room)


def _derivatives(
    sightings: Sequence[Sighting],
    intervals: Sequence[tuple[float, float]],
    prior: Prior,
    params: _Vector,
    scale: float,
) -> _Derivatives:
    """Of prior and intervals at one point."""
    slope = [(c - p) / w**2 for p, c, w in zip(params, prior.centre, prior.spread, strict=True)]
    bend = [[0.0] * 3 for _ in range(3)]
    for i, width in enumerate(prior.spread):
        bend[i][i] = width**-2
    scale_slope = math.log(prior.scale / scale) / prior.scale_spread**2
    scale_bend = prior.scale_spread**-2
    inliers = 0.0
    height = -0.5 * (math.log(prior.scale / scale) / prior.scale_spread) ** 2
    for p, c, w in zip(params, prior.centre, prior.spread, strict=True):
        height -= 0.5 * ((c - p) / w) ** 2
    for sighting, (log_after, log_by) in zip(sightings, intervals, strict=True):
        median_s, by_param = _median_s(params, sighting.duration_s)
        log_median = math.log(median_s)
        z_low, z_high = (log_after - log_median) / scale, (log_by - log_median) / scale
        f_low, f_high = _sigmoid(z_low), _sigmoid(z_high)
        d_low, d_high = f_low * (1 - f_low), f_high * (1 - f_high)
        inside = (1 - _OUTLIERS) * _between(z_low, z_high)
        shrink = scale / _OUTLIER_SCALE
        outside = _OUTLIERS * _between(z_low * shrink, z_high * shrink)
        weight = inside / (inside + outside + 1e-12)
        inliers += weight
        height += math.log(inside + outside + 1e-12)
        # log probability of (low, high] of a logistic distribution, by the median's logarithm:
        # slope (F(high) + F(low) - 1) / scale, bend -(f(high) + f(low)) / scale².
        up = weight * (f_high + f_low - 1) / scale
        curve = weight * (d_high + d_low) / scale**2
        for i in range(3):
            slope[i] += up * by_param[i]
            for j in range(3):
                bend[i][j] += curve * by_param[i] * by_param[j]
        spill = (d_high * z_high if d_high else 0.0) - (d_low * z_low if d_low else 0.0)
        by_scale = -(1 - _OUTLIERS) * spill / (inside + outside + 1e-12)
        scale_slope += by_scale
        scale_bend += by_scale**2
    matrix = (_vector(bend[0]), _vector(bend[1]), _vector(bend[2]))
    return _Derivatives(_vector(slope), matrix, scale_slope, scale_bend, inliers, height)


def _median_s(params: _Vector, duration_s: float) -> tuple[float, _Vector]:
    """The median time, and the slope of its logarithm by each parameter."""
    a, b, r = (math.exp(p) for p in params)
    by_length_s = b * duration_s
    beyond_s = a + by_length_s - CAP_S
    if beyond_s <= 0:
        median_s = a + by_length_s
        return median_s, (a / median_s, by_length_s / median_s, 0.0)
    median_s = CAP_S + r * beyond_s
    return median_s, (r * a / median_s, r * by_length_s / median_s, r * beyond_s / median_s)


def _length_s(duration_s: float | None) -> float:
    if duration_s is None or math.isnan(duration_s):
        return ASSUMED_DURATION_S
    return max(0.0, min(duration_s, _LONGEST_S))


def _log_interval(sighting: Sighting) -> tuple[float, float]:
    """The logarithms of both ends; -inf and inf where open."""
    by_s = min(max(sighting.by_s, _SHORTEST_S), _LONGEST_S)
    after_s = min(sighting.after_s, by_s * (1 - _EXACT))
    log_after = math.log(after_s) if after_s > _SHORTEST_S / 2 else -math.inf
    return log_after, math.log(by_s) if math.isfinite(sighting.by_s) else math.inf


def _sigmoid(z: float) -> float:
    if z < -700:  # noqa: PLR2004 -- exp overflows near 709
        return 0.0
    return 1 / (1 + math.exp(-z))


def _between(z_low: float, z_high: float) -> float:
    """Probability between two points, exact in both tails."""
    if z_low > 0:
        z_low, z_high = -z_high, -z_low
    return _sigmoid(z_high) - _sigmoid(z_low)


def _vector(values: Iterable[float]) -> _Vector:
    one, two, three = values
    return one, two, three


def _moved(params: _Vector, step: _Vector) -> _Vector:
    """One bounded step; the parameters stay within a factor of e⁸ of one second (per second)."""
    return _vector(
        max(-8.0, min(8.0, p + max(-0.7, min(0.7, s)))) for p, s in zip(params, step, strict=True)
    )


def _inverse(m: _Matrix) -> _Matrix:
    """Of a symmetric positive definite matrix (the prior makes every bend one)."""
    (a, b, c), (_, d, e), (_, _, f) = m
    cof = (d * f - e * e, c * e - b * f, b * e - c * d)
    det = a * cof[0] + b * cof[1] + c * cof[2]
    return (
        (cof[0] / det, cof[1] / det, cof[2] / det),
        (cof[1] / det, (a * f - c * c) / det, (b * c - a * e) / det),
        (cof[2] / det, (b * c - a * e) / det, (a * d - b * b) / det),
    )


def _solve(m: _Matrix, v: _Vector) -> _Vector:
    return _vector(sum(x * y for x, y in zip(row, v, strict=True)) for row in _inverse(m))


def _root(m: _Matrix) -> _Matrix:
    """Cholesky: the lower triangle whose product with its transpose is `m`."""
    (a, b, c), (_, d, e), (_, _, f) = m
    l11 = math.sqrt(max(a, 0.0)) or 1e-9
    l21, l31 = b / l11, c / l11
    l22 = math.sqrt(max(d - l21**2, 0.0)) or 1e-9
    l32 = (e - l31 * l21) / l22
    l33 = math.sqrt(max(f - l31**2 - l32**2, 0.0))
    return (l11, 0.0, 0.0), (l21, l22, 0.0), (l31, l32, l33)
