"""The command `bulk-transcribe`: one function a command, each thin, and the exit codes.

Heavy modules are imported inside the commands, so that `--help` answers at once.
"""

import os
import sys
import threading
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from bulk_transcribe.cli import options
from bulk_transcribe.config import Settings
from bulk_transcribe.errors import (
    BulkTranscribeError,
    ConfigError,
    InputError,
    StopBatchError,
    StoppedError,
)

EXIT_DONE = 0  # every video has its transcript
EXIT_SOME_NOT = 1
EXIT_USAGE = 2
EXIT_STOPPED = 3  # key, credit, cost limit, disk or database
EXIT_INTERRUPTED = 130

app = typer.Typer(
    name="bulk-transcribe",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    help="Transcripts of many YouTube videos: free captions first, deAPI for the rest.",
    epilog="Exit codes: 0 all done, 1 some not, 2 usage, 3 stopped for key, credit, cost "
    "limit or disk, 130 interrupted.",
)


def _show_version(value: bool) -> None:  # noqa: FBT001 -- typer's callback shape
    if value:
        print(f"bulk-transcribe {version('bulk-transcribe')}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    home: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the database and the log.  [env var: BULK_TRANSCRIBE_HOME]",
            show_default=False,
        ),
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="PostgreSQL database to use instead of the file, for several machines; "
            "others on this machine can read a command line, so put a password into the "
            "variable.  [env var: DATABASE_URL]",
            show_default=False,
        ),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Read the options that every command has."""
    context.obj = {"home": home, "database_url": database, "environ": dict(os.environ)}


def main() -> None:
    """Run the command line and leave with its exit code."""
    threading.excepthook = _tell_of_thread
    try:
        app()
    except BulkTranscribeError as error:
        sys.exit(_explain(error))
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # whoever read our output has gone (head, less): nothing more can be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_DONE)
    except Exception as bug:  # noqa: BLE001 -- the last edge: no traceback with a key in it
        from bulk_transcribe.cli import crash

        print(crash.report(bug, os.environ, Path.cwd(), sys.argv), file=sys.stderr)
        sys.exit(EXIT_SOME_NOT)


def _tell_of_thread(ended: threading.ExceptHookArgs) -> None:
    from bulk_transcribe.cli import crash

    crash.tell_of_thread(ended, os.environ, Path.cwd())


def _explain(error: BulkTranscribeError) -> int:
    print(f"error: {error.message}", file=sys.stderr)
    if error.next_step:
        print(f"  next: {error.next_step}", file=sys.stderr)
    match error:
        case ConfigError() | InputError():
            return EXIT_USAGE
        case StopBatchError():
            return EXIT_STOPPED
        case StoppedError():
            return EXIT_INTERRUPTED
        case _:
            return EXIT_SOME_NOT


@app.command(
    epilog="Example: bulk-transcribe run videos.txt https://youtu.be/jNQXAC9IVRw -j 10 -o notes"
)
def run(
    context: typer.Context,
    inputs: options.Inputs = None,
    limit: options.Limit = None,
    since: options.Since = None,
    url_column: options.UrlColumn = None,
    playlist: options.PreferPlaylist = False,
    strict: options.Strict = False,
    sources: options.Sources = None,
    languages: options.Languages = None,
    concurrency: options.Concurrency = None,
    order: options.OrderName = None,
    rate_limit: options.RateLimit = None,
    rate_mode: options.RateMode = None,
    when_blocked: options.WhenBlocked = None,
    max_cost: options.MaxCost = None,
    model: options.Model = None,
    refresh: options.Refresh = False,
    out: options.Out = None,
    formats: options.Formats = None,
    name: Annotated[
        str, typer.Option(help="A name for the session.", rich_help_panel="Output")
    ] = "",
    cluster: Annotated[
        bool,
        typer.Option(
            "--cluster",
            help="Give the videos to the workers, and watch.",
            rich_help_panel="Cluster",
        ),
    ] = False,
    priority: Annotated[
        str,
        typer.Option(
            metavar="low|normal|high",
            help="With --cluster: each word gets four times as much as the one before.",
            rich_help_panel="Cluster",
        ),
    ] = "normal",
    watch: Annotated[
        bool,
        typer.Option(
            "--watch/--no-watch",
            help="With --cluster: look on until the end, and write the files.",
            rich_help_panel="Cluster",
        ),
    ] = True,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Transcribe videos: read the inputs, plan, work, and leave files."""
    from bulk_transcribe.cli import work

    loaded = options.settings(
        context,
        sources=sources,
        languages=languages,
        max_concurrent=concurrency,
        order=order,
        rate_limit_rpm=rate_limit,
        rate_limit_mode=rate_mode,
        when_blocked=when_blocked,
        max_cost_usd=max_cost,
        model=model,
        out=out,
        formats=formats,
    )
    request = work.InputRequest(
        arguments=tuple(inputs or ()),
        limit=limit,
        since=options.day(since),
        url_column=url_column,
        prefer_playlist=playlist,
        strict=strict,
    )
    look = work.Look(as_json=as_json, quiet=quiet)
    handed = work.Cluster(priority=priority, watch=watch) if cluster else None
    raise typer.Exit(
        work.run(loaded.settings, request, look, name=name, refresh=refresh, cluster=handed)
    )


