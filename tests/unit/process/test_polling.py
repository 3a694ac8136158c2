"""A watched job is found done soon, with few looks, and never lost."""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest

from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.job import JobState, JobStatus, Submission, SubmissionState
from bulk_transcribe.core.jobtime import JobTimeModel
from bulk_transcribe.core.ports import JobWatcher, Permit
from bulk_transcribe.core.request import Capacity, RequestKind, Ticket
from bulk_transcribe.core.stage import Stage, WaitReason
from bulk_transcribe.core.transcript import ContentKey
from bulk_transcribe.errors import (
    APIError,
    AuthError,
    GaveUpError,
    NetworkError,
    RateLimitError,
    RetryableError,
    ServerBusyError,
    StoppedError,
)
from bulk_transcribe.process.hints import NoHints
from bulk_transcribe.process.polling import WITNESS_AGE_S, AimedJobWatcher
from bulk_transcribe.testing import FakeClock

RUNNING, DONE, FAILED = JobState.RUNNING, JobState.DONE, JobState.FAILED


@dataclass
class Limits:
    """A limiter that only tells its capacity."""

    limit: int | None = 300
    used: int = 0
    daily: int | None = None
    daily_submits: int | None = None
    asked: int = 0
    is_telling: bool = False

    def permit(
        self, kind: RequestKind, ticket: Ticket | None = None, /
    ) -> AbstractContextManager[Permit]:
        raise AssertionError(f"the watcher takes no permits itself: {kind} {ticket}")

    def capacity(self, kind: RequestKind) -> Capacity:
        self.asked += 1
        daily = self.daily if kind is RequestKind.POLL else self.daily_submits
        limit = self.limit
        return Capacity(
            limit=limit,
            window_s=60.0,
            used=self.used,
            remaining=(limit or 0) - self.used,
            daily_remaining=daily,
            is_telling=self.is_telling,
        )


@dataclass
class News:
    """A reporter that remembers."""

    fractions: list[float | None] = field(default_factory=list)
    waits: list[tuple[WaitReason | None, datetime | None]] = field(default_factory=list)

    def stage(self, stage: Stage, *, source: str | None = None) -> None:
        raise AssertionError(f"a watcher changes no stage: {stage} {source}")

    def progress(self, fraction: float | None) -> None:
        self.fractions.append(fraction)

    def waiting(self, reason: WaitReason | None, until_at: datetime | None = None) -> None:
        self.waits.append((reason, until_at))


class Service:
    """A job that ends at an age; every look is noted. Failures are raised in order first."""

    def __init__(
        self,
        clock: FakeClock,
        took_s: float,
        *,
        accepted_ago_s: float = 0.0,
        failures: Mapping[int, Exception] | None = None,
        ends_as: JobState = DONE,
        progress: Callable[[float], float | None] = lambda _share: None,
    ) -> None:
        self.clock = clock
        self.accepted_at = clock.now() - timedelta(seconds=accepted_ago_s)
        self.took_s = took_s
        self.failures = dict(failures or {})
        self.ends_as = ends_as
        self.progress = progress
        self.looks_s: list[float] = []
        self.tickets: list[Ticket] = []

    @property
    def age_s(self) -> float:
        return (self.clock.now() - self.accepted_at).total_seconds()

    def look(self, ticket: Ticket) -> JobStatus:
        self.tickets.append(ticket)
        self.looks_s.append(self.age_s)
        error = self.failures.pop(len(self.looks_s), None)
        if error is not None:
            raise error
        state = self.ends_as if self.age_s >= self.took_s else RUNNING
        share = self.progress(self.age_s / self.took_s) if state is RUNNING else 1.0
        return JobStatus(request_id="r", state=state, progress=share)

    def submission(self, *, is_dated: bool = True, name: str = "r") -> Submission:
        return Submission(
            submission_id=1,
            key=ContentKey(video_id="dQw4w9WgXcQ", source="deapi"),
            session_id="s",
            state=SubmissionState.ACCEPTED,
            request_id=name,
            accepted_at=self.accepted_at if is_dated else None,
        )


