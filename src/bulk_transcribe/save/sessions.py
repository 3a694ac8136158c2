"""All batches in the store: make, find, claim, resume and delete them."""

import json
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.job import SubmissionState
from bulk_transcribe.core.outcome import Totals
from bulk_transcribe.core.stage import FINAL_STAGES, Stage
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import InputError
from bulk_transcribe.save.database import Database, outlasting
from bulk_transcribe.save.pulse_tables import pulses
from bulk_transcribe.save.session import Session, SessionInfo, SessionStatus, info_of, is_at_work
from bulk_transcribe.save.tables import problems as problems_table
from bulk_transcribe.save.tables import sessions, submissions, videos, wishes
from bulk_transcribe.save.video_rows import item_row, queued_again_row

#: Rows written at a time; bounds the memory of a session of any size.
_CHUNK = 2_000
#: Neither 0 and o nor 1, i and l: an id can be read aloud and typed.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
#: Error code of a video whose job was not waited for any longer.
_LATE = "job_overdue"
_SECRET_NAME = re.compile(r"key$|password|secret|token|username|proxy$", re.IGNORECASE)


class ProblemLine(Protocol):
    """An input line that could not be understood, as the inputs tell it."""

    @property
    def origin(self) -> str: ...
    @property
    def line(self) -> int | None: ...
    @property
    def text(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def suggestion(self) -> str: ...


def _random_tail() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(4))


