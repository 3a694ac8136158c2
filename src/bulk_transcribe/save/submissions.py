"""Every paid request: durable before it goes out, never sent twice, never forgotten (law 3)."""

import enum
import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    func,
    insert,
    or_,
    select,
    update,
)

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.job import JobState, Submission, SubmissionState
from bulk_transcribe.core.stage import Stage
from bulk_transcribe.core.transcript import ContentKey, Transcript
from bulk_transcribe.errors import InDoubtError, InputError, StoreError, UnderWayError
from bulk_transcribe.save.budget import Budget, note_cost
from bulk_transcribe.save.database import ConflictError, Database, outlasting
from bulk_transcribe.save.tables import submissions, videos
from bulk_transcribe.save.transcripts import put_transcript

_S = SubmissionState

#: Not settled: nothing new may be paid for the same content.
OPEN_STATES = frozenset({_S.INTENDED, _S.SENT, _S.ACCEPTED, _S.IN_DOUBT})

#: From where each state can be entered (the picture at `SubmissionState`). An intent that was
#: given up before anything went out counts as refused: not accepted, not paid.
_BEFORE: dict[SubmissionState, frozenset[SubmissionState]] = {
    _S.SENT: frozenset({_S.INTENDED}),
    _S.ACCEPTED: frozenset({_S.SENT, _S.IN_DOUBT}),
    _S.REFUSED: frozenset({_S.INTENDED, _S.SENT, _S.IN_DOUBT}),
    _S.IN_DOUBT: frozenset({_S.SENT}),
    _S.CLAIMED: frozenset({_S.ACCEPTED}),
    _S.FAILED: frozenset({_S.ACCEPTED}),
    _S.ABANDONED: frozenset({_S.INTENDED, _S.ACCEPTED, _S.IN_DOUBT}),
}


#: Nobody guesses a webhook's address.
_NONCE_BYTES: Final = 18


class BalanceNoted(Protocol):
    """A reading of the account's balance: `balances.BalanceRead`."""

    @property
    def balance_id(self) -> int: ...
    @property
    def balance_usd(self) -> Decimal: ...


def _no_balance() -> None:
    """Nobody has read the balance."""


class Decision(enum.StrEnum):
    """What a person decides about a paid request whose answer was lost."""

    RESEND = "resend"  # it may be paid again: the next resume sends a new one
    SKIP = "skip"  # the video is left out


@dataclass(frozen=True, kw_only=True)
class Money:
    """Sums over paid requests, in US dollars.

    Args:
        requests: Paid requests that went out or were about to.
        quoted_usd: Sum of the quotes, whatever became of the requests.
        charged_usd: What the service said it took.
        spent_usd: The same, and the quote of each accepted or fetched job where it did not say.
        at_risk_usd: Quotes of those that may have been taken: sent or in doubt without an
            answer, or failed or abandoned without a word about the charge.
    """

    requests: int = 0
    quoted_usd: Decimal = Decimal(0)
    charged_usd: Decimal = Decimal(0)
    spent_usd: Decimal = Decimal(0)
    at_risk_usd: Decimal = Decimal(0)

    @classmethod
    def of(cls, paid: Iterable[Submission]) -> "Money":
        """Add up. No requests at all give zeros."""
        total = cls()
        for submission in paid:
            total += _money_of(submission)
        return total

    def __add__(self, other: "Money") -> "Money":
        return Money(
            requests=self.requests + other.requests,
            quoted_usd=self.quoted_usd + other.quoted_usd,
            charged_usd=self.charged_usd + other.charged_usd,
            spent_usd=self.spent_usd + other.spent_usd,
            at_risk_usd=self.at_risk_usd + other.at_risk_usd,
        )


