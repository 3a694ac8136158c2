"""`doctor --ui`: is what the page shows what the store says, session by session."""

import logging
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.markup import escape

from bulk_transcribe.app import App
from bulk_transcribe.cli.text import print_json
from bulk_transcribe.cli.ui import export_place
from bulk_transcribe.config import Settings
from bulk_transcribe.core.figures import count
from bulk_transcribe.save.database import open_database
from bulk_transcribe.ui.compatibility import CompatibilityReport
from bulk_transcribe.ui.server import no_streamlit

_DONE, _TROUBLE = 0, 1
_TALKS = "streamlit.runtime.scriptrunner_utils.script_run_context"
#: Findings of one session that are shown; the rest is a count, and `--json` has them all.
_SHOWN = 20


def run(settings: Settings, *, newest: int | None, as_json: bool) -> int:
    """Draw the page of each session, newest first, at most `newest`, and compare it."""
    try:
        from bulk_transcribe.ui.drawn import page_checker  # noqa: PLC0415 -- an extra, and slow
    except ModuleNotFoundError as error:
        raise no_streamlit() from error
    # it says of each drawing that no browser is there, which is the point
    logging.getLogger(_TALKS).addFilter(lambda record: record.levelno > logging.WARNING)
    # as for the page itself: flags reach it by the environment
    export_place(settings)
    reports = []
    with open_database(settings.database) as database:
        for session_id in _sessions(settings, newest):
            reports.append(page_checker(database, session_id).check_monitoring_integrity())
            if not as_json:
                _show(reports[-1])
    if as_json:
        print_json(_as_json(reports))
    elif not reports:
        print("No sessions yet: there is nothing that the page could show wrongly.")
    return _DONE if all(report.is_compatible for report in reports) else _TROUBLE


def _sessions(settings: Settings, newest: int | None) -> list[str]:
    with App(settings) as app:
        return [info.session_id for info in app.sessions.list_sessions(limit=newest)]


def _show(report: CompatibilityReport) -> None:
    console = Console()
    about = f"{report.session_id}, {report.status}, {count(report.videos, 'video')}"
    if report.is_compatible:
        console.print(f"[green]ok[/]   {escape(about)}: the page shows what is stored")
        return
    console.print(f"[red]fail[/] {escape(about)}: the page shows something else")
    for finding in report.findings[:_SHOWN]:
        console.print(f"       {escape(str(finding))}")
    if len(report.findings) > _SHOWN:
        console.print(f"       and {len(report.findings) - _SHOWN:,} more differences")


def _as_json(reports: Sequence[CompatibilityReport]) -> dict[str, object]:
    return {
        "ok": all(report.is_compatible for report in reports),
        "sessions": [asdict(report) | {"ok": report.is_compatible} for report in reports],
    }
