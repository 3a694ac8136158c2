"""What workers on several machines agree on: whose video is whose, and what is wanted.

The truth is here; the queue of jobs is derived from it. A video is worked on by the opening of the
database that has its claim, and by nobody else. A claim ends with the video's end, in the same
transaction, or when its owner is gone: then the video waits for its turn again. An owner that was
declared gone can write nothing more (`Database`), so it cannot spoil what others have by then.
"""

import enum
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.outcome import Totals, VideoResult
from bulk_transcribe.core.stage import FINAL_STAGES, Stage, VideoState
from bulk_transcribe.errors import BulkTranscribeError, InputError, StoreError
from bulk_transcribe.save.cluster_tables import claims, cluster_sessions, queue_times, workers
from bulk_transcribe.save.database import Database, outlasting, upsert
from bulk_transcribe.save.session import CLUSTER, Session, SessionStatus, is_at_work
from bulk_transcribe.save.tables import sessions, videos

_FINAL: Final = sorted(stage.value for stage in FINAL_STAGES)


class Steer(enum.StrEnum):
    """What is wanted of a session that the workers have."""

    RUN = "run"
    PAUSE = "pause"  # start nothing new
    DRAIN = "drain"  # start no more, finish what is in hand, then end
    HALT = "halt"  # end now


class Claim(enum.Enum):
    """What became of the wish to have a video."""

    TAKEN = "taken"
    OVER = "over"  # it has ended, or there is no such video
    HELD = "held"  # somebody else has it in hand
    NOT_NOW = "not now"  # its session is paused, stopped or not with the workers


@dataclass(frozen=True, kw_only=True)
class ClusterSession:
    """A session that the workers have, or had.

    Args:
        session_id: The session.
        queue: Where its jobs wait.
        step: Virtual time that one of its videos takes.
        steer: What is wanted of it.
        stopped: Reason, code and next step of the error that ended it; "" where none did.
    """

    session_id: str
    queue: str
    step: int
    steer: Steer
    stopped: tuple[str, str, str] = ("", "", "")


@dataclass(frozen=True, kw_only=True)
class WorkerInfo:
    """A worker at a glance. `doing` is the number of videos that it has in hand."""

    owner: str
    host: str
    pid: int
    slots: int
    doing: int
    state: str
    queues: tuple[str, ...]
    version: str
    started_at: datetime
    beat_at: datetime


class ClaimedSession(Session):
    """A session whose videos end under this process's claims alone."""

    def finish(self, state: VideoState, result: VideoResult) -> None:
        """Note a video's end and give its claim back; durable on return.

        Raises:
            StoreError: it could not be written, or this process does not have the video.
        """
        outlasting(self._finish_claimed)(state, result)

    def _finish_claimed(self, state: VideoState, result: VideoResult) -> None:
        with self._database.transaction() as connection:
            mine = _of(self.session_id, state.video_id) & (
                claims.c.owner == self._database.owner_id
            )
            if connection.execute(delete(claims).where(mine)).rowcount != 1:
                raise StoreError(
                    f"This process does not have {state.video_id} of {self.session_id} any more.",
                    next_step="Another worker took it over; nothing was lost.",
                    code="claim_lost",
                )
            self.note_end(connection, state, result)


