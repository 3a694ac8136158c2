"""What the store says of a session, read with statements of its own.

The page reads by `Reading`; whoever judges the page reads here. The two share nothing but the
database, so that one of them can be wrong without the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from sqlalchemy import Connection, text

from bulk_transcribe.core.stage import FINAL_STAGES, Stage
from bulk_transcribe.errors import InputError
from bulk_transcribe.save.database import Database

_SESSION = text("SELECT status, engine_owner FROM sessions WHERE session_id = :session")
_COUNTS = text("SELECT stage, COUNT(*) FROM videos WHERE session_id = :session GROUP BY stage")
_ROWS = text(
    "SELECT video_id, position, title, stage FROM videos"
    " WHERE session_id = :session ORDER BY position"
)
_PAID = text("SELECT state, quoted_usd, charged_usd FROM submissions WHERE session_id = :session")
#: A job in one of these was taken by the service: its quote counts where it names no charge.
_TAKEN = frozenset({"accepted", "claimed"})
_LIVE = frozenset({"running", "paused"})
#: What a living session is called that was asked to stop.
STOPPING = "stopping"
_STOPS = text(
    "SELECT is_draining FROM pulses WHERE session_id = :session ORDER BY number DESC LIMIT 1"
)
_FAILED = frozenset({Stage.FAILED, Stage.CRASHED})


def is_under_way(stage: Stage) -> bool:
    """Whether a video in this stage neither waits for its turn nor is final."""
    return stage is not Stage.QUEUED and stage not in FINAL_STAGES


@dataclass(frozen=True, kw_only=True)
class Row:
    """One video as stored. `position` counts from 0."""

    video_id: str
    position: int
    title: str | None
    stage: Stage


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A session at one moment. `rows` are in the order of the input; empty for no videos.

    `status` is the stored one, "interrupted" where it claims to live and no process does, or
    "stopping" where its engine was told to stop and still finishes what is in flight.
    """

    session_id: str
    status: str
    counts: Mapping[Stage, int]
    rows: Mapping[str, Row]
    spent_usd: Decimal

    @property
    def is_live(self) -> bool:
        """Whether a living process works on it."""
        return self.status in _LIVE or self.status == STOPPING

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def done(self) -> int:
        return self.counts.get(Stage.DONE, 0)

    @property
    def failed(self) -> int:
        """Crashed ones included."""
        return sum(self.counts.get(stage, 0) for stage in _FAILED)

    @property
    def finished(self) -> int:
        """Videos that ended, however they did; one left for later did not."""
        return sum(self.counts.get(stage, 0) for stage in FINAL_STAGES - {Stage.CANCELLED})

    @property
    def left(self) -> int:
        """Videos left for later by a stop."""
        return self.counts.get(Stage.CANCELLED, 0)

    @property
    def queued(self) -> int:
        return self.counts.get(Stage.QUEUED, 0)

    @property
    def active(self) -> int:
        return self.total - self.queued - self.finished - self.left

    def in_stage(self, stage: Stage) -> int:
        return self.counts.get(stage, 0)

    def active_rows(self) -> tuple[Row, ...]:
        """Videos that are neither waiting nor final, in the order of the input."""
        return tuple(row for row in self.rows.values() if is_under_way(row.stage))


def read_truth(database: Database, session_id: str) -> Truth:
    """Where everything is, in one read transaction.

    Raises:
        InputError: there is no such session.
        StoreError: the database cannot be read.
    """
    with database.read() as connection:
        found = connection.execute(_SESSION, {"session": session_id}).one_or_none()
        if found is None:
            raise InputError(f"There is no session {session_id!r} in the database.")
        counts = _counts(connection, session_id)
        rows = _rows(connection, session_id)
        spent_usd = _spent_usd(connection, session_id)
        stops = bool(connection.execute(_STOPS, {"session": session_id}).scalar())
    status, owner = found
    if status in _LIVE and not (owner and database.is_alive(owner)):
        status = "interrupted"
    elif status in _LIVE and stops:
        status = STOPPING
    return Truth(
        session_id=session_id,
        status=status,
        counts=counts,
        rows=rows,
        spent_usd=spent_usd,
    )


def _counts(connection: Connection, session_id: str) -> dict[Stage, int]:
    found = connection.execute(_COUNTS, {"session": session_id})
    return {Stage(stage): number for stage, number in found}


def _rows(connection: Connection, session_id: str) -> dict[str, Row]:
    found = connection.execute(_ROWS, {"session": session_id})
    return {
        row.video_id: Row(
            video_id=row.video_id,
            position=row.position,
            title=row.title,
            stage=Stage(row.stage),
        )
        for row in found
    }


def _spent_usd(connection: Connection, session_id: str) -> Decimal:
    total = Decimal(0)
    for state, quoted, charged in connection.execute(_PAID, {"session": session_id}):
        if charged is not None:
            total += Decimal(charged)
        elif quoted is not None and state in _TAKEN:
            total += Decimal(quoted)
    return total
