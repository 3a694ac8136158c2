"""The options that several commands share, each declared once."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from bulk_transcribe.config import LoadedSettings, load
from bulk_transcribe.errors import InputError

_INPUT = "Input"
_WORK = "Work"
_OUTPUT = "Output"

Inputs = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="LINK|FILE|-",
        help="Links, video ids, playlists, channels, or files (.txt .csv .tsv .xlsx .json); "
        "- reads from standard input.",
        show_default=False,
    ),
]
Limit = Annotated[
    int | None,
    typer.Option("--limit", min=1, help="Take at most this many videos.", rich_help_panel=_INPUT),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--since",
        metavar="YYYY-MM-DD",
        help="Leave out playlist and channel videos published before this day.",
        rich_help_panel=_INPUT,
    ),
]
UrlColumn = Annotated[
    str | None,
    typer.Option(
        "--url-column",
        metavar="NAME",
        help="Spreadsheet column that holds the links (found by itself if left out).",
        rich_help_panel=_INPUT,
    ),
]
PreferPlaylist = Annotated[
    bool,
    typer.Option(
        "--playlist",
        help="Take the whole playlist of a watch link that names one, not just the video.",
        rich_help_panel=_INPUT,
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Stop at the first line that cannot be read.", rich_help_panel=_INPUT
    ),
]
Refresh = Annotated[
    bool,
    typer.Option(
        "--refresh",
        help="Transcribe again what earlier sessions have already (paid again, too).",
        rich_help_panel=_WORK,
    ),
]
Sources = Annotated[
    str | None,
    typer.Option(
        "--sources",
        metavar="NAMES",
        help="Where to look, in this order: captions,deapi.",
        rich_help_panel=_WORK,
    ),
]
Languages = Annotated[
    str | None,
    typer.Option(
        "--languages",
        "-l",
        metavar="CODES",
        help='Wanted caption languages in order, such as "en,any".',
        rich_help_panel=_WORK,
    ),
]
Concurrency = Annotated[
    str | None,
    typer.Option(
        "--concurrency",
        "-j",
        metavar="N|auto",
        help="Videos in flight at once, 1 to 512.  [default: 1]",
        show_default=False,
        rich_help_panel=_WORK,
    ),
]
OrderName = Annotated[
    str | None,
    typer.Option(
        "--order",
        metavar="NAME",
        help="shortest-first (first results soonest), longest-first (all done soonest) or input.",
        rich_help_panel=_WORK,
    ),
]
RateLimit = Annotated[
    int | None,
    typer.Option(
        "--rate-limit",
        metavar="N",
        help="deAPI requests a minute that the account allows.  [default: 300]",
        show_default=False,
        rich_help_panel=_WORK,
    ),
]
RateMode = Annotated[
    str | None,
    typer.Option(
        "--rate-mode",
        metavar="NAME",
        help="auto, conservative (one pool) or aggressive (a pool per endpoint).",
        rich_help_panel=_WORK,
    ),
]
WhenBlocked = Annotated[
    str | None,
    typer.Option(
        "--when-blocked",
        metavar="NAME",
        help="When YouTube refuses captions to this address: wait, pay (go on to deAPI) or fail.",
        rich_help_panel=_WORK,
    ),
]
Probe = Annotated[
    bool,
    typer.Option(
        "--probe/--no-probe",
        help="Ask up to 8 of the videos for captions, to tell how many are likely free.",
        rich_help_panel=_WORK,
    ),
]
MaxCost = Annotated[
    str | None,
    typer.Option(
        "--max-cost",
        metavar="USD",
        help="Never pay more than this for the session, all its runs together; "
        "none lifts an earlier limit.  [default: no limit]",
        show_default=False,
        rich_help_panel=_WORK,
    ),
]
Model = Annotated[
    str | None,
    typer.Option("--model", metavar="SLUG", help="deAPI speech model.", rich_help_panel=_WORK),
]
InDoubt = Annotated[
    str,
    typer.Option(
        "--in-doubt",
        metavar="ask|resend|skip",
        help="Paid requests whose answer was lost: ask, send again (may pay twice), or leave out.",
        rich_help_panel=_WORK,
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder for the files.", rich_help_panel=_OUTPUT),
]
Formats = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        metavar="NAMES",
        help="Files per video: md,srt,vtt,txt,json.  [default: md,srt,json]",
        show_default=False,
        rich_help_panel=_OUTPUT,
    ),
]
Json = Annotated[
    bool,
    typer.Option("--json", help="Print JSON for scripts.", rich_help_panel=_OUTPUT),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress, only the end.", rich_help_panel=_OUTPUT),
]
SessionId = Annotated[
    str | None,
    typer.Argument(
        metavar="SESSION",
        help="Session id or its beginning; the newest one if left out.",
        show_default=False,
    ),
]


def settings(context: typer.Context, **flags: Any) -> LoadedSettings:
    """All settings, with the flags that were given (None: not given)."""
    common: dict[str, Any] = context.obj or {}
    everywhere = {name: common.get(name) for name in ("home", "database_url")}
    return load(everywhere | flags, common.get("environ", {}), Path.cwd())


def day(text: str | None) -> date | None:
    """The day of `--since`.

    Raises:
        InputError: it is not a day of the calendar.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--since {text!r} is not a day such as 2026-01-31.") from error
