"""Commands that only read: sessions, status, config; and `export`, which writes from the store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from bulk_transcribe.app import App
from bulk_transcribe.cli.text import count, money, one_line, print_json
from bulk_transcribe.config import LoadedSettings, Settings
from bulk_transcribe.core.outcome import Totals
from bulk_transcribe.core.stage import Stage, VideoState
from bulk_transcribe.save.session import SessionInfo

_DONE, _SOME_NOT = 0, 1
#: Videos of one kind that `status` lists; the rest is a count, and `--json` has them all.
_SHOWN = 20
_TROUBLE = (Stage.FAILED, Stage.CRASHED, Stage.IN_DOUBT, Stage.SKIPPED)


@contextmanager
def _reading(settings: Settings) -> Iterator[App]:
    with App(settings) as app:
        yield app


def config(loaded: LoadedSettings, *, as_json: bool) -> int:
    """Every setting, its value and its origin."""
    values = loaded.settings.public()
    if as_json:
        print_json(
            {
                name: {"value": value, "origin": loaded.origins.get(name, "default")}
                for name, value in values.items()
            }
        )
        return _DONE
    table = Table("setting", "value", "from")
    for name, value in values.items():
        table.add_row(name, escape(_shown(value)), escape(loaded.origins.get(name, "default")))
    Console().print(table)
    return _DONE


def _shown(value: Any) -> str:
    """A setting's value as it may be typed."""
    match value:
        case None | "" | []:
            return "none"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(value)
        case _:
            return str(value)


def sessions(settings: Settings, *, as_json: bool) -> int:
    """All sessions, newest first."""
    with _reading(settings) as app:
        infos = app.sessions.list_sessions()
        if as_json:
            print_json([_session_json(app, info) for info in infos])
            return _DONE
        if not infos:
            print("No sessions yet. Start one with: bulk-transcribe run LINK")
            return _DONE
        whole = Column("session", no_wrap=True)  # it is copied from here
        table = Table(whole, "name", "status", "done", "of", "failed", "spent")
        for info in infos:
            table.add_row(
                info.session_id,
                escape(one_line(info.name, 40)),
                info.status.value,
                str(info.totals.done),
                str(info.totals.total),
                str(info.totals.failed),
                money(app.spent_usd(info.session_id)),
            )
        Console().print(table)
    return _DONE


def status(settings: Settings, session: str | None, *, as_json: bool) -> int:
    """One session: counts, what is in flight, what failed and why, money, limits."""
    with _reading(settings) as app:
        session_id = app.session_id(session)
        stored = app.sessions.open_session(session_id)
        info = stored.info()
        beliefs = app.limiter_beliefs()
        if as_json:
            print_json(
                _session_json(app, info)
                | {
                    "videos": [_video_json(state) for state in stored.all_states()],
                    "limits": beliefs,
                }
            )
            return _DONE
        console = Console()
        _print_head(console, app, info)
        for stage in [s for s in Stage if not s.is_final and s is not Stage.QUEUED]:
            for state in stored.states(stages=[stage], limit=_SHOWN):
                console.print(f"  {_line(state)}")
        for trouble in _TROUBLE:
            _print_trouble(console, stored.states(stages=[trouble], limit=_SHOWN))
        for line in _limit_lines(beliefs):
            console.print(line, style="dim")
        ended = stored.states(stages=[Stage.FAILED, Stage.CRASHED, Stage.SKIPPED])
        _print_next(console, info, can_retry=any(state.can_retry for state in ended))
    return _DONE if info.totals.done == info.totals.total else _SOME_NOT


def export(
    settings: Settings,
    session: str | None,
    *,
    out: Path | None,
    formats: tuple[str, ...] | None,
    as_json: bool,
) -> int:
    """Write a session's files again, from the store alone."""
    with _reading(settings) as app:
        session_id = app.session_id(session)
        written = app.export(session_id, out=out, formats=formats)
        missing = written.without_transcript
        if as_json:
            print_json(
                {
                    "session": session_id,
                    "written": written.videos,
                    "missing": missing,
                    "out": str(written.folder),
                }
            )
        else:
            print(f"Wrote the files of {count(written.videos, 'video')} into {written.folder}.")
            if missing:
                print(f"{count(missing, 'video')} of this session have no transcript yet.")
    return _SOME_NOT if missing else _DONE


