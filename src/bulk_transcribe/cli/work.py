"""The commands that work: run, plan, resume and retry."""

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from bulk_transcribe.app import App, Engine, Gathered, InputRequest
from bulk_transcribe.app.memory import share_one_heap
from bulk_transcribe.app.settling import at_stake, explain
from bulk_transcribe.cli import logs, steer
from bulk_transcribe.cli.interrupts import Interrupts
from bulk_transcribe.cli.live import choose_view, counts_text
from bulk_transcribe.cli.text import (
    count,
    money,
    note,
    one_line,
    print_json,
    short_time,
    time_range,
)
from bulk_transcribe.config import Settings
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.outcome import BatchResult
from bulk_transcribe.core.plan import LEAST_BALANCE_USD, BatchPlan, CaptionProbe, Forecast
from bulk_transcribe.errors import (
    BulkTranscribeError,
    ConfigError,
    CostLimitError,
    InputError,
    StopBatchError,
)
from bulk_transcribe.save.cluster import ClusterStore
from bulk_transcribe.save.session import SessionStatus, Wish
from bulk_transcribe.save.submissions import Decision

__all__ = ["InputRequest", "Look", "Settings", "plan", "resume", "run"]

_DONE, _SOME_NOT, _USAGE, _STOPPED, _INTERRUPTED = 0, 1, 2, 3, 130
#: Lines that could not be read, shown one by one; beyond it only their number.
_PROBLEMS_SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class Look:
    """How much is shown, and in which form."""

    as_json: bool = False
    quiet: bool = False


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """The videos are done by workers: with which priority, and whether this process looks on."""

    priority: str = "normal"
    watch: bool = True


def run(
    settings: Settings,
    request: InputRequest,
    look: Look,
    *,
    name: str = "",
    refresh: bool = False,
    clock: Clock | None = None,
    cluster: Cluster | None = None,
) -> int:
    """Read, plan, work, and leave files; the exit code."""
    logs.start(settings)
    share_one_heap()
    try:
        with App(settings, clock=clock) as app:
            gathered = _gather(app, request, look)
            if not gathered.items:
                return _nothing_to_do(gathered, look)
            session_id = app.new_session(gathered, name=name)
            if cluster is None:
                return _work(
                    app, session_id, look, refresh=refresh, problems=len(gathered.problems)
                )
        return _hand_over(settings, session_id, look, cluster)
    finally:
        logs.stop()


def resume(
    settings_with: Callable[[dict[str, Any]], Settings],
    session: str | None,
    look: Look,
    *,
    failed_too: bool,
    in_doubt: str = "ask",
) -> int:
    """Complete a session with the settings it was started with; flags win over those."""
    first = settings_with({})
    logs.start(first)
    share_one_heap()
    try:
        with App(first) as app:
            session_id = app.session_id(session)
            stored = app.stored_flags(session_id)
            was_with_workers = ClusterStore(app.database, app.clock).get(session_id) is not None
            info = app.sessions.open_session(session_id).info()
        settings = settings_with(stored)
        if info.is_with_workers or info.status is SessionStatus.PAUSED:
            return steer.wish(settings, session_id, Wish.RESUME, as_json=look.as_json)
        with App(settings) as app:
            settle_doubts(app, session_id, in_doubt)
            left = app.sessions.prepare_resume(session_id, retry_failed=failed_too)
            if not left:
                what = "to try again" if failed_too else "to do"
                note(f"Nothing is left {what} in {session_id}.")
            if not was_with_workers:
                return _work(app, session_id, look, refresh=False, problems=None)
        return _hand_over(settings, session_id, look, Cluster())
    finally:
        logs.stop()


def _hand_over(settings: Settings, session_id: str, look: Look, cluster: Cluster) -> int:
    steer.need_cluster()
    from bulk_transcribe.cli import cluster as workers  # noqa: PLC0415 -- needs an extra

    return workers.hand_over(
        settings,
        session_id,
        cluster.priority,
        watch=cluster.watch,
        as_json=look.as_json,
        quiet=look.quiet,
    )


