"""The comparison itself: an honest page passes, and each lie is named."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import chain, repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.stage import FINAL_STAGES, Stage
from bulk_transcribe.ui.compatibility import Part, UICompatibilityChecker
from bulk_transcribe.ui.shown import Shown, ShownBar, ShownMoney, ShownRow, ShownVideo
from bulk_transcribe.ui.truth import STOPPING, Row, Truth

_STAGES = st.sampled_from(list(Stage))
_CENT = Decimal("0.005")


def stored(stages: Mapping[str, Stage], *, status: str = "running", spent: str = "0.25") -> Truth:
    """A session with these videos, in this order."""
    rows = {
        video_id: Row(
            video_id=video_id, position=position, title=f"Title of {video_id}", stage=stage
        )
        for position, (video_id, stage) in enumerate(stages.items())
    }
    counts = {stage: list(stages.values()).count(stage) for stage in set(stages.values())}
    return Truth(session_id="s", status=status, counts=counts, rows=rows, spent_usd=Decimal(spent))


def honest(truth: Truth) -> Shown:
    """What a page that tells the truth shows."""
    counts = truth.counts
    return Shown(
        status=truth.status,
        figures={
            "total": str(truth.total),
            "finished": str(truth.finished),
            "done": str(counts.get(Stage.DONE, 0)),
            "failed": str(counts.get(Stage.FAILED, 0) + counts.get(Stage.CRASHED, 0)),
            "active": str(len(truth.active_rows())),
            "waiting": str(counts.get(Stage.QUEUED, 0)),
            "skipped": str(counts.get(Stage.SKIPPED, 0)),
            "cancelled": str(counts.get(Stage.CANCELLED, 0)),
            "in doubt": str(counts.get(Stage.IN_DOUBT, 0)),
        },
        spent=ShownMoney(amount_usd=truth.spent_usd, rounding_usd=_CENT),
        overall=ShownBar(
            percent=100 * truth.finished // truth.total if truth.total else 0, text=""
        ),
        current=tuple(
            ShownVideo(video_id=row.video_id, stage=row.stage.value)
            for row in truth.active_rows()
            if truth.is_live
        ),
        table=tuple(
            ShownRow(
                number=row.position + 1,
                video_id=row.video_id,
                title=row.title or "",
                stage=row.stage.value,
            )
            for row in truth.rows.values()
        ),
    )


def checker(
    truths: Iterator[Truth], pages: Iterator[Shown], *, looks: int = 4
) -> UICompatibilityChecker:
    return UICompatibilityChecker(lambda: next(truths), lambda: next(pages), looks=looks)


def judge(truth: Truth, shown: Shown) -> UICompatibilityChecker:
    """A store that stands still, and one page."""
    return checker(repeat(truth), repeat(shown))


@pytest.fixture
def truth() -> Truth:
    return stored(
        {
            "aaa": Stage.DONE,
            "bbb": Stage.TRANSCRIBING,
            "ccc": Stage.FAILED,
            "ddd": Stage.QUEUED,
            "eee": Stage.QUEUED,
        }
    )


@given(stages=st.lists(_STAGES, max_size=20), status=st.sampled_from(["running", "stopped"]))
def test_an_honest_page_of_any_session_passes(stages: list[Stage], status: str) -> None:
    truth = stored({f"v{n}": stage for n, stage in enumerate(stages)}, status=status)
    report = judge(truth, honest(truth)).check_monitoring_integrity()
    assert report.is_compatible, report.findings
    assert (report.videos, report.looks, report.status) == (len(stages), 1, status)


@given(
    stages=st.lists(_STAGES, min_size=1, max_size=12),
    lie=st.data(),
)
def test_no_row_can_be_wrong_unseen(stages: list[Stage], lie: st.DataObject) -> None:
    truth = stored({f"v{n}": stage for n, stage in enumerate(stages)})
    shown = honest(truth)
    assert shown.table
    victim = lie.draw(st.sampled_from(shown.table))
    another = lie.draw(_STAGES.filter(lambda stage: stage.value != victim.stage))
    wrong = lie.draw(
        st.sampled_from(
            [
                replace(victim, stage=another.value),
                replace(victim, title="another"),
                replace(victim, number=victim.number + 1),
                None,
            ]
        )
    )
    table = tuple(
        row if row is not victim else wrong
        for row in shown.table
        if row is not victim or wrong is not None
    )
    found = judge(truth, replace(shown, table=table)).check_monitoring_integrity().findings  # type: ignore[arg-type]  # None is left out above
    assert [each.part for each in found] == [Part.TABLE]
    assert victim.video_id in found[0].about


@given(st.sampled_from(["total", "finished", "done", "failed", "active", "waiting"]))
def test_a_count_that_is_off_by_one_is_named(figure: str) -> None:
    truth = stored({"a": Stage.DONE, "b": Stage.CRASHED, "c": Stage.SAVING, "d": Stage.QUEUED})
    shown = honest(truth)
    right = shown.figures[figure]
    lie = {**shown.figures, figure: str(int(right) + 1)}
    checks = judge(truth, replace(shown, figures=lie))
    (finding,) = checks.check_monitoring_integrity().findings
    assert finding.part is Part.GLOBAL
    assert (finding.shown, finding.stored) == (lie[figure], right)
    assert not checks.validate_global_progress()
    assert checks.validate_status_table()
    assert checks.validate_current_video()


@pytest.mark.parametrize(
    ("change", "about", "part"),
    [
        (lambda s: replace(s, status="paused"), "status", Part.GLOBAL),
        (lambda s: replace(s, status=None), "status", Part.GLOBAL),
        (
            lambda s: replace(s, overall=ShownBar(percent=60, text="")),
            "bar of the whole",
            Part.GLOBAL,
        ),
        (lambda s: replace(s, overall=None), "bar of the whole", Part.GLOBAL),
        (
            lambda s: replace(s, spent=ShownMoney(amount_usd=Decimal("0.26"), rounding_usd=_CENT)),
            "money spent",
            Part.GLOBAL,
        ),
        (lambda s: replace(s, spent=None), "money spent", Part.GLOBAL),
        (
            lambda s: replace(s, figures={k: v for k, v in s.figures.items() if k != "done"}),
            "videos done",
            Part.GLOBAL,
        ),
        (lambda s: replace(s, current=()), "bbb", Part.CURRENT),
        (
            lambda s: replace(s, current=(ShownVideo(video_id="bbb", stage="saving"),)),
            "bbb",
            Part.CURRENT,
        ),
        (
            lambda s: replace(s, current=(*s.current, ShownVideo(video_id="aaa", stage="saving"))),
            "aaa",
            Part.CURRENT,
        ),
        (
            lambda s: replace(s, current=(*s.current, ShownVideo(video_id="xyz", stage="saving"))),
            "xyz",
            Part.CURRENT,
        ),
        (lambda s: replace(s, current=s.current * 2), "bbb", Part.CURRENT),
        (lambda s: replace(s, more_current=1), "the count of the rest", Part.CURRENT),
        (lambda s: replace(s, table=None), "the table", Part.TABLE),
        (lambda s: replace(s, table=(*(s.table or ()), *(s.table or ())[:1])), "aaa", Part.TABLE),
        (
            lambda s: replace(
                s,
                table=(
                    *(s.table or ()),
                    ShownRow(number=6, video_id="xyz", title="", stage="done"),
                ),
            ),
            "xyz",
            Part.TABLE,
        ),
        (lambda s: replace(s, troubles=("KeyError: 'x'",)), "the script", Part.PAGE),
    ],
)
def test_each_lie_is_found_once_and_named(
    truth: Truth, change: Callable[[Shown], Shown], about: str, part: Part
) -> None:
    (finding,) = judge(truth, change(honest(truth))).check_monitoring_integrity().findings
    assert (finding.about, finding.part) == (about, part)
    assert finding.meaning
    assert finding.shown in str(finding)


def test_nothing_is_in_progress_where_nobody_works(truth: Truth) -> None:
    """A run that was killed leaves a video half way: the page must not show it at work."""
    left = replace(truth, status="interrupted")
    assert judge(left, honest(left)).validate_current_video()
    as_if = replace(honest(left), current=honest(truth).current)
    assert not judge(left, as_if).validate_current_video()


def test_videos_in_flight_may_be_counted_in_place_of_shown() -> None:
    many = stored({f"v{n}": Stage.TRANSCRIBING for n in range(30)})
    some = replace(honest(many), current=honest(many).current[:24])
    assert judge(many, replace(some, more_current=6)).validate_current_video()
    assert not judge(many, replace(some, more_current=5)).validate_current_video()
    assert not judge(many, replace(some, more_current=7)).validate_current_video()


def test_counts_that_are_zero_may_be_left_out_and_others_may_not(truth: Truth) -> None:
    def without(shown: Shown, name: str) -> Shown:
        return replace(shown, figures={k: v for k, v in shown.figures.items() if k != name})

    assert judge(truth, without(honest(truth), "skipped")).validate_global_progress()
    skipped = stored({"a": Stage.SKIPPED})
    assert not judge(skipped, without(honest(skipped), "skipped")).validate_global_progress()


@given(
    before=st.lists(_STAGES.filter(lambda s: s not in FINAL_STAGES), min_size=1, max_size=8),
    steps=st.data(),
)
def test_a_page_drawn_while_the_session_moved_on_passes(
    before: list[Stage], steps: st.DataObject
) -> None:
    """Each video is drawn where it was at some moment between the two readings."""
    way = [stage for stage in Stage if stage not in FINAL_STAGES]
    end = steps.draw(st.sampled_from(sorted(FINAL_STAGES)))
    path = [*way, end]
    middle = [steps.draw(st.sampled_from(path[path.index(stage) :])) for stage in before]
    after = [steps.draw(st.sampled_from(path[path.index(stage) :])) for stage in middle]
    first, drawn, last = (
        stored({f"v{n}": stage for n, stage in enumerate(stages)})
        for stages in (before, middle, after)
    )
    report = checker(chain([first], repeat(last)), repeat(honest(drawn)), looks=1)
    assert report.check_monitoring_integrity().is_compatible


def test_a_session_that_moves_is_looked_at_again_before_a_difference_counts(truth: Truth) -> None:
    stale = honest(stored({"aaa": Stage.QUEUED}))
    moved = stored({**{k: r.stage for k, r in truth.rows.items()}, "bbb": Stage.DONE})
    report = checker(
        chain([truth, moved], repeat(moved)), chain([stale], repeat(honest(moved)))
    ).check_monitoring_integrity()
    assert report.is_compatible
    assert report.looks == 2


def test_a_page_that_stays_wrong_is_found_out_however_much_moves(truth: Truth) -> None:
    def moving() -> Iterator[Truth]:
        number = 0
        while True:
            number += 1
            yield replace(truth, spent_usd=Decimal(number))

    lie = replace(honest(truth), table=(honest(truth).table or ())[1:])
    report = checker(moving(), repeat(lie)).check_monitoring_integrity()
    assert "aaa" in {finding.about for finding in report.findings}


def test_a_bar_that_counts_what_was_left_for_later_is_named() -> None:
    """Stopped before any was done: a full bar would say that all is over."""
    truth = stored(dict.fromkeys(("a", "b", "c"), Stage.CANCELLED), status="stopped")
    assert (truth.finished, truth.left, truth.active) == (0, 3, 0)
    shown = honest(truth)
    lie = replace(
        shown,
        figures={**shown.figures, "finished": "3"},
        overall=ShownBar(percent=100, text="3 of 3 finished"),
    )
    found = judge(truth, lie).check_monitoring_integrity().findings
    assert [each.about for each in found] == ["videos finished", "bar of the whole"]


def test_a_page_that_says_paused_while_the_run_stops_is_named(truth: Truth) -> None:
    stopping = replace(truth, status=STOPPING)
    assert stopping.is_live
    lie = replace(honest(stopping), status="paused")
    (finding,) = judge(stopping, lie).check_monitoring_integrity().findings
    assert (finding.about, finding.stored) == ("status", "stopping")
