"""What a person sees while a run goes on: a live view in a terminal, plain lines in a pipe.

Views pull: the command draws a snapshot a few times a second. They hold no state of the run.
"""

from datetime import datetime
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bulk_transcribe.cli.text import count, money, note, one_line, short_time, time_range
from bulk_transcribe.core.outcome import Totals
from bulk_transcribe.core.stage import FINAL_STAGES, Stage, VideoState
from bulk_transcribe.monitor.snapshot import Snapshot
from bulk_transcribe.process.late import LATE_WAIT_S

#: Lines of the view that are not videos.
_HEAD_LINES: Final = 6
_BAR_WIDTH: Final = 40
#: Plain lines: a summary at least this often, snapshots (about four a second) apart.
_SUMMARY_EVERY: Final = 40
_STAGE_WORDS: Final = {
    Stage.METADATA: "looking up",
    Stage.CAPTIONS: "captions",
    Stage.SUBMITTING: "sending",
    Stage.TRANSCRIBING: "transcribing",
    Stage.SAVING: "saving",
}


class View(Protocol):
    """Draws snapshots between `with` and its end."""

    interval_s: float

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def draw(self, snapshot: Snapshot) -> None: ...


def choose_view(*, quiet: bool, limit: int, began_at: datetime) -> View:
    """A live view for a terminal, plain lines for a pipe, nothing when quiet.

    Args:
        quiet: Show nothing.
        limit: Requests a minute that the account allows, for the picture.
        began_at: Videos that ended before are no news.
    """
    if quiet:
        return Silent()
    console = Console(stderr=True)
    return LiveView(console, limit) if console.is_terminal else PlainLines(began_at)


class Silent:
    """Shows nothing."""

    interval_s = 0.25

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def draw(self, snapshot: Snapshot) -> None: ...


class PlainLines(Silent):
    """A line for each video that ends, and a summary every ten seconds or so."""

    def __init__(self, began_at: datetime) -> None:
        self._began_at = began_at
        self._told: set[str] = set()
        self._since_summary = 0
        self._version = -1

    def draw(self, snapshot: Snapshot) -> None:
        self._since_summary += 1
        if snapshot.version != self._version:
            self._tell_ends(snapshot)
        is_over = not snapshot.totals.to_come
        if self._since_summary >= _SUMMARY_EVERY or (is_over and self._since_summary > 1):
            self._since_summary = 0
            note(summary_line(snapshot))

    def _tell_ends(self, snapshot: Snapshot) -> None:
        """Lines for the videos that ended since the last look; those of earlier runs are old."""
        self._version = snapshot.version
        for state in snapshot.states.values():
            if state.stage in FINAL_STAGES and state.video_id not in self._told:
                self._told.add(state.video_id)
                if state.finished_at is not None and state.finished_at >= self._began_at:
                    note(end_line(state))
            elif state.stage not in FINAL_STAGES:
                self._told.discard(state.video_id)  # it was brought back, and will end again


class LiveView:
    """An overall bar, the figures that matter, and one line for each video in flight."""

    interval_s = 0.25

    def __init__(self, console: Console, limit: int) -> None:
        self._console = console
        self._limit = limit
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def draw(self, snapshot: Snapshot) -> None:
        rows = max(3, self._console.size.height - _HEAD_LINES)
        self._live.update(picture(snapshot, limit=self._limit, rows=rows), refresh=True)


def picture(snapshot: Snapshot, *, limit: int, rows: int) -> RenderableType:
    """The live view of a snapshot, with at most `rows` videos in flight."""
    totals = snapshot.totals
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=1.0, completed=snapshot.fraction, width=_BAR_WIDTH),
        f"{snapshot.fraction:.0%}",
        f"{totals.finished} of {totals.total}",
        left_text(snapshot),
    )
    per_min = "-" if snapshot.videos_per_min is None else f"{snapshot.videos_per_min:.1f}"
    figures = Text(
        f"{counts_text(totals)}   {per_min} videos/min   spent {money(snapshot.spent_usd)}   "
        f"requests in the last minute {snapshot.limited_60s} of {limit}",
        style="dim",
    )
    late = late_text(snapshot)
    lines = (Text(late, style="yellow"),) if late else ()
    return Group(bar, figures, *lines, active_table(snapshot, rows))


def active_table(snapshot: Snapshot, rows: int) -> Table:
    """One line for each video in flight; beyond `rows` only their number."""
    table = Table(box=None, show_header=False, padding=(0, 1), expand=True)
    table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
    table.add_column(width=14, no_wrap=True)
    table.add_column(width=5, justify="right", no_wrap=True)
    table.add_column(width=10, justify="right", no_wrap=True)
    table.add_column(ratio=2, no_wrap=True, overflow="ellipsis")
    shown = snapshot.active if len(snapshot.active) <= rows else snapshot.active[: rows - 1]
    for state in shown:
        since_at = state.started_at or snapshot.taken_at
        table.add_row(
            escape(one_line(state.title or state.video_id, 80)),
            _STAGE_WORDS.get(state.stage, state.stage.value),
            "" if state.progress is None else f"{state.progress:.0%}",
            short_time((snapshot.taken_at - since_at).total_seconds()),
            state.waiting.value if state.waiting else "",
        )
    if len(shown) < len(snapshot.active):
        table.add_row(f"… and {len(snapshot.active) - len(shown)} more in flight")
    return table


def left_text(snapshot: Snapshot) -> str:
    """How long it will take, as a range; "" when nothing more will happen."""
    if not snapshot.totals.to_come:
        return ""
    left = snapshot.time_left
    return f"{time_range(left.low_s, left.high_s)} left"


def late_text(snapshot: Snapshot) -> str:
    """What happens to the late jobs; "" where there is none."""
    if not snapshot.late:
        return ""
    line = f"{count(snapshot.late, 'late job')} still looked at"
    if snapshot.totals.queued or snapshot.totals.active > snapshot.late:
        return line
    most = short_time(LATE_WAIT_S)
    return f"{line}, for {most} at most; Ctrl-C leaves them for `resume` or `reclaim`"


def counts_text(totals: Totals) -> str:
    """The counts; of those beside the done ones, only what is not zero."""
    numbers = (
        (totals.failed, "failed"),
        (totals.skipped, "skipped"),
        (totals.in_doubt, "in doubt"),
        (totals.cancelled, "left for later"),
        (totals.active, "active"),
        (totals.queued, "waiting"),
    )
    return ", ".join([f"{totals.done} done", *(f"{n} {word}" for n, word in numbers if n)])


def summary_line(snapshot: Snapshot) -> str:
    """One plain line: where the batch is."""
    totals = snapshot.totals
    parts = (
        f"{totals.finished} of {totals.total} finished: {counts_text(totals)}",
        left_text(snapshot),
        late_text(snapshot),
        f"spent {money(snapshot.spent_usd)}",
    )
    return "; ".join(part for part in parts if part)


def end_line(state: VideoState) -> str:
    """One plain line: how a video ended."""
    title = one_line(state.title or "", 70)
    how = "later" if state.stage is Stage.CANCELLED else state.stage.value.replace("_", " ")
    where = f" ({state.source})" if state.stage is Stage.DONE and state.source else ""
    why = f": {one_line(state.error, 200)}" if state.error else ""
    return f"{how}{where}  {state.video_id}  {title}{why}".rstrip()
