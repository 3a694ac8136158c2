"""A batch before it starts: what was given, what was understood, what is chosen. No drawing."""

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pathvalidate import sanitize_filename

from bulk_transcribe.app import App, Gathered, InputRequest
from bulk_transcribe.app.launch import Launcher, Wanted
from bulk_transcribe.config import ParallelConfig, Settings
from bulk_transcribe.core.figures import count, money
from bulk_transcribe.core.order import Order
from bulk_transcribe.core.plan import CaptionProbe, Forecast
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import BulkTranscribeError, ConfigError, InputError
from bulk_transcribe.inputs.problem import Problem
from bulk_transcribe.inputs.readers import STDIN_NAME
from bulk_transcribe.ui.background import News

#: A batch larger than this is better started from the command line, which has no such bound.
MOST_VIDEOS: Final = 50_000
#: More lines than this that are no links are a wrong file, or the wrong column.
MOST_PROBLEMS: Final = 10_000
#: A list of 50,000 links with titles has 10 million bytes.
MOST_UPLOAD_MB: Final = 20
MOST_FILES: Final = 10
MOST_CHARACTERS: Final = 2_000_000
#: Rows of a table that a browser is given.
MOST_ROWS: Final = 10_000

PASTED: Final = "pasted text"
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*|any")

Tell = Callable[[str, int, int | None], None]

#: What can be chosen as sources: value -> words.
SOURCE_CHOICES: Final[Mapping[tuple[str, ...], str]] = MappingProxyType(
    {
        ("captions", "deapi"): "Free captions first, deAPI for the rest",
        ("captions",): "Free captions only",
        ("deapi",): "deAPI for all of them (paid)",
    }
)
BLOCK_CHOICES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "wait": "Wait until it answers again",
        "pay": "Go on to deAPI (paid)",
        "fail": "Give these videos up",
    }
)
ORDER_CHOICES: Final[Mapping[Order, str]] = MappingProxyType(
    {
        Order.SHORTEST_FIRST: "Shortest first",
        Order.LONGEST_FIRST: "Longest first",
        Order.INPUT: "As in the list",
    }
)

FORMATS_HELP: Final = (
    "md: notes with clickable times. srt, vtt: subtitles. txt: words. json: everything."
)


