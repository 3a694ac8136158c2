"""The command `receipts`: what was tried for each video, when, what it cost, and the sums."""

import csv
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from bulk_transcribe.app import App
from bulk_transcribe.cli.text import count, money, one_line, print_json, short_time
from bulk_transcribe.config import Settings
from bulk_transcribe.core.attempt import SourceAttempt
from bulk_transcribe.core.job import Submission
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.save.export.session_files import safe_cell
from bulk_transcribe.save.receipts import VideoReceipt
from bulk_transcribe.save.submissions import Money

_DONE = 0

#: Columns of the CSV, in order; the sum of `spent_usd` is what the account has lost.
COLUMNS = (
    "session",
    "video_id",
    "url",
    "title",
    "stage",
    "source",
    "tried",
    "began_at",
    "ended_at",
    "submits",
    "request_ids",
    "quoted_usd",
    "charged_usd",
    "spent_usd",
    "at_risk_usd",
    "requests",
    "refused",
    "waited_s",
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One video of one session, or a paid request whose video is in no session any more."""

    session_id: str
    video_id: str
    title: str
    stage: str
    source: str
    attempts: tuple[SourceAttempt, ...] = ()
    submissions: tuple[Submission, ...] = ()
    money: Money
    requests: int = 0
    refused: int = 0
    waited_s: float = 0.0

    @property
    def tried(self) -> str:
        """Each source in the order it was asked, and what came of it."""
        return "; ".join(
            f"{each.source}: {each.outcome.value}"
            + (f" ({each.error_code})" if each.error_code else "")
            for each in self.attempts
        )

    @property
    def moments(self) -> tuple[datetime | None, datetime | None]:
        """When the first thing was tried and when the last one ended; None where nothing was."""
        found = [at for each in self.attempts for at in (each.started_at, each.ended_at)]
        found += [
            at
            for each in self.submissions
            for at in (each.intended_at, each.ended_at)
            if at is not None
        ]
        return min(found, default=None), max(found, default=None)


@dataclass
class Sums:
    """Adds rows up as they pass."""

    videos: int = 0
    requests: int = 0
    waited_s: float = 0.0
    money: Money = field(default_factory=Money)

    def through(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The same rows, counted."""
        for row in rows:
            self.videos += 1
            self.requests += row.requests
            self.waited_s += row.waited_s
            self.money += row.money
            yield row


def run(
    settings: Settings, session: str | None, *, every: bool, as_csv: bool, as_json: bool
) -> int:
    """Print the receipts of a session, or of all; the sums go to standard error with a CSV."""
    with App(settings) as app:
        wanted = (
            [info.session_id for info in app.sessions.list_sessions()]
            if every
            else [app.session_id(session)]
        )
        batch = sum(app.receipts.of_session(each).batch_requests_sent for each in wanted)
        sums = Sums()
        rows = sums.through(_rows(app, wanted, every=every))
        if as_json:
            videos = [_as_json(row) for row in rows]
            print_json({"sessions": wanted, "totals": _sums_json(sums, batch), "videos": videos})
        elif as_csv:
            _write_csv(rows)
            print(_sums_line(sums, batch), file=sys.stderr)
        else:
            _print_table(Console(), rows, every=every)
            print(_sums_line(sums, batch))
    return _DONE


def _rows(app: App, wanted: Iterable[str], *, every: bool) -> Iterator[Row]:
    for session_id in wanted:
        for receipt in app.receipts.of_videos(session_id):
            yield _row(session_id, receipt)
    if every:
        for submission in app.receipts.without_video():
            yield Row(
                session_id=submission.session_id,
                video_id=submission.key.video_id,
                title="",
                stage="deleted",
                source=submission.key.source,
                submissions=(submission,),
                money=Money.of((submission,)),
            )


def _row(session_id: str, receipt: VideoReceipt) -> Row:
    return Row(
        session_id=session_id,
        video_id=receipt.video_id,
        title=receipt.title or "",
        stage=receipt.stage.value,
        source="known before" if receipt.was_known else receipt.source or "",
        attempts=receipt.attempts,
        submissions=receipt.submissions,
        money=receipt.money,
        requests=receipt.requests_sent,
        refused=sum(part.refused for part in receipt.requests.values()),
        waited_s=receipt.waited_s,
    )


def _write_csv(rows: Iterable[Row]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        cells = _cells(row)
        writer.writerow([safe_cell(cells[name]) for name in COLUMNS])


def _cells(row: Row) -> dict[str, str]:
    began_at, ended_at = row.moments
    return {
        "session": row.session_id,
        "video_id": row.video_id,
        "url": VideoItem(video_id=row.video_id).url,
        "title": one_line(row.title, 200),
        "stage": row.stage,
        "source": row.source,
        "tried": row.tried,
        "began_at": began_at.isoformat() if began_at else "",
        "ended_at": ended_at.isoformat() if ended_at else "",
        "submits": str(row.money.requests),
        "request_ids": " ".join(each.request_id or "-" for each in row.submissions),
        "quoted_usd": _amount(row.money.quoted_usd),
        "charged_usd": _amount(row.money.charged_usd),
        "spent_usd": _amount(row.money.spent_usd),
        "at_risk_usd": _amount(row.money.at_risk_usd),
        "requests": str(row.requests),
        "refused": str(row.refused),
        "waited_s": f"{row.waited_s:.1f}",
    }


def _amount(usd: Decimal) -> str:
    return f"{usd:f}"


def _known(usd: Decimal | None) -> str | None:
    return None if usd is None else _amount(usd)


def _as_json(row: Row) -> dict[str, Any]:
    return {
        **_cells(row),
        "title": row.title,
        "submits": row.money.requests,
        "requests": row.requests,
        "refused": row.refused,
        "waited_s": round(row.waited_s, 3),
        "attempts": [
            {
                "source": each.source,
                "started_at": each.started_at,
                "ended_at": each.ended_at,
                "outcome": each.outcome.value,
                "error": each.error,
                "error_code": each.error_code,
            }
            for each in row.attempts
        ],
        "submissions": [
            {
                "state": each.state.value,
                "request_id": each.request_id,
                "quoted_usd": _known(each.quoted_usd),
                "most_usd": _known(each.most_usd),
                "charged_usd": _known(each.charged_usd),
                "intended_at": each.intended_at,
                "sent_at": each.sent_at,
                "accepted_at": each.accepted_at,
                "ended_at": each.ended_at,
                "detail": each.detail,
            }
            for each in row.submissions
        ],
    }


def _sums_json(sums: Sums, batch_requests: int) -> dict[str, Any]:
    return {
        "videos": sums.videos,
        "submits": sums.money.requests,
        "quoted_usd": _amount(sums.money.quoted_usd),
        "charged_usd": _amount(sums.money.charged_usd),
        "spent_usd": _amount(sums.money.spent_usd),
        "at_risk_usd": _amount(sums.money.at_risk_usd),
        "requests": sums.requests + batch_requests,
        "requests_of_the_batch": batch_requests,
        "waited_s": round(sums.waited_s, 3),
    }


def _sums_line(sums: Sums, batch_requests: int) -> str:
    spent = sums.money.spent_usd
    line = (
        f"{count(sums.videos, 'video')}, {count(sums.money.requests, 'paid request')}: "
        f"spent ${_amount(spent)}"
    )
    untold = spent - sums.money.charged_usd
    if untold:
        line += f" (${_amount(untold)} of it by quote: not told yet)"
    if sums.money.at_risk_usd:
        line += f", another ${_amount(sums.money.at_risk_usd)} may have been taken"
    requests = sums.requests + batch_requests
    return f"{line}. {count(requests, 'request')}, waited {short_time(sums.waited_s)} for leave."


def _print_table(console: Console, rows: Iterable[Row], *, every: bool) -> None:
    columns = [Column("session")] if every else []
    columns += [Column("video", no_wrap=True), Column("tried"), Column("ended")]
    figures = ("quoted", "charged", "requests", "waited")
    columns += [Column(name, justify="right", no_wrap=True) for name in figures]
    table = Table(*columns, box=None, padding=(0, 2, 0, 0))
    for row in rows:
        paid = row.money.requests > 0
        table.add_row(
            *([row.session_id] if every else []),
            row.video_id,
            escape(one_line(row.tried or row.source or "-", 60)),
            row.stage,
            money(row.money.quoted_usd) if paid else "-",
            money(row.money.charged_usd) if paid else "-",
            str(row.requests),
            short_time(row.waited_s),
        )
    console.print(table)