class SessionManager:
    """The batches of a database. May be shared by all threads and used by many processes.

    Args:
        database: The store.
        clock: For the moments that are noted.
        tail: Makes the end of a session id, 4 letters; another one each time.
    """

    def __init__(
        self, database: Database, clock: Clock, *, tail: Callable[[], str] = _random_tail
    ) -> None:
        self._database = database
        self._clock = clock
        self._tail = tail

    def create_session(
        self,
        items: Iterable[VideoItem],
        *,
        problems: Iterable[ProblemLine] = (),
        settings: Mapping[str, Any] | None = None,
        out_dir: Path | str = "",
        name: str = "",
    ) -> str:
        """Store a new batch, all of it or nothing; its id, such as "20261124-101500-k3f9".

        Ids sort by time (UTC). Other processes write while 50,000 items are stored only after
        they are, which takes a second or two.

        Args:
            items: The videos in the order of the input, each once; none at all is allowed.
            problems: Input lines that could not be understood.
            settings: What `resume` needs to go on in the same way; JSON values, paths as text.
            out_dir: Folder of the transcript files.
            name: For people; may repeat.

        Raises:
            ValueError: a video is there twice, or a setting looks like a secret.
            StoreError: the database cannot be written.
        """
        settings = dict(settings or {})
        _refuse_secrets(settings)
        started_at = self._clock.now()
        with self._database.transaction() as connection:
            session_id = self._free_id(connection)
            connection.execute(
                insert(sessions).values(
                    session_id=session_id,
                    name=name,
                    out_dir=str(out_dir),
                    settings=json.dumps(settings, default=str),
                    status=SessionStatus.NEW.value,
                    stopped_reason="",
                    stopped_code="",
                    stopped_next_step="",
                    created_at=started_at,
                )
            )
            try:
                for rows in _chunks(
                    item_row(session_id, position, item) for position, item in enumerate(items)
                ):
                    connection.execute(insert(videos), rows)
            except IntegrityError as error:
                raise ValueError("a session has each video once") from error
            for rows in _chunks(
                {
                    "session_id": session_id,
                    "number": number,
                    "origin": problem.origin,
                    "line": problem.line,
                    "text": problem.text,
                    "message": problem.message,
                    "suggestion": problem.suggestion,
                }
                for number, problem in enumerate(problems)
            ):
                connection.execute(insert(problems_table), rows)
        return session_id

    @outlasting
    def open_session(self, session_id: str) -> Session:
        """The session with exactly this id.

        Raises:
            InputError: there is none.
        """
        query = select(sessions.c.session_id).where(sessions.c.session_id == session_id)
        with self._database.read() as connection:
            if connection.execute(query).first() is None:
                raise _no_session(session_id)
        return Session(self._database, self._clock, session_id)

    @outlasting
    def resolve(self, wanted: str) -> str:
        """The id that `wanted` means: an id, its beginning, or its last four letters.

        Raises:
            InputError: it means no session, or more than one; the message lists them.
        """
        ids = sessions.c.session_id
        query = select(ids).order_by(ids.desc())
        if wanted:
            beginning = ids.startswith(wanted, autoescape=True)
            end = ids.endswith(f"-{wanted}", autoescape=True)
            query = query.where(or_(beginning, end))
        with self._database.read() as connection:
            found = list(connection.execute(query.limit(6)).scalars())
        if wanted in found or (wanted and len(found) == 1):
            return wanted if wanted in found else found[0]
        if not found or not wanted:
            raise _no_session(wanted)
        raise InputError(
            f"{wanted!r} could be one of several sessions: {', '.join(found[:5])}"
            f"{' and more' if len(found) > 5 else ''}.",  # noqa: PLR2004 -- a line's worth
            next_step="Type more of the id.",
            code="ambiguous_session",
        )

    @outlasting
    def latest(self) -> str | None:
        """Id of the newest session; None if there is no session yet."""
        query = select(sessions.c.session_id).order_by(
            sessions.c.created_at.desc(), sessions.c.session_id.desc()
        )
        with self._database.read() as connection:
            newest: str | None = connection.execute(query.limit(1)).scalar()
        return newest

    @outlasting
    def list_sessions(self, *, limit: int | None = None) -> list[SessionInfo]:
        """Sessions, newest first, at most `limit`."""
        with self._database.read() as connection:
            return read_infos(connection, self._database, limit=limit)

    @outlasting
    def claim_engine(self, session_id: str) -> Session:
        """Take a session for the engine of this process, so that no other one works on it.

        The claim of a process that has ended is taken over. The claim lasts until
        `Session.release_engine`, or until the database is closed or the process ends. Wishes that
        nobody took before are forgotten.

        Raises:
            InputError: there is no such session, or a living process works on it.
        """
        with self._database.transaction() as connection:
            self._refuse_busy(connection, session_id, but_mine=True)
            connection.execute(
                update(sessions)
                .where(sessions.c.session_id == session_id)
                .values(
                    engine_owner=self._database.owner_id,
                    engine_pid=os.getpid(),
                    engine_heartbeat_at=self._clock.now(),
                    status=SessionStatus.RUNNING.value,
                    started_at=func.coalesce(sessions.c.started_at, self._clock.now()),
                    ended_at=None,
                    stopped_reason="",
                    stopped_code="",
                    stopped_next_step="",
                )
            )
            # that the run before was ending says nothing of this one
            connection.execute(
                update(pulses)
                .where(pulses.c.session_id == session_id, pulses.c.is_draining.is_(True))
                .values(is_draining=False)
            )
            # what was wished of an engine that has ended is not meant for this one
            connection.execute(
                update(wishes)
                .where(wishes.c.session_id == session_id, wishes.c.taken_at.is_(None))
                .values(taken_at=self._clock.now())
            )
        return Session(self._database, self._clock, session_id)

    @outlasting
    def prepare_resume(self, session_id: str, *, retry_failed: bool = False) -> int:
        """Send videos back to the queue; how many are queued now.

        Back go those that were in flight or cancelled, those in doubt whose doubt was decided,
        and those whose job was late and can still be fetched. Those that have their transcript
        stay.

        Args:
            session_id: Nobody works on it, or this process does.
            retry_failed: Also those that failed or were skipped where another try makes sense
                (`can_retry`), and those that crashed.

        Raises:
            InputError: there is no such session, or another process works on it.
        """
        with self._database.transaction() as connection:
            self._refuse_busy(connection, session_id, but_mine=True)
            connection.execute(
                update(videos)
                .where(videos.c.session_id == session_id)
                .where(_goes_back(retry_failed=retry_failed))
                .values(**queued_again_row(self._clock.now()))
            )
            queued: int = connection.execute(
                select(func.count())
                .select_from(videos)
                .where(videos.c.session_id == session_id, videos.c.stage == Stage.QUEUED.value)
            ).scalar_one()
        return queued

    @outlasting
    def delete_session(self, session_id: str) -> None:
        """Forget a session. Its files, its transcripts and every paid request stay.

        Raises:
            InputError: there is no such session, or a living process works on it.
        """
        with self._database.transaction() as connection:
            self._refuse_busy(connection, session_id, but_mine=False)
            connection.execute(delete(sessions).where(sessions.c.session_id == session_id))

    def _free_id(self, connection: Connection) -> str:
        moment = self._clock.now().astimezone(UTC).strftime("%Y%m%d-%H%M%S")
        while True:
            session_id = f"{moment}-{self._tail()}"
            taken = select(sessions.c.session_id).where(sessions.c.session_id == session_id)
            if connection.execute(taken).first() is None:
                return session_id

    def _refuse_busy(self, connection: Connection, session_id: str, *, but_mine: bool) -> None:
        row = connection.execute(
            select(sessions.c.engine_owner, sessions.c.engine_pid).where(
                sessions.c.session_id == session_id
            )
        ).one_or_none()
        if row is None:
            raise _no_session(session_id)
        if row.engine_owner is None or not is_at_work(row.engine_owner, self._database):
            return
        if but_mine and row.engine_owner == self._database.owner_id:
            return
        raise InputError(
            f"The session {session_id} is being worked on by "
            + ("the workers." if row.engine_pid is None else f"process {row.engine_pid}."),
            next_step="Watch it, or stop it first.",
            code="session_busy",
        )


