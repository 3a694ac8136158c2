"""The queue of videos: Procrastinate's tables on the store's own PostgreSQL.

One job is one video of one session. Nothing in the queue is the truth: what is missing from it is
put in again, and what is there without need does no harm, since a video is worked on by whoever
has its claim (`save.cluster`). That also answers for a lost queue or a restored backup.

This is the only module that knows Procrastinate's tables; its functions are used where it has
them, and where thousands of jobs are meant at once, one statement takes their place.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Self, TypeVar

import psycopg
from procrastinate import App, PsycopgConnector, SyncPsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued, ConnectorException
from procrastinate.jobs import Job

from bulk_transcribe.errors import StoreError

_log: Final = logging.getLogger(__name__)
_T = TypeVar("_T")

#: Raised when tasks or their arguments change so that an older worker would do them wrong: jobs
#: then wait under another name, and a worker of the version before leaves them alone.
PROTOCOL: Final = 1
ONE_VIDEO: Final = "one_video"
KEEP: Final = "keep"
KEEPER_QUEUE: Final = "keeper"

#: Of an account's name: PostgreSQL takes 63 bytes for the name of a channel of notices, which
#: Procrastinate makes of a queue's.
_NAME_CHARS: Final = 20
#: Jobs of one statement.
_BATCH: Final = 2_000
_WAIT_S: Final = 0.5
#: Advisory locks: numbers that nobody else in the database uses.
_SCHEMA_LOCK: Final = 7_294_810_365_127
_FILL_LOCK: Final = 7_294_810_365_128
#: A job that nobody has a claim for was just taken, or its worker died before it had one.
STUCK_AFTER_S: Final = 15.0


def queue_of(account: str) -> str:
    """Where the videos of sessions with this paid account wait; "" is no account at all.

    Workers with another key do not even see them.
    """
    return f"api{PROTOCOL}:{account[-_NAME_CHARS:] or 'free'}"


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """A video for the queue, and the priority of its job (the highest goes first)."""

    video_id: str
    priority: int


class Queue:
    """Puts videos in and takes them out again. May be shared by all threads. `close` it.

    Args:
        address: Of the database, as for `open_database`.

    Raises:
        StoreError: the database cannot be reached.
    """

    def __init__(self, address: str) -> None:
        connector = SyncPsycopgConnector(conninfo=address, min_size=1, max_size=3, timeout=30.0)
        self._app = App(connector=connector)
        self._connector = connector
        with _plain():
            self._app.open()
            self._prepare()

    def _prepare(self) -> None:
        """Make Procrastinate's tables where they are missing; one process does."""
        with self._connector.pool.connection() as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
            found = connection.execute("SELECT to_regclass('procrastinate_jobs')").fetchone()
            if found is not None and found[0] is None:
                connection.execute(self._app.schema_manager.get_schema())

    def close(self) -> None:
        """End every connection."""
        self._app.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def turn(self, *, wait: bool) -> Iterator[bool]:
        """One at a time fills the queue; whether it is this caller's turn (always, if it waits)."""
        function = "pg_advisory_lock" if wait else "pg_try_advisory_lock"
        with _plain(), self._connector.pool.connection() as connection:
            row = connection.execute(f"SELECT {function}(%s)", (_FILL_LOCK,)).fetchone()
            connection.commit()
            is_ours = row is not None and row[0] is not False
            try:
                yield is_ours
            finally:
                if is_ours:
                    connection.execute("SELECT pg_advisory_unlock(%s)", (_FILL_LOCK,))

    def put(self, queue: str, session_id: str, videos: Iterable[Waiting]) -> int:
        """Let videos wait for a worker; how many. One that waits already is left where it is."""
        rest, number = iter(videos), 0
        while batch := list(islice(rest, _BATCH)):
            jobs = [_job(queue, session_id, each) for each in batch]
            with _plain():
                number += self._put_batch(jobs)
        return number

    def _put_batch(self, jobs: Sequence[Job]) -> int:
        try:
            self._app.job_manager.batch_defer_jobs(list(jobs))
        except AlreadyEnqueued:
            if len(jobs) == 1:
                return 0
            middle = len(jobs) // 2  # two keepers at the same moment: find what is there
            return self._put_batch(jobs[:middle]) + self._put_batch(jobs[middle:])
        return len(jobs)

    def take_out(self, session_id: str) -> None:
        """Nothing of a session waits any more; what is in hand stays."""
        self._run(
            "DELETE FROM procrastinate_jobs WHERE status = 'todo'"
            " AND task_name = %(task)s AND args->>'session_id' = %(session)s",
            task=ONE_VIDEO,
            session=session_id,
        )

    def missing(self, session_id: str) -> list[str]:
        """Videos of a session that are not final, in nobody's hand and not in the queue."""
        rows = self._all(
            "SELECT v.video_id FROM videos v WHERE v.session_id = %(session)s"
            " AND v.stage NOT IN"
            " ('done', 'failed', 'crashed', 'skipped', 'cancelled', 'in_doubt')"
            " AND NOT EXISTS (SELECT 1 FROM claims c"
            "  WHERE c.session_id = v.session_id AND c.video_id = v.video_id)"
            " AND v.video_id NOT IN (SELECT j.args->>'video_id' FROM procrastinate_jobs j"
            "  WHERE j.status IN ('todo', 'doing') AND j.args->>'session_id' = %(session)s"
            "  AND j.task_name = %(task)s)"
            " ORDER BY v.position",
            session=session_id,
            task=ONE_VIDEO,
        )
        return [row["video_id"] for row in rows]

    def drop_stuck(self, held: set[tuple[str, str]]) -> int:
        """Take out jobs that are said to be done, though nobody has their videos in hand.

        Args:
            held: Session and video of every claim.
        """
        rows = self._all(
            "SELECT j.id, j.task_name, j.args->>'session_id' AS session_id,"
            " j.args->>'video_id' AS video_id FROM procrastinate_jobs j"
            " WHERE j.status = 'doing' AND j.task_name = %(task)s"
            " AND (SELECT max(e.at) FROM procrastinate_events e"
            "  WHERE e.job_id = j.id AND e.type = 'started')"
            "  < now() - %(after_s)s * interval '1 second'",
            after_s=STUCK_AFTER_S,
            task=ONE_VIDEO,
        )
        stuck = [row["id"] for row in rows if (row["session_id"], row["video_id"]) not in held]
        if stuck:
            self._run("DELETE FROM procrastinate_jobs WHERE id = ANY(%(ids)s)", ids=stuck)
        return len(stuck)

    def depth(self, queue: str) -> tuple[int, float]:
        """Jobs that wait in a queue, and the age of the oldest in seconds (0.0 for none)."""
        rows = self._all(
            "SELECT count(*) AS number FROM procrastinate_jobs"
            " WHERE status = 'todo' AND queue_name = %(queue)s",
            queue=queue,
        )
        oldest = self._all(
            "SELECT coalesce(extract(epoch FROM now() - e.at), 0)::float8 AS age_s"
            " FROM procrastinate_jobs j JOIN procrastinate_events e ON e.job_id = j.id"
            " WHERE j.status = 'todo' AND j.queue_name = %(queue)s ORDER BY e.id LIMIT 1",
            queue=queue,
        )
        return int(rows[0]["number"]), float(oldest[0]["age_s"]) if oldest else 0.0

    def _run(self, query: str, **values: Any) -> None:
        with _plain():
            self._connector.execute_query(query, **values)

    def _all(self, query: str, **values: Any) -> list[dict[str, Any]]:
        with _plain():
            return self._connector.execute_query_all(query, **values)


