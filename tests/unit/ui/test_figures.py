"""What the monitor says, without drawing it."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.outcome import Totals
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.core.stage import Stage, VideoState, WaitReason
from bulk_transcribe.save.pulses import Pulse
from bulk_transcribe.save.session import SessionInfo, SessionStatus
from bulk_transcribe.save.submissions import Money
from bulk_transcribe.save.views import PulsePoint, SessionView, VideoTable
from bulk_transcribe.ui import figures

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
PULSE = Pulse(
    at=NOW,
    finished=1,
    active=2,
    slots=2,
    is_auto=False,
    is_draining=False,
    low_s=60,
    likely_s=90,
    high_s=120,
    videos_per_min=2.0,
    limited_60s=10,
    limit_60s=300,
    spent_usd=Decimal(1),
)


def view(
    status: SessionStatus = SessionStatus.RUNNING,
    totals: Totals | None = None,
    pulse: Pulse | None = PULSE,
    **info: str,
) -> SessionView:
    totals = totals or Totals(total=10, queued=7, active=2, done=1)
    return SessionView(
        info=SessionInfo(
            session_id="s",
            name="",
            out_dir="/out_dir",
            status=status,
            totals=totals,
            created_at=NOW,
            stopped_reason=info.get("reason", ""),
            stopped_code=info.get("code", ""),
            stopped_next_step=info.get("step", ""),
        ),
        settings={},
        money=Money(),
        pulse=pulse,
    )


def videos(*rows: dict[str, object]) -> VideoTable:
    """A table of these videos; what a row does not say is empty."""
    plain: dict[str, object] = {"stage": "queued", "spent_usd": Decimal(0)}
    named = [{"video_id": f"v{n}", "position": n} | plain | each for n, each in enumerate(rows)]
    columns = {each.name: [row.get(each.name) for row in named] for each in fields(VideoTable)}
    return VideoTable(**columns)  # type: ignore[arg-type]  # columns by name


def point(at_s: float, **changes: float | None) -> PulsePoint:
    made = PulsePoint(
        at=NOW + timedelta(seconds=at_s),
        finished=0,
        active=0,
        videos_per_min=1.0,
        limited_60s=5,
        limit_60s=300,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # fields by name


def test_time_left_is_a_range_while_somebody_works() -> None:
    assert figures.overall_text(view()) == "1 of 10 finished · 10% · 1 min to 2 min left"
    assert figures.time_left_text(view(pulse=None)) == "time left not known yet"
    for status in set(SessionStatus) - {SessionStatus.RUNNING}:
        assert figures.time_left_text(view(status)) == ""
    stopped = Totals(total=10, queued=6, done=3, cancelled=1)
    text = figures.overall_text(view(SessionStatus.STOPPED, stopped))
    assert text == "3 of 10 finished · 30% · 1 left for later"
    done = Totals(total=2, done=2)
    assert figures.overall_text(view(totals=done)) == "2 of 2 finished · 100%"


@given(
    done=st.integers(0, 9),
    failed=st.integers(0, 9),
    active=st.integers(0, 9),
    queued=st.integers(0, 9),
    rest=st.tuples(*[st.integers(0, 9)] * 3),
)
def test_the_counts_add_up_to_the_total(
    done: int, failed: int, active: int, queued: int, rest: tuple[int, ...]
) -> None:
    skipped, doubt, later = rest
    totals = Totals(
        total=done + failed + active + queued + sum(rest),
        done=done,
        failed=failed,
        active=active,
        queued=queued,
        skipped=skipped,
        in_doubt=doubt,
        cancelled=later,
    )
    names = ("Done", "Failed", "Active", "Waiting", "Skipped", "In doubt", "Left for later")
    found = {each.label: each.value for each in figures.figures(view(totals=totals))}
    assert sum(int(found.get(name, 0)) for name in names) == totals.total


def test_speeds_belong_to_a_living_run() -> None:
    labels = {each.label for each in figures.figures(view())}
    assert {"Videos a minute", "Requests, last minute"} <= labels
    labels = {each.label for each in figures.figures(view(SessionStatus.STOPPED))}
    assert not {"Videos a minute", "Requests, last minute"} & labels
    [none] = [f for f in figures.figures(view(pulse=None)) if f.label == "Videos a minute"]
    assert none.value == "-"
    no_limit = view(pulse=replace(PULSE, limit_60s=None))
    assert "10" in [each.value for each in figures.figures(no_limit)]


def test_money_at_risk_is_named_when_there_is_some() -> None:
    risky = replace(view(), money=Money(requests=1, at_risk_usd=Decimal("0.5")))
    assert [f.value for f in figures.figures(risky) if f.label == "At risk"] == ["$0.5000"]
    assert not [f for f in figures.figures(view()) if f.label == "At risk"]


def test_requests_are_told_by_kind() -> None:
    sent = replace(view(), requests={RequestKind.POLL: 3, RequestKind.SUBMIT: 1_000})
    assert figures.sent_text(sent) == "1,003 sent so far: 1,000 submits, 3 looks at jobs."
    assert figures.sent_text(view()) == "0 sent so far."
    assert set(figures._KINDS) == set(RequestKind)


_BEGUN = VideoState(video_id="b", stage=Stage.SUBMITTING, waiting=WaitReason.PAUSED)


@pytest.mark.parametrize(
    ("shown", "words", "is_trouble"),
    [
        (view(SessionStatus.INTERRUPTED), "without a word", True),
        (view(SessionStatus.STOPPED, code="auth", reason="Bad key.", step="Mend."), "Mend", True),
        (view(SessionStatus.STOPPED), "9 videos left", False),
        (view(SessionStatus.PAUSED), "2 videos in flight", False),
        (view(SessionStatus.PAUSED, Totals(total=1, queued=1)), "Nothing is in flight", False),
        (
            replace(view(SessionStatus.PAUSED), active=(_BEGUN, _BEGUN)),
            "Nothing is in flight. 2 videos begun will go on",
            False,
        ),
        (
            view(SessionStatus.PAUSED, pulse=replace(PULSE, is_draining=True)),
            "Stopping: what is in flight is finished first. 7 videos will be left",
            False,
        ),
        (view(SessionStatus.NEW), "Nobody has worked", False),
        (view(pulse=replace(PULSE, is_draining=True)), "Stopping", False),
        (view(SessionStatus.FINISHED, Totals(total=2, done=2)), "All 2 videos", False),
    ],
)
def test_why_it_does_not_run_is_said(shown: SessionView, words: str, *, is_trouble: bool) -> None:
    said = figures.notice(shown)
    assert said is not None
    assert words in said.text
    assert said.is_trouble is is_trouble


def test_there_is_nothing_to_say_of_a_run_that_goes_on() -> None:
    assert figures.notice(view()) is None
    assert figures.notice(view(SessionStatus.FINISHED, Totals(total=2, done=1, failed=1))) is None


def test_each_worker_keeps_its_place() -> None:
    states = [
        VideoState(video_id="a", position=0, stage=Stage.SAVING, worker="video_processor_10"),
        VideoState(video_id="b", position=1, stage=Stage.CAPTIONS, worker="video_processor_2"),
        VideoState(video_id="c", position=2, stage=Stage.CAPTIONS),
    ]
    assert [card.video_id for card in figures.cards(states, NOW)] == ["c", "b", "a"]


def test_a_card_says_how_far_how_long_and_why_it_waits() -> None:
    state = VideoState(
        video_id="abc",
        stage=Stage.TRANSCRIBING,
        progress=0.5,
        started_at=NOW - timedelta(seconds=75),
        waiting=WaitReason.LIMIT,
        waiting_until_at=NOW + timedelta(seconds=5),
    )
    [card] = figures.cards([state], NOW)
    assert card.fraction == 0.5
    assert card.line == ("abc · Transcribing · 50% · 1 min 15 s · waiting for the rate limit, 5 s")
    [card] = figures.cards([replace(state, waiting=WaitReason.JOB, progress=None)], NOW)
    assert (card.fraction, card.line) == (0.0, "abc · Transcribing · 1 min 15 s")
    [card] = figures.cards([replace(state, waiting_until_at=NOW - timedelta(hours=1))], NOW)
    assert card.line.endswith("waiting for the rate limit")
    [card] = figures.cards([state], None)  # nobody works on it: no time runs on
    assert card.line == "abc · Transcribing · 50%"


def test_the_table_has_a_line_a_video() -> None:
    later = NOW + timedelta(seconds=4)
    table = videos(
        {"stage": "done", "title": "T", "duration_s": 90.0, "spent_usd": Decimal("0.01")},
        {"stage": "transcribing", "progress": 0.25, "waiting": "LIMIT"},
        {"stage": "failed", "error": "why", "started_at": NOW, "finished_at": later},
        {"stage": "transcribing", "waiting": "JOB", "source": "deapi"},
    )
    assert figures.table(table).to_pydict() == {
        "#": [1, 2, 3, 4],
        "Status": ["Done", "Transcribing", "Failed", "Transcribing"],
        "Title": ["T", "v1", "v2", "v3"],
        "Progress": [1.0, 0.25, None, None],
        "Length": [1.5, None, None, None],
        "Took": [None, None, 4.0, None],
        "Source": [None, None, None, "deapi"],
        "Cost": [0.01, None, None, None],
        "Why": [None, "waiting for the rate limit", "why", None],
        "Link": [f"https://www.youtube.com/watch?v=v{n}" for n in range(4)],
    }


def test_a_table_without_videos_has_its_columns() -> None:
    table = figures.table(VideoTable())
    assert (table.schema, table.num_rows) == (figures.COLUMNS, 0)


def test_the_filters_name_every_stage_once() -> None:
    named = [stage for group in figures.GROUPS.values() for stage in group]
    assert sorted(named) == sorted(Stage)


def test_a_pause_between_two_runs_is_a_gap() -> None:
    points = [point(at_s) for at_s in (0, 2, 4, 6, 3600, 3602)]
    line = figures.throughput(points).to_pydict()
    assert [value is None for value in line["Value"]] == [False] * 4 + [True] + [False] * 2
    assert line["Time"] == sorted(line["Time"])
    assert figures.budget(points[:4]).num_rows == 8


def test_a_chart_knows_no_limit_where_there_is_none() -> None:
    table = figures.budget([point(0, limit_60s=None), point(2, limit_60s=None)]).to_pydict()
    assert dict(zip(table["What"], table["Value"], strict=True)) == {
        "Limit": None,
        "Requests": 5.0,
    }
    assert figures.throughput([]).num_rows == 0


@pytest.mark.parametrize(
    ("status", "is_draining", "word"),
    [
        (SessionStatus.RUNNING, False, "Running"),
        (SessionStatus.RUNNING, True, "Stopping"),
        (SessionStatus.PAUSED, True, "Stopping"),
        (SessionStatus.PAUSED, False, "Paused"),
        (SessionStatus.STOPPED, True, "Stopped"),  # the pulse is that of the run that is over
    ],
)
def test_a_run_that_was_told_to_stop_is_called_that(
    status: SessionStatus, word: str, *, is_draining: bool
) -> None:
    pulse = replace(PULSE, is_draining=is_draining)
    assert figures.status_word(view(status, pulse=pulse)) == word


@pytest.mark.parametrize(
    ("span_s", "shown_s", "written"),
    [
        (2, 60, "%H:%M:%S"),
        (240, 240, "%H:%M:%S"),
        (3600, 3600, "%H:%M"),
        (172_800, 172_800, "%d %b, %H:%M"),
    ],
)
def test_the_time_axis_fits_its_span(span_s: int, shown_s: int, written: str) -> None:
    points = [point(0), point(span_s)]
    first, last = figures.chart_range(points)
    assert (first, last - first) == (NOW, timedelta(seconds=shown_s))
    assert figures.moment_format(points) == written
