"""What the monitor says, worked out from what was read. Pure; the words are plain Markdown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from operator import itemgetter
from statistics import median
from typing import Final

import pyarrow as pa

from bulk_transcribe.core.figures import count, money, short_time, time_range
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.core.stage import Stage, VideoState, WaitReason
from bulk_transcribe.core.video import watch_url
from bulk_transcribe.save.session import SessionInfo, SessionStatus
from bulk_transcribe.save.views import PulsePoint, VideoTable
from bulk_transcribe.ui import words
from bulk_transcribe.ui.reading import Overview

#: Filter of the table -> the stages that it shows.
GROUPS: Final[dict[str, frozenset[Stage]]] = {
    "Waiting": frozenset({Stage.QUEUED}),
    "Active": frozenset(
        {Stage.METADATA, Stage.CAPTIONS, Stage.SUBMITTING, Stage.TRANSCRIBING, Stage.SAVING}
    ),
    "Done": frozenset({Stage.DONE}),
    "Failed": frozenset({Stage.FAILED, Stage.CRASHED}),
    "Skipped": frozenset({Stage.SKIPPED}),
    "In doubt": frozenset({Stage.IN_DOUBT}),
    "Left for later": frozenset({Stage.CANCELLED}),
}
#: Room for a count of six digits, for money, and for a count with its limit. Seven figures, the
#: usual ones of a run, stand in one line of a 1280 px window.
_NARROW_PX: Final = 120
_MONEY_PX: Final = 148
_WIDE_PX: Final = 184
#: A gap in the pulses this many times the usual one is a pause between two runs.
_BREAK: Final = 8


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number with its name and a line that explains it; `width_px` has room for both."""

    label: str
    value: str
    about: str = ""
    width_px: int = _NARROW_PX


@dataclass(frozen=True, kw_only=True)
class Card:
    """A video in flight: its bar, and the words at it as Markdown."""

    video_id: str
    fraction: float
    title: str
    line: str


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Why a session does not run; `is_trouble` colours it."""

    text: str
    is_trouble: bool


def overall_text(view: Overview) -> str:
    """The line at the bar of the whole session."""
    totals = view.info.totals
    if not totals.total:
        return "No videos in this session"
    parts = [f"{totals.finished:,} of {totals.total:,} finished", f"{totals.fraction:.0%}"]
    if totals.cancelled:
        parts.append(f"{totals.cancelled:,} left for later")
    if left := time_left_text(view):
        parts.append(left)
    return " · ".join(parts)


def time_left_text(view: Overview) -> str:
    """Time left as a range; "" when nobody works on it or nothing is known."""
    totals, pulse = view.info.totals, view.pulse
    if not totals.to_come or view.info.status is not SessionStatus.RUNNING:
        return ""
    if pulse is None or not pulse.high_s:
        return "time left not known yet"
    return f"{time_range(pulse.low_s, pulse.high_s)} left"


def figures(view: Overview) -> list[Figure]:
    """The numbers of the monitor; of the ends beside done and failed only those that occur."""
    totals = view.info.totals
    active = "Active" if view.info.is_live else "Unfinished"
    found = [
        Figure(label="Done", value=f"{totals.done:,}"),
        Figure(label="Failed", value=f"{totals.failed:,}"),
        Figure(label=active, value=f"{totals.active:,}", about="Videos that were begun."),
        Figure(label="Waiting", value=f"{totals.queued:,}", about="Not begun yet."),
    ]
    rare = (
        ("Skipped", totals.skipped, "Left out on purpose, such as live streams."),
        ("In doubt", totals.in_doubt, "A paid request whose answer was lost. Never sent twice."),
        ("Left for later", totals.cancelled, "A stop came first. Resume takes them up."),
    )
    found += [Figure(label=name, value=f"{n:,}", about=why) for name, n, why in rare if n]
    return [*found, *_rates(view)]


def _rates(view: Overview) -> list[Figure]:
    found = [
        Figure(
            label="Spent",
            value=money(view.money.spent_usd),
            about=_money_text(view),
            width_px=_MONEY_PX,
        )
    ]
    if view.money.at_risk_usd:
        found.append(
            Figure(
                label="At risk",
                value=money(view.money.at_risk_usd),
                about="Paid requests of which the service has not said whether it took money.",
                width_px=_MONEY_PX,
            )
        )
    if view.info.is_live:
        found += _speeds(view)
    return found


def _speeds(view: Overview) -> list[Figure]:
    """How fast it goes; of a run that is over nothing goes."""
    pulse = view.pulse
    per_min = None if pulse is None else pulse.videos_per_min
    requests = "-"
    if pulse is not None:
        of = "" if pulse.limit_60s is None else f" / {pulse.limit_60s:,}"
        requests = f"{pulse.limited_60s:,}{of}"
    return [
        Figure(
            label="Videos a minute",
            value="-" if per_min is None else f"{per_min:.1f}",
            about="Over the last five minutes.",
            width_px=_MONEY_PX,
        ),
        Figure(
            label="Requests, last minute",
            value=requests,
            about="Requests that count against the paid service's limit, and the limit. "
            + sent_text(view),
            width_px=_WIDE_PX,
        ),
    ]


def _money_text(view: Overview) -> str:
    return f"{count(view.money.requests, 'paid request')} in all runs of this session."


def sent_text(view: Overview) -> str:
    """What was sent in all runs, by kind."""
    kinds = sorted(view.requests.items(), key=lambda pair: -pair[1])
    total = sum(number for _, number in kinds)
    parts = ", ".join(f"{number:,} {_KINDS[kind]}" for kind, number in kinds)
    return f"{total:,} sent so far" + (f": {parts}." if parts else ".")


_KINDS: Final = {
    RequestKind.SUBMIT: "submits",
    RequestKind.POLL: "looks at jobs",
    RequestKind.PRICE: "quotes",
    RequestKind.ACCOUNT: "account",
    RequestKind.DOWNLOAD: "downloads",
    RequestKind.CAPTIONS: "captions",
    RequestKind.DATA_API: "YouTube data",
    RequestKind.YT_DLP: "yt-dlp",
}


def notice(view: Overview) -> Notice | None:  # noqa: PLR0911 -- one answer a status
    """Why a session does not run now, and what to do; None where there is nothing to say."""
    info, totals = view.info, view.info.totals
    left = totals.unfinished
    match info.status:
        case SessionStatus.INTERRUPTED:
            said = "Its engine ended without a word. Nothing finished is lost, and nothing is paid "
            return Notice(text=said + "twice: Resume goes on where it was.", is_trouble=True)
        case SessionStatus.STOPPED if info.stopped_code:
            parts = [info.stopped_reason, info.stopped_next_step]
            said = " ".join(words.plain(part, 600) for part in parts if part)
            return Notice(text=f"It stopped. {said}", is_trouble=True)
        case SessionStatus.STOPPED if left:
            return Notice(
                text=f"It was stopped. {count(left, 'video')} left for Resume.", is_trouble=False
            )
        case _ if is_stopping(view):
            return Notice(text=_stopping_text(view), is_trouble=False)
        case SessionStatus.PAUSED:
            return Notice(text=_paused_text(view), is_trouble=False)
        case SessionStatus.NEW:
            return Notice(text="Nobody has worked on it yet. Start begins.", is_trouble=False)
        case SessionStatus.FINISHED if totals.done == totals.total and totals.total:
            return Notice(
                text=f"All {totals.total:,} videos have their transcripts, in "
                f"{words.plain(info.out_dir, 300)}.",
                is_trouble=False,
            )
        case _:
            return None


def is_stopping(view: Overview) -> bool:
    """Whether a living run was asked to stop; paused or not, it does not go on."""
    return view.info.is_live and view.pulse is not None and view.pulse.is_draining


def status_word(view: Overview) -> str:
    """The session's status as people read it."""
    return words.STOPPING if is_stopping(view) else words.STATUSES[view.info.status]


