"""Work that takes longer than a look at the page: reading lists, forecasts, searches, ZIPs."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from bulk_transcribe.errors import BulkTranscribeError, StoppedError

_log: Final = logging.getLogger(__name__)

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, kw_only=True)
class News:
    """How far the work is; `of` is None where nobody knows how much there is."""

    what: str = ""
    done: int = 0
    of: int | None = None

    @property
    def fraction(self) -> float | None:
        """Share that is done, 0.0 to 1.0; None where it is not known, or of nothing."""
        return min(1.0, self.done / self.of) if self.of else None


class UnexpectedError(BulkTranscribeError):
    """The work ended with an error that nobody foresaw; the log has it."""

    default_code = "unexpected"


class Background(Generic[T_co]):
    """One piece of work in a thread of its own, watched from page to page.

    It belongs to the browser tab that began it; it never works on a session's videos. May be
    watched and cancelled from any thread. It ends with the process.

    Args:
        work: Does it; is given a way to tell news, which raises `StoppedError` once the work was
            cancelled. What belongs to one thread has to be opened and closed in here.
    """

    def __init__(self, work: Callable[[Callable[[str, int, int | None], None]], T_co]) -> None:
        self._work = work
        self._lock = threading.Lock()  # guards the three fields below
        self._news = News()
        self._result: tuple[T_co] | None = None
        self._error: BulkTranscribeError | None = None
        self._cancelled = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="page work", daemon=True)

    def start(self) -> "Background[T_co]":
        """Begin; the work itself, for a chain of calls."""
        self._thread.start()
        return self

    @property
    def news(self) -> News:
        """How far it is."""
        with self._lock:
            return self._news

    @property
    def is_over(self) -> bool:
        """Whether it ended, in whatever way."""
        return self._over.is_set()

    def wait(self, timeout_s: float) -> bool:
        """Wait so many real seconds for the end; whether it came."""
        return self._over.wait(timeout_s)

    def cancel(self) -> None:
        """End it with the next news that it tells."""
        self._cancelled.set()

    def result(self) -> T_co:
        """What came of it, once it is over.

        Raises:
            BulkTranscribeError: why nothing came of it; `StoppedError` when it was cancelled.
        """
        with self._lock:
            if self._result is None:
                raise self._error or StoppedError("This is not finished yet.")
            return self._result[0]

    def _tell(self, what: str, done: int, of: int | None) -> None:
        with self._lock:
            self._news = News(what=what, done=done, of=of)
        if self._cancelled.is_set():
            raise StoppedError("You stopped this.")

    def _run(self) -> None:
        try:
            found = self._work(self._tell)
        except BulkTranscribeError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001 -- the page shows it; nobody else is there to
            _log.exception("work for the page failed")
            self._fail(
                UnexpectedError(
                    f"Something unexpected happened ({type(error).__name__}).",
                    next_step="The log file has the details.",
                )
            )
        else:
            with self._lock:
                self._result = (found,)
        finally:
            self._over.set()

    def _fail(self, error: BulkTranscribeError) -> None:
        with self._lock:
            self._error = error