def settle_doubts(app: App, session_id: str, wish: str) -> None:
    """Ask, or do as the flag says, about paid requests whose answers were lost.

    Raises:
        ConfigError: `wish` is none of ask, resend and skip.
    """
    if wish not in {"ask", *Decision}:
        raise ConfigError(f"--in-doubt {wish!r} is not known: use ask, resend or skip.")
    settled = app.settle()
    doubts = [each for each in settled.in_doubt if each.session_id == session_id]
    if doubts:
        quoted = at_stake(doubts)
        stake = "" if quoted is None else f", {money(quoted)} at stake"
        note(f"{count(len(doubts), 'paid request')} in doubt{stake}: the answer was lost.")
    for line in explain(settled, lambda at: f"{at.astimezone():%H:%M}"):
        note(f"    {line}" if doubts else line)
    if not doubts:
        return
    if wish == "ask":
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            note("    Left alone. --in-doubt resend sends again (may pay twice), skip leaves out.")
            return
        note("    resend: send again, which may pay twice. skip: leave these videos out.")
        answer = input("resend, skip, or Enter to leave them alone: ").strip().lower()
        if answer not in set(Decision):
            return
        wish = answer
    app.decide(doubts, Decision(wish))


def plan(
    settings: Settings, request: InputRequest, look: Look, *, refresh: bool, probe: bool = True
) -> int:
    """Show what `run` would do."""
    logs.start(settings)
    try:
        with App(settings) as app:
            gathered = _gather(app, request, look)
            with _status("Asking for prices and a few captions…", look):
                made = app.plan(gathered.items, refresh=refresh, probe=probe)
            if look.as_json:
                print_json(_plan_json(made, gathered, app.price_trouble()))
            else:
                _print_plan(Console(), made, gathered, app)
            return _plan_code(app.price_trouble(), gathered)
    finally:
        logs.stop()


def _plan_code(trouble: BulkTranscribeError | None, gathered: Gathered) -> int:
    """Say what is wrong with the paid service or the list; the exit code."""
    if trouble is not None:
        note(f"error: {trouble.message}")
        if trouble.next_step:
            note(f"  next: {trouble.next_step}")
    if isinstance(trouble, StopBatchError):
        return _STOPPED
    if not gathered.items:
        note("No video was found in the input.")
        return _USAGE
    return _SOME_NOT if gathered.problems or trouble is not None else _DONE


def _gather(app: App, request: InputRequest, look: Look) -> Gathered:
    if not request.arguments and (sys.stdin is None or sys.stdin.isatty()):
        raise InputError(
            "There is nothing to transcribe.",
            next_step="Give links, files, playlists or channels, or - for standard input.",
        )
    with _status("Reading the list…", look):
        gathered = app.gather(request, stdin=sys.stdin)
    only_stdin = set(request.arguments) <= {"-"}
    if only_stdin and not (gathered.items or gathered.problems):
        raise InputError(
            "Standard input was empty.",
            next_step="Pipe links into it, one a line, or give links, files or playlists.",
            code="empty_input",
        )
    for problem in gathered.problems[:_PROBLEMS_SHOWN]:
        place = problem.origin if problem.line is None else f"{problem.origin}, line {problem.line}"
        note(f"not understood: {place}: {one_line(problem.text, 80)!r}: {problem.message}")
        if problem.suggestion:
            note(f"    {problem.suggestion}")
    if len(gathered.problems) > _PROBLEMS_SHOWN:
        note(f"… and {len(gathered.problems) - _PROBLEMS_SHOWN} more lines like these.")
    if gathered.duplicates:
        note(f"{count(len(gathered.duplicates), 'duplicate')} left out: each video is done once.")
    for line in (*gathered.warnings, *app.warnings()):
        note(line)
    return gathered


def _status(line: str, look: Look) -> AbstractContextManager[object]:
    """A line that moves while something takes its time; nothing where nobody watches."""
    console = Console(stderr=True)
    watched = console.is_terminal and not (look.quiet or look.as_json)
    return console.status(line) if watched else nullcontext()


def _nothing_to_do(gathered: Gathered, look: Look) -> int:
    if look.as_json:
        print_json({"session": None, "total": 0, "done": 0, "problems": len(gathered.problems)})
    note("No video was found in the input.")
    return _USAGE