class Room:
    """A watcher with all it needs."""

    def __init__(
        self, limits: Limits | None = None, clock: FakeClock | None = None, to_come: int = 0
    ) -> None:
        self.clock = clock or FakeClock(auto=True)
        self.control = RunControl(self.clock)
        self.model = JobTimeModel()
        self.limits = limits or Limits()
        self.news = News()
        self.watcher = AimedJobWatcher(
            self.limits,
            self.clock,
            self.control,
            self.model,
            to_come=lambda: to_come,
            jitter=lambda: 0.5,
        )

    def watch(
        self,
        service: Service,
        *,
        duration_s: float | None = 600.0,
        is_dated: bool = True,
        name: str = "r",
    ) -> JobStatus:
        return self.watcher.watch(
            service.submission(is_dated=is_dated, name=name),
            duration_s=duration_s,
            look=service.look,
            reporter=self.news,
        )


def late_s(service: Service) -> float:
    return service.looks_s[-1] - service.took_s


def test_it_is_a_job_watcher() -> None:
    watcher: JobWatcher = Room().watcher
    assert watcher is not None


@pytest.mark.parametrize("took_s", [20.0, 60.0, 95.0, 130.0, 190.0])
def test_a_lone_job_is_noticed_within_seconds_and_nobody_looks_before_it_can_be_done(
    took_s: float,
) -> None:
    room = Room()
    service = Service(room.clock, took_s)
    assert room.watch(service).state is DONE
    assert late_s(service) < 5
    assert service.looks_s[0] > 10


def test_once_the_batch_has_taught_what_jobs_take_a_lone_job_is_noticed_within_a_second() -> None:
    room = Room()
    services = [Service(room.clock, 95.0 + number % 5) for number in range(20)]
    for number, service in enumerate(services):
        service.accepted_at = room.clock.now()
        room.watch(service, name=str(number))
    lateness = sorted(late_s(service) for service in services[5:])
    assert lateness[7] <= 1.0
    assert len(services[-1].looks_s) < 40


def test_the_urgency_of_a_look_is_the_chance_that_the_job_is_done() -> None:
    room = Room()
    service = Service(room.clock, 95.0)
    room.watch(service)
    assert all(0 <= ticket.urgency <= 1 for ticket in service.tickets)
    assert all(ticket.deadline_s is None for ticket in service.tickets)
    assert {ticket.video_id for ticket in service.tickets} == {"dQw4w9WgXcQ"}
    resumed = Service(room.clock, 95.0, accepted_ago_s=3600)
    room.watch(resumed)
    assert resumed.tickets[0].urgency > 0.9


def test_a_resumed_job_that_should_be_done_is_looked_at_at_once() -> None:
    room = Room()
    service = Service(room.clock, 95.0, accepted_ago_s=500.0)
    assert room.watch(service).state is DONE
    assert service.looks_s == [500.0]
    assert room.model.jobs == 0, "it may have been done for minutes: nothing to learn"


def test_a_job_of_unknown_age_is_looked_at_at_once_and_then_soon_again() -> None:
    room = Room()
    service = Service(room.clock, 4.0)
    room.watch(service, is_dated=False)
    assert service.looks_s[0] == 0.0
    assert late_s(service) < 10


def test_a_job_accepted_in_the_future_counts_as_accepted_now() -> None:
    room = Room()
    service = Service(room.clock, 40.0, accepted_ago_s=-50.0)
    before_s = room.clock.now_s()
    room.watch(service, duration_s=0.0)
    assert room.clock.now_s() - before_s == pytest.approx(90.0, abs=5.0)


def test_a_failed_job_is_handed_back_and_teaches_nothing() -> None:
    room = Room()
    service = Service(room.clock, 30.0, ends_as=FAILED)
    assert room.watch(service).state is FAILED
    assert room.model.jobs == 0