class ClusterStore:
    """Sessions, claims and workers. May be shared by all threads and used by many processes."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def hand_over(self, session_id: str, *, queue: str, step: int) -> None:
        """Give a session that nobody works on to the workers.

        Raises:
            InputError: there is no such session, or somebody works on it.
        """
        with self._database.transaction() as connection:
            owner = connection.execute(
                select(sessions.c.engine_owner).where(sessions.c.session_id == session_id)
            ).one_or_none()
            if owner is None or (owner[0] and is_at_work(owner[0], self._database)):
                what = "is being worked on" if owner else "is not in the database"
                raise InputError(f"The session {session_id} {what}.", code="session_busy")
            connection.execute(
                update(sessions)
                .where(sessions.c.session_id == session_id)
                .values(
                    engine_owner=CLUSTER,
                    engine_pid=None,
                    engine_heartbeat_at=self._clock.now(),
                    status=SessionStatus.RUNNING.value,
                    started_at=func.coalesce(sessions.c.started_at, self._clock.now()),
                    ended_at=None,
                    stopped_reason="",
                    stopped_code="",
                    stopped_next_step="",
                )
            )
            row = {"session_id": session_id, "queue": queue, "step": step}
            nothing = {"stopped_reason": "", "stopped_code": "", "stopped_next_step": ""}
            upsert(connection, cluster_sessions, [row | nothing | {"steer": Steer.RUN.value}])

    def get(self, session_id: str) -> ClusterSession | None:
        """A session that the workers have or had; None: they never did."""
        query = select(cluster_sessions).where(cluster_sessions.c.session_id == session_id)
        with self._database.read() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return None if row is None else _session_of(row)

    def live(self) -> list[ClusterSession]:
        """The sessions that the workers have now, oldest first."""
        query = (
            select(cluster_sessions)
            .join(sessions, sessions.c.session_id == cluster_sessions.c.session_id)
            .where(sessions.c.engine_owner == CLUSTER)
            .order_by(cluster_sessions.c.session_id)
        )
        with self._database.read() as connection:
            return [_session_of(row) for row in connection.execute(query).mappings()]

    def steer(self, session_id: str, steer: Steer) -> None:
        """Note what is wanted of a session; one that is being ended stays so."""
        ends = [Steer.DRAIN.value, Steer.HALT.value]
        goes_on = steer in {Steer.RUN, Steer.PAUSE}
        where: list[ColumnElement[bool]] = [cluster_sessions.c.session_id == session_id]
        if goes_on:
            where.append(cluster_sessions.c.steer.not_in(ends))
        with self._database.transaction() as connection:
            changed = connection.execute(
                update(cluster_sessions).where(*where).values(steer=steer.value)
            ).rowcount
            if changed and goes_on:
                status = SessionStatus.PAUSED if steer is Steer.PAUSE else SessionStatus.RUNNING
                connection.execute(
                    update(sessions).where(_with_workers(session_id)).values(status=status.value)
                )

    def stop(self, session_id: str, error: BulkTranscribeError, steer: Steer) -> None:
        """Note the error that every further video would meet; the first one counts."""
        with self._database.transaction() as connection:
            connection.execute(
                update(cluster_sessions)
                .where(
                    cluster_sessions.c.session_id == session_id,
                    cluster_sessions.c.stopped_code == "",
                )
                .values(
                    stopped_reason=error.message,
                    stopped_code=error.code,
                    stopped_next_step=error.next_step,
                )
            )
        if steer is not Steer.RUN:
            self.steer(session_id, steer)

    def claim(self, session_id: str, video_id: str, *, queue: str, reached: int) -> Claim:
        """Take a video in hand for this process.

        Args:
            session_id: The session.
            video_id: The video.
            queue: Where its job waited.
            reached: Virtual time of that job: the queue has come so far.
        """
        return outlasting(self._claim)(session_id, video_id, queue, reached)

    def _claim(self, session_id: str, video_id: str, queue: str, reached: int) -> Claim:
        with self._database.transaction(durable=False) as connection:
            upsert(
                connection, queue_times, [{"queue": queue, "reached": reached}], most=("reached",)
            )
            row = connection.execute(
                select(videos.c.stage, cluster_sessions.c.steer, sessions.c.engine_owner)
                .join(sessions, sessions.c.session_id == videos.c.session_id)
                .join(cluster_sessions, cluster_sessions.c.session_id == videos.c.session_id)
                .where(videos.c.session_id == session_id, videos.c.video_id == video_id)
            ).one_or_none()
            if row is None or row.stage in _FINAL:
                return Claim.OVER
            if row.steer != Steer.RUN or row.engine_owner != CLUSTER:
                return Claim.NOT_NOW
            held_by = connection.execute(
                select(claims.c.owner).where(_of(session_id, video_id))
            ).scalar()
            if held_by is not None and self._database.is_alive(held_by):
                return Claim.HELD
            upsert(
                connection,
                claims,
                [
                    {
                        "session_id": session_id,
                        "video_id": video_id,
                        "owner": self._database.owner_id,
                    }
                ],
            )
        return Claim.TAKEN

    def give_back(self, session_id: str, video_id: str) -> None:
        """This process does not go on with a video: it waits for its turn again."""
        mine = _of(session_id, video_id) & (claims.c.owner == self._database.owner_id)
        with self._database.transaction(durable=False) as connection:
            _release(connection, mine)

    def give_all_back(self) -> int:
        """This process goes on with nothing; how many videos wait for their turn again."""
        with self._database.transaction(durable=False) as connection:
            return _release(connection, claims.c.owner == self._database.owner_id)

    def rescue(self) -> int:
        """Take from openings that are gone what they had in hand; how many videos those were."""
        with self._database.read() as connection:
            owners = connection.execute(select(claims.c.owner).distinct()).scalars().all()
            is_calm = all(self._database.is_alive(owner) for owner in owners)
        if is_calm:
            return 0
        with self._database.transaction() as connection:
            gone = [owner for owner in owners if not self._database.is_alive(owner)]
            return _release(connection, claims.c.owner.in_(gone))

    def in_hand(self, session_id: str) -> int:
        """Videos of a session that somebody has in hand."""
        query = select(func.count()).select_from(claims)
        with self._database.read() as connection:
            found: int = connection.execute(
                query.where(claims.c.session_id == session_id)
            ).scalar_one()
        return found

    def held(self) -> set[tuple[str, str]]:
        """Session and video of everything that somebody has in hand."""
        with self._database.read() as connection:
            rows = connection.execute(select(claims.c.session_id, claims.c.video_id))
            return {(row.session_id, row.video_id) for row in rows}

    def end_if_over(self, session_id: str) -> bool:
        """End a session where every video is final, or where it was stopped and nothing runs."""
        with self._database.transaction() as connection:
            row = connection.execute(
                select(cluster_sessions)
                .join(sessions, sessions.c.session_id == cluster_sessions.c.session_id)
                .where(_with_workers(session_id))
            ).mappings()
            found = row.one_or_none()
            if found is None:
                return False
            session = _session_of(found)
            of_session = videos.c.session_id == session_id
            counts = connection.execute(
                select(videos.c.stage, func.count()).where(of_session).group_by(videos.c.stage)
            ).all()
            totals = Totals.from_counts({Stage(stage): number for stage, number in counts})
            runs = connection.execute(
                select(claims.c.video_id).where(claims.c.session_id == session_id).limit(1)
            ).first()
            ends = ended(session, totals, is_in_hand=runs is not None)
            if ends is None:
                return False
            connection.execute(
                update(sessions)
                .where(_with_workers(session_id))
                .values(
                    **ends,
                    engine_owner=None,
                    ended_at=self._clock.now(),
                    engine_heartbeat_at=self._clock.now(),
                )
            )
        return True

    def reached(self, queue: str) -> int:
        """Virtual time to which a queue has come; 0 for a new one."""
        query = select(queue_times.c.reached).where(queue_times.c.queue == queue)
        with self._database.read() as connection:
            return connection.execute(query).scalar() or 0

    def begin_anew(self, queue: str) -> None:
        """Nothing waits in a queue: its virtual time starts at 0 again."""
        with self._database.transaction(durable=False) as connection:
            upsert(connection, queue_times, [{"queue": queue, "reached": 0}])

    def finished_since(self, session_id: str, since: timedelta) -> int:
        """Videos of a session that ended within the last while."""
        query = (
            select(func.count())
            .select_from(videos)
            .where(
                videos.c.session_id == session_id,
                videos.c.finished_at > self._clock.now() - since,
            )
        )
        with self._database.read() as connection:
            found: int = connection.execute(query).scalar_one()
        return found

    def beat(
        self,
        *,
        slots: int,
        doing: int,
        state: str,
        queues: Sequence[str],
        version: str,
        started_at: datetime,
    ) -> None:
        """Note that this process is a worker, and how it is."""
        row = {
            "owner": self._database.owner_id,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "slots": slots,
            "doing": doing,
            "state": state,
            "queues": ",".join(queues),
            "version": version,
            "started_at": started_at,
            "beat_at": self._clock.now(),
        }
        with self._database.transaction(durable=False) as connection:
            upsert(connection, workers, [row])

    def leave(self) -> None:
        """This process is no worker any more."""
        with self._database.transaction(durable=False) as connection:
            connection.execute(delete(workers).where(workers.c.owner == self._database.owner_id))

    def workers(self) -> list[WorkerInfo]:
        """The workers that live, longest at work first."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(workers).order_by(workers.c.started_at, workers.c.owner)
            ).mappings()
            return [
                WorkerInfo(**dict(row) | {"queues": tuple(row["queues"].split(","))})
                for row in rows.all()
                if self._database.is_alive(row["owner"])
            ]

    def sweep_workers(self) -> None:
        """Forget workers that are gone."""
        with self._database.read() as connection:
            owners: Iterable[str] = connection.execute(select(workers.c.owner)).scalars().all()
            gone = [owner for owner in owners if not self._database.is_alive(owner)]
        if gone:
            with self._database.transaction(durable=False) as connection:
                connection.execute(delete(workers).where(workers.c.owner.in_(gone)))


