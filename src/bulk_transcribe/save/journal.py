"""Notes what happens in a run, without a write for each piece of news."""

import threading
from collections.abc import Sequence
from typing import Self

from bulk_transcribe.core.attempt import SourceAttempt
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.outcome import VideoResult
from bulk_transcribe.core.request import RequestKind, RequestRecord
from bulk_transcribe.core.stage import VideoState
from bulk_transcribe.errors import StoreError
from bulk_transcribe.save.request_sums import RequestSum
from bulk_transcribe.save.session import Session


class Journal:
    """Implements `VideoLog` and `RequestLog` for a session, and has an `AttemptLog`: `attempts`.

    May be shared by all threads. States, requests and tries are gathered and written together
    about once a second; a video's end is written at once. A program that is killed loses the
    news of the last second, never an end.

    Use it as a `with` block: a thread of its own writes, and the end of the block writes the
    rest. Without the block nothing is written before `flush` or `close`.

    Args:
        session: Where to write.
        clock: Times the writing.
        every_s: Clock seconds between two writes.
    """

    def __init__(self, session: Session, clock: Clock, *, every_s: float = 1.0) -> None:
        self._session = session
        self._clock = clock
        self._every_s = every_s
        self._changed = threading.Condition()  # guards the five fields below
        self._states: dict[str, VideoState] = {}
        self._sums: dict[tuple[str | None, RequestKind], RequestSum] = {}
        self._tries: list[SourceAttempt] = []
        self._trouble: StoreError | None = None
        self._is_closed = False
        self._thread: threading.Thread | None = None
        self.attempts = _Attempts(self)

    def save_states(self, states: Sequence[VideoState]) -> None:
        """Note where videos are, with the next write.

        Raises:
            StoreError: an earlier write failed; told once. What it should have written is tried
                again with the next.
        """
        with self._changed:
            self._states.update((state.video_id, state) for state in states)
            trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble

    def record(self, record: RequestRecord) -> None:
        """Note a request, with the next write.

        Never raises: it is called between a paid answer and the noting of its request id.
        """
        one = RequestSum.of(record)
        key = (record.video_id, record.kind)
        with self._changed:
            before = self._sums.get(key)
            self._sums[key] = one if before is None else before + one

    def note_attempt(self, attempt: SourceAttempt) -> None:
        """Note a try of a source, with the next write. Never raises."""
        with self._changed:
            self._tries.append(attempt)

    def finish(self, state: VideoState, result: VideoResult) -> None:
        """A video's end, durable on return.

        Raises:
            StoreError: it could not be written.
        """
        with self._changed:
            self._states.pop(state.video_id, None)  # the end says all of it
        self._session.finish(state, result)

    def flush(self) -> None:
        """Write what was gathered, now, by the calling thread.

        Raises:
            StoreError: it could not be written; it is kept for the next try.
        """
        with self._changed:
            states, self._states = self._states, {}
            sums, self._sums = self._sums, {}
            tries, self._tries = self._tries, []
        try:
            self._session.save_news(list(states.values()), list(sums.values()), tries)
        except BaseException:
            with self._changed:
                self._states = states | self._states  # newer news win
                for key, late in self._sums.items():
                    sums[key] = sums[key] + late if key in sums else late
                self._sums = sums
                self._tries = tries + self._tries
            raise

    def close(self) -> None:
        """End the thread and write the rest. Closing twice does nothing.

        Raises:
            StoreError: the rest could not be written.
        """
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.flush()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._write, name="journal", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write(self) -> None:
        while True:
            with self._changed:
                until_s = self._clock.now_s() + self._every_s
                while not self._is_closed and (left_s := until_s - self._clock.now_s()) > 0:
                    self._clock.wait(self._changed, left_s)
                if self._is_closed:
                    return
            try:
                self.flush()
            except StoreError as error:
                with self._changed:
                    self._trouble = error
            else:
                with self._changed:
                    self._trouble = None


class _Attempts:
    """The journal as `AttemptLog` wants it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def record(self, attempt: SourceAttempt) -> None:
        self._journal.note_attempt(attempt)