@pytest.mark.parametrize(
    "error",
    [
        RateLimitError("429", retry_after_s=20.0),
        ServerBusyError("500"),
        NetworkError("no answer"),
        APIError("no such job", video_id="v", code="job_not_found"),
    ],
)
def test_a_look_that_fails_is_repeated_with_growing_pauses(
    error: RetryableError | APIError,
) -> None:
    room = Room()
    service = Service(
        room.clock, 30.0, accepted_ago_s=100.0, failures=dict.fromkeys((1, 2, 3, 4), error)
    )
    assert room.watch(service).state is DONE
    assert len(service.looks_s) == 5
    pauses_s = [b - a for a, b in zip(service.looks_s, service.looks_s[1:], strict=False)]
    assert pauses_s == sorted(pauses_s)
    assert pauses_s[0] >= 1.0
    if isinstance(error, RateLimitError):
        assert min(pauses_s) >= 20.0
    else:
        assert pauses_s[-1] <= 16.0
    assert (WaitReason.RETRY in {reason for reason, _ in room.news.waits}) is True


def test_a_job_that_stays_unknown_to_the_service_is_given_up_after_two_minutes() -> None:
    room = Room()
    error = APIError("no such job", video_id="v", code="job_not_found")
    service = Service(
        room.clock, 30.0, accepted_ago_s=50.0, failures=dict.fromkeys(range(1, 99), error)
    )
    with pytest.raises(GaveUpError) as caught:
        room.watch(service)
    assert caught.value.__cause__ is error
    assert caught.value.can_retry
    assert 120 <= service.looks_s[-1] - service.looks_s[0] < 180


def test_an_error_of_another_kind_comes_out_unchanged_at_once() -> None:
    room = Room()
    for error in (AuthError("bad key"), APIError("gone", video_id="v", code="private_video")):
        service = Service(room.clock, 30.0, accepted_ago_s=50.0, failures={1: error})
        with pytest.raises(type(error)) as caught:
            room.watch(service)
        assert caught.value is error
        assert len(service.looks_s) == 1


def test_a_stuck_job_is_looked_at_ever_more_seldom_and_given_up_but_not_before_its_time() -> None:
    room = Room()
    service = Service(room.clock, 1e9)
    with pytest.raises(GaveUpError, match="dQw4w9WgXcQ") as caught:
        room.watch(service, duration_s=600.0)
    assert caught.value.can_retry
    assert "without paying again" in caught.value.next_step
    assert 900 <= service.looks_s[-1] < 1000
    steps_s = [b - a for a, b in zip(service.looks_s, service.looks_s[1:], strict=False)]
    assert steps_s[-2] > 30
    late = [look for look in service.looks_s if look > 300]
    assert len(late) < 60


def test_a_long_video_gets_five_times_its_expected_time() -> None:
    room = Room()
    expected_s = room.model.predict(7200.0).mean_s
    service = Service(room.clock, 1e9)
    with pytest.raises(GaveUpError):
        room.watch(service, duration_s=7200.0)
    assert service.looks_s[-1] >= 5 * expected_s


def test_an_old_job_that_still_runs_is_watched_a_minute_before_it_is_given_up() -> None:
    room = Room()
    service = Service(room.clock, 1e9, accepted_ago_s=86_400.0)
    with pytest.raises(GaveUpError):
        room.watch(service)
    assert 86_460 <= service.looks_s[-1] <= 86_600
    late = Service(room.clock, 86_430.0, accepted_ago_s=86_400.0)
    assert room.watch(late).state is DONE


def test_a_halt_ends_the_watch_at_once_and_a_pause_does_not() -> None:
    room = Room()
    room.control.pause()
    service = Service(room.clock, 30.0)
    assert room.watch(service).state is DONE
    room.control.halt()
    other = Service(room.clock, 30.0)
    with pytest.raises(StoppedError):
        room.watch(other)
    assert other.looks_s == []


def test_the_page_sees_progress_rise_below_one_and_why_and_until_when_it_waits() -> None:
    room = Room()
    service = Service(room.clock, 200.0)
    room.watch(service)
    fractions = [f for f in room.news.fractions if f is not None]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] < 0.2
    assert 0.9 < fractions[-1] <= 0.99
    reasons = [reason for reason, until_at in room.news.waits if until_at is not None]
    assert set(reasons) == {WaitReason.JOB}
    assert room.news.waits[-1] == (None, None)


def test_a_wait_for_the_permit_is_passed_on_and_moves_the_time_of_the_look() -> None:
    room = Room()
    service = Service(room.clock, 60.0, accepted_ago_s=70.0)

    def look(ticket: Ticket) -> JobStatus:
        ticket.on_wait(WaitReason.LIMIT, None)
        room.control.sleep_s(25.0)
        ticket.on_wait(None, None)
        return service.look(ticket)

    room.watcher.watch(service.submission(), duration_s=600.0, look=look, reporter=room.news)
    assert (WaitReason.LIMIT, None) in room.news.waits
    assert service.looks_s[0] >= 95.0


