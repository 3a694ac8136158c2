"""The commands of the cluster: worker, workers, and watching what workers do."""

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bulk_transcribe.app import App
from bulk_transcribe.cli import logs
from bulk_transcribe.cli.text import count, note, print_json
from bulk_transcribe.cluster.dispatch import Dispatch
from bulk_transcribe.cluster.order import Priority
from bulk_transcribe.cluster.queue import Queue
from bulk_transcribe.cluster.worker import Worker
from bulk_transcribe.config import Settings
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.outcome import Totals
from bulk_transcribe.errors import ConfigError
from bulk_transcribe.save.session import SessionInfo, Wish

_DONE, _SOME_NOT, _STOPPED, _INTERRUPTED = 0, 1, 3, 130
#: Real seconds between two looks of a watcher, and between two summaries.
_LOOK_EVERY_S: Final = 1.0
_TELL_EVERY_S: Final = 10.0
#: Files of finished videos are written at least so far apart, and so many times as long as that
#: took: a session of 50,000 is not read all the time.
_FILES_EVERY_S: Final = 10.0
_FILES_SHARE: Final = 20.0


def worker(
    settings: Settings, settings_with: Callable[[Mapping[str, Any]], Settings], slots: int
) -> int:
    """Take videos from the queue until told to leave."""
    logs.start(settings)
    try:
        Worker(settings, settings_with, slots=slots, say=note).run()
    finally:
        logs.stop()
    return _DONE


def workers(settings: Settings, *, as_json: bool) -> int:
    """The workers that live."""
    with _dispatch(settings) as (app, dispatch):
        found = dispatch.workers()
        now = app.clock.now()
        if as_json:
            print_json(
                [
                    {
                        "owner": each.owner,
                        "host": each.host,
                        "pid": each.pid,
                        "state": each.state,
                        "slots": each.slots,
                        "doing": each.doing,
                        "version": each.version,
                        "started_at": each.started_at.isoformat(),
                        "beat_at": each.beat_at.isoformat(),
                    }
                    for each in found
                ]
            )
            return _DONE
        if not found:
            print("No worker is at work. Start one with: bulk-transcribe worker -j 20")
            return _DONE
        table = Table("host", "process", "state", "doing", "of", "heard of", "version")
        for each in found:
            table.add_row(
                each.host,
                str(each.pid),
                each.state,
                str(each.doing),
                str(each.slots),
                f"{max(0.0, (now - each.beat_at).total_seconds()):.0f} s ago",
                each.version,
            )
        Console().print(table)
    return _DONE


def carry_out(settings: Settings, session_id: str, wanted: Wish, value: str) -> None:
    """Pause, resume or stop a session that the workers have; at once."""
    with _dispatch(settings) as (_, dispatch):
        dispatch.carry_out(session_id, wanted, value)


def hand_over(
    settings: Settings, session_id: str, priority: str, *, watch: bool, as_json: bool, quiet: bool
) -> int:
    """Give a session to the workers, and watch them; the exit code."""
    try:
        wanted = Priority(priority)
    except ValueError:
        raise ConfigError(
            f"--priority {priority!r} is not known: use low, normal or high."
        ) from None
    with _dispatch(settings) as (app, dispatch):
        number = dispatch.hand_over(session_id, wanted)
        if not (as_json or quiet):
            note(f"{session_id}: {count(number, 'video')} handed to the workers.")
        session = dispatch.store.get(session_id)
        if session is not None and not dispatch.has_worker_for(session):
            note("No worker with this session's key is at work: start one, it waits.")
        if not watch:
            return _DONE
        return _watch(app, dispatch, session_id, as_json=as_json, quiet=quiet)


def _watch(app: App, dispatch: Dispatch, session_id: str, *, as_json: bool, quiet: bool) -> int:
    """Look on until the session ends, and write the files of what is finished."""
    session = app.sessions.open_session(session_id)
    leaves = threading.Event()
    clock = SystemClock()  # people wait in real time, whatever the speed of the run
    told_s = wrote_s = clock.now_s()
    took_s = 0.0
    with _on_interrupt(leaves):
        while True:
            dispatch.end_if_over(session_id)  # also where no worker is left to see to it
            info = session.info()
            now_s = clock.now_s()
            if not info.is_live or leaves.is_set():
                break
            if now_s - wrote_s > max(_FILES_EVERY_S, _FILES_SHARE * took_s):
                app.restore(session_id)
                wrote_s = clock.now_s()
                took_s = wrote_s - now_s
            if now_s - told_s > _TELL_EVERY_S and not (quiet or as_json):
                note(_line(info.totals))
                told_s = now_s
            leaves.wait(_LOOK_EVERY_S)
    app.restore(session_id)
    if info.is_live:
        note("The workers go on without being watched. Their files come with, later:")
        note(f"    bulk-transcribe export {session_id}")
        note(f"To end it: bulk-transcribe stop {session_id}")
        return _INTERRUPTED
    app.write_lists(session_id)
    return _tell_end(info, as_json=as_json, quiet=quiet)


def _tell_end(info: SessionInfo, *, as_json: bool, quiet: bool) -> int:
    totals = info.totals
    if as_json:
        print_json(
            {
                "session": info.session_id,
                "status": info.status.value,
                "total": totals.total,
                "done": totals.done,
                "failed": totals.failed,
                "skipped": totals.skipped,
                "cancelled": totals.cancelled + totals.queued + totals.active,
                "in_doubt": totals.in_doubt,
                "stopped_by": info.stopped_code or None,
            }
        )
    elif not quiet:
        Console().print(f"{_line(totals)}. Files: {info.out_dir}", markup=False)
    if info.stopped_reason:
        note(f"stopped: {info.stopped_reason} {info.stopped_next_step}".rstrip())
    if info.stopped_code:
        return _STOPPED
    return _DONE if totals.done == totals.total else _SOME_NOT


def _line(totals: Totals) -> str:
    return (
        f"{totals.done} of {count(totals.total, 'video')} done, {totals.active} active, "
        f"{totals.queued} waiting, {totals.failed} failed, {totals.in_doubt} in doubt"
    )


@contextmanager
def _dispatch(settings: Settings) -> Iterator[tuple[App, Dispatch]]:
    if not settings.database_url:
        raise ConfigError(
            "Workers share a PostgreSQL database, and none is set.",
            next_step="Set DATABASE_URL to its address.",
            code="no_cluster",
        )
    with App(settings) as app, Queue(settings.database_url) as queue:
        yield app, Dispatch(app, queue)


@contextmanager
def _on_interrupt(leaves: threading.Event) -> Iterator[None]:
    """Ctrl-C ends the watching alone."""

    def leave(_number: int, _frame: FrameType | None) -> None:
        leaves.set()

    before = {number: signal.signal(number, leave) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
