"""The balance of one account as it was read, and the paid requests since then."""

import threading
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import Connection, RowMapping, func, insert, select

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.job import Submission, SubmissionState
from bulk_transcribe.save.balance_tables import balances
from bulk_transcribe.save.database import Database, outlasting
from bulk_transcribe.save.submissions import OPEN_STATES, submission_of
from bulk_transcribe.save.tables import submissions


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Where the paid requests stood when a balance was asked for."""

    newest: int
    has_open: bool


@dataclass(frozen=True, kw_only=True)
class BalanceRead:
    """A balance that the service told.

    Args:
        balance_id: Its number.
        account: Whose it is; a name that tells nothing of the key.
        balance_usd: What the account had.
        after_submission: Paid requests with a greater number were intended later.
        is_quiet: No paid request of this store was open between the question and the answer.
        read_at: When the answer was noted.
    """

    balance_id: int
    account: str
    balance_usd: Decimal
    after_submission: int
    is_quiet: bool
    read_at: datetime


@dataclass(frozen=True, kw_only=True)
class Since:
    """What happened after a reading.

    Args:
        read: The reading.
        ours: Later requests of the same account, oldest first.
        others: Later requests that may be the account's: made with another key, or before
            anything was read.
        failed: Earlier requests whose job was given up since: their money may have come back.
        later_usd: What later readings of the same account told, oldest first.
    """

    read: BalanceRead
    ours: tuple[Submission, ...]
    others: tuple[Submission, ...]
    failed: tuple[Submission, ...]
    later_usd: tuple[Decimal, ...] = ()


class Balances:
    """Readings of one account. May be shared by all threads.

    Args:
        database: The store.
        clock: For the moments that are noted.
        account: The account's name.
    """

    def __init__(self, database: Database, clock: Clock, account: str) -> None:
        self._database = database
        self._clock = clock
        self.account = account
        self._lock = threading.Lock()  # guards _latest
        self._latest: BalanceRead | None = None

    @property
    def latest(self) -> BalanceRead | None:
        """The newest reading of this process; None before the first."""
        with self._lock:
            return self._latest

    @outlasting
    def mark(self) -> Mark:
        """Call this right before the balance is asked for."""
        with self._database.read() as connection:
            return _mark(connection)

    @outlasting
    def note(self, balance_usd: Decimal, before: Mark) -> BalanceRead:
        """Keep a balance. Call this with the answer in hand.

        Raises:
            StoreError: it could not be written.
        """
        with self._database.transaction() as connection:
            now = _mark(connection)
            made = connection.execute(
                insert(balances)
                .values(
                    account=self.account,
                    balance_usd=balance_usd,
                    after_submission=now.newest,
                    is_quiet=not (before.has_open or now.has_open) and now.newest == before.newest,
                    read_at=self._clock.now(),
                )
                .returning(balances)
            )
            read = _read_of(made.mappings().one())
        with self._lock:
            self._latest = read
        return read

    @outlasting
    def since(self, balance_id: int) -> Since | None:
        """The requests after a reading; None where it is unknown or another account's."""
        with self._database.read() as connection:
            row = connection.execute(
                select(balances).where(balances.c.balance_id == balance_id)
            ).mappings()
            found = row.one_or_none()
            if found is None or found["account"] != self.account:
                return None
            read = _read_of(found)
            readings = connection.execute(
                select(balances.c.balance_id, balances.c.balance_usd)
                .where(balances.c.account == self.account)
                .order_by(balances.c.balance_id)
            )
            mine = {row.balance_id: row.balance_usd for row in readings}
            later = connection.execute(
                select(submissions)
                .where(submissions.c.submission_id > read.after_submission)
                .order_by(submissions.c.submission_id)
            )
            ours: list[Submission] = []
            others: list[Submission] = []
            for each in map(submission_of, later.mappings()):
                (ours if each.balance_id in mine else others).append(each)
            failed = connection.execute(
                select(submissions)
                .where(submissions.c.submission_id <= read.after_submission)
                .where(submissions.c.state == SubmissionState.FAILED.value)
                .where(submissions.c.ended_at >= read.read_at)
            )
            given_up = tuple(map(submission_of, failed.mappings()))
        return Since(
            read=read,
            ours=tuple(ours),
            others=tuple(others),
            failed=given_up,
            later_usd=tuple(usd for number, usd in mine.items() if number > balance_id),
        )


def _mark(connection: Connection) -> Mark:
    newest = connection.execute(select(func.max(submissions.c.submission_id))).scalar() or 0
    an_open_one = (
        select(submissions.c.submission_id)
        .where(submissions.c.state.in_(sorted(state.value for state in OPEN_STATES)))
        .limit(1)
    )
    return Mark(newest=newest, has_open=connection.execute(an_open_one).first() is not None)


def _read_of(row: RowMapping) -> BalanceRead:
    return BalanceRead(**{name: row[name] for name in BalanceRead.__dataclass_fields__})