@dataclass(frozen=True, kw_only=True)
class Given:
    """What the user gave. Two that are equal read the same.

    Args:
        text: As pasted.
        files: Stored uploads, in order.
        columns: Column of links by file, where another one was chosen than would be found.
        newest: Take at most so many videos; None takes all.
        since: Leave out older videos of playlists and channels.
        prefer_playlist: A watch link that names a playlist stands for the playlist.
    """

    text: str = ""
    files: tuple[Path, ...] = ()
    columns: tuple[tuple[Path, str], ...] = ()
    newest: int | None = None
    since: date | None = None
    prefer_playlist: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to read."""
        return not self.text.strip() and not self.files

    def request(self) -> InputRequest:
        """The same as the command line would ask; the text comes by standard input.

        Pasted text is never taken for the name of a file.
        """
        arguments = tuple(str(path) for path in self.files)
        return InputRequest(
            arguments=(("-",) if self.text.strip() else ()) + arguments,
            limit=min(self.newest or MOST_VIDEOS, MOST_VIDEOS),
            since=self.since,
            columns={str(path): column for path, column in self.columns},
            most_problems=MOST_PROBLEMS,
            prefer_playlist=self.prefer_playlist,
        )


@dataclass(frozen=True, kw_only=True)
class Choice:
    """How it is to be done, as chosen on the page."""

    sources: tuple[str, ...]
    languages: str
    formats: Sequence[str]
    out: str
    when_blocked: str
    order: Order
    max_cost_usd: Decimal | None = None
    parallel: ParallelConfig = field(default_factory=ParallelConfig)


@dataclass(frozen=True, kw_only=True)
class Outlook:
    """A forecast, and what the user should know before the start."""

    forecast: Forecast
    order: Order
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Begun:
    """A session that was made. `trouble` says why no engine works on it; None: one does."""

    session_id: str
    trouble: BulkTranscribeError | None = None


def stored_name(name: str, number: int) -> str:
    """A safe file name for an upload that keeps its ending; never empty."""
    safe = sanitize_filename(Path(name.replace("\\", "/")).name, platform="universal")
    safe = safe.lstrip(".-~ ")[-100:]
    return safe or f"file {number}"


def refuse_oversize(size_bytes: int, name: str) -> None:
    """Refuse an upload that is too big.

    Raises:
        InputError: with its size and the bound.
    """
    if size_bytes > MOST_UPLOAD_MB * 1_000_000:
        raise InputError(
            f"{name} has {size_bytes / 1e6:,.0f} MB; a page takes up to {MOST_UPLOAD_MB} MB.",
            next_step="Save the column of links alone as .csv or .txt, or use the command line.",
            code="too_big",
        )


def read_batch(settings: Settings, given: Given, tell: Tell) -> Gathered:
    """Read the lists and look up titles and lengths; places read "pasted text, line 3".

    Raises:
        BulkTranscribeError: nothing could be read; single bad lines are in the result.
    """
    with App(settings) as app:
        gathered = app.gather(given.request(), stdin=io.StringIO(given.text), progress=tell)
    return _without_stdin(gathered)


def look_ahead(
    settings: Settings, items: Sequence[VideoItem], answers: CaptionProbe | None, tell: Tell
) -> Outlook:
    """The forecast; asks the service for a few prices and the balance.

    A few videos are asked for captions, unless there are `answers` of an earlier forecast.

    Raises:
        BulkTranscribeError: a setting or the database cannot be used.
    """
    tell("prices and balance", 0, None)
    with App(settings) as app:
        plan = app.plan(items, answers=answers, progress=tell)
        return Outlook(forecast=plan.forecast, order=plan.order, warnings=app.warnings())


def begin(settings: Settings, launch: Launcher, gathered: Gathered, name: str, tell: Tell) -> Begun:
    """Store the session, then start an engine for it.

    Raises:
        BulkTranscribeError: nothing was stored. Where only the engine did not start the session
            is kept, and `Begun.trouble` says why.
    """
    tell("storing the list", 0, None)
    with App(settings) as app:
        session_id = app.new_session(gathered, name=name)
    tell("starting the engine", 0, None)
    overrides = {
        "rate_limit_mode": settings.rate_limit_mode,
        "rate_limit_rpm": str(settings.rate_limit_rpm),
    }
    try:
        launch.start(session_id, Wanted(overrides=overrides))
    except BulkTranscribeError as error:
        return Begun(session_id=session_id, trouble=error)
    return Begun(session_id=session_id)


def settings_for(base: Settings, choice: Choice) -> Settings:
    """The settings of a session with this choice.

    Raises:
        ConfigError: what of it cannot be used, in words for the page.
    """
    problems = list(choice.parallel.problems())
    languages = languages_of(choice.languages, problems)
    if not choice.formats:
        problems.append("Choose at least one format.")
    if not choice.out.strip() or "\0" in choice.out:
        problems.append("Name a folder for the files.")
    if problems:
        raise ConfigError(" ".join(problems))
    try:
        out = Path(choice.out.strip()).expanduser()
    except RuntimeError as error:  # "~somebody" who is not there
        raise ConfigError(f"There is no user for the folder {choice.out!r}.") from error
    return replace(
        base,
        sources=choice.sources,
        languages=languages,
        formats=tuple(choice.formats),
        out=out,
        when_blocked=choice.when_blocked,
        order=choice.order,
        max_cost_usd=choice.max_cost_usd,
        max_concurrent=choice.parallel.slots,
        rate_limit_rpm=choice.parallel.rate_limit_rpm,
        rate_limit_mode=choice.parallel.rate_limit_mode,
    )


def languages_of(text: str, problems: list[str]) -> tuple[str, ...]:
    """Language codes in order, each once; what is none is added to `problems`."""
    words = tuple(dict.fromkeys(word for part in text.split(",") if (word := part.strip())))
    wrong = [word for word in words if not _LANGUAGE.fullmatch(word)]
    if wrong:
        shown = ", ".join(wrong)
        problems.append(f"{shown}: not a language code. Give codes such as en, de, pt-BR, or any.")
    if not words:
        problems.append('Name a language such as en, or "any".')
    return words


def outlook_key(settings: Settings, number: int) -> str:
    """Of what a forecast is: equal keys give equal forecasts for the list of this number."""
    parts = (
        settings.sources,
        settings.languages,
        settings.order,
        settings.max_concurrent,
        settings.rate_limit_rpm,
        settings.max_cost_usd,
        settings.model,
        bool(settings.deapi_api_key),
    )
    return f"{number}:{parts!r}"


def probe_key(settings: Settings, number: int) -> str:
    """Of what the answers about captions are: they hold for one list and its languages."""
    return f"{number}:{settings.languages!r}"


def outlook_text(news: News) -> str:
    """What the forecast is at, in words."""
    if news.of is None:
        return "Asking for prices and the balance"
    return f"Asking for {news.what}: {news.done} of {news.of}"


def progress_text(news: News) -> str:
    """What the reading of a list is at, in words."""
    if news.of is not None:
        return f"Looking up {news.what}: {news.done:,} of {count(news.of, 'video')}"
    if news.done:
        return f"Reading the list: {count(news.done, 'video')} so far"
    return "Reading the list"


def is_cut_off(gathered: Gathered, given: Given) -> bool:
    """Whether the list may go on beyond what was read of it."""
    limit = given.request().limit
    return limit is not None and len(gathered.items) >= limit and given.newest is None


def money_warnings(outlook: Outlook) -> tuple[str, ...]:
    """What balance and cost limit may not be enough for; empty where they are, or nobody knows."""
    forecast = outlook.forecast
    if forecast.cost_usd is None:
        return ()
    low, high = forecast.cost_usd
    found = []
    for name, amount in (("balance", forecast.balance_usd), ("limit", forecast.max_cost_usd)):
        if amount is not None and amount < low:
            found.append(
                f"The {name} is not enough for this batch: what it cannot pay is kept for later."
            )
        elif amount is not None and amount < high:
            found.append(f"The {name} may not be enough; what it cannot pay is kept for later.")
    if found and forecast.affordable is not None:
        found.append(
            f"There is money for {count(forecast.affordable, 'paid video')} in this order."
        )
    return tuple(found)


def cost_text(forecast: Forecast) -> str:
    """The one figure for the cost: the likely one, else the highest there can be."""
    if forecast.cost_usd is None:
        return "not known"
    if forecast.cost_likely_usd is not None:
        return money(forecast.cost_likely_usd)
    low, high = map(money, forecast.cost_usd)
    return low if low == high else f"up to {high}"


def forecast_notes(forecast: Forecast) -> tuple[str, ...]:
    """What stands behind the figures, a sentence each."""
    notes = []
    if forecast.cost_usd is not None and forecast.cost_usd[0] != forecast.cost_usd[1]:
        low, high = map(money, forecast.cost_usd)
        notes.append(f"Cost: {low} to {high}.")
    probe = forecast.probe
    if probe is not None and probe.asked:
        notes.append(f"{len(probe.free)} of {count(probe.asked, 'video')} asked have captions.")
        if forecast.free_share is not None and forecast.videos > forecast.known:
            low_share, high_share = (
                f"{forecast.free_share.low:.0%}",
                f"{forecast.free_share.high:.0%}",
            )
            share = low_share if low_share == high_share else f"{low_share} to {high_share}"
            notes.append(f"Of the rest {share} are likely free.")
    elif probe is not None:
        notes.append(f"How many have captions could not be found out: {probe.note}")
    if forecast.known:
        notes.append(f"{count(forecast.known, 'video')} known already, free.")
    if forecast.unknown_duration:
        unknown = count(forecast.unknown_duration, "video")
        notes.append(f"{unknown} of unknown length, counted with an average.")
    return tuple(notes)


def item_columns(items: Iterable[VideoItem]) -> dict[str, list[object]]:
    """The table of what was understood, column by column."""
    rows = list(items)
    return {
        "#": list(range(1, len(rows) + 1)),
        "Title": [item.title or "" for item in rows],
        "Channel": [item.channel or "" for item in rows],
        "Length": [length_text(item.duration_s) for item in rows],
        "Video": [item.url for item in rows],
        "From": [item.origin for item in rows],
    }


def problem_columns(problems: Iterable[Problem]) -> dict[str, list[object]]:
    """The table of what was not understood, column by column."""
    rows = list(problems)
    return {
        "Where": [problem.place for problem in rows],
        "Text": [problem.text for problem in rows],
        "What is wrong": [problem.message for problem in rows],
        "What to do": [problem.suggestion for problem in rows],
    }


def length_text(duration_s: float | None) -> str:
    """A length as players show it: "3:07", "1:02:09"; "" where it is not known."""
    if not duration_s:
        return ""
    minutes, seconds = divmod(round(duration_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def _without_stdin(gathered: Gathered) -> Gathered:
    def said(origin: str) -> str:
        return PASTED + origin[len(STDIN_NAME) :] if origin.startswith(STDIN_NAME) else origin

    return replace(
        gathered,
        items=tuple(replace(item, origin=said(item.origin)) for item in gathered.items),
        problems=tuple(replace(each, origin=said(each.origin)) for each in gathered.problems),
        duplicates=tuple(
            replace(each, origin=said(each.origin), first_origin=said(each.first_origin))
            for each in gathered.duplicates
        ),
    )