def worker_app(address: str) -> App:
    """Procrastinate for a worker's event loop; a server that starts anew is waited for."""
    return App(connector=_PatientConnector(conninfo=address, min_size=1, max_size=4, timeout=30.0))


class _PatientConnector(PsycopgConnector):
    """Repeats a statement until there is a server again.

    A statement that was done although its answer was lost is done twice. That takes a job out
    without anybody's working on it, which `Queue.drop_stuck` finds; the others do no harm twice.
    """

    async def execute_query_async(self, query: Any, **arguments: Any) -> None:
        await _patient(functools.partial(super().execute_query_async, query, **arguments))

    async def execute_query_one_async(self, query: Any, **arguments: Any) -> dict[str, Any]:
        return await _patient(
            functools.partial(super().execute_query_one_async, query, **arguments)
        )

    async def execute_query_all_async(self, query: Any, **arguments: Any) -> list[dict[str, Any]]:
        return await _patient(
            functools.partial(super().execute_query_all_async, query, **arguments)
        )


async def _patient(call: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
    while True:
        try:
            return await call()
        except ConnectorException as error:
            if not isinstance(error.__cause__, psycopg.OperationalError):
                raise
            _log.debug("the queue does not answer, waiting: %s", error.__cause__)
        await asyncio.sleep(_WAIT_S)


def _job(queue: str, session_id: str, video: Waiting) -> Job:
    return Job(
        id=None,
        queue=queue,
        task_name=ONE_VIDEO,
        lock=None,
        queueing_lock=f"{session_id}:{video.video_id}",
        priority=video.priority,
        task_kwargs={"session_id": session_id, "video_id": video.video_id},
    )


@contextmanager
def _plain() -> Iterator[None]:
    try:
        yield
    except (ConnectorException, psycopg.Error) as error:
        cause = error.__cause__ or error
        raise StoreError(
            f"The queue cannot be used: {type(cause).__name__}.",
            next_step="Check that the database server runs; then try again.",
            code="queue_unreachable",
        ) from error