def read_infos(
    connection: Connection, database: Database, *, limit: int | None = None
) -> list[SessionInfo]:
    """Sessions, newest first, at most `limit`, as this transaction sees them."""
    newest = (
        select(sessions)
        .order_by(sessions.c.created_at.desc(), sessions.c.session_id.desc())
        .limit(limit)
    )
    rows = connection.execute(newest).mappings().all()
    counts: dict[str, dict[Stage, int]] = {row["session_id"]: {} for row in rows}
    wanted = select(newest.subquery().c.session_id)
    for session_id, stage, number in connection.execute(
        select(videos.c.session_id, videos.c.stage, func.count())
        .where(videos.c.session_id.in_(wanted))
        .group_by(videos.c.session_id, videos.c.stage)
    ):
        counts[session_id][Stage(stage)] = number
    return [info_of(row, Totals.from_counts(counts[row["session_id"]]), database) for row in rows]


def retry_helps() -> ColumnElement[bool]:
    """Which videos a retry sends back: failed or skipped where it can help, and crashed ones."""
    may_help = videos.c.stage.in_([Stage.FAILED.value, Stage.SKIPPED.value])
    is_bug = videos.c.stage == Stage.CRASHED.value
    return or_(and_(may_help, videos.c.can_retry.is_(True)), is_bug)


def _goes_back(*, retry_failed: bool) -> ColumnElement[bool]:
    ended_for_good = [stage.value for stage in FINAL_STAGES if stage is not Stage.CANCELLED]
    still_in_doubt = exists().where(
        submissions.c.video_id == videos.c.video_id,
        submissions.c.state == SubmissionState.IN_DOUBT.value,
    )
    is_paid_for = exists().where(
        submissions.c.video_id == videos.c.video_id,
        submissions.c.state == SubmissionState.ACCEPTED.value,
    )
    cases: list[ColumnElement[bool]] = [
        videos.c.stage.not_in(ended_for_good),
        and_(videos.c.stage == Stage.IN_DOUBT.value, ~still_in_doubt),
        and_(videos.c.stage == Stage.FAILED.value, videos.c.error_code == _LATE, is_paid_for),
    ]
    if retry_failed:
        cases.append(retry_helps())
    return or_(*cases)


def _refuse_secrets(settings: Mapping[str, Any]) -> None:
    for name, value in settings.items():
        if value and _SECRET_NAME.search(name):
            raise ValueError(f"the setting {name} looks like a secret: it stays out of the store")


def _chunks(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rest = iter(rows)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk


def _no_session(wanted: str) -> InputError:
    what = f"There is no session {wanted!r}" if wanted else "There is no session yet"
    return InputError(
        f"{what} in the database.",
        next_step="List the sessions to see what there is." if wanted else "Start one.",
        code="no_session",
    )
