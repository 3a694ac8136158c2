"""One batch in the store: its videos, where each of them is, and who works on it."""

import enum
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    RowMapping,
    Select,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from bulk_transcribe.core.attempt import SourceAttempt
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.outcome import Totals, VideoResult
from bulk_transcribe.core.stage import FINAL_STAGES, Stage, VideoState
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import BulkTranscribeError, StoreError
from bulk_transcribe.save.columns import storable
from bulk_transcribe.save.database import Database, outlasting, upsert
from bulk_transcribe.save.request_sums import RequestSum
from bulk_transcribe.save.tables import attempts as attempts_table
from bulk_transcribe.save.tables import problems as problems_table
from bulk_transcribe.save.tables import requests as requests_table
from bulk_transcribe.save.tables import sessions, videos, wishes
from bulk_transcribe.save.video_rows import (
    end_row,
    item_of,
    queued_again_row,
    state_of,
    state_row,
)

#: The owner of a session that workers have: it is at work until it ends, whoever comes and goes.
CLUSTER: Final = "cluster"
_FINAL = sorted(stage.value for stage in FINAL_STAGES)
_ADDED = ("sent", "refused", "failed", "waited_s", "took_s")
#: Rows read at a time when a whole session is walked through.
_CHUNK = 1_000


class SessionStatus(enum.StrEnum):
    """What a session is doing. `INTERRUPTED` is never stored: it is seen."""

    NEW = "new"  # nobody has worked on it yet
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"  # ended early, on request or by an error; `stopped_reason` says which
    FINISHED = "finished"  # every video is final
    INTERRUPTED = "interrupted"  # its process ended without a word


class Wish(enum.StrEnum):
    """What may be asked of a running engine."""

    PAUSE = "pause"  # start nothing new
    RESUME = "resume"
    STOP = "stop"  # start no more, finish what is in flight; said twice: end now
    CONCURRENCY = "concurrency"  # value: videos in flight at once, or "auto"


class VideoSort(enum.StrEnum):
    """Orders in which videos can be listed. Videos without the fact come last."""

    POSITION = "position"
    TITLE = "title"
    DURATION = "duration"
    STAGE = "stage"
    SINCE = "since"
    FINISHED = "finished"


@dataclass(frozen=True, kw_only=True)
class WishMade:
    """A wish and when it was made. `value` is "" where the wish needs none."""

    wish: Wish
    value: str
    made_at: datetime


@dataclass(frozen=True, kw_only=True)
class InputProblem:
    """An input line that could not be understood."""

    origin: str
    text: str
    message: str
    suggestion: str = ""
    line: int | None = None


@dataclass(frozen=True, kw_only=True)
class SessionInfo:
    """A session at a glance.

    `engine_pid` is the process that works, or last worked, on it; `engine_owner` the same as
    the database tells it (`Database.owner_id`).
    """

    session_id: str
    name: str
    out_dir: str
    status: SessionStatus
    totals: Totals
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    stopped_reason: str = ""
    stopped_code: str = ""
    stopped_next_step: str = ""
    engine_pid: int | None = None
    engine_owner: str | None = None
    engine_heartbeat_at: datetime | None = None

    @property
    def is_live(self) -> bool:
        """Whether a living process works on it."""
        return self.status in {SessionStatus.RUNNING, SessionStatus.PAUSED}

    @property
    def is_with_workers(self) -> bool:
        """Whether it is not one process that works on it, but whoever of the workers is there."""
        return self.engine_owner == CLUSTER


