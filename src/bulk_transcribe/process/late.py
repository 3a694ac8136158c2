"""Videos that wait outside of the slots: their jobs are late, or their answers were lost.

A job far beyond its expected end gives its slot to the next video, but nothing that was paid for
is forgotten: as long as the run lives, one thread looks at all late jobs, each look twice as long
after the one before, and only with permits that nobody else wants. When a job has ended, its video
comes back into the line and takes a slot, as any other does.

The end of a batch is not put off for ever: see `LATE_WAIT_S` and `DOUBT_WAIT_S`. What is left then
ends as late, stays paid for and claimable, and `resume` or `reclaim` fetches it days later.
"""

import heapq
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol, Self

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.job import JobState, JobStatus
from bulk_transcribe.core.outcome import Cancelled, Failed, VideoResult
from bulk_transcribe.core.ports import Reporter
from bulk_transcribe.core.request import Capacity, Ticket
from bulk_transcribe.core.stage import Stage, WaitReason
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import BulkTranscribeError, GaveUpError, StopBatchError, StoppedError

_log: Final = logging.getLogger(__name__)

#: Code of the error of a job that is far beyond its expected end (`polling.py`).
LATE_CODE: Final = "job_overdue"
#: How long a batch that has nothing else to do waits for its late jobs: three looks at each. A
#: job this far behind has missed its end by a quarter of an hour; most that come at all come soon.
LATE_WAIT_S: Final = 600.0
#: How long it waits for a webhook to name the job of a lost answer: a job begins within seconds,
#: and a delivery that failed comes again after one minute.
DOUBT_WAIT_S: Final = 180.0

_FIRST_WAIT_S, _LONGEST_WAIT_S = 60.0, 1_800.0
_AT_ONCE_S: Final = 5.0  # a permit that is to spare needs no more than to be handed out
_POSTPONED_S: Final = 15.0  # when no permit was to spare
_SPARE_SHARE: Final = 0.1  # of a limit: below it, permits are not to spare
_DAILY_SHARE: Final = 0.5  # of a daily limit: late looks never take from the second half


def wait_s(looks: int) -> float:
    """Seconds from one look at a late job to the next, after so many looks: 60, 120, … 1,800."""
    return float(min(_LONGEST_WAIT_S, _FIRST_WAIT_S * 2 ** min(looks, 30)))


def is_to_spare(polls: Capacity) -> bool:
    """Whether one more look can go out now without taking a permit from anybody.

    Of a daily limit the second half is for the jobs that are not late.
    """
    if polls.waiting or polls.paused_until_s is not None:
        return False
    if polls.daily_remaining is not None:
        daily = polls.daily_limit or polls.daily_remaining
        if polls.daily_remaining <= _DAILY_SHARE * daily:
            return False
    return polls.limit is None or polls.remaining > _SPARE_SHARE * polls.limit


def is_late(result: VideoResult) -> bool:
    """Whether the video ended for a job that is far beyond its expected end."""
    return (
        isinstance(result, Failed)
        and isinstance(result.error, GaveUpError)
        and result.error.code == LATE_CODE
    )


@dataclass(slots=True)
class _Waiting:
    """A video outside. `result` is how it ends if nothing comes before the batch does."""

    item: VideoItem
    result: VideoResult
    looks: int = 0
    due_s: float = 0.0
    is_back: bool = False  # in the line, and not yet taken


@dataclass(frozen=True, kw_only=True)
class LatePorts:
    """What the keeper of late jobs needs of others.

    Args:
        look: Asks once how a video's job is; None where there is no job to wait for any more.
        polls: What the limit allows for looks now.
        reporter: Makes the reporter of one video.
    """

    look: Callable[[str, Ticket], JobStatus | None]
    polls: Callable[[], Capacity]
    reporter: Callable[[VideoItem], Reporter]


class Line(Protocol):
    """Where videos come back: `ParallelVideoProcessor`."""

    def bring_back(self, item: VideoItem, ended_as: Stage | None = None) -> None: ...

    def stop(self, error: StopBatchError) -> None: ...