def _work(app: App, session_id: str, look: Look, *, refresh: bool, problems: int | None) -> int:
    with app.engine(session_id, refresh=refresh) as engine:
        with Interrupts(engine.control, engine.in_flight, note):
            result = _watch(engine, look, limit=app.settings.rate_limit_rpm)
        requests = engine.requests()
    if look.as_json:
        print_json(_result_json(result, requests, problems))
    if not look.as_json:
        _print_end(Console(), app, result)
    if result.stopped_by is not None:
        note(f"stopped: {result.stopped_by.message}")
        if result.stopped_by.next_step:
            note(f"  next: {result.stopped_by.next_step}")
        more = " --max-cost USD" if isinstance(result.stopped_by, CostLimitError) else ""
        note(f"  then: bulk-transcribe resume {session_id}{more}")
    return _exit_code(result, problems or 0)


def _watch(engine: Engine, look: Look, *, limit: int) -> BatchResult:
    """Run the engine in its own thread and draw until it ends; its errors come out here."""
    quiet = look.quiet or look.as_json
    view = choose_view(quiet=quiet, limit=limit, began_at=engine.now())
    with view:
        running = engine.start()
        while not running.is_over(wait_s=view.interval_s):
            view.draw(engine.snapshot())
        view.draw(engine.snapshot())
    return running.result()


def _exit_code(result: BatchResult, problems: int) -> int:
    if result.stopped_by is not None:
        return _STOPPED
    if result.was_interrupted and not result.is_complete:
        return _INTERRUPTED
    return _DONE if result.is_complete and not problems else _SOME_NOT


def _result_json(result: BatchResult, requests: int, problems: int | None) -> dict[str, Any]:
    totals = result.totals
    found: dict[str, Any] = {
        "session": result.session_id,
        "total": totals.total,
        "done": totals.done,
        "failed": totals.failed,
        "skipped": totals.skipped,
        "cancelled": totals.cancelled + totals.queued + totals.active,
        "in_doubt": totals.in_doubt,
        "requests": requests,
        "restored": result.restored,
        "spent_usd": str(result.spent_usd),
        "elapsed_s": round(result.elapsed_s, 3),
        "stopped_by": result.stopped_by.code if result.stopped_by else None,
    }
    return found if problems is None else found | {"problems": problems}


def _print_end(console: Console, app: App, result: BatchResult) -> None:
    totals = result.totals
    info = app.sessions.open_session(result.session_id).info()
    spent = money(result.spent_usd)
    took = short_time(result.elapsed_s)
    console.print(
        f"{count(totals.total, 'video')}: {counts_text(totals)} in {took}, spent {spent}."
    )
    console.print(f"Files: {info.out_dir}", markup=False)
    if result.restored:
        gone = count(result.restored, "finished video")
        console.print(f"Written again, because files were gone: {gone}.")
    if totals.failed or totals.skipped or totals.in_doubt:
        console.print(f"Why: bulk-transcribe status {result.session_id}")
    left = totals.cancelled + totals.queued + totals.active
    if left and result.stopped_by is None:  # what a stop asks for is said with its cause
        console.print(f"Complete it with: bulk-transcribe resume {result.session_id}")


def _plan_json(
    made: BatchPlan, gathered: Gathered, trouble: BulkTranscribeError | None
) -> dict[str, Any]:
    forecast = made.forecast
    cost, share, probe = forecast.cost_usd, forecast.free_share, forecast.probe
    return {
        "videos": forecast.videos,
        "known": forecast.known,
        "unknown_duration": forecast.unknown_duration,
        "problems": len(gathered.problems),
        "not_understood": [
            {
                "origin": problem.origin,
                "line": problem.line,
                "text": problem.text,
                "message": problem.message,
                "suggestion": problem.suggestion,
            }
            for problem in gathered.problems
        ],
        "price_error": None if trouble is None else trouble.message,
        "duplicates": len(gathered.duplicates),
        "material_s": forecast.material_s,
        "requests": [forecast.requests.low, forecast.requests.high],
        "time_s": {str(order): [r.low, r.high] for order, r in forecast.time_s.items()},
        "cost_usd": [str(cost[0]), str(cost[1])] if cost else None,
        "cost_likely_usd": _text(forecast.cost_likely_usd),
        "max_cost_usd": _text(forecast.max_cost_usd),
        "free_share": [share.low, share.high] if share else None,
        "probe": {
            "asked": probe.asked,
            "free": len(probe.free),
            "paid": len(probe.paid),
            "unavailable": len(probe.neither),
            "note": probe.note,
        }
        if probe
        else None,
        "balance_usd": _text(forecast.balance_usd),
        "affordable": forecast.affordable,
        "order": str(made.order),
        "video_ids": [item.video_id for item in made.items],
    }


