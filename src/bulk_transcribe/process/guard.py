"""The edge of a thread that works on videos: whatever is raised there becomes a result."""

import logging
import threading
from collections.abc import Callable
from typing import Final

from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.outcome import Cancelled, Crashed, VideoResult
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import (
    AuthError,
    CostLimitError,
    CreditSpentError,
    OutputError,
    StopBatchError,
    StoppedError,
    StoreError,
)

_log: Final = logging.getLogger(__name__)

#: After these nothing in flight can end well either, and nothing is lost: paid jobs stay
#: claimable. After the others (no credit) what has been paid for is still fetched.
_ENDS_AT_ONCE: Final = (AuthError, StoreError, OutputError)
#: These end paying alone: what costs nothing may go on.
_ENDS_PAYING: Final = (CreditSpentError, CostLimitError)


class Guard:
    """Takes videos to their ends, and stops a batch that cannot go on. Shared by all threads.

    Args:
        process: Takes one video to its end: `OneVideo.process`.
        finish: Notes a video's end, durably; called by the thread that worked on it.
        goes_on_free: Told of an error that ends paying; whether videos may still be had for
            nothing, so that the others are tried, too.
        control: Pause, drain and halt.
        keep: Asked about each end before it is noted: True, and it is none yet, since somebody
            has taken the video over and brings it back.
    """

    def __init__(
        self,
        process: Callable[[VideoItem], VideoResult],
        finish: Callable[[VideoResult], None],
        goes_on_free: Callable[[StopBatchError], bool],
        control: RunControl,
        *,
        keep: Callable[[VideoItem, VideoResult], bool] | None = None,
    ) -> None:
        self._keep = keep
        self._process = process
        self._finish = finish
        self._goes_on_free = goes_on_free
        self._control = control
        self._lock = threading.Lock()  # guards the field below
        self._stopped_by: StopBatchError | None = None

    @property
    def stopped_by(self) -> StopBatchError | None:
        """The first error that stopped the batch, if any did."""
        with self._lock:
            return self._stopped_by

    def stop(self, error: StopBatchError) -> None:
        """End the batch because of an error that every further video would meet.

        No further video starts and no further paid request goes out. A wrong key, a broken
        database and a full disk end the videos in flight, too; otherwise (no credit, the cost
        limit) jobs that were paid for are still fetched, and where there are free sources the
        other videos are tried with them. Of several errors the first one counts.
        """
        with self._lock:
            is_first = self._stopped_by is None
            if is_first:
                self._stopped_by = error
        if is_first:
            _log.error("the batch stops: %s", error)
        if isinstance(error, _ENDS_PAYING) and self._goes_on_free(error):
            return
        if isinstance(error, _ENDS_AT_ONCE):
            self._control.halt()
        elif isinstance(error, CostLimitError):
            self._control.drain()  # what fitted into the limit may still be sent
        else:
            self._control.drain()
            self._control.pause()  # paused and draining: nobody submits any more

    def work(self, item: VideoItem) -> VideoResult | None:
        """Take a video to its end and note that.

        Returns:
            How it ended; None where it was not begun, or has not ended yet.
        """
        if self._control.is_draining:
            return None
        result = self._guarded(item.video_id, lambda: self._process(item))
        if self._keep is not None and self._keep(item, result):
            return None
        return self.note(result)

    def note(self, result: VideoResult) -> VideoResult:
        """The result once it is on disk; one that is not there has not ended for the store."""
        if isinstance(self.stopped_by, StoreError):
            return Cancelled(video_id=result.video_id)

        def note() -> VideoResult:
            self._finish(result)
            return result

        return self._guarded(result.video_id, note)

    def _guarded(self, video_id: str, call: Callable[[], VideoResult]) -> VideoResult:
        """The worker's edge: whatever is raised becomes a result, and the batch goes on."""
        try:
            return call()
        except StoppedError:
            return Cancelled(video_id=video_id)
        except StopBatchError as error:
            self.stop(error)
            return Cancelled(video_id=video_id)
        except BaseException as error:  # noqa: BLE001 -- a bug, or a library that wants to exit
            _log.exception("%s: crashed", video_id)
            return Crashed(video_id=video_id, error=error)
