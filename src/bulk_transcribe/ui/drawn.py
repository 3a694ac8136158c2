"""Draws the monitor page without a browser and reads it as a person would."""

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from streamlit.testing.v1 import AppTest

from bulk_transcribe.save.database import Database
from bulk_transcribe.ui import words
from bulk_transcribe.ui.compatibility import UICompatibilityChecker
from bulk_transcribe.ui.context import SESSION_PARAMETER
from bulk_transcribe.ui.shown import Shown, ShownBar, ShownMoney, ShownRow, ShownVideo
from bulk_transcribe.ui.truth import STOPPING, read_truth

_SCRIPT: Final = Path(__file__).with_name("main.py")
#: Real seconds within which the page of the largest session is drawn on a busy machine.
_PATIENCE_S: Final = 60.0

_STAGES: Final = {word: stage.value for stage, word in words.STAGES.items()}
_STATUSES: Final = {word: status.value for status, word in words.STATUSES.items()} | {
    words.STOPPING: STOPPING
}
#: What a figure is called on the page -> what it counts.
_FIGURES: Final = {
    "Done": "done",
    "Failed": "failed",
    "Active": "active",
    "Unfinished": "active",
    "Waiting": "waiting",
    "Skipped": "skipped",
    "Left for later": "cancelled",
    "In doubt": "in doubt",
}
_OVERALL: Final = re.compile(r"([\d,]+) of ([\d,]+) finished")
_NO_VIDEOS: Final = "No videos in this session"
_BADGE: Final = re.compile(r":[a-z]+-badge\[(?:[^\]]*: )?([^\]]+)\]")
_CARD: Final = re.compile(
    rf"([\w-]{{6,}}) · ({'|'.join(map(re.escape, sorted(_STAGES, key=len, reverse=True)))})(?: ·|$)"
)
_AT_REST: Final = "**Unfinished**"
_MORE: Final = re.compile(r"… and ([\d,]+) more in flight")
#: What `words.plain` parts afterthoughts with.
_JOINER: Final = "\u2060"
_ESCAPE: Final = re.compile(r"\\([!-/:-@\[-`{-~])")
_AMOUNT: Final = re.compile(r"\d+(\.\d+)?")
_WATCH: Final = re.compile(r"[?&]v=([\w-]+)")


def draw_monitor(session_id: str) -> Shown:
    """The monitor page of a session, drawn now, by the settings of this process's environment.

    One at a time in a process: the script runs inside of it.
    """
    script = AppTest.from_file(str(_SCRIPT), default_timeout=_PATIENCE_S)
    script.query_params[SESSION_PARAMETER] = session_id
    return read_monitor(script.run())


def read_monitor(page: AppTest) -> Shown:
    """What a drawn monitor page shows."""
    bars = page.get("progress")
    texts = [element.value for element in (*page.markdown, *page.caption)]
    words_at_bar = next((text for text in texts if _OVERALL.match(text)), "")
    # the bar of the whole is the one without words of its own: each video's bar has its title
    whole = next((bar.proto.value for bar in bars if not bar.proto.text), None)
    overall = None
    if whole is not None and words_at_bar:
        overall = ShownBar(percent=whole, text=words_at_bar)
    texts += [bar.proto.text for bar in bars]
    figures = {metric.label: metric.value for metric in page.metric}
    return Shown(
        troubles=(
            *(each.message for each in page.exception),
            *(each.value for each in page.error),
        ),
        status=_status(texts),
        figures=_counts(figures, texts),
        spent=_money(figures.get("Spent", "")),
        overall=overall,
        current=_current(texts),
        more_current=_more(texts),
        table=_table(page),
    )


def _status(texts: Iterable[str]) -> str | None:
    for text in texts:
        for word in _BADGE.findall(text):
            if word in _STATUSES:
                return _STATUSES[word]
    return None


def _counts(figures: Mapping[str, str], texts: Iterable[str]) -> dict[str, str]:
    found = {
        name: figures[label].replace(",", "")
        for label, name in _FIGURES.items()
        if label in figures
    }
    for text in texts:
        if overall := _OVERALL.match(text):
            finished, total = (number.replace(",", "") for number in overall.groups())
            return found | {"finished": finished, "total": total}
        if text == _NO_VIDEOS:
            return found | {"finished": "0", "total": "0"}
    return found


def _money(text: str) -> ShownMoney | None:
    amount = text.removeprefix("$").replace(",", "")
    if amount == text or not _AMOUNT.fullmatch(amount):
        return None
    places = len(amount.partition(".")[2])
    return ShownMoney(amount_usd=Decimal(amount), rounding_usd=Decimal(5).scaleb(-places - 1))


def _current(texts: Sequence[str]) -> tuple[ShownVideo, ...]:
    if _AT_REST in texts:  # left half way by a run that is over, and shown as that
        return ()
    found = (_CARD.match(_as_read(text)) for text in texts)
    return tuple(
        ShownVideo(video_id=card.group(1), stage=_STAGES[card.group(2)]) for card in found if card
    )


def _more(texts: Iterable[str]) -> int:
    found = (_MORE.fullmatch(text) for text in texts)
    return sum(int(more.group(1).replace(",", "")) for more in found if more)


def _as_read(text: str) -> str:
    """The text as the browser shows it: without what `words.plain` put into it."""
    return _ESCAPE.sub(r"\1", text.replace(_JOINER, ""))


def _table(page: AppTest) -> tuple[ShownRow, ...] | None:
    for element in page.dataframe:
        frame = element.value
        if {"#", "Title", "Status", "Link"} <= set(frame.columns):
            columns = (frame[name] for name in ("#", "Title", "Status", "Link"))
            return tuple(_row(*cells) for cells in zip(*columns, strict=True))
    return None


def _row(number: Any, title: Any, status: Any, link: Any) -> ShownRow:
    watched = _WATCH.search(str(link))
    return ShownRow(
        number=int(number),
        video_id=watched.group(1) if watched else str(link),
        title=str(title),
        stage=_STAGES.get(str(status), str(status)),
    )


def page_checker(database: Database, session_id: str) -> UICompatibilityChecker:
    """Compares the page of a session, drawn by this process, with this database.

    The process's environment must name the same database.
    """
    return UICompatibilityChecker(
        lambda: read_truth(database, session_id), lambda: draw_monitor(session_id)
    )
