"""Aimed polling: look at a running job when it is likely done, as often as the limit can bear.

`AimedJobWatcher` is the thread side. When to look is decided in `aim.py`, from what jobs take
(`core/jobtime.py`), from the load of all jobs in flight (`fleet.py`) and from the service's
progress figure where that has proven true (`progress.py`).
"""

import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.job import JobState, JobStatus, Submission
from bulk_transcribe.core.jobtime import JobTimeModel
from bulk_transcribe.core.ports import Limiter, Reporter
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.core.stage import WaitReason
from bulk_transcribe.errors import APIError, BulkTranscribeError, GaveUpError, RetryableError
from bulk_transcribe.process.aim import (
    GIVE_UP_AFTER_S,
    GIVE_UP_FACTOR,
    Aim,
    EndBelief,
    looks_each,
    next_look_s,
)
from bulk_transcribe.process.fleet import Fleet
from bulk_transcribe.process.hints import JobHints, NoHints
from bulk_transcribe.process.late import LATE_CODE
from bulk_transcribe.process.progress import ProgressJudge

#: Codes of the answer "there is no such job": a job can be unknown for a moment after its submit.
UNKNOWN_JOB_CODES = frozenset({"job_not_found", "not_found", "unknown_job"})

_RESUMED_GRACE_S = 60.0  # nor, however old, before it was watched for this long
_UNKNOWN_GRACE_S = 120.0  # the service may not know a job for this long
_FIRST_BACKOFF_S, _LONGEST_BACKOFF_S = 1.0, 30.0
WITNESS_AGE_S = 5.0  # of the first jobs' looks that tell which limits looks draw on
_FRESH_S = 5.0  # a job accepted longer ago was taken up again, not submitted now
_OVERDUE = 0.995  # progress is not asked of jobs that should be done with this probability
_SCOUT_SPACING = 1.2  # a scout's first look comes when it is done with 29 %
_NOW_S = 0.005  # nearer looks go out now: less than a request takes
_SHORT_NAP_S, _LONG_NAP_S = 2.5, 30.0
_CHANCE = secrets.SystemRandom()
_STAYS = "The job is kept: resume later to fetch it without paying again."


def _none() -> int:
    return 0