def gradual(share: float) -> float:
    return share


def jumping(share: float) -> float:
    return 0.0 if share < 1 else 1.0


def standing(share: float) -> float:
    return 0.5 if share > 0.1 else 0.0


def looks_at_odd_jobs(room: Room, progress: Callable[[float], float | None]) -> int:
    """Looks at twelve jobs whose time has nothing to do with their length."""
    looks = 0
    for number in range(24):
        took_s = 60.0 + 90.0 * (number * 7 % 11) / 11
        service = Service(room.clock, took_s, progress=progress)
        room.watch(service, name=f"job {number}")
        looks += len(service.looks_s) if number >= 12 else 0
    return looks


def test_a_gradual_progress_is_believed_once_it_has_proven_true_and_saves_looks() -> None:
    with_progress, without = Room(), Room()
    few = looks_at_odd_jobs(with_progress, gradual)
    many = looks_at_odd_jobs(without, lambda _share: None)
    assert few < 0.8 * many
    assert 0.5 in [round(f, 1) for f in with_progress.news.fractions if f is not None]


@pytest.mark.parametrize("progress", [jumping, standing])
def test_a_progress_that_jumps_or_stands_still_is_never_believed(
    progress: Callable[[float], float],
) -> None:
    room, without = Room(), Room()
    looks = looks_at_odd_jobs(room, progress)
    assert looks == looks_at_odd_jobs(without, lambda _share: None)


def test_progress_stuck_near_the_end_does_not_lead_to_endless_short_steps() -> None:
    room = Room()
    looks_at_odd_jobs(room, gradual)
    service = Service(room.clock, 1e9, progress=lambda _share: 0.96)
    with pytest.raises(GaveUpError):
        room.watch(service, name="stuck")
    assert len(service.looks_s) < 200


class Batch:
    """Many jobs at once on a clock that runs by itself; the looks go out at once."""

    def __init__(self, limits: Limits, times_s: list[float], *, to_come: int = 100) -> None:
        self.room = Room(limits, FakeClock(), to_come)
        self.services = [Service(self.room.clock, took_s) for took_s in times_s]
        self.errors: list[BaseException] = []

    def run(self) -> None:
        barrier = threading.Barrier(len(self.services) + 1)

        def work(number: int) -> None:
            barrier.wait()
            try:
                self.room.watcher.watch(
                    self.services[number].submission(name=str(number)),
                    duration_s=600.0,
                    look=self.services[number].look,
                    reporter=News(),
                )
            except BaseException as error:
                self.errors.append(error)
                raise

        threads = [
            threading.Thread(target=work, args=(number,)) for number in range(len(self.services))
        ]
        for thread in threads:
            thread.start()
        with self.room.clock.running():
            barrier.wait()
            for thread in threads:
                thread.join(50)
        assert not self.errors

    @property
    def looks(self) -> float:
        return sum(len(service.looks_s) for service in self.services) / len(self.services)


def test_eight_jobs_are_looked_at_often_and_eight_under_a_tight_limit_late_and_once() -> None:
    times_s = [80.0 + 4 * number for number in range(8)]
    rich, poor = Batch(Limits(), times_s), Batch(Limits(limit=6), times_s)
    rich.run()
    poor.run()
    assert rich.looks > 8
    assert poor.looks <= 2
    assert all(late_s(service) < 4 for service in rich.services)


def test_the_load_is_worked_out_once_a_second_for_all_threads_together() -> None:
    batch = Batch(Limits(), [90.0] * 8)
    started_s = batch.room.clock.now_s()
    batch.run()
    elapsed_s = batch.room.clock.now_s() - started_s
    assert batch.room.limits.asked <= 2 * (elapsed_s + 2)


def test_jobs_whose_slots_are_waited_for_are_found_sooner_than_the_last_ones() -> None:
    times_s = [95.0] * 40
    midway, at_the_end = Batch(Limits(), times_s), Batch(Limits(), times_s, to_come=0)
    midway.run()
    at_the_end.run()
    assert midway.looks > 3 * at_the_end.looks


