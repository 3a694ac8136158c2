"""Counts always add up."""

from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.outcome import Totals
from bulk_transcribe.core.stage import FINAL_STAGES, Stage


@given(st.lists(st.sampled_from(list(Stage))))
def test_the_parts_add_up_to_the_total(stages: list[Stage]) -> None:
    totals = Totals.of(stages)
    assert totals.total == len(stages) == totals.finished + totals.unfinished
    assert totals.unfinished - totals.to_come == stages.count(Stage.CANCELLED)
    assert totals.finished + totals.cancelled == sum(stage in FINAL_STAGES for stage in stages)
    assert 0.0 <= totals.fraction <= 1.0


def test_no_videos_are_all_done() -> None:
    assert Totals.of([]).fraction == 1.0


def test_a_crashed_video_counts_as_failed() -> None:
    assert Totals.of([Stage.CRASHED, Stage.FAILED, Stage.SAVING]).failed == 2
