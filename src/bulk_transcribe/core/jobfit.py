"""Fits the picture of a job's time (`jobtime.py`) to what was seen of jobs. Pure.

Nobody sees a job end: it was still running at one look and done at the next, so each job says only
that its end lies in an interval. The fit maximises the probability of these intervals times a prior
around the brief's figures. A small share of jobs may come from a far wider distribution, which
takes stuck jobs and nonsense out of the fit.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

#: The design brief's estimate: a fixed part, a part by length, a cap.
BASE_S = 15.0
PER_MINUTE_S = 8.0
CAP_S = 300.0

LONGEST_S = 7 * 86_400.0  # lengths and ages beyond a week count as a week
SHORTEST_S = 0.05  # no job is over sooner; keeps logarithms finite
_EXACT = 0.01  # intervals are widened to at least this share of their end: clocks are not perfect

_OUTLIERS = 0.03  # share of jobs that may follow the wide distribution
_OUTLIER_SCALE = 1.2  # its scale in log time: a factor of 20 either way within 90 %
_ANNEALED_SCALE = 0.7  # where a fit from scratch starts, so that any speed of the service is found
_SCALE_BOUNDS = (0.02, 0.6)
_TRUSTED = 0.8  # a fit that explains fewer of the jobs is sought anew from a wide start
_ROUNDS = 30  # at most; a dozen is usual from a wide start, three from the fit before
_SETTLED = 0.01  # stop when no figure moves by more than 1 %

_NO_CAP = 0.25  # spread of log r around 0 where there is no cap
_NO_CAP_SHARE = 0.25  # how likely that is before any job
_BETWEEN = math.log(0.4)  # a log r below is that of a cap
_NEAR = 0.8  # jobs of this share of the cap tell whether there is one

#: Laws tried for each set of jobs: so many, but not more than this many times a job.
_FEWEST_TRIES, _MOST_TRIES, _TRIED_JOBS = 48, 128, 8_000
_WIDER = 1.3  # they are drawn so much more widely than the fit believes
_EVEN_STEPS = [1.1673039782614187**-power % 1 for power in range(1, 5)]
_NORMAL = NormalDist()

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]


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

    centre: Vector = (math.log(BASE_S), math.log(PER_MINUTE_S / 60), math.log(0.02))
    spread: Vector = (0.5, 0.4, 0.8)
    scale: float = 0.11  # logistic, in log time: a standard deviation of 20 %
    scale_spread: float = 0.5  # of its logarithm

    def without_cap(self) -> "Prior":
        """The same where there is no cap."""
        return replace(self, centre=(*self.centre[:2], 0.0), spread=(*self.spread[:2], _NO_CAP))


KNOWN_LENGTH = Prior()
UNKNOWN_LENGTH = Prior(scale=0.35)  # lengths differ, so times do


@dataclass(frozen=True, slots=True)
class Law:
    """One way in which the service may work, taken for true: only luck is open.

    A job of a video of `L` seconds takes `median_s(L)`, times a log-logistic factor of that scale.
    """

    base_s: float
    per_s: float
    beyond: float  # of what is above the cap, the share that counts
    scale: float

    @classmethod
    def of(cls, params: Vector, scale: float) -> "Law":
        a, b, r = (math.exp(p) for p in params)
        return cls(a, b, r, scale)

    def median_s(self, duration_s: float) -> float:
        """Half of the jobs of this length are done at this age."""
        full_s = self.base_s + self.per_s * duration_s
        return full_s if full_s <= CAP_S else CAP_S + self.beyond * (full_s - CAP_S)


@dataclass(frozen=True, slots=True)
class Fit:
    """The likeliest (log a, log b, log r) and noise scale, and how uncertain they are."""

    params: Vector
    scale: float
    root: Matrix  # lower triangle, times its transpose = covariance of params
    scale_doubt: float  # standard deviation of the logarithm of the scale
    inliers: float = 1.0  # share of the jobs that the fit explains
    evidence: float = 0.0  # log probability of the jobs under the belief, but for a constant
    rival: "Fit | None" = None  # the fit under the other belief about the cap
    rival_share: float = 0.0  # and its probability

    @classmethod
    def before(cls, prior: Prior) -> "Fit":
        """The fit to no job at all."""
        one, two, three = prior.spread
        root = ((one, 0.0, 0.0), (0.0, two, 0.0), (0.0, 0.0, three))
        return cls(prior.centre, prior.scale, root, prior.scale_spread).with_open_end()

    @property
    def is_capped(self) -> bool:
        """Whether it is a fit under the belief that there is a cap."""
        return self.params[2] < _BETWEEN

    def with_open_end(self) -> "Fit":
        """The same where no job has told yet whether there is a cap."""
        above, below, _ = self.root
        rival = replace(
            self, params=(*self.params[:2], 0.0), root=(above, below, (0.0, 0.0, _NO_CAP))
        )
        return replace(self, rival=rival, rival_share=_NO_CAP_SHARE)

    def parts(self) -> tuple[Law, ...]:
        """Laws, in equal parts, whose mean and spread are those of the likelier belief.

        They lie one spread out on either side along each axis of the covariance (third-degree
        cubature).
        """
        reach = math.sqrt(3.0)
        return tuple(
            Law.of(
                _vector(p + sign * x for p, x in zip(self.params, axis, strict=True)), self.scale
            )
            for axis in zip(*self.root, strict=True)
            for sign in (-reach, reach)
        )


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


def _likelier(sightings: Sequence[Sighting], prior: Prior, begin: Vector, scale: float) -> Fit:
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
        return capped.with_open_end()
    begin = (log_a, log_b, 0.0 if is_capped else log_r)
    uncapped = _climb(sightings, prior.without_cap(), begin, scale)
    odds = uncapped.evidence - capped.evidence
    no_cap = sigmoid(odds + math.log(_NO_CAP_SHARE / (1 - _NO_CAP_SHARE)))
    if no_cap > 0.5:  # noqa: PLR2004 -- the likelier one
        return replace(uncapped, rival=capped, rival_share=1 - no_cap)
    return replace(capped, rival=uncapped, rival_share=no_cap)


def laws(found: Fit, prior: Prior, sightings: Sequence[Sighting]) -> list[Law]:
    """Laws that may be the true one, each as likely as any other of them; the same every time.

    The fit says where to look: laws are drawn around both of its beliefs, more widely than it
    believes. How well each explains the jobs then decides how often it is taken, for the fit's
    own spread is wrong near the cap, where what a job tells changes at once.

    Args:
        found: From `fit` of the same jobs.
        prior: What is believed without them.
        sightings: The jobs.
    """
    tries = max(_FEWEST_TRIES, min(_MOST_TRIES, _TRIED_JOBS // max(1, len(sightings))))
    intervals = [(s.duration_s, *_log_interval(s)) for s in sightings]
    fits = [found] if found.rival is None else [found, found.rival]
    tried: list[tuple[Law, float]] = []
    for around in fits:
        believed = prior if around.is_capped else prior.without_cap()
        share = 1 - _NO_CAP_SHARE if around.is_capped else _NO_CAP_SHARE
        # the same steps around both, so that what is odd about them weighs on both alike
        for number in range(max(1, tries // len(fits))):
            law, log_odds = _drawn(around, believed, number)
            tried.append((law, math.log(share) + log_odds + _log_likelihood(law, intervals)))
    best = max(log_odds for _, log_odds in tried)
    return _resampled([(law, math.exp(log_odds - best)) for law, log_odds in tried])


def _drawn(around: Fit, believed: Prior, number: int) -> tuple[Law, float]:
    """A law near a fit; the logarithm of how much likelier it is believed than drawn."""
    normals = [_WIDER * _NORMAL.inv_cdf(u) for u in _evenly(number)]
    steps, width = normals[:3], normals[3]
    params = _vector(
        p + sum(x * step for x, step in zip(row, steps, strict=True))
        for p, row in zip(around.params, around.root, strict=True)
    )
    log_scale = math.log(around.scale) + around.scale_doubt * width
    log_odds = sum(n**2 for n in normals) / (2 * _WIDER**2)
    log_odds += sum(math.log(row[i]) for i, row in enumerate(around.root))
    log_odds += math.log(around.scale_doubt / believed.scale_spread)
    for p, centre, spread in zip(params, believed.centre, believed.spread, strict=True):
        log_odds -= ((p - centre) / spread) ** 2 / 2 + math.log(spread)
    log_odds -= ((log_scale - math.log(believed.scale)) / believed.scale_spread) ** 2 / 2
    scale = min(max(math.exp(log_scale), _SCALE_BOUNDS[0] / 2), _SCALE_BOUNDS[1])
    return Law.of(params, scale), log_odds


def _log_likelihood(law: Law, intervals: Sequence[tuple[float, float, float]]) -> float:
    """The log probability of what was seen: length, logarithms of both ends of the interval."""
    total = 0.0
    for duration_s, log_after, log_by in intervals:
        log_median = math.log(law.median_s(duration_s))
        low, high = log_after - log_median, log_by - log_median
        inside = _between(low / law.scale, high / law.scale)
        outside = _between(low / _OUTLIER_SCALE, high / _OUTLIER_SCALE)
        total += math.log((1 - _OUTLIERS) * inside + _OUTLIERS * outside + 1e-12)
    return total


def _resampled(weighted: Sequence[tuple[Law, float]]) -> list[Law]:
    """As many laws, each as often as its weight says."""
    step = sum(weight for _, weight in weighted) / len(weighted)
    chosen: list[Law] = []
    reached = 0.0
    for law, weight in weighted:
        reached += weight
        while len(chosen) < len(weighted) and (len(chosen) + 0.5) * step < reached:
            chosen.append(law)
    return chosen


def _evenly(number: int) -> list[float]:
    """One of a sequence of points that fill the four-dimensional cube evenly, its faces excluded.

    Additive recurrence by powers of the root of x⁵ = x + 1.
    """
    return [(0.5 + (number + 1) * step) % 1 * (1 - 2e-9) + 1e-9 for step in _EVEN_STEPS]


@dataclass(frozen=True, slots=True)
class _Derivatives:
    """Slope and bend (minus the second derivative) of the log probability at one point."""

    slope: Vector  # by the three parameters
    bend: Matrix
    scale_slope: float  # by the logarithm of the scale
    scale_bend: float
    inliers: float  # how many jobs this point explains
    height: float  # the log probability itself, but for a constant


def _climb(sightings: Sequence[Sighting], prior: Prior, params: Vector, scale: float) -> Fit:
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
    scale_doubt = 1 / math.sqrt(here.scale_bend)
    scale = min(scale, _SCALE_BOUNDS[1])
    return Fit(params, scale, root, scale_doubt, share, here.height + room)


def _derivatives(
    sightings: Sequence[Sighting],
    intervals: Sequence[tuple[float, float]],
    prior: Prior,
    params: Vector,
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
        f_low, f_high = sigmoid(z_low), sigmoid(z_high)
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


def _median_s(params: Vector, duration_s: float) -> tuple[float, Vector]:
    """The median time, and the slope of its logarithm by each parameter."""
    a, b, r = (math.exp(p) for p in params)
    by_length_s = b * duration_s
    beyond_s = a + by_length_s - CAP_S
    if beyond_s <= 0:
        median_s = a + by_length_s
        return median_s, (a / median_s, by_length_s / median_s, 0.0)
    median_s = CAP_S + r * beyond_s
    return median_s, (r * a / median_s, r * by_length_s / median_s, r * beyond_s / median_s)


def _log_interval(sighting: Sighting) -> tuple[float, float]:
    """The logarithms of both ends; -inf and inf where open."""
    by_s = min(max(sighting.by_s, SHORTEST_S), LONGEST_S)
    after_s = min(sighting.after_s, by_s * (1 - _EXACT))
    log_after = math.log(after_s) if after_s > SHORTEST_S / 2 else -math.inf
    return log_after, math.log(by_s) if math.isfinite(sighting.by_s) else math.inf


def sigmoid(z: float) -> float:
    """1 / (1 + e⁻ᶻ), for any z."""
    if z < -700:  # noqa: PLR2004 -- exp overflows near 709
        return 0.0
    return 1 / (1 + math.exp(-z))


def _between(z_low: float, z_high: float) -> float:
    """Probability between two points, exact in both tails."""
    if z_low > 0:
        z_low, z_high = -z_high, -z_low
    return sigmoid(z_high) - sigmoid(z_low)


def _vector(values: Iterable[float]) -> Vector:
    one, two, three = values
    return one, two, three


def _moved(params: Vector, step: Vector) -> Vector:
    """One bounded step; the parameters stay within a factor of e⁸ of one second (per second)."""
    return _vector(
        max(-8.0, min(8.0, p + max(-0.7, min(0.7, s)))) for p, s in zip(params, step, strict=True)
    )


def _inverse(m: Matrix) -> Matrix:
    """Of a symmetric positive definite matrix (the prior makes every bend one)."""
    (a, b, c), (_, d, e), (_, _, f) = m
    cof = (d * f - e * e, c * e - b * f, b * e - c * d)
    det = a * cof[0] + b * cof[1] + c * cof[2]
    return (
        (cof[0] / det, cof[1] / det, cof[2] / det),
        (cof[1] / det, (a * f - c * c) / det, (b * c - a * e) / det),
        (cof[2] / det, (b * c - a * e) / det, (a * d - b * b) / det),
    )


def _solve(m: Matrix, v: Vector) -> Vector:
    return _vector(sum(x * y for x, y in zip(row, v, strict=True)) for row in _inverse(m))


def _root(m: Matrix) -> Matrix:
    """Cholesky: the lower triangle whose product with its transpose is `m`."""
    (a, b, c), (_, d, e), (_, _, f) = m
    l11 = math.sqrt(max(a, 0.0)) or 1e-9
    l21, l31 = b / l11, c / l11
    l22 = math.sqrt(max(d - l21**2, 0.0)) or 1e-9
    l32 = (e - l31 * l21) / l22
    l33 = math.sqrt(max(f - l31**2 - l32**2, 0.0))
    return (l11, 0.0, 0.0), (l21, l22, 0.0), (l31, l32, l33)