class SubmissionLedger:
    """Implements `SubmissionBook` for one session; sees the open requests of all sessions.

    May be shared by all threads and used by many processes. Saying the same word twice of a
    request changes nothing; a word that contradicts an earlier one raises `StoreError`.

    Args:
        database: The store.
        clock: For the moments that are noted.
        session_id: On whose account new requests are booked; "" for work outside of a session.
        budget: What may be spent; None: no limit.
        latest_balance: The newest reading of the account's balance, noted with each intent.
        with_nonce: Give each intent a secret word of its own, the end of its webhook's address.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        session_id: str = "",
        *,
        budget: Budget | None = None,
        latest_balance: Callable[[], BalanceNoted | None] = _no_balance,
        with_nonce: bool = False,
    ) -> None:
        self._budget = budget or Budget()
        self._latest_balance = latest_balance
        self._with_nonce = with_nonce
        self._database = database
        self._clock = clock
        self._session_id = session_id
        self._made_at = clock.now()

    @outlasting
    def find_open(self, key: ContentKey) -> Submission | None:
        """The submission of this content that is not settled, whoever made it; or None.

        One that was intended or sent by a process that has ended is settled first.
        """
        with self._database.read() as connection:
            row = connection.execute(_open_of(key)).mappings().first()
        if row is not None and self._is_orphan(row):
            with self._database.transaction() as connection:
                self._settle(connection, _same(key))
                row = connection.execute(_open_of(key)).mappings().first()
        return None if row is None else submission_of(row)

    @outlasting
    def intend(
        self,
        key: ContentKey,
        *,
        quoted_usd: Decimal | None = None,
        most_usd: Decimal | None = None,
    ) -> Submission:
        """Commit the intent of a paid request. Nothing may be sent before this returns.

        Raises:
            CostLimitError, CostUnknownError, StopBatchError: the budget does not allow it.
            InDoubtError: an open submission of the same content has lost its answer.
            UnderWayError: somebody else is at the same content, or has stored its transcript
                since this ledger was made: look into the store again.
            StoreError: the intent could not be written.
        """
        balance = self._latest_balance()
        row = asdict(key) | {
            "session_id": self._session_id,
            "state": _S.INTENDED.value,
            "quoted_usd": quoted_usd,
            "most_usd": most_usd,
            "intended_at": self._clock.now(),
            "detail": "",
            "owner": self._database.owner_id,
            "balance_id": balance and balance.balance_id,
            "balance_before_usd": balance and balance.balance_usd,
            "nonce": secrets.token_urlsafe(_NONCE_BYTES) if self._with_nonce else None,
        }
        try:
            with self._database.transaction() as connection:
                self._settle(connection, _same(key))
                blocking = connection.execute(_open_of(key)).mappings().first()
                is_new = blocking is None and self._was_just_claimed(connection, key)
                is_free = blocking is None and not is_new
                refused = (
                    self._budget.refusal(connection, self._session_id, key.video_id, most_usd)
                    if is_free
                    else None
                )
                if is_free and refused is None:
                    statement = insert(submissions).values(row).returning(submissions)
                    made = connection.execute(statement).mappings().one()
                    note_cost(connection, None, made, self._session_id)
                    return submission_of(made)
        except ConflictError as error:  # two at the same moment, where writers run side by side
            raise _under_way(key, "") from error
        # raised out here, so that what was settled on the way stays settled
        if refused is not None:
            raise refused
        if blocking is None:
            raise _under_way(key, "")
        if blocking["state"] == _S.IN_DOUBT:
            raise InDoubtError(
                f"A paid request for {key.video_id} was sent and its answer was lost.",
                video_id=key.video_id,
                next_step="Look it up at the service, then decide: adopt, resend or skip.",
            )
        raise _under_way(key, blocking["session_id"])

    def _was_just_claimed(self, connection: Connection, key: ContentKey) -> bool:
        """Whether another run brought this very content home while this one was at work.

        Its transcript was not there when this run looked for it, and is now.
        """
        query = (
            select(submissions.c.submission_id)
            .where(_same(key), submissions.c.state == _S.CLAIMED.value)
            .where(submissions.c.session_id != self._session_id)
            .where(submissions.c.ended_at >= self._made_at)
        )
        return connection.execute(query.limit(1)).first() is not None

    def mark_sent(self, submission_id: int) -> None:
        """The next thing is the POST: from here on it may have been accepted."""
        self._move(submission_id, _S.SENT, sent_at=self._clock.now())

    def accept(self, submission_id: int, request_id: str) -> None:
        """The service took the job; its request id is durable on return."""
        self._move(submission_id, _S.ACCEPTED, request_id=request_id, accepted_at=self._clock.now())

    def adopt(self, submission_id: int, request_id: str) -> None:
        """A person found the request in doubt at the service: fetch it under this id.

        Raises:
            InputError: it is not in doubt.
        """
        self._decide(submission_id, _S.ACCEPTED, "found by its id", request_id=request_id)

    def refuse(self, submission_id: int, detail: str) -> None:
        """The service certainly did not accept it, or nothing was sent."""
        self._end(submission_id, _S.REFUSED, detail)

    @outlasting
    def doubt(self, submission_id: int, detail: str) -> Submission:
        """The answer was lost; the request as it is now.

        Where a webhook has told its id already, it is accepted under that id.
        """
        with self._database.transaction() as connection:
            _change(connection, submission_id, _S.IN_DOUBT, detail=detail)
            self._adopt_told(connection)
            return submission_of(connection.execute(_one(submission_id)).mappings().one())

    @outlasting
    def claim(
        self, submission_id: int, transcript: Transcript, charged_usd: Decimal | None
    ) -> None:
        """Store the transcript under the submission's key and close it, in one transaction."""
        with self._database.transaction() as connection:
            row = _change(
                connection,
                submission_id,
                _S.CLAIMED,
                charged_usd=charged_usd,
                ended_at=self._clock.now(),
            )
            put_transcript(connection, submission_of(row).key, transcript, self._clock)

    def fail(self, submission_id: int, detail: str, charged_usd: Decimal | None = None) -> None:
        """The service gave the job up."""
        self._end(submission_id, _S.FAILED, detail, charged_usd=charged_usd)

    def abandon(self, submission_id: int, detail: str) -> None:
        """Nobody wants it any more; what it cost stays noted."""
        self._end(submission_id, _S.ABANDONED, detail)

    @outlasting
    def settle_orphans(self) -> list[Submission]:
        """Settle what processes that have ended left intended or sent; the settled ones.

        An intent whose POST had not begun is refused: nothing went out, nothing was paid. A
        POST without a noted answer is in doubt. Call it before a run.
        """
        with self._database.transaction() as connection:
            return self._settle(connection)

    @outlasting
    def open_submissions(self, *, state: SubmissionState | None = None) -> list[Submission]:
        """What is not settled, in all sessions, oldest first; only one state, where given."""
        states = OPEN_STATES if state is None else {state}
        query = select(submissions).where(_is_in(states)).order_by(submissions.c.submission_id)
        with self._database.read() as connection:
            return [submission_of(row) for row in connection.execute(query).mappings()]

    def list_in_doubt(self) -> list[Submission]:
        """Those that a person has to decide about, in all sessions, oldest first."""
        return self.open_submissions(state=_S.IN_DOUBT)

    @outlasting
    def not_paid(self, submission_id: int, detail: str) -> bool:
        """It is certain that a request in doubt was not accepted: its video may be sent again.

        False where it is not in doubt any more; nothing is changed then.
        """
        with self._database.transaction() as connection:
            row = connection.execute(_one(submission_id)).mappings().one_or_none()
            if row is None or row["state"] != _S.IN_DOUBT:
                return False
            said = "; ".join(part for part in (row["detail"], detail) if part)
            _change(connection, submission_id, _S.REFUSED, detail=said, ended_at=self._clock.now())
            _release_videos(connection, row["video_id"])
        return True

    @outlasting
    def told(
        self, nonce: str, request_id: str, state: JobState = JobState.RUNNING
    ) -> Submission | None:
        """Note what the service told of the request with this nonce; the request, as it is now.

        One in doubt is adopted at once, one whose answer is lost later is then. None where no
        request has that nonce. Telling it again changes nothing; that a job has ended is not
        unsaid by older news.

        Raises:
            StoreError: it was told, or accepted, with another id before, or the id is another
                request's.
        """
        with self._database.transaction() as connection:
            row = connection.execute(_by_nonce(nonce)).mappings().one_or_none()
            if row is None:
                return None
            number = row["submission_id"]
            known = row["request_id"] or row["told_request_id"] or request_id
            if known != request_id or self._is_anothers(connection, number, request_id):
                raise StoreError(
                    f"A webhook for the paid request {number} tells of a job ({request_id}) "
                    "that is not its own.",
                    next_step="Nothing was changed. Please report this with the log file.",
                    code="other_request_id",
                )
            news = row["told_state"] if state is JobState.RUNNING else state.value
            connection.execute(
                update(submissions)
                .where(submissions.c.submission_id == number)
                .values(told_request_id=request_id, told_state=news)
            )
            self._adopt_told(connection)
            return submission_of(connection.execute(_by_nonce(nonce)).mappings().one())

    @staticmethod
    def _is_anothers(connection: Connection, number: int, request_id: str) -> bool:
        query = select(submissions.c.submission_id).where(
            or_(
                submissions.c.request_id == request_id,
                submissions.c.told_request_id == request_id,
            ),
            submissions.c.submission_id != number,
        )
        return connection.execute(query.limit(1)).first() is not None

    def told_of(self, video_ids: Collection[str]) -> dict[str, bool]:
        """Of these videos of this session, those whose accepted job a webhook told of.

        Whether it told that the job is done or has failed.
        """
        query = select(submissions.c.video_id, submissions.c.told_state).where(
            submissions.c.session_id == self._session_id,
            submissions.c.video_id.in_(video_ids),
            submissions.c.state == _S.ACCEPTED.value,
            submissions.c.told_request_id.is_not(None),
        )
        with self._database.read() as connection:
            return {video_id: state is not None for video_id, state in connection.execute(query)}

    def told_to_have_ended(self, request_ids: Collection[str]) -> set[str]:
        """Of these jobs, those of which a webhook has told that they are done or have failed."""
        query = select(submissions.c.request_id).where(
            submissions.c.request_id.in_(request_ids), submissions.c.told_state.is_not(None)
        )
        with self._database.read() as connection:
            return {request_id for (request_id,) in connection.execute(query)}

    def _adopt_told(self, connection: Connection) -> None:
        """Whatever is in doubt and was told of by a webhook is accepted under that id."""
        query = select(submissions).where(
            _is_in({_S.IN_DOUBT}), submissions.c.told_request_id.is_not(None)
        )
        for row in connection.execute(query).mappings().all():
            said = "; ".join(part for part in (row["detail"], "told by a webhook") if part)
            _change(
                connection,
                row["submission_id"],
                _S.ACCEPTED,
                request_id=row["told_request_id"],
                accepted_at=self._clock.now(),
                detail=said,
            )
            _release_videos(connection, row["video_id"])

    def decide_in_doubt(self, submission_id: int, decision: Decision) -> None:
        """Settle a doubt. The decision is noted in the submission's detail.

        Raises:
            InputError: there is no such submission, or it is not in doubt.
        """
        self._decide(submission_id, _S.ABANDONED, f"decided: {decision.value}", decision=decision)

    @outlasting
    def of_session(self, session_id: str, video_id: str | None = None) -> list[Submission]:
        """The paid requests of a session, or of one of its videos, oldest first."""
        query = select(submissions).where(submissions.c.session_id == session_id)
        if video_id is not None:
            query = query.where(submissions.c.video_id == video_id)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(submissions.c.submission_id)).mappings()
            return [submission_of(row) for row in rows]

    def money(self, session_id: str | None = None, video_id: str | None = None) -> Money:
        """What a session (this one, unless told otherwise) or one of its videos cost."""
        wanted = self._session_id if session_id is None else session_id
        return Money.of(self.of_session(wanted, video_id))

    def _end(self, submission_id: int, state: SubmissionState, detail: str, **more: object) -> None:
        self._move(submission_id, state, detail=detail, ended_at=self._clock.now(), **more)

    @outlasting
    def _move(self, submission_id: int, state: SubmissionState, **changes: object) -> None:
        with self._database.transaction() as connection:
            _change(connection, submission_id, state, **changes)

    @outlasting
    def _decide(
        self,
        submission_id: int,
        state: SubmissionState,
        detail: str,
        *,
        decision: Decision | None = None,
        request_id: str | None = None,
    ) -> None:
        now = self._clock.now()
        moment = {"ended_at": now} if request_id is None else {"accepted_at": now}
        with self._database.transaction() as connection:
            row = connection.execute(_one(submission_id)).mappings().one_or_none()
            if row is None or row["state"] != _S.IN_DOUBT:
                found = "does not exist" if row is None else f"is {row['state']}"
                raise InputError(
                    f"The paid request {submission_id} {found}, so there is nothing to decide.",
                    next_step="List the requests in doubt.",
                    code="not_in_doubt",
                )
            said = "; ".join(part for part in (row["detail"], detail) if part)
            changes = moment | ({} if request_id is None else {"request_id": request_id})
            _change(connection, submission_id, state, detail=said, **changes)
            if decision is Decision.SKIP:
                _skip_videos(connection, row["video_id"])

    def _settle(
        self, connection: Connection, which: ColumnElement[bool] | None = None
    ) -> list[Submission]:
        query = select(submissions).where(_is_in({_S.INTENDED, _S.SENT}))
        if which is not None:
            query = query.where(which)
        settled = []
        for row in connection.execute(query).mappings().all():
            if self._is_orphan(row):
                was_sent = row["state"] == _S.SENT
                changes: dict[str, object] = (
                    {"detail": "the program ended before the answer was noted"}
                    if was_sent
                    else {
                        "detail": "the program ended before anything was sent",
                        "ended_at": self._clock.now(),
                    }
                )
                state = _S.IN_DOUBT if was_sent else _S.REFUSED
                changed = _change(connection, row["submission_id"], state, **changes)
                settled.append(submission_of(changed))
        if settled:
            self._adopt_told(connection)
        return settled

    def _is_orphan(self, row: RowMapping) -> bool:
        is_under_way = row["state"] in {_S.INTENDED, _S.SENT}
        return is_under_way and not self._database.is_alive(row["owner"])