def _stopping_text(view: Overview) -> str:
    """What a stop still waits for: jobs are fetched; what is not begun is left for Resume."""
    parts = ["Stopping: what is in flight is finished first."]
    if waiting := view.info.totals.queued:
        parts.append(f"{count(waiting, 'video')} will be left for Resume.")
    return " ".join(parts)


def _paused_text(view: Overview) -> str:
    """What still happens in a pause: jobs are fetched; nothing is asked or paid anew."""
    begun = sum(state.waiting is WaitReason.PAUSED for state in view.active)
    going_on = view.info.totals.active - begun
    parts = ["Paused."]
    if going_on:
        parts.append(f"{count(going_on, 'video')} in flight will be finished.")
    else:
        parts.append("Nothing is in flight.")
    if begun:
        parts.append(f"{count(begun, 'video')} begun will go on with the rest.")
    return " ".join(parts)


def cards(states: Sequence[VideoState], now_at: datetime | None) -> list[Card]:
    """The videos in flight, each worker's always at the same place.

    `now_at` is None where nobody works on them: then nothing runs on.
    """
    return [
        Card(
            video_id=state.video_id,
            fraction=min(1.0, max(0.0, state.progress or 0.0)),
            title=words.plain(state.title or state.video_id, 90),
            line=_card_line(state, now_at),
        )
        for state in sorted(states, key=lambda s: (_worker_number(s), s.position))
    ]


def _card_line(state: VideoState, now_at: datetime | None) -> str:
    parts = [words.plain(state.video_id), words.STAGES[state.stage]]
    if state.progress is not None:
        parts.append(f"{state.progress:.0%}")
    if state.started_at is not None and now_at is not None:
        parts.append(short_time((now_at - state.started_at).total_seconds()))
    if state.waiting not in {None, WaitReason.JOB} and now_at is not None:
        parts.append(_waiting_text(state, now_at))
    return " · ".join(parts)


def _waiting_text(state: VideoState, now_at: datetime) -> str:
    """Why a video waits, and how long still where that is known."""
    reason = "" if state.waiting is None else state.waiting.value
    until_at = state.waiting_until_at
    if until_at is None or until_at <= now_at:
        return reason
    return f"{reason}, {short_time((until_at - now_at).total_seconds())}"