@app.command(epilog="Example: bulk-transcribe plan playlist.csv -j 10")
def plan(
    context: typer.Context,
    inputs: options.Inputs = None,
    limit: options.Limit = None,
    since: options.Since = None,
    url_column: options.UrlColumn = None,
    playlist: options.PreferPlaylist = False,
    strict: options.Strict = False,
    sources: options.Sources = None,
    languages: options.Languages = None,
    concurrency: options.Concurrency = None,
    order: options.OrderName = None,
    rate_limit: options.RateLimit = None,
    max_cost: options.MaxCost = None,
    refresh: options.Refresh = False,
    probe: options.Probe = True,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what `run` would do: counts, order, time and cost, as far as known. Starts nothing."""
    from bulk_transcribe.cli import work

    loaded = options.settings(
        context,
        sources=sources,
        languages=languages,
        max_concurrent=concurrency,
        order=order,
        rate_limit_rpm=rate_limit,
        max_cost_usd=max_cost,
    )
    request = work.InputRequest(
        arguments=tuple(inputs or ()),
        limit=limit,
        since=options.day(since),
        url_column=url_column,
        prefer_playlist=playlist,
        strict=strict,
    )
    look = work.Look(as_json=as_json, quiet=quiet)
    raise typer.Exit(work.plan(loaded.settings, request, look, refresh=refresh, probe=probe))


@app.command(epilog="Example: bulk-transcribe resume 20261124 -j 20")
def resume(
    context: typer.Context,
    session: options.SessionId = None,
    concurrency: options.Concurrency = None,
    rate_limit: options.RateLimit = None,
    when_blocked: options.WhenBlocked = None,
    max_cost: options.MaxCost = None,
    model: options.Model = None,
    in_doubt: options.InDoubt = "ask",
    out: options.Out = None,
    formats: options.Formats = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Complete a session that was interrupted or stopped. Nothing finished is done again."""
    _continue(
        context,
        session,
        failed_too=False,
        in_doubt=in_doubt,
        as_json=as_json,
        quiet=quiet,
        max_concurrent=concurrency,
        rate_limit_rpm=rate_limit,
        when_blocked=when_blocked,
        max_cost_usd=max_cost,
        model=model,
        out=out,
        formats=formats,
    )


@app.command(epilog="Example: bulk-transcribe retry --sources captions,deapi")
def retry(
    context: typer.Context,
    session: options.SessionId = None,
    sources: options.Sources = None,
    languages: options.Languages = None,
    concurrency: options.Concurrency = None,
    when_blocked: options.WhenBlocked = None,
    max_cost: options.MaxCost = None,
    model: options.Model = None,
    in_doubt: options.InDoubt = "ask",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Try the failed and skipped videos again that can succeed, and whatever is unfinished."""
    _continue(
        context,
        session,
        failed_too=True,
        in_doubt=in_doubt,
        as_json=as_json,
        quiet=quiet,
        sources=sources,
        languages=languages,
        max_concurrent=concurrency,
        when_blocked=when_blocked,
        max_cost_usd=max_cost,
        model=model,
    )


def _continue(
    context: typer.Context,
    session: str | None,
    *,
    failed_too: bool,
    in_doubt: str,
    as_json: bool,
    quiet: bool,
    **flags: str | int | Path | None,
) -> None:
    from bulk_transcribe.cli import work

    given = {name: value for name, value in flags.items() if value is not None}
    look = work.Look(as_json=as_json, quiet=quiet)

    def settings_with(stored: dict[str, object]) -> work.Settings:
        return options.settings(context, **(stored | given)).settings

    raise typer.Exit(
        work.resume(settings_with, session, look, failed_too=failed_too, in_doubt=in_doubt)
    )


@app.command(epilog="Example: bulk-transcribe worker -j 20")
def worker(
    context: typer.Context,
    slots: Annotated[
        int, typer.Option("-j", "--concurrency", help="Videos in hand at once.", min=1, max=512)
    ] = 10,
) -> None:
    """Work on the videos of `run --cluster`, from any machine, until told to leave."""
    from bulk_transcribe.cli import steer

    steer.need_cluster()
    from bulk_transcribe.cli import cluster

    def settings_with(stored: Mapping[str, object]) -> Settings:
        return options.settings(context, **stored).settings

    raise typer.Exit(cluster.worker(settings_with({}), settings_with, slots))


@app.command(epilog="Example: bulk-transcribe workers")
def workers(context: typer.Context, as_json: options.Json = False) -> None:
    """List the workers: host, slots, what they do, and when they were heard of."""
    from bulk_transcribe.cli import steer

    steer.need_cluster()
    from bulk_transcribe.cli import cluster

    raise typer.Exit(cluster.workers(options.settings(context).settings, as_json=as_json))


@app.command(epilog="Example: bulk-transcribe pause 20261124")
def pause(
    context: typer.Context, session: options.SessionId = None, as_json: options.Json = False
) -> None:
    """Start nothing new in a session that is at work, until `resume`."""
    from bulk_transcribe.cli import steer
    from bulk_transcribe.save.session import Wish

    settings = options.settings(context).settings
    raise typer.Exit(steer.wish(settings, session, Wish.PAUSE, as_json=as_json))


@app.command(epilog="Example: bulk-transcribe stop 20261124 --now")
def stop(
    context: typer.Context,
    session: options.SessionId = None,
    now: Annotated[bool, typer.Option("--now", help="End what is in flight, too.")] = False,
    as_json: options.Json = False,
) -> None:
    """End a session that is at work, when what is in flight has ended."""
    from bulk_transcribe.cli import steer
    from bulk_transcribe.save.session import Wish

    settings = options.settings(context).settings
    value = "now" if now else ""
    raise typer.Exit(steer.wish(settings, session, Wish.STOP, value, as_json=as_json))


@app.command(epilog="Example: bulk-transcribe reclaim")
def reclaim(
    context: typer.Context, as_json: options.Json = False, quiet: options.Quiet = False
) -> None:
    """Fetch what was paid for and not yet fetched, in all sessions. Nothing is paid."""
    from bulk_transcribe.cli import reclaim as late

    loaded = options.settings(context)
    raise typer.Exit(late.run(loaded.settings, as_json=as_json, quiet=quiet))


@app.command(epilog="Example: bulk-transcribe webhooks")
def webhooks(context: typer.Context, as_json: options.Json = False) -> None:
    """Receive deAPI's webhooks until Ctrl-C, for all runs and for jobs of runs that are over."""
    from bulk_transcribe.cli import webhooks as receiver

    raise typer.Exit(receiver.run(options.settings(context).settings, as_json=as_json))


@app.command(epilog="Example: bulk-transcribe abandon jNQXAC9IVRw --yes")
def abandon(
    context: typer.Context,
    jobs: Annotated[
        list[str], typer.Argument(metavar="VIDEO|JOB", help="Video ids, or ids of jobs.")
    ],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: options.Json = False,
) -> None:
    """Give up jobs that were paid for and never end: their videos may then be paid for again."""
    from bulk_transcribe.cli import reclaim as late

    loaded = options.settings(context)
    raise typer.Exit(late.abandon(loaded.settings, tuple(jobs), yes=yes, as_json=as_json))


@app.command(epilog="Example: bulk-transcribe status --json")
def status(
    context: typer.Context, session: options.SessionId = None, as_json: options.Json = False
) -> None:
    """Show a session: counts, videos in flight, failures with their cause, money, limits."""
    from bulk_transcribe.cli import inspect

    raise typer.Exit(inspect.status(options.settings(context).settings, session, as_json=as_json))


@app.command(epilog="Example: bulk-transcribe sessions")
def sessions(context: typer.Context, as_json: options.Json = False) -> None:
    """List all sessions, newest first."""
    from bulk_transcribe.cli import inspect

    raise typer.Exit(inspect.sessions(options.settings(context).settings, as_json=as_json))


@app.command(epilog="Example: bulk-transcribe receipts --csv > receipts.csv")
def receipts(
    context: typer.Context,
    session: options.SessionId = None,
    every: Annotated[
        bool, typer.Option("--all", help="All sessions, and what was paid in deleted ones.")
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="A table for spreadsheets.", rich_help_panel="Output")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Show what was tried for each video, when, and what it cost, to the last digit."""
    from bulk_transcribe.cli import receipts as bills

    if as_csv and as_json:
        raise InputError("Choose --csv or --json, not both.")
    raise typer.Exit(
        bills.run(
            options.settings(context).settings, session, every=every, as_csv=as_csv, as_json=as_json
        )
    )


@app.command(epilog="Example: bulk-transcribe export --format vtt,txt -o subtitles")
def export(
    context: typer.Context,
    session: options.SessionId = None,
    out: options.Out = None,
    formats: options.Formats = None,
    as_json: options.Json = False,
) -> None:
    """Write the files of a session again, from the store; nothing is asked for or paid."""
    from bulk_transcribe.cli import inspect

    loaded = options.settings(context, out=out, formats=formats)
    raise typer.Exit(
        inspect.export(
            loaded.settings,
            session,
            out=out,
            formats=loaded.settings.formats if formats else None,
            as_json=as_json,
        )
    )


@app.command(epilog="Example: bulk-transcribe demo")
def demo(
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="LINK|FILE",
            help="Other videos than the example list.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the files.")] = Path(
        "demo-transcripts"
    ),
    concurrency: options.Concurrency = "5",
    speed: Annotated[
        float, typer.Option(help="Clock seconds per real second.", min=1, max=200)
    ] = 20.0,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Run the whole program against a simulated YouTube and deAPI: no key, no network, no cost."""
    from bulk_transcribe.cli import demo as demonstration

    raise typer.Exit(
        demonstration.run(
            tuple(inputs or ()),
            out=out,
            concurrency=concurrency or "5",
            speed=speed,
            as_json=as_json,
            quiet=quiet,
        )
    )


@app.command(
    epilog="Example: bulk-transcribe simulate --port 8099 --plan basic --fault html_502=0.1"
)
def simulate(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="0 takes any free one.", min=0, max=65535)] = 0,
    seed: Annotated[int, typer.Option(help="Same seed, same behaviour.")] = 1,
    plan: Annotated[str, typer.Option(help="Account: premium or basic.")] = "premium",
    window: Annotated[
        str, typer.Option(help="How it counts a minute: fixed or sliding.")
    ] = "fixed",
    pools: Annotated[
        str, typer.Option(help="One pool or one per endpoint: shared, independent.")
    ] = "shared",
    latency: Annotated[
        str, typer.Option(help="Job times: brief (15 s + 8 s a minute) or field.")
    ] = "brief",
    balance: Annotated[str, typer.Option(help="Balance in USD.")] = "50",
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="A fault, such as html_502=0.1; ? lists them. May be repeated.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Serve a simulated YouTube and deAPI on 127.0.0.1 until Ctrl-C; prints what to set."""
    from bulk_transcribe.cli import demo as demonstration

    raise typer.Exit(
        demonstration.simulate(
            port=port,
            fields={
                "seed": seed,
                "plan": plan,
                "window": window,
                "pools": pools,
                "latency": latency,
                "balance_usd": balance,
                "clock_speed": options.settings(context).settings.clock_speed,
            },
            faults=tuple(fault or ()),
            as_json=as_json,
        )
    )


@app.command(epilog="Example: bulk-transcribe ui --port 8600 --no-browser")
def ui(
    context: typer.Context,
    port: Annotated[int, typer.Option(help="0 takes any free one.", min=0, max=65535)] = 8501,
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; with this one, only this machine can reach it."),
    ] = "127.0.0.1",
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
) -> None:
    """Open the page: start batches, watch and steer them. Ctrl-C ends the page, never a run."""
    from bulk_transcribe.cli import ui as page

    loaded = options.settings(context)
    raise typer.Exit(page.run(loaded.settings, host=host, port=port, opens_browser=not no_browser))


@app.command(epilog="Example: bulk-transcribe doctor --ui --newest 3")
def doctor(
    context: typer.Context,
    as_json: options.Json = False,
    page: Annotated[
        bool,
        typer.Option("--ui", help="Compare what the page shows of each session with the store."),
    ] = False,
    newest: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="With --ui: only the newest sessions."),
    ] = None,
) -> None:
    """Check keys, balance, reachability, versions, database and disk; says what to do."""
    settings = options.settings(context).settings
    if page:
        from bulk_transcribe.cli import page_check

        raise typer.Exit(page_check.run(settings, newest=newest, as_json=as_json))
    from bulk_transcribe.cli import doctor as checks

    raise typer.Exit(checks.run(settings, as_json=as_json))


@app.command(epilog="Example: bulk-transcribe config --json")
def config(context: typer.Context, as_json: options.Json = False) -> None:
    """Show every setting, its value and where it came from. Keys are never shown."""
    from bulk_transcribe.cli import inspect

    raise typer.Exit(inspect.config(options.settings(context), as_json=as_json))


if __name__ == "__main__":
    main()
