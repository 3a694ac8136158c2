"""What the views show of a snapshot."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from rich.console import Console

from bulk_transcribe.cli.live import PlainLines, picture, summary_line
from bulk_transcribe.core.outcome import Totals
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.core.stage import Stage, VideoState, WaitReason
from bulk_transcribe.monitor.snapshot import Snapshot, TimeLeft

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def _snapshot(states: list[VideoState], version: int = 1) -> Snapshot:
    left = TimeLeft(
        low_s=60,
        likely_s=90,
        high_s=120,
        end_low_at=NOW,
        end_likely_at=NOW,
        end_high_at=NOW,
    )
    active = [s for s in states if not s.stage.is_final and s.stage is not Stage.QUEUED]
    return Snapshot(
        taken_at=NOW,
        version=version,
        totals=Totals.of(state.stage for state in states),
        states={state.video_id: state for state in states},
        active=tuple(active),
        videos_per_min=2.5,
        requests=7,
        requests_60s={RequestKind.POLL: 5},
        limited_60s=5,
        spent_usd=Decimal("0.0105"),
        elapsed_s=10.0,
        time_left=left,
    )


def _drawn(snapshot: Snapshot, rows: int = 10) -> str:
    console = Console(width=120, record=True, force_terminal=False)
    with console.capture() as capture:
        console.print(picture(snapshot, limit=300, rows=rows))
    return capture.get()


def test_late_jobs_are_named_with_what_will_become_of_them() -> None:
    late = VideoState(video_id="a", stage=Stage.TRANSCRIBING, waiting=WaitReason.LATE)
    alone = _snapshot([late, VideoState(video_id="b", stage=Stage.DONE)])
    assert alone.late == 1
    for shown in (_drawn(alone), summary_line(alone)):
        assert "1 late job still looked at, for 10 min at most" in shown
        assert "resume" in shown
    busy = _snapshot([late, VideoState(video_id="b")])
    assert "1 late job still looked at" in summary_line(busy)
    assert "at most" not in summary_line(busy)
    assert "late" not in summary_line(_snapshot([VideoState(video_id="b")]))


def test_the_picture_shows_counts_money_limit_and_each_video_in_flight() -> None:
    shown = _drawn(
        _snapshot(
            [
                VideoState(video_id="a", stage=Stage.DONE),
                VideoState(
                    video_id="b",
                    title="[bold]A title[/bold]",
                    stage=Stage.TRANSCRIBING,
                    progress=0.4,
                    started_at=NOW - timedelta(seconds=75),
                ),
                VideoState(video_id="c", stage=Stage.SUBMITTING, waiting=WaitReason.LIMIT),
                VideoState(video_id="d"),
            ]
        )
    )
    for part in ("25%", "1 of 4", "1 min to 2 min left", "1 done", "2 active", "1 waiting"):
        assert part in shown
    assert "$0.0105" in shown
    assert "5 of 300" in shown
    assert "[bold]A title[/bold]" in shown
    assert "40%" in shown
    assert "1 min 15 s" in shown
    assert "waiting for the rate limit" in shown


def test_more_videos_than_lines_become_a_number() -> None:
    states = [VideoState(video_id=str(n), stage=Stage.CAPTIONS) for n in range(30)]
    assert "and 26 more in flight" in _drawn(_snapshot(states), rows=5)


def test_nothing_to_do_is_all_done() -> None:
    assert "100%" in _drawn(_snapshot([]))
    assert "done" in summary_line(_snapshot([]))


def test_a_pipe_is_told_of_each_end_once(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainLines(NOW)
    before = NOW - timedelta(days=1)
    old = VideoState(video_id="old", stage=Stage.DONE, finished_at=before)
    view.draw(_snapshot([old, VideoState(video_id="a")], version=1))
    ended = VideoState(video_id="a", stage=Stage.FAILED, error="private\nvideo", finished_at=NOW)
    for version in (2, 3):
        view.draw(_snapshot([old, ended], version=version))
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if line.startswith("failed")] == ["failed  a  : private video"]
    assert not any("old" in line for line in lines)
