"""What a page shows, each view read in one short transaction: it never sees half of a change."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, func, select

from bulk_transcribe.core.outcome import Totals
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.core.stage import FINAL_STAGES, Stage, VideoState
from bulk_transcribe.errors import InputError
from bulk_transcribe.save.database import Database
from bulk_transcribe.save.pulse_tables import pulses
from bulk_transcribe.save.pulses import Belief, Pulse, pulse_of
from bulk_transcribe.save.session import SessionInfo, VideoSort, info_of, table_query
from bulk_transcribe.save.sessions import read_infos, retry_helps
from bulk_transcribe.save.submissions import Money, read_money
from bulk_transcribe.save.tables import requests, sessions, videos
from bulk_transcribe.save.video_rows import state_of

_ACTIVE: Final = [stage.value for stage in Stage if stage not in FINAL_STAGES | {Stage.QUEUED}]


@dataclass(frozen=True, kw_only=True)
class PulsePoint:
    """A pulse as a chart needs it; see `Pulse`."""

    at: datetime
    finished: int
    active: int
    videos_per_min: float | None
    limited_60s: int
    limit_60s: int | None


@dataclass(frozen=True, kw_only=True)
class SessionView:
    """A session at one moment, as its engine told the store.

    Args:
        info: The session; `info.totals` counts its videos.
        settings: Those that it was made with.
        money: Sums over its paid requests.
        requests: HTTP requests sent, by kind.
        pulse: The newest one; None before the first run.
        active: Videos in flight, in the order of the input.
        retriable: Failed and skipped videos that `retry` would try again.
    """

    info: SessionInfo
    settings: Mapping[str, Any]
    money: Money
    requests: Mapping[RequestKind, int] = field(default_factory=dict)
    pulse: Pulse | None = None
    active: tuple[VideoState, ...] = ()
    retriable: int = 0


@dataclass(frozen=True, kw_only=True)
class SessionLine:
    """A session in a list of them."""

    info: SessionInfo
    spent_usd: Decimal


@dataclass(frozen=True, kw_only=True)
class VideoTable:
    """The status table, column by column, as the store has it; all columns are equally long.

    Column by column, because ten thousand rows are read each second while somebody watches.
    """

    video_id: Sequence[str] = ()
    position: Sequence[int] = ()
    stage: Sequence[str] = ()
    title: Sequence[str | None] = ()
    duration_s: Sequence[float | None] = ()
    progress: Sequence[float | None] = ()
    source: Sequence[str | None] = ()
    waiting: Sequence[str | None] = ()
    started_at: Sequence[datetime | None] = ()
    finished_at: Sequence[datetime | None] = ()
    error: Sequence[str | None] = ()
    spent_usd: Sequence[Decimal] = ()

    def __len__(self) -> int:
        return len(self.video_id)


_TABLE: Final = tuple(each.name for each in fields(VideoTable))
_POINT: Final = tuple(each.name for each in fields(PulsePoint))


class Views:
    """Reads views. May be shared by all threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def session(self, session_id: str) -> SessionView:
        """A session as a whole.

        Raises:
            InputError: there is none with this id.
        """
        with self._database.read() as connection:
            return self._session(connection, session_id)

    def lines(self) -> list[SessionLine]:
        """All sessions, newest first."""
        with self._database.read() as connection:
            infos = read_infos(connection, self._database)
            spent = read_money(connection)
        return [
            SessionLine(info=info, spent_usd=spent.get(info.session_id, Money()).spent_usd)
            for info in infos
        ]

    def belief(self, session_id: str) -> Belief:
        """What the limiter of the newest run believed last; empty before the first."""
        with self._database.read() as connection:
            newest = _newest_pulse(connection, session_id)
        return Belief() if newest is None else newest.belief

    def pulse_points(self, session_id: str) -> list[PulsePoint]:
        """The way of a session's runs, oldest first; empty before the first."""
        columns = [pulses.c[name] for name in _POINT]
        query = select(*columns).where(pulses.c.session_id == session_id).order_by(pulses.c.number)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return [PulsePoint(**dict(zip(_POINT, row, strict=True))) for row in rows]

    def table(
        self,
        session_id: str,
        *,
        stages: Iterable[Stage] | None = None,
        search: str = "",
        sort: VideoSort = VideoSort.POSITION,
        descending: bool = False,
        offset: int = 0,
        limit: int | None = None,
    ) -> VideoTable:
        """The status table; the filters are those of `Session.states`."""
        query = table_query(
            [videos.c[name] for name in _TABLE],
            session_id,
            stages=stages,
            search=search,
            sort=sort,
            descending=descending,
        )
        query = query.offset(offset).limit(limit)
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return VideoTable(**dict(zip(_TABLE, zip(*rows, strict=True), strict=False)))

    def _session(self, connection: Connection, session_id: str) -> SessionView:
        of_session = select(sessions).where(sessions.c.session_id == session_id)
        row = connection.execute(of_session).mappings().one_or_none()
        if row is None:
            raise InputError(
                f"There is no session {session_id!r}.",
                next_step="It may have been deleted. Choose another one.",
                code="no_session",
            )
        ours = videos.c.session_id == session_id
        counting = select(videos.c.stage, func.count()).where(ours).group_by(videos.c.stage)
        counts = {Stage(stage): number for stage, number in connection.execute(counting)}
        retriable: int = connection.execute(
            select(func.count()).select_from(videos).where(ours, retry_helps())
        ).scalar_one()
        active = connection.execute(
            select(videos).where(ours, videos.c.stage.in_(_ACTIVE)).order_by(videos.c.position)
        ).mappings()
        sums = connection.execute(
            select(requests.c.kind, func.sum(requests.c.sent))
            .where(requests.c.session_id == session_id)
            .group_by(requests.c.kind)
        ).all()
        return SessionView(
            info=info_of(row, Totals.from_counts(counts), self._database),
            settings=json.loads(row["settings"]),
            money=read_money(connection, session_id).get(session_id, Money()),
            requests={RequestKind(kind): int(number) for kind, number in sums},
            pulse=_newest_pulse(connection, session_id),
            active=tuple(state_of(each) for each in active),
            retriable=retriable,
        )


def _newest_pulse(connection: Connection, session_id: str) -> Pulse | None:
    query = select(pulses).where(pulses.c.session_id == session_id)
    newest = connection.execute(query.order_by(pulses.c.number.desc()).limit(1))
    row = newest.mappings().one_or_none()
    return None if row is None else pulse_of(row)