class AimedJobWatcher:
    """Implements `core.ports.JobWatcher`. One for the process, shared by all threads.

    The calling thread sleeps until its look is due and wakes now and then on the way, because what
    the other jobs do changes when to look.

    Args:
        limiter: Asked for its capacity. The permits are taken inside of `look`.
        clock: Time.
        control: A halt ends every watch at once. A pause does not: what was paid for is fetched.
        model: What jobs take; may be shared with whoever else predicts.
        to_come: Videos that wait for a slot, now: an earlier look frees a slot for them earlier.
        give_up_after_s: No job is given up before this age, nor before five times its expected
            time.
        jitter: A number from 0 to 1; spreads repeated looks after an error.
        hints: Who tells that a job has ended; None: nobody.
    """

    def __init__(
        self,
        limiter: Limiter,
        clock: Clock,
        control: RunControl,
        model: JobTimeModel,
        *,
        to_come: Callable[[], int] = _none,
        give_up_after_s: float = GIVE_UP_AFTER_S,
        jitter: Callable[[], float] = _CHANCE.random,
        hints: JobHints | None = None,
    ) -> None:
        self._hints = hints or NoHints(control)
        self._clock = clock
        self._control = control
        self._model = model
        self._give_up_after_s = give_up_after_s
        self._jitter = jitter
        self._fleet = Fleet(limiter, clock, to_come)
        self._progress = ProgressJudge()

    def looks_each(self) -> float:
        """Looks that a job takes as things are; little above 1 where requests are scarce."""
        return looks_each(self._fleet.aim().spacing)

    def watch(
        self,
        submission: Submission,
        *,
        duration_s: float | None,
        look: Callable[[Ticket], JobStatus],
        reporter: Reporter,
    ) -> JobStatus:
        """Look until the job is done or failed; the last status.

        A job whose `accepted_at` is not known is looked at once; its age then counts as the
        expected time. A look that fails with a `RetryableError`, or finds the job unknown to the
        service within two minutes, is repeated with growing pauses.

        Raises:
            GaveUpError: the job still runs, or cannot be asked for, far beyond its expected end.
            StoppedError: the run was halted.
        """
        job = self._take_up(submission, duration_s, reporter)
        was_seen = False
        try:
            while True:
                self._sleep_until_due(job)
                status = self._look(job, look)
                if status is not None and status.state is not JobState.RUNNING:
                    was_seen = True
                    self._learn(job, status)
                    return status
                self._give_up_if_hopeless(job)
        finally:
            self._fleet.leave(job.expected_s, job.spread)
            self._model.forget(job.name)
            self._progress.forget(job.name)
            self._hints.ended(job.name, was_seen=was_seen)
            reporter.waiting(None)

    def _take_up(
        self, submission: Submission, duration_s: float | None, reporter: Reporter
    ) -> "_Job":
        prediction = self._model.predict(duration_s)
        accepted_at = submission.accepted_at
        if accepted_at is None:
            age_s = prediction.mean_s
        else:
            age_s = max(0.0, (self._clock.now() - accepted_at).total_seconds())
        now_s = self._clock.now_s()
        job = _Job(
            name=submission.request_id or f"submission {submission.submission_id}",
            video_id=submission.key.video_id,
            duration_s=duration_s,
            reporter=reporter,
            began_s=now_s - age_s,
            taken_up_age_s=age_s,
            expected_s=prediction.mean_s,
            spread=prediction.spread,
            is_age_known=accepted_at is not None,
            is_fresh=accepted_at is not None and age_s < _FRESH_S,
            is_due_at_once=accepted_at is None,
        )
        job.is_scout = self._fleet.enter(job.expected_s, job.spread, is_fresh=job.is_fresh)
        job.is_witness = job.is_fresh and self._fleet.calls_witness()
        return job

    def _sleep_until_due(self, job: "_Job") -> None:
        """Sleep until the look is due, weighing the situation anew on the way."""
        while True:
            self._control.raise_if_halted()
            job.is_hinted = self._hints.take(job.name) or job.is_hinted
            age_s = self._age_s(job)
            left_s = self._due_s(job) - age_s
            if left_s < _NOW_S:
                return
            self._report(job, age_s, left_s)
            self._hints.sleep_s(job.name, nap_s(left_s))

    def _due_s(self, job: "_Job") -> float:
        """The age at which to look next, as things stand now."""
        if job.is_due_at_once:
            return 0.0
        if job.is_hinted:
            return job.not_before_age_s
        aim = self._fleet.aim()
        if job.is_scout and job.not_done_age_s <= 0:
            aim = first_look(aim)
        due_s = next_look_s(
            self._belief(job),
            aim,
            not_done_at_s=job.not_done_age_s,
            looked_at_s=job.sent_age_s,
        )
        if self._hints.are_reliable:  # it will be told of: until it is overdue nobody need look
            due_s = max(due_s, self._model.predict(job.duration_s).quantile_s(_OVERDUE))
        if job.is_witness and job.sent_age_s < 0:
            due_s = min(due_s, WITNESS_AGE_S)
        return max(due_s, job.not_before_age_s)

    def _belief(self, job: "_Job") -> EndBelief:
        """The model's prediction, or the job's own progress where that says more."""
        prediction = self._model.predict(job.duration_s)
        if 1 - prediction.survival(job.not_done_age_s) > _OVERDUE:
            return prediction
        scale_s = prediction.spread * job.expected_s
        return self._progress.belief(job.name, narrower_than_s=scale_s) or prediction

    def _report(self, job: "_Job", age_s: float, left_s: float) -> None:
        told = self._progress.fraction(job.name)
        fraction = min(0.99, age_s / job.expected_s if told is None else told)
        job.fraction = max(job.fraction, fraction)
        job.reporter.progress(job.fraction)
        reason = WaitReason.RETRY if job.error is not None else WaitReason.JOB
        job.reporter.waiting(reason, self._clock.now() + timedelta(seconds=left_s))

    def _look(self, job: "_Job", look: Callable[[Ticket], JobStatus]) -> JobStatus | None:
        """Look once; None where the look failed and is to be repeated."""
        job.sent_age_s = self._age_s(job)
        job.is_due_at_once = False
        job.reporter.waiting(None)
        try:
            status = look(self._ticket(job))
        except RetryableError as error:
            self._note_failure(job, error, error.retry_after_s)
            return None
        except APIError as error:
            if error.code not in UNKNOWN_JOB_CODES:
                raise
            self._note_failure(job, error, None)
            return None
        finally:
            self._fleet.looked()
        job.error, job.failures, job.not_before_age_s = None, 0, 0.0
        job.is_hinted = False
        if status.state is JobState.RUNNING:
            job.not_done_age_s = max(job.not_done_age_s, job.sent_age_s)
            if job.is_age_known:
                self._model.saw_running(job.name, job.duration_s, job.not_done_age_s)
            self._progress.saw_running(job.name, job.sent_age_s, status.progress)
        return status

    def _ticket(self, job: "_Job") -> Ticket:
        belief = self._belief(job)
        running = belief.survival(job.not_done_age_s)
        done = 1 - belief.survival(job.sent_age_s) / running if running > 0 else 1.0

        def on_wait(reason: WaitReason | None, until_at: datetime | None) -> None:
            if reason is None:  # the permit is granted: the look goes out now
                job.sent_age_s = self._age_s(job)
            job.reporter.waiting(reason, until_at)

        urgency = 1.0 if job.is_hinted else min(1.0, max(0.0, done))
        return Ticket(video_id=job.video_id, urgency=urgency, on_wait=on_wait)

    def _note_failure(
        self, job: "_Job", error: BulkTranscribeError, retry_after_s: float | None
    ) -> None:
        age_s = self._age_s(job)
        if job.error is None:
            job.failing_since_age_s = age_s
        job.error = error
        pause_s = min(_LONGEST_BACKOFF_S, _FIRST_BACKOFF_S * 2**job.failures)
        job.failures = min(job.failures + 1, 16)
        spread_s = pause_s * self._jitter()
        job.not_before_age_s = age_s + max(pause_s / 2, retry_after_s or 0.0) + spread_s

    def _give_up_if_hopeless(self, job: "_Job") -> None:
        """Raise `GaveUpError` once further looks are worth nothing."""
        age_s = self._age_s(job)
        limit_s = max(self._give_up_after_s, GIVE_UP_FACTOR * job.expected_s)
        if job.error is not None:
            is_unknown = job.error.code in UNKNOWN_JOB_CODES
            failing_s = age_s - job.failing_since_age_s
            if failing_s >= (_UNKNOWN_GRACE_S if is_unknown else limit_s):
                raise self._given_up(
                    job, f"could not be asked for {failing_s:.0f} s"
                ) from job.error
        elif age_s >= limit_s and age_s - job.taken_up_age_s >= _RESUMED_GRACE_S:
            raise self._given_up(job, f"is late: it still runs after {age_s:.0f} s")

    @staticmethod
    def _given_up(job: "_Job", what: str) -> GaveUpError:
        return GaveUpError(
            f"{job.video_id}: the transcription job {job.name} {what}.",
            video_id=job.video_id,
            next_step=_STAYS,
            code=LATE_CODE,
            can_retry=True,
        )

    def _learn(self, job: "_Job", status: JobStatus) -> None:
        if status.state is not JobState.DONE or not job.is_age_known:
            return
        age_s = self._age_s(job)
        self._progress.saw_done(job.name, job.not_done_age_s, age_s)
        if job.is_fresh or job.not_done_age_s > 0:  # else it may have been done for days
            self._model.observe(
                job.duration_s, done_by_s=age_s, not_done_at_s=job.not_done_age_s, job=job.name
            )

    def _age_s(self, job: "_Job") -> float:
        return self._clock.now_s() - job.began_s