def submission_of(row: RowMapping) -> Submission:
    """A row of `submissions` as the other rooms know it."""
    return Submission(
        submission_id=row["submission_id"],
        key=ContentKey(**{name: row[name] for name in ContentKey.__dataclass_fields__}),
        session_id=row["session_id"],
        state=SubmissionState(row["state"]),
        request_id=row["request_id"],
        quoted_usd=row["quoted_usd"],
        charged_usd=row["charged_usd"],
        most_usd=row["most_usd"],
        intended_at=row["intended_at"],
        sent_at=row["sent_at"],
        accepted_at=row["accepted_at"],
        ended_at=row["ended_at"],
        detail=row["detail"],
        balance_id=row["balance_id"],
        balance_before_usd=row["balance_before_usd"],
        nonce=row["nonce"] or "",
    )


def read_money(connection: Connection, session_id: str | None = None) -> dict[str, Money]:
    """Sums over the paid requests of one session, or of each; a session without any is not there.

    The same sums as `Money.of`, without reading all there is of 10,000 requests.
    """
    like = (
        submissions.c.session_id,
        submissions.c.state,
        submissions.c.sent_at.is_not(None),
        submissions.c.quoted_usd,
        submissions.c.charged_usd,
    )
    query = select(*like, func.count()).group_by(*like)
    if session_id is not None:
        query = query.where(submissions.c.session_id == session_id)
    found: dict[str, Money] = {}
    for owner, state, was_sent, quoted, charged, number in connection.execute(query).all():
        part = _money(_S(state), quoted, charged, was_sent=was_sent, number=number)
        found[owner] = found[owner] + part if owner in found else part
    return found