def _session_json(app: App, info: SessionInfo) -> dict[str, Any]:
    return {
        "session": info.session_id,
        "name": info.name,
        "status": info.status.value,
        "out": info.out_dir,
        **totals_json(info.totals),
        "spent_usd": app.spent_usd(info.session_id),
        "max_cost_usd": app.sessions.open_session(info.session_id).max_cost_usd,
        "stopped_reason": info.stopped_reason,
        "next_step": info.stopped_next_step,
        "created_at": info.created_at.isoformat(),
    }


def totals_json(totals: Totals) -> dict[str, int]:
    """The counts; the parts add up to `total`."""
    return {
        "total": totals.total,
        "queued": totals.queued,
        "active": totals.active,
        "done": totals.done,
        "failed": totals.failed,
        "skipped": totals.skipped,
        "cancelled": totals.cancelled,
        "in_doubt": totals.in_doubt,
    }


def _video_json(state: VideoState) -> dict[str, Any]:
    return {
        "video_id": state.video_id,
        "title": state.title,
        "stage": state.stage.value,
        "progress": state.progress,
        "source": state.source,
        "waiting": state.waiting.value if state.waiting else None,
        "error": state.error,
        "error_code": state.error_code,
        "next_step": state.next_step,
        "can_retry": state.can_retry,
        "spent_usd": state.spent_usd,
        "files": list(state.files),
    }


def _print_head(console: Console, app: App, info: SessionInfo) -> None:
    totals = info.totals
    name = f" ({escape(one_line(info.name, 60))})" if info.name else ""
    console.print(f"[bold]{info.session_id}[/bold]{name}: {info.status.value}")
    active = "active" if info.is_live else "unfinished"
    console.print(
        f"{totals.done} of {count(totals.total, 'video')} done, "
        f"{totals.active} {active}, {totals.queued} waiting, {totals.failed} failed, "
        f"{totals.skipped} skipped, {totals.cancelled} cancelled, {totals.in_doubt} in doubt"
    )
    limit_usd = app.sessions.open_session(info.session_id).max_cost_usd
    limit = f" of at most {money(limit_usd)}" if limit_usd is not None else ""
    spent = money(app.spent_usd(info.session_id))
    console.print(f"spent {spent}{limit}, files in {escape(info.out_dir)}")
    if info.stopped_reason:
        console.print(f"stopped: {escape(info.stopped_reason)} {escape(info.stopped_next_step)}")


def _print_trouble(console: Console, states: list[VideoState]) -> None:
    for state in states:
        console.print(f"  {_line(state)}")
        console.print(f"      {escape(one_line(state.error or '', 300))}")
        if state.next_step:
            console.print(f"      next: {escape(one_line(state.next_step, 300))}", style="dim")


def _print_next(console: Console, info: SessionInfo, *, can_retry: bool) -> None:
    totals = info.totals
    if info.is_with_workers and info.is_live:
        console.print("The workers have it in hand. Files are written where it is watched, or by:")
        console.print(f"    bulk-transcribe export {info.session_id}")
    elif info.is_live:
        console.print(f"A process ({info.engine_pid}) is working on it.")
    elif totals.queued + totals.active + totals.cancelled:
        console.print(f"Complete it with: bulk-transcribe resume {info.session_id}")
    elif can_retry:
        console.print(f"Some may succeed now: bulk-transcribe retry {info.session_id}")


def _line(state: VideoState) -> str:
    progress = f" {state.progress:.0%}" if state.progress is not None else ""
    waiting = f", {state.waiting.value}" if state.waiting else ""
    title = escape(one_line(state.title or "", 60))
    return f"{state.stage.value}{progress}{waiting}  {state.video_id}  {title}"


def _limit_lines(beliefs: list[dict[str, Any]]) -> list[str]:
    """What is believed of the limits, and the reasons."""
    lines = []
    for belief in beliefs:
        lines.append(f"limit: {escape(str(belief['summary']))}")
        lines += [f"    {escape(str(reason))}" for reason in belief.get("why", ())]
    return lines
