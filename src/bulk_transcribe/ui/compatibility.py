"""Does the page show what the store says? Asked of every session, in every state.

`UICompatibilityChecker` runs the page's own script without a browser, takes from it what a person
would read (figures, bars, cards, the cells of the table), reads the store with statements of its
own (`ui.truth`), and compares. A page that miscounts, leaves a row out or shows what is over is
found out, and the report says what was shown, what is stored and what that means.

A session that runs moves while one looks. The store is read before and after the page was drawn:
what did not move must be shown exactly, what moved must be shown somewhere on its way.
"""

import enum
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bulk_transcribe.core.stage import Stage
from bulk_transcribe.ui.shown import Shown, ShownRow
from bulk_transcribe.ui.truth import Row, Truth, is_under_way

#: Looks at a session that moves before a difference counts. One that stands gets one look.
_LOOKS = 4

#: Stages in the order in which a video goes through them; what comes after `SAVING` is an end.
_WAY = (
    Stage.QUEUED,
    Stage.METADATA,
    Stage.CAPTIONS,
    Stage.SUBMITTING,
    Stage.TRANSCRIBING,
    Stage.SAVING,
)


class Part(enum.StrEnum):
    """What of the page was compared."""

    PAGE = "page"
    TABLE = "status table"
    GLOBAL = "global progress"
    CURRENT = "current video"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One difference: what the page showed, what the store says, and what it means."""

    part: Part
    about: str
    shown: str
    stored: str
    meaning: str

    def __str__(self) -> str:
        return (
            f"{self.part}, {self.about}: shows {self.shown}, stored is {self.stored}."
            f" {self.meaning}"
        )


@dataclass(frozen=True, kw_only=True)
class CompatibilityReport:
    """How one session's page compares with the store.

    Args:
        session_id: Which one.
        status: As stored when it was looked at.
        videos: How many rows of the table were compared.
        looks: How often the page was drawn.
        findings: The differences; empty when page and store agree.
    """

    session_id: str
    status: str
    videos: int
    looks: int
    findings: tuple[Finding, ...] = ()

    @property
    def is_compatible(self) -> bool:
        """Whether the page tells the truth."""
        return not self.findings


@dataclass(frozen=True, kw_only=True)
class _Look:
    """The page between two readings of the store."""

    before: Truth
    shown: Shown
    after: Truth

    @property
    def is_still(self) -> bool:
        """Whether the store said the same on both sides."""
        return self.before == self.after


class UICompatibilityChecker:
    """Compares one session's page with the store.

    Belongs to one thread, and a process has one at a time: the page's script is run inside it.

    Args:
        truth: Reads the store.
        draw: Draws the page of the session and reads it.
        looks: How often to look at a session that moves before a difference counts.
    """

    def __init__(
        self, truth: Callable[[], Truth], draw: Callable[[], Shown], *, looks: int = _LOOKS
    ) -> None:
        self._truth = truth
        self._draw = draw
        self._looks = looks

    def validate_status_table(self) -> bool:
        """Whether the table has every video once, in its place, with its state and title."""
        return not self._report(Part.TABLE).findings

    def validate_global_progress(self) -> bool:
        """Whether bar, counts, money and status are those of the store."""
        return not self._report(Part.GLOBAL).findings

    def validate_current_video(self) -> bool:
        """Whether the videos shown in progress are those that are, and all of them."""
        return not self._report(Part.CURRENT).findings

    def check_monitoring_integrity(self) -> CompatibilityReport:
        """Everything at once, and what was found.

        Raises:
            InputError: there is no such session.
            StoreError: the database cannot be read.
        """
        return self._report(*Part)

    def _report(self, *parts: Part) -> CompatibilityReport:
        wanted = {Part.PAGE, *parts}
        for number in range(1, self._looks + 1):
            look = self._look()
            found = tuple(each for each in differences(look) if each.part in wanted)
            if not found or look.is_still or number == self._looks:
                return CompatibilityReport(
                    session_id=look.after.session_id,
                    status=look.after.status,
                    videos=look.after.total,
                    looks=number,
                    findings=found,
                )
        raise ValueError("a checker needs at least one look")

    def _look(self) -> _Look:
        before = self._truth()
        shown = self._draw()
        return _Look(before=before, shown=shown, after=self._truth())


def differences(look: _Look) -> Iterator[Finding]:
    """Everything that a look at the page found wrong."""
    for trouble in look.shown.troubles:
        yield Finding(
            part=Part.PAGE,
            about="the script",
            shown=trouble,
            stored="a session that can be shown",
            meaning="The page broke off: what comes below it is missing.",
        )
    yield from _in_global(look)
    yield from _in_current(look)
    yield from _in_table(look)


#: Name of a figure on the page -> how the store counts it.
_FIGURES: dict[str, Callable[[Truth], int]] = {
    "total": lambda truth: truth.total,
    "finished": lambda truth: truth.finished,
    "done": lambda truth: truth.done,
    "failed": lambda truth: truth.failed,
    "active": lambda truth: truth.active,
    "waiting": lambda truth: truth.queued,
    "skipped": lambda truth: truth.in_stage(Stage.SKIPPED),
    "cancelled": lambda truth: truth.left,
    "in doubt": lambda truth: truth.in_stage(Stage.IN_DOUBT),
}
#: Figures that may be left out while they are 0.
_MAY_BE_SILENT = frozenset({"skipped", "cancelled", "in doubt"})


def _in_global(look: _Look) -> Iterator[Finding]:
    yield from _in_status(look)
    for name, count in _FIGURES.items():
        yield from _in_figure(look, name, count)
    yield from _in_bar(look)
    yield from _in_money(look)


def _in_status(look: _Look) -> Iterator[Finding]:
    stored = {look.before.status, look.after.status}
    if look.shown.status not in stored:
        yield Finding(
            part=Part.GLOBAL,
            about="status",
            shown=_or_nothing(look.shown.status),
            stored=" or ".join(sorted(stored)),
            meaning="People would think that it does something else than it does.",
        )


def _in_figure(look: _Look, name: str, count: Callable[[Truth], int]) -> Iterator[Finding]:
    low, high = _active(look) if name == "active" else _span(look, count)
    shown = look.shown.figures.get(name)
    if shown is None and name in _MAY_BE_SILENT and not low:
        return
    if shown is not None and shown.isdecimal() and low <= int(shown) <= high:
        return
    yield Finding(
        part=Part.GLOBAL,
        about=f"videos {name}" if name != "total" else "videos in all",
        shown=_or_nothing(shown),
        stored=_range(low, high),
        meaning="The count is not that of the videos in the store.",
    )


def _span(look: _Look, count: Callable[[Truth], int]) -> tuple[int, int]:
    low, high = sorted((count(look.before), count(look.after)))
    return low, high


def _active(look: _Look) -> tuple[int, int]:
    """Fewest and most that may have been active: a video may come and another one go."""
    others = [_span(look, _FIGURES[name]) for name in ("waiting", "finished", "cancelled")]
    total = look.after.total
    return max(0, total - sum(most for _, most in others)), total - sum(few for few, _ in others)


def _in_bar(look: _Look) -> Iterator[Finding]:
    low, high = sorted(_percent(truth) for truth in (look.before, look.after))
    bar = look.shown.overall
    # a bar has whole percents; nobody sees which way a half was rounded
    if bar is not None and int(low) <= bar.percent <= int(high) + 1:
        return
    if bar is None and not look.after.total:
        return
    yield Finding(
        part=Part.GLOBAL,
        about="bar of the whole",
        shown="no bar" if bar is None else f"{bar.percent} %",
        stored=f"{look.after.finished} of {look.after.total} finished",
        meaning="The bar is further or less far than the work.",
    )


def _percent(truth: Truth) -> float:
    return 100 * truth.finished / truth.total if truth.total else 0.0


def _in_money(look: _Look) -> Iterator[Finding]:
    low, high = sorted((look.before.spent_usd, look.after.spent_usd))
    shown = look.shown.spent
    if shown is not None:
        least, most = low - shown.rounding_usd, high + shown.rounding_usd
        if least <= shown.amount_usd <= most:
            return
    yield Finding(
        part=Part.GLOBAL,
        about="money spent",
        shown="nothing" if shown is None else f"${shown.amount_usd}",
        stored=f"${high}",
        meaning="The page does not show what the paid requests cost.",
    )


def _in_current(look: _Look) -> Iterator[Finding]:
    """The cards against the videos that are under way.

    Where nobody works on the session nothing is in progress, whatever a run that broke off left.
    """
    shown = {video.video_id: video.stage for video in look.shown.current}
    yield from _strangers(look)
    hidden: list[Finding] = []
    unshown = 0
    for video_id, row in look.after.rows.items():
        stages = _between(look.before.rows[video_id].stage, row.stage)
        steps = {stage.value for stage in stages if _may_be_under_way(look, stage)}
        if video_id in shown:
            yield from _in_card(row, shown[video_id], steps)
            continue
        unshown += bool(steps)
        if look.before.is_live and look.after.is_live and len(steps) == len(stages):
            meaning = "The page hides a video that is being worked on."
            hidden.append(_current_finding(video_id, "not in progress", row.stage.value, meaning))
    # a page of hundreds in flight shows some and counts the rest
    if len(hidden) > look.shown.more_current:
        yield from hidden
    if look.shown.more_current > unshown:
        yield _current_finding(
            "the count of the rest",
            f"{look.shown.more_current} more",
            f"at most {unshown} more",
            "The page counts work that is not being done.",
        )


def _may_be_under_way(look: _Look, stage: Stage) -> bool:
    return is_under_way(stage) and (look.before.is_live or look.after.is_live)


def _strangers(look: _Look) -> Iterator[Finding]:
    """Cards of videos that the session does not have, and second cards of one video."""
    for video_id, times in Counter(video.video_id for video in look.shown.current).items():
        if video_id not in look.after.rows:
            yield _current_finding(
                video_id, "in progress", "no such video", "The page shows a video of no session."
            )
        elif times > 1:
            yield _current_finding(
                video_id, f"{times} times", "one video", "The page shows one video's work twice."
            )


def _in_card(row: Row, shown: str, steps: set[str]) -> Iterator[Finding]:
    if not steps:
        yield _current_finding(
            row.video_id,
            f"in progress ({shown})",
            row.stage.value,
            "The page shows work that is not being done.",
        )
    elif shown not in steps:
        yield _current_finding(
            row.video_id,
            shown,
            row.stage.value,
            "The page shows another step than the one that the video is at.",
        )


def _current_finding(about: str, shown: str, stored: str, meaning: str) -> Finding:
    return Finding(part=Part.CURRENT, about=about, shown=shown, stored=stored, meaning=meaning)


def _in_table(look: _Look) -> Iterator[Finding]:
    table = look.shown.table
    if table is None:
        if look.after.total:
            yield _table_finding(
                "the table", "no table", f"{look.after.total} videos", "Nobody sees the videos."
            )
        return
    times = Counter(row.video_id for row in table)
    for video_id in sorted(times.keys() - look.after.rows.keys()):
        yield _table_finding(
            video_id, "a row", "no such video", "The table has a video that nobody asked for."
        )
    for video_id in sorted(look.after.rows.keys() - times.keys()):
        yield _table_finding(
            video_id,
            "no row",
            look.after.rows[video_id].stage.value,
            "The table hides a video of the session.",
        )
    for video_id, number in sorted(times.items()):
        if number > 1:
            yield _table_finding(
                video_id, f"{number} rows", "one video", "The table has a video more than once."
            )
    for row in table:
        if row.video_id in look.after.rows:
            yield from _in_row(look, row)


def _in_row(look: _Look, shown: ShownRow) -> Iterator[Finding]:
    before, after = look.before.rows[shown.video_id], look.after.rows[shown.video_id]
    if shown.number != after.position + 1:
        yield _table_finding(
            f"place of {shown.video_id}",
            str(shown.number),
            str(after.position + 1),
            "The numbers of the rows are not those of the input.",
        )
    stages = _between(before.stage, after.stage)
    if shown.stage not in {stage.value for stage in stages}:
        yield _table_finding(
            f"state of {shown.video_id}",
            shown.stage,
            after.stage.value,
            "The table says something else of the video than the store.",
        )
    titles = {before.title or shown.video_id, after.title or shown.video_id}
    if shown.title not in titles:
        yield _table_finding(
            f"title of {shown.video_id}",
            repr(shown.title),
            repr(after.title or shown.video_id),
            "The table calls the video by another name.",
        )


def _table_finding(about: str, shown: str, stored: str, meaning: str) -> Finding:
    return Finding(part=Part.TABLE, about=about, shown=shown, stored=stored, meaning=meaning)


def _between(before: Stage, after: Stage) -> frozenset[Stage]:
    """Stages at which a video was, from one reading to the other.

    One that went on passed, perhaps, every stage between. One that went back (a retry, another
    source after a first) was at either end.
    """
    ends = frozenset({before, after})
    if before not in _WAY or before is after:
        return ends
    passed = _WAY[_WAY.index(before) :]
    if after in _WAY:
        passed = passed[: passed.index(after) + 1] if after in passed else ()
    return ends | frozenset(passed)


def _range(low: int, high: int) -> str:
    return str(low) if low == high else f"{low} to {high}"


def _or_nothing(shown: str | None) -> str:
    return "nothing" if shown is None else shown
