"""What permits told, on its way into the book."""

import logging
import threading
from collections.abc import Callable, Sequence

from bulk_transcribe.core.permit import PermitBook, PermitStore
from bulk_transcribe.errors import StoreError
from bulk_transcribe.limit.granted import Unused
from bulk_transcribe.limit.notes import Notes
from bulk_transcribe.limit.pauses import Answer
from bulk_transcribe.limit.policy import Policy

_log = logging.getLogger(__name__)


class Returns:
    """Answers and unused permits, written down by one thread for all that come meanwhile.

    What cannot be written now is kept and counts as in flight, which is safe. May be shared by
    all threads.

    Args:
        store: Has the book.
        account: Whose book.
        notes: What is known of the account.
        on_written: Called after each batch, outside of the book: whether a place became free or
            the rules changed.
    """

    def __init__(
        self, store: PermitStore, account: str, notes: Notes, *, on_written: Callable[[bool], None]
    ) -> None:
        self._store = store
        self._account = account
        self._notes = notes
        self._on_written = on_written
        self._lock = threading.Lock()  # guards the two below; never held during I/O
        self._told: list[Answer | Unused] = []  # not yet in the book
        self._is_writing = False

    def add(self, told: Answer | Unused, policy: Policy) -> None:
        """A permit ended. Never fails."""
        with self._lock:
            self._told.append(told)
        self.write(policy)

    def write(self, policy: Policy) -> None:
        """Write down what was told so far, unless another thread is about to."""
        while True:
            with self._lock:
                if self._is_writing or not self._told:
                    return
                self._is_writing = True
                batch, self._told = self._told, []
            is_news = False
            try:
                with self._store.open(self._account) as book:
                    is_news = self._write(book, batch, policy)
            except StoreError as error:
                _log.debug("Answers cannot be counted yet: %s", error)
                with self._lock:
                    self._told[:0] = batch
                return
            finally:
                with self._lock:
                    self._is_writing = False
            self._on_written(is_news)

    def _write(self, book: PermitBook, batch: Sequence[Answer | Unused], policy: Policy) -> bool:
        answers: list[Answer] = []
        for told in batch:
            if isinstance(told, Unused):
                book.give_back(told.permit_id, told.granted_s)
                continue
            answers.append(told)
            book.answer(
                told.permit_id,
                told.arrived.reading_s,
                is_counted=told.is_success,
                limit=told.headers.limit,
                remaining=told.headers.remaining,
            )
        before = self._notes.read(book)
        after = policy.learn(before, answers, book)
        self._notes.keep(book, before, after)
        return after != before or len(answers) < len(batch)
