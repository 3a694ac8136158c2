"""The backlog says what is known of the videos that are left, and no more."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bulk_transcribe.core.jobtime import JobTimeModel
from bulk_transcribe.core.stage import Stage, VideoState
from bulk_transcribe.monitor.forecast import Outlook, backlog_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OUTLOOK = Outlook(
    active=("one",),
    paid=frozenset({"one"}),
    slots=1,
    requests_per_min=None,
    limited_recent=0,
    requests_per_paid=2.0,
    paid_ends=(),
    doubt=0.05,
    quick_s=2.0,
    quick_share=0.0,
    quick_share_doubt=0.0,
)


def running(length_s: float | None) -> VideoState:
    since_at = NOW - timedelta(seconds=5)
    return VideoState(
        video_id="one", stage=Stage.TRANSCRIBING, since_at=since_at, duration_s=length_s
    )


def test_the_last_videos_are_as_regular_as_those_before_them() -> None:
    states = {"one": running(600.0)}
    last = backlog_of(states, OUTLOOK, JobTimeModel(), NOW)
    waiting = replace(running(600.0), video_id="two", stage=Stage.QUEUED)
    before = backlog_of(states | {"two": waiting}, OUTLOOK, JobTimeModel(), NOW)
    assert (len(last.queued_s), len(before.queued_s)) == (0, 1)
    assert last.spread == pytest.approx(before.spread)


def test_a_video_of_unknown_length_is_less_regular() -> None:
    known = backlog_of({"one": running(600.0)}, OUTLOOK, JobTimeModel(), NOW)
    unknown = backlog_of({"one": running(None)}, OUTLOOK, JobTimeModel(), NOW)
    assert unknown.spread > 2 * known.spread


def test_without_any_video_there_is_nothing_left() -> None:
    nothing = backlog_of({}, replace(OUTLOOK, active=()), JobTimeModel(), NOW)
    assert (nothing.queued_s, nothing.in_flight_s, nothing.submitting_s) == ([], [], [])


def test_lengths_that_no_job_had_so_far_make_the_range_wider() -> None:
    model = JobTimeModel()
    for number in range(40):
        length_s = 60.0 + 10 * number
        model.observe(
            length_s, done_by_s=15 + length_s * 0.1334, not_done_at_s=14 + length_s * 0.13
        )
    outlook = replace(OUTLOOK, active=(), paid=frozenset())

    def doubt(length_s: float) -> float:
        waiting = {"one": replace(running(length_s), stage=Stage.QUEUED)}
        return backlog_of(waiting, outlook, model, NOW).doubt

    assert doubt(300.0) == outlook.doubt
    assert doubt(7200.0) > 2 * outlook.doubt