def ended(session: ClusterSession, totals: Totals, *, is_in_hand: bool) -> dict[str, Any] | None:
    """The columns of `sessions` at the end of a session with these totals; None: it goes on."""
    waits = totals.queued + totals.active
    stops = session.steer in {Steer.DRAIN, Steer.HALT}
    if is_in_hand or (waits and not stops):
        return None
    left = waits + totals.cancelled
    reason, code, next_step = session.stopped
    is_finished = not left and not code
    return {
        "status": (SessionStatus.FINISHED if is_finished else SessionStatus.STOPPED).value,
        "stopped_reason": "" if is_finished else reason or "stopped on request",
        "stopped_code": code,
        "stopped_next_step": next_step,
    }


def _release(connection: Connection, which: ColumnElement[bool]) -> int:
    """End claims; their videos are queued again, unless they have ended."""
    rows = connection.execute(
        delete(claims).where(which).returning(claims.c.session_id, claims.c.video_id)
    ).all()
    for session_id, video_id in rows:
        connection.execute(
            update(videos)
            .where(videos.c.session_id == session_id, videos.c.video_id == video_id)
            .where(videos.c.stage.not_in(_FINAL))
            .values(
                stage=Stage.QUEUED.value,
                progress=None,
                worker=None,
                waiting=None,
                waiting_until_at=None,
            )
        )
    return len(rows)


def _of(session_id: str, video_id: str) -> ColumnElement[bool]:
    return and_(claims.c.session_id == session_id, claims.c.video_id == video_id)


def _with_workers(session_id: str) -> ColumnElement[bool]:
    return and_(sessions.c.session_id == session_id, sessions.c.engine_owner == CLUSTER)


def _session_of(row: Any) -> ClusterSession:
    return ClusterSession(
        session_id=row["session_id"],
        queue=row["queue"],
        step=row["step"],
        steer=Steer(row["steer"]),
        stopped=(row["stopped_reason"], row["stopped_code"], row["stopped_next_step"]),
    )