def _money_of(submission: Submission) -> Money:
    return _money(
        submission.state,
        submission.quoted_usd,
        submission.charged_usd,
        was_sent=submission.sent_at is not None,
    )


def _money(
    state: SubmissionState,
    quoted_usd: Decimal | None,
    charged_usd: Decimal | None,
    *,
    was_sent: bool,
    number: int = 1,
) -> Money:
    """What `number` equal requests cost."""
    quoted, charged = quoted_usd or Decimal(0), charged_usd or Decimal(0)
    is_untold = charged_usd is None
    is_bought = state in {_S.ACCEPTED, _S.CLAIMED}
    may_be_bought = state in {_S.SENT, _S.IN_DOUBT, _S.FAILED} or (
        state is _S.ABANDONED and was_sent
    )
    return Money(
        requests=number,
        quoted_usd=number * quoted,
        charged_usd=number * charged,
        spent_usd=number * (charged + (quoted if is_untold and is_bought else 0)),
        at_risk_usd=number * quoted if is_untold and may_be_bought else Decimal(0),
    )


def _change(
    connection: Connection, submission_id: int, state: SubmissionState, **changes: object
) -> RowMapping:
    """Move a submission on; its row. Moving it to where it is changes nothing.

    Raises:
        StoreError: there is no way from where it is to `state`, or it has another request id.
    """
    before = connection.execute(_one(submission_id).with_for_update()).mappings().one_or_none()
    if before is not None and before["state"] in _BEFORE[state]:
        statement = (
            update(submissions)
            .where(submissions.c.submission_id == submission_id)
            .values(state=state.value, **changes)
            .returning(submissions)
        )
        after = connection.execute(statement).mappings().one()
        note_cost(connection, before, after, after["session_id"])
        return after
    is_repeated = (
        before is not None
        and before["state"] == state
        and changes.get("request_id", before["request_id"]) == before["request_id"]
    )
    if before is not None and is_repeated:
        return before
    raise StoreError(
        f"The paid request {submission_id} cannot become {state.value}: it "
        f"{'does not exist' if before is None else 'is ' + before['state']}.",
        next_step="Nothing was changed. Please report this with the log file.",
        code="bad_transition",
    )


