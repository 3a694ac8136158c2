"""The gauge counts who waits to begin."""

import pytest

from bulk_transcribe.core.request import Capacity
from bulk_transcribe.core.stage import Stage, WaitReason
from bulk_transcribe.errors import NetworkError, RateLimitError
from bulk_transcribe.process.gauge import Gauge, Reading
from bulk_transcribe.testing.fakes import FakeReporter


def test_a_gauge_that_saw_nothing_reads_zero() -> None:
    assert Gauge().read() == Reading()


@pytest.mark.parametrize(
    ("stage", "reason", "held_up"),
    [
        (Stage.SUBMITTING, WaitReason.LIMIT, 1),
        (Stage.CAPTIONS, WaitReason.SOURCE_REST, 1),
        (Stage.SUBMITTING, WaitReason.DAILY_LIMIT, 1),
        (Stage.TRANSCRIBING, WaitReason.LIMIT, 0),  # its job runs: no bottleneck for newcomers
        (Stage.TRANSCRIBING, WaitReason.JOB, 0),
        (Stage.CAPTIONS, WaitReason.RETRY, 0),
        (Stage.SUBMITTING, WaitReason.PAUSED, 0),
    ],
)
def test_held_up_is_who_waits_for_a_permit_before_its_job_runs(
    stage: Stage, reason: WaitReason, held_up: int
) -> None:
    gauge, inner = Gauge(), FakeReporter()
    reporter = gauge.watch("v0000000001", inner)
    reporter.stage(stage)
    reporter.waiting(reason)
    assert gauge.read().held_up == held_up
    assert inner.stages == [stage]
    assert inner.waits == [reason]


def test_going_on_a_new_stage_and_the_end_take_a_video_off_the_count() -> None:
    gauge = Gauge()
    reporters = [gauge.watch(f"v{n}", FakeReporter()) for n in range(3)]
    for reporter in reporters:
        reporter.waiting(WaitReason.LIMIT)
        reporter.waiting(WaitReason.LIMIT)  # said twice, counted once
    assert gauge.read().held_up == 3
    reporters[0].waiting(None)
    reporters[1].stage(Stage.TRANSCRIBING)
    gauge.forget("v2")
    assert gauge.read().held_up == 0


def test_troubles_are_counted_apart_from_429s() -> None:
    gauge = Gauge()
    for error in (NetworkError("a"), RateLimitError("b"), NetworkError("c")):
        gauge.trouble(error)
    reading = gauge.read()
    assert (reading.errors, reading.refused) == (2, 1)


def test_the_limit_is_passed_on() -> None:
    capacity = Capacity(limit=300, window_s=60, used=290, remaining=10, paused_until_s=7.0)
    reading = Gauge(lambda: capacity).read()
    assert (reading.free_permits, reading.paused_until_s) == (10, 7.0)
    unlimited = Capacity(limit=None, window_s=60, used=0, remaining=0)
    assert Gauge(lambda: unlimited).read().free_permits is None
