"""Receipts as they are printed: hostile titles, odd cases, exact sums."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from rich.console import Console

from bulk_transcribe.cli.receipts import COLUMNS, Row, Sums, _print_table, _sums_line, _write_csv
from bulk_transcribe.core.attempt import AttemptOutcome, SourceAttempt
from bulk_transcribe.core.job import Submission, SubmissionState
from bulk_transcribe.core.transcript import ContentKey
from bulk_transcribe.save.submissions import Money

AT = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LATER = datetime(2026, 1, 1, 12, 5, tzinfo=UTC)


def paid(state: SubmissionState, quoted: str, charged: str | None = None) -> Submission:
    return Submission(
        submission_id=1,
        key=ContentKey(video_id="-bcdefghijk", source="deapi"),
        session_id="s",
        state=state,
        request_id="r1",
        quoted_usd=Decimal(quoted),
        charged_usd=None if charged is None else Decimal(charged),
        intended_at=AT,
        sent_at=AT,
        ended_at=LATER,
    )


def row(*submissions: Submission, title: str = "A title") -> Row:
    tried = SourceAttempt(
        video_id="-bcdefghijk",
        source="captions",
        started_at=AT,
        ended_at=AT,
        outcome=AttemptOutcome.NOTHING,
        error="none",
        error_code="no_captions",
    )
    return Row(
        session_id="s",
        video_id="-bcdefghijk",
        title=title,
        stage="done",
        source="deapi",
        attempts=(tried,),
        submissions=submissions,
        money=Money.of(submissions),
        requests=7,
        waited_s=1.25,
    )


def as_csv(capsys: pytest.CaptureFixture[str], *rows: Row) -> list[dict[str, str]]:
    _write_csv(rows)
    return list(csv.DictReader(io.StringIO(capsys.readouterr().out)))


@pytest.mark.parametrize(
    "title", ["=cmd|' /C calc'!A0", "+1", "@SUM(A1)", "=x\r\n=y", 'a"b,c', "\x1b[31mred"]
)
def test_a_title_is_never_a_formula_and_never_breaks_a_line(
    title: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (found,) = as_csv(capsys, row(title=title))
    assert tuple(found) == COLUMNS
    assert not found["title"].startswith(("=", "+", "-", "@"))
    assert found["title"].isprintable()
    assert found["video_id"] == "'-bcdefghijk"  # spreadsheets read that as text
    assert found["url"].endswith("-bcdefghijk")


def test_amounts_are_written_out_and_moments_span_all_that_was_tried(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tiny = paid(SubmissionState.CLAIMED, "0.00000012", "0.00000010")
    (found,) = as_csv(capsys, row(tiny))
    assert (found["quoted_usd"], found["charged_usd"]) == ("0.00000012", "0.00000010")
    assert found["tried"] == "captions: nothing (no_captions)"
    assert (found["began_at"], found["ended_at"]) == (AT.isoformat(), LATER.isoformat())
    assert (found["requests"], found["waited_s"]) == ("7", "1.2")


def test_the_sum_tells_what_is_by_quote_and_what_may_have_been_taken() -> None:
    sums = Sums()
    rows = (
        row(paid(SubmissionState.CLAIMED, "0.02", "0.01")),
        row(paid(SubmissionState.ACCEPTED, "0.03")),
        row(paid(SubmissionState.IN_DOUBT, "0.05")),
    )
    assert len(list(sums.through(rows))) == 3
    line = _sums_line(sums, batch_requests=4)
    assert "3 videos, 3 paid requests: spent $0.04" in line
    assert "$0.03 of it by quote" in line
    assert "another $0.05 may have been taken" in line
    assert "25 requests" in line
    plain = _sums_line(Sums(), batch_requests=0)
    assert plain == "0 videos, 0 paid requests: spent $0. 0 requests, waited 0 s for leave."


def test_the_table_takes_markup_for_text() -> None:
    out = io.StringIO()
    console = Console(file=out, width=120)
    _print_table(
        console,
        [
            row(),
            Row(
                session_id="s",
                video_id="x",
                title="",
                stage="deleted",
                source="[red]deapi[/red]",
                money=Money(),
            ),
        ],
        every=True,
    )
    assert "[red]deapi[/red]" in out.getvalue()
