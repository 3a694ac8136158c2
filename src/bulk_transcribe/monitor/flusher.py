"""Brings the monitor's news to disk about once a second."""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.ports import VideoLog
from bulk_transcribe.errors import StopBatchError
from bulk_transcribe.monitor.monitor import ConcurrentProgressMonitor

_log = logging.getLogger(__name__)


class StateFlusher:
    """A thread that saves changed states. Used as a `with` block; leaving it saves the last ones.

    When the store cannot be written the changes are kept and tried again each round; `on_error` is
    told of the first failure of a series, which is where a run is halted. What fails at the very
    end is raised by `close`.

    Args:
        monitor: Whose changes are saved.
        video_log: Where they go.
        clock: Time.
        on_error: Told when saving fails; called in the flusher's thread.
        every_s: Real seconds between two rounds, whatever the clock's speed: the disk is no
            faster in a demo.
    """

    def __init__(
        self,
        monitor: ConcurrentProgressMonitor,
        video_log: VideoLog,
        clock: Clock,
        *,
        on_error: Callable[[StopBatchError], None],
        every_s: float = 1.0,
    ) -> None:
        self._monitor = monitor
        self._video_log = video_log
        self._clock = clock
        self._on_error = on_error
        self._every_s = every_s * clock.speed
        self._wake = threading.Condition()  # guards _is_closing
        self._is_closing = False
        self._is_failing = False  # the flusher's thread only
        self._saving = threading.Lock()  # one round at a time, so that newer states win
        self._thread = threading.Thread(target=self._run, name="state_flusher", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self.close()
        except StopBatchError:  # the error that is on its way out is the older one: let it go
            _log.exception("the last states could not be saved")

    def close(self) -> None:
        """Stop the thread and save what is left. A second call only saves again.

        Raises:
            StopBatchError: it could not be saved.
        """
        with self._wake:
            self._is_closing = True
            self._wake.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        self.flush()

    def flush(self) -> None:
        """Save all changes now; without any, nothing is written.

        Raises:
            StopBatchError: the store cannot be written; the changes are kept for the next time.
        """
        with self._saving:
            states = self._monitor.take_changes()
            if not states:
                return
            is_saved = False
            try:
                self._video_log.save_states(states)
                is_saved = True
            finally:
                if not is_saved:
                    self._monitor.give_back(states)

    def _run(self) -> None:
        while self._wait():
            try:
                self.flush()
                self._is_failing = False
            except StopBatchError as error:
                if not self._is_failing:
                    self._is_failing = True
                    self._on_error(error)

    def _wait(self) -> bool:
        """Sleep one round; False when it is time to leave."""
        until_s = self._clock.now_s() + self._every_s
        with self._wake:
            while not self._is_closing:
                left_s = until_s - self._clock.now_s()
                if left_s <= 0:
                    return True
                self._clock.wait(self._wake, left_s)
        return False