def test_what_others_of_the_account_use_is_left_to_them() -> None:
    times_s = [95.0] * 8
    alone, beside = Batch(Limits(limit=40), times_s), Batch(Limits(limit=40, used=32), times_s)
    alone.run()
    beside.run()
    assert beside.looks < 0.7 * alone.looks


class Teller(NoHints):
    """Hints that a test gives; sleeping ends with them."""

    def __init__(self, room: Room, at_age_s: float | None, *, are_reliable: bool) -> None:
        super().__init__(room.control)
        self._clock = room.clock
        self._at_s = None if at_age_s is None else room.clock.now_s() + at_age_s
        self.are_reliable = are_reliable
        self.ends: list[bool] = []

    def sleep_s(self, job: str, duration_s: float) -> None:
        if self._at_s is not None:
            duration_s = min(duration_s, max(0.0, self._at_s - self._clock.now_s()))
        super().sleep_s(job, duration_s)

    def take(self, job: str) -> bool:
        del job
        is_due = self._at_s is not None and self._clock.now_s() >= self._at_s
        self._at_s = None if is_due else self._at_s
        return is_due

    def ended(self, job: str, *, was_seen: bool) -> None:
        del job
        self.ends.append(was_seen)


def told_room(at_age_s: float | None, *, are_reliable: bool) -> tuple[Room, Teller]:
    room = Room()
    teller = Teller(room, at_age_s, are_reliable=are_reliable)
    room.watcher = AimedJobWatcher(
        room.limits, room.clock, room.control, room.model, jitter=lambda: 0.5, hints=teller
    )
    return room, teller


def test_a_job_that_is_told_to_have_ended_is_looked_at_at_once() -> None:
    room, teller = told_room(42.0, are_reliable=True)
    service = Service(room.clock, 41.0)
    assert room.watch(service).state is DONE
    assert service.looks_s == [42.0]
    assert service.tickets[0].urgency == 1.0
    assert teller.ends == [True]


def test_a_false_hint_costs_one_look_and_no_more() -> None:
    """The service's own answer is the truth, whatever a webhook says."""
    room, _ = told_room(20.0, are_reliable=False)
    service = Service(room.clock, 95.0)
    assert room.watch(service).state is DONE
    other = Room()
    plain = Service(other.clock, 95.0)
    other.watch(plain)
    assert service.looks_s[0] == 20.0
    assert len(service.looks_s) <= len(plain.looks_s) + 1


def test_where_hints_are_reliable_nobody_looks_before_a_job_is_overdue() -> None:
    room, _ = told_room(None, are_reliable=True)
    service = Service(room.clock, 95.0)
    assert room.watch(service).state is DONE
    assert service.looks_s[0] >= room.model.predict(600.0).mean_s
    plain = Room()
    usual = Service(plain.clock, 95.0)
    plain.watch(usual)
    assert len(service.looks_s) < len(usual.looks_s)


def test_a_hint_does_not_shorten_the_wait_that_the_service_asked_for() -> None:
    room, _ = told_room(100.0, are_reliable=False)
    busy = ServerBusyError("busy", retry_after_s=600.0)
    service = Service(room.clock, 95.0, failures={1: busy})
    room.watch(service)
    assert service.looks_s[1] >= service.looks_s[0] + 600.0


def test_the_first_jobs_are_looked_at_soon_where_that_tells_which_limits_there_are() -> None:
    room = Room(Limits(is_telling=True))
    first_looks_s = []
    for number in range(5):
        service = Service(room.clock, 900.0)
        room.watch(service, duration_s=7200.0, name=str(number))
        first_looks_s.append(service.looks_s[0])
    assert first_looks_s[:3] == pytest.approx([WITNESS_AGE_S] * 3, abs=0.1)
    assert min(first_looks_s[3:]) > 20


def test_a_job_of_an_earlier_run_is_no_witness() -> None:
    room = Room(Limits(is_telling=True))
    service = Service(room.clock, 900.0, accepted_ago_s=30.0)
    room.watch(service, duration_s=7200.0)
    assert service.looks_s[0] > 40