class LateJobs:
    """Keeps videos that wait outside of the slots. Shared by all threads; `with` around the batch.

    Its one thread, `late_jobs`, begins with the first late job and has ended when the block does.
    `line`, where videos come back, is set before the batch begins.

    Args:
        ports: Service, limit and monitor.
        clock: Time.
        control: A halt ends every wait.
    """

    def __init__(self, ports: LatePorts, *, clock: Clock, control: RunControl) -> None:
        self.line: Line | None = None
        self._ports = ports
        self._clock = clock
        self._control = control
        self._changed = threading.Condition()  # guards the fields below
        self._waiting: dict[str, _Waiting] = {}
        self._looks: dict[str, int] = {}  # made so far, of jobs that were late at any time
        self._due: list[tuple[float, str]] = []  # a heap; what it says may be outdated
        self._doubts: dict[str, float] = {}  # until when a webhook is waited for
        self._idle_since_s: float | None = None
        self._is_over = False
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._forget = self._control.on_change(self._wake)
        return self

    def __exit__(self, *_: object) -> None:
        self._forget()
        with self._changed:
            self._is_over = True
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join()

    @property
    def number(self) -> int:
        """Videos whose jobs are late and still looked at."""
        with self._changed:
            return sum(is_late(each.result) for each in self._waiting.values())

    # --- the threads that work on videos, and the one that feeds them

    def keep(self, item: VideoItem, result: VideoResult) -> bool:
        """Whether this end is none yet: the video's job is late and is looked at from now on."""
        if not is_late(result) or self._control.is_draining:
            return False
        with self._changed:
            if self._is_over:
                return False
            looks = self._looks.get(item.video_id, 0)
            kept = _Waiting(item, result, looks, self._clock.now_s() + wait_s(looks))
            self._waiting[item.video_id] = kept
            heapq.heappush(self._due, (kept.due_s, item.video_id))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="late_jobs")
                self._thread.start()
            self._changed.notify_all()
        self._report(kept)
        return True

    def taken(self, video_id: str) -> None:
        """A video that came back has a slot now."""
        with self._changed:
            self._waiting.pop(video_id, None)

    def holds_up_the_end(self) -> bool:
        """Whether a batch that has nothing else to do should wait for a video outside."""
        now_s = self._clock.now_s()
        with self._changed:
            if any(until_s > now_s for until_s in self._doubts.values()):
                return True
            if not self._waiting:
                return False
            if self._idle_since_s is None:
                self._idle_since_s = now_s
            return now_s < self._idle_since_s + LATE_WAIT_S

    def release(self) -> list[VideoResult]:
        """The batch ends: how each video that is still outside ends. Nothing is kept any more."""
        with self._changed:
            self._is_over = True
            left, self._waiting = self._waiting, {}
            self._doubts.clear()
            self._changed.notify_all()
        return [each.result for each in left.values()]

    # --- whoever hears of jobs from elsewhere

    def doubt(self, video_id: str) -> None:
        """A video ended for a lost answer, which is noted; a webhook may tell of it."""
        with self._changed:
            self._doubts[video_id] = self._clock.now_s() + DOUBT_WAIT_S

    def is_doubted(self, video_id: str) -> bool:
        """Whether the video ended for a lost answer, and no webhook has told of it yet."""
        with self._changed:
            return video_id in self._doubts

    def outside(self) -> list[str]:
        """Videos of which news would change something: late ones, and lost answers."""
        with self._changed:
            late = [name for name, each in self._waiting.items() if not each.is_back]
            return [*self._doubts, *late]

    def adopted(self, item: VideoItem) -> None:
        """A lost answer's job was found: its video comes back into the line."""
        video_id = item.video_id
        with self._changed:
            if self._doubts.pop(video_id, None) is None or self._is_over:
                return
            self._waiting[video_id] = _Waiting(item, Cancelled(video_id=video_id), is_back=True)
        self._bring_back(item, Stage.IN_DOUBT)

    def told(self, video_id: str) -> None:
        """Somebody says that a late job has ended: it is looked at now."""
        with self._changed:
            kept = self._waiting.get(video_id)
            if kept is None or kept.is_back:
                return
            kept.due_s = self._clock.now_s()
            heapq.heappush(self._due, (kept.due_s, video_id))
            self._changed.notify_all()

    # --- the thread late_jobs

    def _run(self) -> None:
        while True:
            kept = self._next()
            if kept is None:
                return
            try:
                self._look(kept)
            except StoppedError:
                return
            except StopBatchError as error:
                if self.line is not None:
                    self.line.stop(error)

    def _next(self) -> _Waiting | None:
        """The job that is due; None when there is nothing to look at any more."""
        with self._changed:
            while not (self._is_over or self._control.is_halted):
                left_s: float | None = None
                while self._due:
                    due_s, video_id = self._due[0]
                    kept = self._waiting.get(video_id)
                    if kept is None or kept.is_back or kept.due_s != due_s:
                        heapq.heappop(self._due)  # taken, or due at another time
                        continue
                    left_s = due_s - self._clock.now_s()
                    if left_s <= 0:
                        heapq.heappop(self._due)
                        return kept
                    break
                self._clock.wait(self._changed, left_s)
        return None

    def _look(self, kept: _Waiting) -> None:
        """Ask for the job once, if a permit is to spare; bring its video back if it has ended."""
        video_id = kept.item.video_id
        if not is_to_spare(self._ports.polls()):
            self._put_off(kept, _POSTPONED_S)
            return
        ticket = Ticket(video_id=video_id, deadline_s=self._clock.now_s() + _AT_ONCE_S)
        try:
            status = self._ports.look(video_id, ticket)
        except (StopBatchError, StoppedError):
            raise
        except BulkTranscribeError as error:
            _log.info("%s: a late job could not be asked for: %s", video_id, error.message)
            self._put_off(kept, _POSTPONED_S if error.code == "deadline" else None)
            return
        if status is not None and status.state is JobState.RUNNING:
            self._put_off(kept, None)
            return
        with self._changed:
            if self._is_over or self._waiting.get(video_id) is not kept:
                return
            kept.is_back = True
        self._bring_back(kept.item)

    def _put_off(self, kept: _Waiting, postponed_s: float | None) -> None:
        """Look again after `postponed_s`, or, None: a look was made, after twice as long."""
        with self._changed:
            if postponed_s is None:
                kept.looks += 1
                self._looks[kept.item.video_id] = kept.looks
                postponed_s = wait_s(kept.looks)
            kept.due_s = self._clock.now_s() + postponed_s
            heapq.heappush(self._due, (kept.due_s, kept.item.video_id))
        self._report(kept)

    def _report(self, kept: _Waiting) -> None:
        until_at = self._clock.now() + timedelta(seconds=kept.due_s - self._clock.now_s())
        self._ports.reporter(kept.item).waiting(WaitReason.LATE, until_at)

    def _bring_back(self, item: VideoItem, ended_as: Stage | None = None) -> None:
        if self.line is not None:
            self.line.bring_back(item, ended_as)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