def _worker_number(state: VideoState) -> int:
    digits = (state.worker or "").rpartition("_")[2]
    return int(digits) if digits.isdecimal() else 0


_WORD = pa.string()
_NUMBER = pa.float64()
#: Columns of the status table, in order.
COLUMNS: Final = pa.schema(
    {
        "#": pa.int64(),
        "Status": _WORD,
        "Title": _WORD,
        "Progress": _NUMBER,
        "Length": _NUMBER,
        "Took": _NUMBER,
        "Source": _WORD,
        "Cost": _NUMBER,
        "Why": _WORD,
        "Link": _WORD,
    }
)
_STAGE_WORDS: Final = {stage.value: word for stage, word in words.STAGES.items()}
_WAITS: Final = {reason.name: reason.value for reason in WaitReason if reason is not WaitReason.JOB}
_DONE: Final = Stage.DONE.value


def table(videos: VideoTable) -> pa.Table:
    """The status table; cells are text and numbers, never Markdown. No videos give no lines.

    Built column by column for Arrow, which is what goes to the browser.
    """
    cells = {
        "#": [position + 1 for position in videos.position],
        "Status": [_STAGE_WORDS[stage] for stage in videos.stage],
        "Title": _either(videos.title, videos.video_id),
        "Progress": [
            1.0 if stage == _DONE else None if progress is None else round(progress, 2)
            for stage, progress in zip(videos.stage, videos.progress, strict=True)
        ],
        "Length": [None if each is None else each / 60 for each in videos.duration_s],
        "Took": [
            None if begun is None or ended is None else (ended - begun).total_seconds()
            for begun, ended in zip(videos.started_at, videos.finished_at, strict=True)
        ],
        "Source": videos.source,
        "Cost": [float(spent) or None for spent in videos.spent_usd],
        "Why": _either(videos.error, [_WAITS.get(each or "") for each in videos.waiting]),
        "Link": [watch_url(video_id) for video_id in videos.video_id],
    }
    return pa.table(cells, schema=COLUMNS)


def _either(texts: Sequence[str | None], others: Sequence[str | None]) -> list[str | None]:
    """Each text, or where there is none what else there is."""
    return [text or other for text, other in zip(texts, others, strict=True)]


#: A chart of less would have half seconds on its axis.
_SHORTEST: Final = timedelta(minutes=1)
#: Columns of what a chart draws: a line for each `What`; an empty `Value` breaks it.
_LINES: Final = pa.schema({"Time": pa.timestamp("ms", "UTC"), "What": _WORD, "Value": _NUMBER})


#: The lines of the chart of requests.
REQUESTS: Final = "Requests"
LIMIT: Final = "Limit"


def throughput(points: Sequence[PulsePoint]) -> pa.Table:
    """Videos a minute over time; a pause between two runs is a gap."""
    return _over_time(points, {"Videos a minute": [p.videos_per_min for p in points]})


def budget(points: Sequence[PulsePoint]) -> pa.Table:
    """Requests of the last minute and the limit over time."""
    return _over_time(
        points,
        {
            REQUESTS: [p.limited_60s for p in points],
            LIMIT: [p.limit_60s for p in points],
        },
    )


def chart_range(points: Sequence[PulsePoint]) -> tuple[datetime, datetime]:
    """First and last moment of a chart, at least a minute apart."""
    return points[0].at, max(points[-1].at, points[0].at + _SHORTEST)


def moment_format(points: Sequence[PulsePoint]) -> str:
    """How the time axis writes a moment: as fine as the span needs and no finer."""
    span = points[-1].at - points[0].at
    if span < timedelta(minutes=5):
        return "%H:%M:%S"
    return "%H:%M" if span < timedelta(days=1) else "%d %b, %H:%M"


def _over_time(
    points: Sequence[PulsePoint], lines: Mapping[str, Sequence[float | None]]
) -> pa.Table:
    moments = [point.at for point in points]
    gaps = _gaps(moments)
    cells = [
        (moment, what, value)
        for what, values in lines.items()
        for moment, value in (
            *zip(moments, values, strict=True),
            *((gap, None) for gap in gaps),
        )
    ]
    columns = zip(*sorted(cells, key=itemgetter(1, 0)), strict=True) if cells else ((), (), ())
    return pa.table(dict(zip(_LINES.names, columns, strict=True)), schema=_LINES)


def _gaps(moments: Sequence[datetime]) -> list[datetime]:
    """A moment in each pause between two runs."""
    steps = [later - earlier for earlier, later in pairwise(moments)]
    if not steps:
        return []
    usual = timedelta(seconds=median(step.total_seconds() for step in steps))
    return [
        moment + step / 2
        for moment, step in zip(moments, steps, strict=False)
        if step > max(usual * _BREAK, timedelta(seconds=10))
    ]


def session_name(info: SessionInfo) -> str:
    """How a session is called in a list: its name and when it was made."""
    made = info.created_at.astimezone()
    return f"{words.one_line(info.name, 60) or 'Batch'} · {made:%d %b %H:%M}"
