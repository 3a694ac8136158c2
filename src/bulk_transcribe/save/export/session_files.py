"""Lists of a session for people and programs: items.csv and manifest.json."""

import csv
import json
from pathlib import Path
from typing import Any

from bulk_transcribe.core.stage import VideoState
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.save.export.atomic import atomic_file, output_errors
from bulk_transcribe.save.session import Session

#: Goes up when a field changes its meaning or goes away; new fields may come at any time.
VERSION = 1

_COLUMNS = (
    "position",
    "video_id",
    "url",
    "title",
    "channel",
    "duration_s",
    "stage",
    "source",
    "files",
    "spent_usd",
    "error",
    "next_step",
    "origin",
)
#: With these, and their full-width forms, a cell is a formula in one spreadsheet or another.
_FORMULA_STARTS = ("=", "+", "-", "@", "＝", "＋", "－", "＠")  # noqa: RUF001 -- full-width on purpose


def write_session_files(session: Session, out_dir: Path) -> tuple[Path, Path]:
    """Write "sessions/SESSION_ID/manifest.json" and "items.csv" below `out_dir`; their paths.

    Every video of the session is in both, whatever became of it. Read as it is written, so a
    session of any size needs no memory. Paths of files are relative to `out_dir` where they
    are inside.

    Raises:
        OutputError: disk full, read-only, or no permission.
        StoreError: the session cannot be read.
    """
    out_dir = out_dir.absolute()
    folder = out_dir / "sessions" / session.session_id
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    manifest, items = folder / "manifest.json", folder / "items.csv"
    _write_manifest(session, out_dir, manifest)
    _write_items(session, out_dir, items)
    return manifest, items


def safe_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula.

    One that begins like a formula gets an apostrophe in front, which spreadsheets read as "this
    is text". That includes video ids that begin with "-": take those from the column `url`.
    """
    return f"'{text}" if text.lstrip().startswith(_FORMULA_STARTS) else text


def _write_manifest(session: Session, out_dir: Path, path: Path) -> None:
    info = session.info()
    head: dict[str, Any] = {
        "version": VERSION,
        "session_id": info.session_id,
        "name": info.name,
        "status": info.status.value,
        "stopped_reason": info.stopped_reason,
        "created_at": info.created_at.isoformat(),
        "started_at": info.started_at.isoformat() if info.started_at else None,
        "ended_at": info.ended_at.isoformat() if info.ended_at else None,
        "settings": session.settings,
        "totals": vars(info.totals),
        "problems": [vars(problem) for problem in session.problems()],
    }
    with atomic_file(path) as file:
        beginning = json.dumps(head, ensure_ascii=False, indent=1)
        file.write(beginning.removesuffix("\n}") + ',\n "videos": [')
        comma = "\n"
        for item, state in session.items_and_states():
            row = json.dumps(_video(item, state, out_dir), ensure_ascii=False)
            file.write(f"{comma}  {row}")
            comma = ",\n"
        file.write("\n ]\n}\n")


def _write_items(session: Session, out_dir: Path, path: Path) -> None:
    extra = list(dict.fromkeys(name for item in session.items() for name in item.extra))
    with atomic_file(path) as file:
        file.write("\ufeff")  # tells Excel that this is UTF-8
        writer = csv.writer(file)
        headers = [f"input_{name}" if name in _COLUMNS else name for name in extra]
        writer.writerow([*_COLUMNS, *map(safe_cell, headers)])
        for item, state in session.items_and_states():
            video = _video(item, state, out_dir)
            cells = [_cell(video[name]) for name in _COLUMNS]
            cells += [item.extra.get(name, "") for name in extra]
            writer.writerow(map(safe_cell, cells))


def _video(item: VideoItem, state: VideoState, out_dir: Path) -> dict[str, Any]:
    return {
        "position": state.position,
        "video_id": item.video_id,
        "url": item.url,
        "title": state.title or item.title,
        "channel": item.channel,
        "duration_s": state.duration_s,
        "stage": state.stage.value,
        "source": state.source,
        "files": [_relative(name, out_dir) for name in state.files],
        "spent_usd": state.spent_usd,
        "error": state.error,
        "next_step": state.next_step,
        "origin": item.origin,
    }


def _relative(name: str, out_dir: Path) -> str:
    path = Path(name)
    return path.relative_to(out_dir).as_posix() if path.is_relative_to(out_dir) else name


def _cell(value: object) -> str:
    if value is None:
        return ""
    return "; ".join(value) if isinstance(value, list) else str(value)
