"""Settling what is in doubt by the account's balance, as far as it can be told."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Protocol

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.figures import count, money
from bulk_transcribe.core.job import Submission, SubmissionState
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.errors import BulkTranscribeError, StoreError
from bulk_transcribe.process.settling import Amount, Verdict, Window, settle
from bulk_transcribe.save.balances import Balances, Since
from bulk_transcribe.save.submissions import SubmissionLedger

_log: Final = logging.getLogger(__name__)
_S = SubmissionState
#: Nothing is called unpaid before this age: a request may still be on its way, and nobody knows
#: whether the service takes the money when a job begins or when it ends. No job takes longer.
SETTLE_AFTER_S: Final = 900.0


class Purse(Protocol):
    """The part of the paid service that tells the balance. No limit counts these calls."""

    def balance_usd(self, ticket: Ticket) -> Decimal | None: ...


class Account:
    """The balance, kept in the store each time that somebody asks for it. Shared by all threads.

    Args:
        purse: The paid service; None without a key.
        balances: Where readings are kept.
    """

    def __init__(self, purse: Purse | None, balances: Balances) -> None:
        self._purse = purse
        self.balances = balances

    def balance_usd(self, ticket: Ticket) -> Decimal | None:
        """The balance now; None where there is no key, or the key may not know.

        Raises:
            BulkTranscribeError: it could not be had.
        """
        if self._purse is None:
            return None
        before = self.balances.mark()
        balance_usd = self._purse.balance_usd(ticket)
        if balance_usd is not None:
            self.balances.note(balance_usd, before)
        return balance_usd

    def known_balance_usd(self) -> Decimal | None:
        """The balance now; None, and a line in the log, where it cannot be had.

        Raises:
            StoreError: the database cannot be used.
        """
        try:
            return self.balance_usd(Ticket())
        except StoreError:
            raise
        except BulkTranscribeError as error:
            _log.warning("no balance: %s", error.message)
            return None


@dataclass(frozen=True, kw_only=True)
class Settled:
    """What became of the requests in doubt.

    Args:
        not_paid: Certainly not accepted: closed, free to be sent again.
        in_doubt: Those that are left.
        fitting: Numbers of those of them whose price is just what the account misses.
        told_at: From when on the balance can tell more; None where waiting does not help.
    """

    not_paid: tuple[Submission, ...] = ()
    in_doubt: tuple[Submission, ...] = ()
    fitting: frozenset[int] = frozenset()
    told_at: datetime | None = None


class Settling:
    """Compares balance and books. May be shared by all threads.

    Args:
        ledger: Every paid request.
        account: The balance.
        clock: Requests in doubt have to have a certain age.
    """

    def __init__(self, ledger: SubmissionLedger, account: Account, clock: Clock) -> None:
        self._ledger = ledger
        self._account = account
        self._clock = clock

    def settle(self) -> Settled:
        """Close what was certainly not paid; what is left. Asks nobody where nothing is in doubt.

        A balance that cannot be had settles nothing.

        Raises:
            StoreError: the database cannot be used.
        """
        doubts = self._ledger.list_in_doubt()
        old = [each for each in doubts if self._is_old(each)]
        if not old:
            return Settled(in_doubt=tuple(doubts), told_at=self._told_at(doubts))
        verdicts = self._verdicts(old)
        not_paid = [
            each
            for each in old
            if verdicts.get(each.submission_id) is Verdict.NOT_PAID
            and self._ledger.not_paid(each.submission_id, _NOT_PAID)
        ]
        closed = {each.submission_id for each in not_paid}
        left = [each for each in doubts if each.submission_id not in closed]
        fitting = {number for number, verdict in verdicts.items() if verdict is Verdict.FITS}
        return Settled(
            not_paid=tuple(not_paid),
            in_doubt=tuple(left),
            fitting=frozenset(fitting),
            told_at=self._told_at(left),
        )

    def _verdicts(self, old: Sequence[Submission]) -> dict[int, Verdict]:
        readings = sorted({each.balance_id for each in old if each.balance_id is not None})
        windows = [since for since in map(self._account.balances.since, readings) if since]
        if not windows:
            return {}
        now_usd = self._account.known_balance_usd()
        if now_usd is None:
            return {}
        verdicts: dict[int, Verdict] = {}
        for since in windows:
            for number, verdict in verdicts_of(since, now_usd).items():
                if verdicts.get(number) is not Verdict.NOT_PAID:
                    verdicts[number] = verdict
        return verdicts

    def _is_old(self, doubt: Submission) -> bool:
        return self._clock.now() >= _told_from(doubt)

    def _told_at(self, doubts: Iterable[Submission]) -> datetime | None:
        now = self._clock.now()
        return max(
            (
                moment
                for moment, each in ((_told_from(each), each) for each in doubts)
                if moment > now and each.balance_id is not None
            ),
            default=None,
        )


_NOT_PAID: Final = "the balance shows that it was not paid"


def verdicts_of(since: Since, now_usd: Decimal) -> dict[int, Verdict]:
    """What a balance tells of the requests in doubt after a reading, by their numbers.

    Args:
        since: Every request since the reading, as the store knew it before the balance was
            asked for: what was paid only later can then not be taken for a known charge.
        now_usd: The balance now.
    """
    doubts = [each for each in since.ours if each.state is _S.IN_DOUBT]
    charges = [_charge(each) for each in since.ours if each.state not in {_S.IN_DOUBT, _S.REFUSED}]
    charges += [_amount(each).at_most for each in since.others if each.state is not _S.REFUSED]
    back = [_amount(each).high_usd for each in since.failed]
    given_up = [each for each in (*since.ours, *since.others) if each.state is _S.FAILED]
    returned = [_amount(each).high_usd for each in given_up]
    if None in back or None in returned:
        return {}
    window = Window(
        before_usd=since.read.balance_usd,
        now_usd=now_usd,
        charges=tuple(charges),
        refunds_usd=sum((usd for usd in back if usd is not None), Decimal(0)),
        returned_usd=sum((usd for usd in returned if usd is not None), Decimal(0)),
        between_usd=since.later_usd,
        is_whole=since.read.is_quiet,
    )
    found = settle(window, [_amount(each) for each in doubts])
    return {each.submission_id: verdict for each, verdict in zip(doubts, found, strict=True)}


def at_stake(doubts: Iterable[Submission]) -> Decimal | None:
    """The sum of the quotes; None where none of them has one."""
    quotes = [each.quoted_usd for each in doubts if each.quoted_usd is not None]
    return sum(quotes, Decimal(0)) if quotes else None


def explain(settled: Settled, tell: Callable[[datetime], str]) -> list[str]:
    """What the balance told, in lines for the user; [] where it told nothing new."""
    lines = []
    if settled.not_paid:
        what = count(len(settled.not_paid), "paid request")
        lines.append(f"{what} in doubt did not go through, as the balance shows: sent again.")
    fitting = [each for each in settled.in_doubt if each.submission_id in settled.fitting]
    if fitting:
        stake = at_stake(fitting)
        lines.append(
            f"The balance misses what {len(fitting)} of them cost"
            f"{f' ({money(stake)})' if stake is not None else ''}: most likely paid. "
            "Without its id a job cannot be fetched; to send it again pays a second time."
        )
    if settled.told_at is not None:
        lines.append(f"From {tell(settled.told_at)} on the balance may tell more.")
    return lines


def _told_from(doubt: Submission) -> datetime:
    since = doubt.sent_at or doubt.intended_at
    if since is None:
        raise ValueError(f"the paid request {doubt.submission_id} has no moment")
    return since + timedelta(seconds=SETTLE_AFTER_S)


def _amount(submission: Submission) -> Amount:
    if submission.charged_usd is not None:
        return Amount.told(submission.charged_usd)
    return Amount.quoted(submission.quoted_usd, submission.most_usd)


def _charge(submission: Submission) -> Amount:
    """What it took: certain for a fetched job only.

    A running one may be charged at its end, a failed one may get its money back.
    """
    amount = _amount(submission)
    return amount if submission.state is _S.CLAIMED else amount.at_most