def nap_s(left_s: float) -> float:
    """How long to sleep when the look is `left_s` away before weighing the situation anew.

    A far look is reconsidered seldom, a near one every few seconds, the last seconds not at all.
    """
    if left_s < _SHORT_NAP_S:
        return left_s
    return min(_LONG_NAP_S, max(_SHORT_NAP_S - 0.5, left_s / 2))


def first_look(aim: Aim) -> Aim:
    """A scout's aim until it was seen running: early, however scarce requests are."""
    return replace(aim, spacing=min(aim.spacing, _SCOUT_SPACING))


@dataclass(slots=True)
class _Job:
    """One watched job. Belongs to the thread that watches it. Ages are seconds since acceptance."""

    name: str  # its request id
    video_id: str
    duration_s: float | None
    reporter: Reporter
    began_s: float  # clock reading at age 0
    taken_up_age_s: float
    expected_s: float
    spread: float
    is_age_known: bool
    is_fresh: bool
    is_due_at_once: bool
    is_scout: bool = False
    is_hinted: bool = False  # somebody says that it has ended, and it was not looked at since
    is_witness: bool = False
    not_done_age_s: float = 0.0  # last known to run
    sent_age_s: float = -math.inf  # last look
    not_before_age_s: float = 0.0  # after a failed look
    fraction: float = 0.0  # as last reported
    error: BulkTranscribeError | None = None  # of the last look, if it failed
    failures: int = 0  # looks that failed in a row
    failing_since_age_s: float = 0.0