def _release_videos(connection: Connection, video_id: str) -> None:
    """In every session where the video waits in doubt, the next resume takes it up again."""
    connection.execute(
        update(videos)
        .where(videos.c.video_id == video_id, videos.c.stage == Stage.IN_DOUBT.value)
        .values(
            stage=Stage.CANCELLED.value,
            error=None,
            error_code=None,
            next_step=None,
            can_retry=False,
        )
    )


def _skip_videos(connection: Connection, video_id: str) -> None:
    """In every session where the video waits for the decision, it is left out."""
    connection.execute(
        update(videos)
        .where(videos.c.video_id == video_id, videos.c.stage == Stage.IN_DOUBT.value)
        .values(
            stage=Stage.SKIPPED.value,
            error="left out: its paid request was in doubt",
            error_code="in_doubt_skipped",
            next_step=None,
            can_retry=False,
        )
    )


def _open_of(key: ContentKey) -> Select[Any]:
    return (
        select(submissions)
        .where(_same(key), _is_in(OPEN_STATES))
        .order_by(submissions.c.submission_id.desc())
    )


def _by_nonce(nonce: str) -> Select[Any]:
    return select(submissions).where(submissions.c.nonce == nonce)


def _one(submission_id: int) -> Select[Any]:
    return select(submissions).where(submissions.c.submission_id == submission_id)


def _same(key: ContentKey) -> ColumnElement[bool]:
    return and_(*(submissions.c[name] == value for name, value in asdict(key).items()))


def _is_in(states: Iterable[SubmissionState]) -> ColumnElement[bool]:
    return submissions.c.state.in_(sorted(state.value for state in states))


def _under_way(key: ContentKey, session_id: str) -> UnderWayError:
    where = f" (session {session_id})" if session_id else ""
    return UnderWayError(
        f"{key.video_id}: another run has it in hand{where}.",
        video_id=key.video_id,
        next_step="Retry when it has ended: its transcript is then used here, too.",
        can_retry=True,
    )