def _print_plan(console: Console, made: BatchPlan, gathered: Gathered, app: App) -> None:
    forecast, settings = made.forecast, app.settings
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_row("videos", f"{forecast.videos:,}")
    table.add_row("known already", f"{forecast.known:,} (free)")
    table.add_row("lines not understood", f"{len(gathered.problems):,}")
    table.add_row("duplicates", f"{len(gathered.duplicates):,}")
    unknown = (
        f", {forecast.unknown_duration:,} of unknown length" if forecast.unknown_duration else ""
    )
    table.add_row("material", short_time(forecast.material_s) + unknown)
    slots = settings.parallel.slots
    for order, span in forecast.time_s.items():
        chosen = " (chosen)" if order == made.order else ""
        table.add_row(
            f"time, {order}{chosen}", f"{time_range(span.low, span.high)} with -j {slots}"
        )
    if forecast.probe is not None:
        table.add_row("captions", _captions(forecast, forecast.probe, app))
    table.add_row("cost", _cost(forecast, app))
    if forecast.max_cost_usd is not None:
        table.add_row("cost limit", _limit(forecast, forecast.max_cost_usd))
    table.add_row("balance", _balance(forecast))
    to_do = forecast.videos - forecast.known
    if forecast.affordable is not None and forecast.affordable < to_do:
        enough_for = f"{forecast.affordable:,} of {count(to_do, 'video')}"
        table.add_row("enough for", f"{enough_for}, if each has to be paid for")
    console.print(table)


def _captions(forecast: Forecast, probe: CaptionProbe, app: App) -> str:
    if not probe.asked:
        return f"nobody could be asked: {probe.note}"
    found = f"{len(probe.free)} of {probe.asked} asked have them"
    if app.deapi is None or "deapi" not in app.settings.sources:
        lacks = "without a deAPI key" if app.deapi is None else "from captions alone"
        return f"{found}; a video without them cannot be done {lacks}"
    share = forecast.free_share
    if share is None or forecast.videos == forecast.known:
        return found
    if f"{share.low:.0%}" == f"{share.high:.0%}":
        return f"{found}; {share.low:.0%} of the rest are free"
    return f"{found}; of the rest {share.low:.0%} to {share.high:.0%} are likely free"


def _cost(forecast: Forecast, app: App) -> str:
    if forecast.cost_usd is None:
        if app.deapi is None:
            return "not known without a deAPI key"
        return "not known: deAPI gave no prices"
    low, high = map(money, forecast.cost_usd)
    if forecast.cost_likely_usd is not None:
        likely = money(forecast.cost_likely_usd)
        return likely if low == high else f"{low} to {high}, likely {likely}"
    return low if low == high else f"{low} (captions for all) to {high} (none has captions)"


def _limit(forecast: Forecast, limit_usd: Decimal) -> str:
    if forecast.cost_usd is None:
        return money(limit_usd)
    low, high = forecast.cost_usd
    if high <= limit_usd:
        return f"{money(limit_usd)}, enough"
    return f"{money(limit_usd)}, {'too little' if low > limit_usd else 'may be reached'}"


def _balance(forecast: Forecast) -> str:
    balance = money(forecast.balance_usd)
    if forecast.balance_usd is None or forecast.cost_usd is None:
        return balance
    left_usd = forecast.balance_usd - forecast.cost_usd[1]
    return f"{balance}, enough" if left_usd >= LEAST_BALANCE_USD else balance


def _text(amount_usd: Decimal | None) -> str | None:
    return None if amount_usd is None else str(amount_usd)
