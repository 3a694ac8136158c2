"""What a video cost and what was tried for it; sums that add up to the session's."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, Select, Table, exists, func, select

from bulk_transcribe.core.attempt import AttemptOutcome, SourceAttempt
from bulk_transcribe.core.job import Submission
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.core.stage import Stage
from bulk_transcribe.save.database import Database, outlasting
from bulk_transcribe.save.request_sums import RequestSum
from bulk_transcribe.save.submissions import Money, submission_of
from bulk_transcribe.save.tables import attempts, requests, submissions, videos

#: Videos whose receipts are put together at a time.
_CHUNK = 500


@dataclass(frozen=True, kw_only=True)
class VideoReceipt:
    """One video of a session: what was tried, where, when, and what it took.

    Args:
        video_id: The video.
        title: Its title, where known.
        stage: Where it is or how it ended.
        source: Where its transcript came from.
        was_known: Taken from an earlier session: nothing was asked for.
        attempts: Each try of a source, oldest first.
        submissions: Each paid request, oldest first.
        requests: HTTP requests by kind; a kind without any is not there.
        money: Sums over `submissions`.
    """

    video_id: str
    title: str | None
    stage: Stage
    source: str | None
    was_known: bool
    attempts: tuple[SourceAttempt, ...]
    submissions: tuple[Submission, ...]
    requests: Mapping[RequestKind, RequestSum]
    money: Money

    @property
    def requests_sent(self) -> int:
        """HTTP requests of all kinds."""
        return sum(part.sent for part in self.requests.values())

    @property
    def waited_s(self) -> float:
        """Seconds waited for permits, over all requests."""
        return sum(part.waited_s for part in self.requests.values())

    @property
    def spent_usd(self) -> Decimal:
        return self.money.spent_usd


@dataclass(frozen=True, kw_only=True)
class SessionReceipt:
    """A session as a whole.

    `requests` holds those of every video and those of the batch as a whole, which
    `batch_requests` has alone; `money` is the sum over all paid requests of the session.
    """

    videos: int
    requests: Mapping[RequestKind, RequestSum]
    batch_requests: Mapping[RequestKind, RequestSum]
    money: Money

    @property
    def requests_sent(self) -> int:
        """HTTP requests of all kinds."""
        return sum(part.sent for part in self.requests.values())

    @property
    def batch_requests_sent(self) -> int:
        """Those of the batch as a whole: lists, quotes, the balance."""
        return sum(part.sent for part in self.batch_requests.values())


class Receipts:
    """Reads receipts. May be shared by all threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_video(self, session_id: str, video_id: str) -> VideoReceipt | None:
        """One video's receipt; None if the session does not have the video."""
        return next(self._receipts(session_id, videos.c.video_id == video_id), None)

    def of_videos(self, session_id: str) -> Iterator[VideoReceipt]:
        """Every video's receipt in the order of the input, read as you go."""
        position = 0
        while True:
            portion = videos.c.position.between(position, position + _CHUNK - 1)
            found = list(self._receipts(session_id, portion))
            if not found:
                return
            yield from found
            position += _CHUNK

    def without_video(self) -> list[Submission]:
        """Paid requests whose video is in no session any more, oldest first.

        Sessions can be deleted; what was paid is not forgotten for that.
        """
        is_there = exists().where(
            videos.c.session_id == submissions.c.session_id,
            videos.c.video_id == submissions.c.video_id,
        )
        query = select(submissions).where(~is_there).order_by(submissions.c.submission_id)
        with self._database.read() as connection:
            return [submission_of(row) for row in connection.execute(query).mappings()]

    @outlasting
    def of_session(self, session_id: str) -> SessionReceipt:
        """The sums; zeros for a session that does not exist or did nothing."""
        with self._database.read() as connection:
            sums = [
                _sum_of(row) for row in connection.execute(_of(requests, session_id)).mappings()
            ]
            paid = connection.execute(_of(submissions, session_id)).mappings()
            money = Money.of(submission_of(row) for row in paid)
            number: int = connection.execute(
                select(func.count()).select_from(videos).where(videos.c.session_id == session_id)
            ).scalar_one()
        return SessionReceipt(
            videos=number,
            requests=_by_kind([replace(part, video_id=None) for part in sums]),
            batch_requests=_by_kind([part for part in sums if part.video_id is None]),
            money=money,
        )

    def _receipts(self, session_id: str, which: ColumnElement[bool]) -> Iterator[VideoReceipt]:
        query = _of(videos, session_id).where(which).order_by(videos.c.position)
        ids = query.with_only_columns(videos.c.video_id).order_by(None)
        with self._database.read() as connection:  # one view for all four tables
            rows = connection.execute(query).mappings().all()
            tries: dict[str, list[SourceAttempt]] = defaultdict(list)
            found = _of(attempts, session_id).where(attempts.c.video_id.in_(ids))
            for row in connection.execute(found.order_by(attempts.c.attempt_id)).mappings():
                tries[row["video_id"]].append(_attempt_of(row))
            paid: dict[str, list[Submission]] = defaultdict(list)
            found = _of(submissions, session_id).where(submissions.c.video_id.in_(ids))
            for row in connection.execute(found.order_by(submissions.c.submission_id)).mappings():
                paid[row["video_id"]].append(submission_of(row))
            sums: dict[str, list[RequestSum]] = defaultdict(list)
            found = _of(requests, session_id).where(requests.c.video_id.in_(ids))
            for row in connection.execute(found).mappings():
                sums[row["video_id"]].append(_sum_of(row))
        for row in rows:
            video_id = row["video_id"]
            yield VideoReceipt(
                video_id=video_id,
                title=row["title"],
                stage=Stage(row["stage"]),
                source=row["source"],
                was_known=row["was_known"],
                attempts=tuple(tries[video_id]),
                submissions=tuple(paid[video_id]),
                requests=_by_kind(sums[video_id]),
                money=Money.of(paid[video_id]),
            )


def _of(table: Table, session_id: str) -> Select[Any]:
    return select(table).where(table.c.session_id == session_id)


def _by_kind(sums: list[RequestSum]) -> dict[RequestKind, RequestSum]:
    together: dict[RequestKind, RequestSum] = {}
    for part in sums:
        before = together.get(part.kind)
        together[part.kind] = part if before is None else before + part
    return together


def _sum_of(row: RowMapping) -> RequestSum:
    return RequestSum(
        video_id=row["video_id"] or None,
        kind=RequestKind(row["kind"]),
        sent=row["sent"],
        refused=row["refused"],
        failed=row["failed"],
        waited_s=row["waited_s"],
        took_s=row["took_s"],
        first_at=row["first_at"],
        last_at=row["last_at"],
    )


def _attempt_of(row: RowMapping) -> SourceAttempt:
    return SourceAttempt(
        video_id=row["video_id"],
        source=row["source"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        outcome=AttemptOutcome(row["outcome"]),
        error=row["error"],
        error_code=row["error_code"],
    )