class Session:
    """One session, read and written. Implements `VideoLog`; may be shared by all threads.

    Made by `SessionManager.create_session` and `.open_session`. Every call reads the store anew.
    """

    def __init__(self, database: Database, clock: Clock, session_id: str) -> None:
        self._database = database
        self._clock = clock
        self.session_id = session_id

    @outlasting
    def info(self) -> SessionInfo:
        """The session at a glance.

        Raises:
            StoreError: it was deleted meanwhile.
        """
        with self._database.read() as connection:
            row = (
                connection.execute(select(sessions).where(sessions.c.session_id == self.session_id))
                .mappings()
                .one_or_none()
            )
            counts = connection.execute(self._counts()).all()
        if row is None:
            raise _is_gone(self.session_id)
        totals = _totals(counts)
        return info_of(row, totals, self._database)

    @outlasting
    def totals(self) -> Totals:
        """How many videos are where; all zeros for a session without videos."""
        with self._database.read() as connection:
            counts = connection.execute(self._counts()).all()
        return _totals(counts)

    @property
    @outlasting
    def settings(self) -> dict[str, Any]:
        """The settings with which it was made, without secrets."""
        with self._database.read() as connection:
            found = connection.execute(
                select(sessions.c.settings).where(sessions.c.session_id == self.session_id)
            ).scalar()
        if found is None:
            raise _is_gone(self.session_id)
        settings: dict[str, Any] = json.loads(found)
        return settings

    @property
    def max_cost_usd(self) -> Decimal | None:
        """The cost limit that it keeps; None: it has none."""
        kept = self.settings.get("max_cost_usd")
        return None if kept in {None, "none"} else Decimal(kept)

    @outlasting
    def keep_setting(self, name: str, value: str) -> None:
        """Keep another value of a setting, for the next `resume`."""
        this = sessions.c.session_id == self.session_id
        with self._database.transaction() as connection:
            stored = connection.execute(select(sessions.c.settings).where(this)).scalar_one()
            kept = json.dumps(json.loads(stored) | {name: value})
            connection.execute(update(sessions).where(this).values(settings=kept))

    def items(self, *, stages: Iterable[Stage] | None = None) -> Iterator[VideoItem]:
        """What was asked for, in the order of the input; only `stages`, where given.

        Read as you go, so that 50,000 of them need no memory.
        """
        for row in self._walk(stages):
            yield item_of(row)

    def all_states(self, *, stages: Iterable[Stage] | None = None) -> Iterator[VideoState]:
        """Every video's state in the order of the input, read as you go."""
        for row in self._walk(stages):
            yield state_of(row)

    def items_and_states(
        self, *, stages: Iterable[Stage] | None = None
    ) -> Iterator[tuple[VideoItem, VideoState]]:
        """Every video in the order of the input, read as you go; only `stages`, where given."""
        for row in self._walk(stages):
            yield item_of(row), state_of(row)

    def item(self, video_id: str) -> VideoItem | None:
        """One item; None if the session does not have the video."""
        row = self._row(video_id)
        return None if row is None else item_of(row)

    def state(self, video_id: str) -> VideoState | None:
        """One video's state; None if the session does not have it."""
        row = self._row(video_id)
        return None if row is None else state_of(row)

    @outlasting
    def states(
        self,
        *,
        stages: Iterable[Stage] | None = None,
        search: str = "",
        sort: VideoSort = VideoSort.POSITION,
        descending: bool = False,
        offset: int = 0,
        limit: int | None = None,
    ) -> list[VideoState]:
        """A page of the video table.

        Args:
            stages: Only videos in one of these; None takes all, an empty collection none.
            search: Only videos whose title, channel or id contains this; letters A-Z match in
                either case.
            sort: Order; equal ones stay in the order of the input.
            descending: The other way round.
            offset: How many to leave out at the beginning.
            limit: How many at most; None takes all.
        """
        query = (
            table_query(
                list(videos.c),
                self.session_id,
                stages=stages,
                search=search,
                sort=sort,
                descending=descending,
            )
            .offset(offset)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [state_of(row) for row in connection.execute(query).mappings()]

    @outlasting
    def count(self, *, stages: Iterable[Stage] | None = None, search: str = "") -> int:
        """How many videos `states` finds with the same filters, over all pages."""
        counting = select(func.count()).select_from(videos)
        query = _matching(counting, self.session_id, stages, search)
        with self._database.read() as connection:
            number: int = connection.execute(query).scalar_one()
        return number

    def problems(self) -> list[InputProblem]:
        """The input lines that could not be understood, in order."""
        query = (
            select(problems_table)
            .where(problems_table.c.session_id == self.session_id)
            .order_by(problems_table.c.number)
        )
        with self._database.read() as connection:
            return [
                InputProblem(
                    origin=row["origin"],
                    line=row["line"],
                    text=row["text"],
                    message=row["message"],
                    suggestion=row["suggestion"],
                )
                for row in connection.execute(query).mappings()
            ]

    def save_states(self, states: Sequence[VideoState]) -> None:
        """Note where videos are, in one transaction.

        A video whose end is noted already stays as it is: news that were under way when it
        ended come too late. A power cut may undo the newest notes; `finish` is durable.
        """
        self.save_news(states)

    @outlasting
    def save_news(
        self,
        states: Sequence[VideoState] = (),
        requests: Sequence[RequestSum] = (),
        attempts: Sequence[SourceAttempt] = (),
    ) -> None:
        """Note where videos are (see `save_states`), requests and tries, in one transaction."""
        if not states and not requests and not attempts:
            return
        rows = [{"wanted_id": state.video_id, **state_row(state)} for state in states]
        statement = (
            update(videos)
            .where(videos.c.session_id == self.session_id)
            .where(videos.c.video_id == bindparam("wanted_id"))
            .where(*(videos.c.stage != stage for stage in _FINAL))
        )
        sums = [
            asdict(part)
            | {
                "session_id": self.session_id,
                "video_id": part.video_id or "",
                "kind": part.kind.value,
            }
            for part in requests
        ]
        tries = [
            asdict(attempt) | {"session_id": self.session_id, "outcome": attempt.outcome.value}
            for attempt in attempts
        ]
        with self._database.transaction(durable=False) as connection:
            if tries:
                connection.execute(insert(attempts_table), tries)
            if rows:
                connection.execute(statement, rows)
            upsert(
                connection,
                requests_table,
                sums,
                add=_ADDED,
                least=("first_at",),  # requests are noted in the order of their answers
                most=("last_at",),
            )

    @outlasting
    def finish(self, state: VideoState, result: VideoResult) -> None:
        """Note a video's end; durable on return.

        Raises:
            StoreError: it could not be written, or the session does not have the video.
        """
        with self._database.transaction() as connection:
            self.note_end(connection, state, result)

    def note_end(self, connection: Connection, state: VideoState, result: VideoResult) -> None:
        """Note a video's end within a transaction.

        Raises:
            StoreError: the session does not have the video.
        """
        statement = (
            update(videos)
            .where(videos.c.session_id == self.session_id)
            .where(videos.c.video_id == state.video_id)
            .values(**end_row(state, result))
        )
        if connection.execute(statement).rowcount != 1:
            raise StoreError(
                f"The session {self.session_id} has no video {state.video_id}.",
                next_step="Was the session deleted while it ran? Start it anew.",
            )

    @outlasting
    def reopen(self, video_id: str) -> VideoItem | None:
        """A video that ended goes back into the line; what was asked for, None if it is not here.

        Raises:
            StoreError: it could not be written.
        """
        this = and_(videos.c.session_id == self.session_id, videos.c.video_id == video_id)
        with self._database.transaction() as connection:
            connection.execute(
                update(videos).where(this).values(**queued_again_row(self._clock.now()))
            )
        return self.item(video_id)

    @outlasting
    def wish(self, wish: Wish, value: str = "") -> None:
        """Ask something of the engine that works on this session.

        Nobody may be listening: see `SessionInfo.is_live`.
        """
        with self._database.transaction() as connection:
            connection.execute(
                insert(wishes).values(
                    session_id=self.session_id,
                    wish=wish.value,
                    value=value,
                    made_at=self._clock.now(),
                )
            )

    @outlasting
    def take_wishes(self) -> list[WishMade]:
        """The wishes that nobody has taken yet, oldest first; each is given out once."""
        open_wishes = and_(wishes.c.session_id == self.session_id, wishes.c.taken_at.is_(None))
        with self._database.read() as connection:  # mostly there is none, and nothing to write
            if connection.execute(select(wishes.c.wish_id).where(open_wishes)).first() is None:
                return []
        with self._database.transaction() as connection:
            taken = connection.execute(
                update(wishes)
                .where(open_wishes)
                .values(taken_at=self._clock.now())
                .returning(wishes.c.wish_id, wishes.c.wish, wishes.c.value, wishes.c.made_at)
            ).all()
        return [
            WishMade(wish=Wish(wish), value=value, made_at=made_at)
            for _, wish, value, made_at in sorted(taken)
        ]

    def heartbeat(self, *, is_paused: bool = False) -> None:
        """Note that the engine of this process lives, and whether it is paused.

        Raises:
            StoreError: another engine has the session, or none has it: stop at once.
        """
        self._as_engine(
            engine_heartbeat_at=self._clock.now(),
            status=(SessionStatus.PAUSED if is_paused else SessionStatus.RUNNING).value,
        )

    def release_engine(
        self, *, stopped_by: BulkTranscribeError | None = None, was_interrupted: bool = False
    ) -> SessionStatus:
        """Give the session back at the end of a run; how it stands now.

        It is finished when every video is final and none was cancelled, else stopped.

        Args:
            stopped_by: The error that ended the run early, if any.
            was_interrupted: Somebody asked it to stop.

        Raises:
            StoreError: another engine has the session, or none has it.
        """
        totals = self.totals()
        left = totals.queued + totals.active + totals.cancelled
        is_finished = stopped_by is None and not left
        status = SessionStatus.FINISHED if is_finished else SessionStatus.STOPPED
        reason = "stopped on request" if was_interrupted else f"{left} videos are left"
        self._as_engine(
            status=status.value,
            stopped_reason="" if is_finished else getattr(stopped_by, "message", reason),
            stopped_code="" if stopped_by is None else stopped_by.code,
            stopped_next_step="" if stopped_by is None else stopped_by.next_step,
            ended_at=self._clock.now(),
            engine_heartbeat_at=self._clock.now(),
            engine_owner=None,
        )
        return status

    @outlasting
    def _as_engine(self, **changes: object) -> None:
        statement = (
            update(sessions)
            .where(sessions.c.session_id == self.session_id)
            .where(sessions.c.engine_owner == self._database.owner_id)
            .values(**changes)
        )
        with self._database.transaction(durable=False) as connection:
            if connection.execute(statement).rowcount != 1:
                raise StoreError(
                    f"This process does not have the session {self.session_id} any more.",
                    next_step="Another one took it over, or it was deleted; look at its status.",
                    code="session_lost",
                )

    def _counts(self) -> Select[str, int]:
        return (
            select(videos.c.stage, func.count())
            .where(videos.c.session_id == self.session_id)
            .group_by(videos.c.stage)
        )

    @outlasting
    def _row(self, video_id: str) -> RowMapping | None:
        query = select(videos).where(
            videos.c.session_id == self.session_id, videos.c.video_id == video_id
        )
        with self._database.read() as connection:
            return connection.execute(query).mappings().one_or_none()

    def _walk(self, stages: Iterable[Stage] | None) -> Iterator[RowMapping]:
        """Rows in the order of the input; between two reads nobody is kept waiting."""
        query = _matching(select(videos), self.session_id, stages, "").order_by(videos.c.position)
        last = -1
        while True:
            chunk = self._rows(query.where(videos.c.position > last).limit(_CHUNK))
            yield from chunk
            if len(chunk) < _CHUNK:
                return
            last = chunk[-1]["position"]

    @outlasting
    def _rows(self, query: Select[Any]) -> Sequence[RowMapping]:
        with self._database.read() as connection:
            return connection.execute(query).mappings().all()


_SORT_COLUMNS: Mapping[VideoSort, ColumnElement[Any]] = {
    VideoSort.POSITION: videos.c.position,
    VideoSort.TITLE: func.lower(videos.c.title),
    VideoSort.DURATION: videos.c.duration_s,
    VideoSort.STAGE: videos.c.stage,
    VideoSort.SINCE: videos.c.since_at,
    VideoSort.FINISHED: videos.c.finished_at,
}


def table_query(
    columns: Sequence[ColumnElement[Any]],
    session_id: str,
    *,
    stages: Iterable[Stage] | None,
    search: str,
    sort: VideoSort,
    descending: bool,
) -> Select[Any]:
    """These columns of the video table; the arguments are those of `Session.states`."""
    key = _SORT_COLUMNS[sort]
    order = key.desc() if descending else key.asc()
    query = _matching(select(*columns), session_id, stages, search)
    return query.order_by(order.nulls_last(), videos.c.position)


def _matching(
    query: Select[Any], session_id: str, stages: Iterable[Stage] | None, search: str
) -> Select[Any]:
    query = query.where(videos.c.session_id == session_id)
    if stages is not None:
        query = query.where(videos.c.stage.in_([stage.value for stage in stages]))
    if search:
        query = query.where(
            or_(
                *(
                    column.icontains(storable(search), autoescape=True)
                    for column in (videos.c.title, videos.c.video_id, videos.c.item_channel)
                )
            )
        )
    return query


def info_of(row: RowMapping, totals: Totals, database: Database) -> SessionInfo:
    """A row of `sessions` as people want to see it: a dead engine's session is interrupted."""
    status = SessionStatus(row["status"])
    owner = row["engine_owner"]
    is_owned = owner is not None and is_at_work(owner, database)
    if status in {SessionStatus.RUNNING, SessionStatus.PAUSED} and not is_owned:
        status = SessionStatus.INTERRUPTED
    return SessionInfo(
        session_id=row["session_id"],
        name=row["name"],
        out_dir=row["out_dir"],
        status=status,
        totals=totals,
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        stopped_reason=row["stopped_reason"],
        stopped_code=row["stopped_code"],
        stopped_next_step=row["stopped_next_step"],
        engine_pid=row["engine_pid"],
        engine_owner=owner,
        engine_heartbeat_at=row["engine_heartbeat_at"],
    )


def is_at_work(owner: str, database: Database) -> bool:
    """Whether the owner of a session lives; the workers as a whole always do."""
    return owner == CLUSTER or database.is_alive(owner)


def _totals(counts: Sequence[Row[str, int]]) -> Totals:
    return Totals.from_counts({Stage(stage): number for stage, number in counts})


def _is_gone(session_id: str) -> StoreError:
    return StoreError(
        f"There is no session {session_id} in the database.",
        next_step="List the sessions to see what there is.",
        code="no_session",
    )
