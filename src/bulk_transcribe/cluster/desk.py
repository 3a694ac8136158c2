"""What a worker has on its desk: a workbench for each session whose videos it has in hand."""

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from typing import Any, Final

from bulk_transcribe.app import App
from bulk_transcribe.app.workbench import Workbench
from bulk_transcribe.config import Settings
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.outcome import Cancelled, VideoResult
from bulk_transcribe.errors import StopBatchError, StoreError
from bulk_transcribe.process.guard import Guard
from bulk_transcribe.save.cluster import Claim, ClaimedSession, ClusterStore, Steer

_log: Final = logging.getLogger(__name__)

#: Looks of the steering thread (one a second) after which a session without videos is put away.
_IDLE_LOOKS: Final = 20

SettingsWith = Callable[[Mapping[str, Any]], Settings]


class Desk:
    """Works on videos that the queue gives out. Shared by the threads video_processor-N.

    Args:
        app: The worker's own.
        store: Claims.
        settings_with: The worker's settings, with those that a session was started with.
        to_come: Videos that wait for a slot, in all sessions.
        on_trouble: Told of an error of the store: this worker cannot go on as it is.
    """

    def __init__(
        self,
        app: App,
        store: ClusterStore,
        settings_with: SettingsWith,
        *,
        to_come: Callable[[], int],
        on_trouble: Callable[[StoreError], None],
    ) -> None:
        self._app = app
        self._store = store
        self._settings_with = settings_with
        self._to_come = to_come
        self._on_trouble = on_trouble
        self._lock = threading.Lock()  # guards the fields below, and opening
        self._seats: dict[str, _Seat] = {}
        self._is_closed = False

    @property
    def doing(self) -> int:
        """Videos in hand."""
        with self._lock:
            return sum(seat.users for seat in self._seats.values())

    def work(self, session_id: str, video_id: str, *, queue: str, reached: int) -> None:
        """Take a video to its end, if it can be had; whatever happens is noted, nothing raised."""
        try:
            self._work(session_id, video_id, queue, reached)
        except StoreError as error:
            self._on_trouble(error)
        except Exception:  # noqa: BLE001 -- the thread's edge; the guard has the steps themselves
            # the video has its claim, and is tried again by whoever comes when this worker ends
            _log.exception("%s of %s could not be begun", video_id, session_id)

    def steer(self) -> None:
        """Do as each session's steer says, and put away what is idle: about once a second.

        Raises:
            StoreError: the store does not answer.
        """
        with self._lock:
            seats = list(self._seats.items())
        for session_id, seat in seats:
            session = self._store.get(session_id)
            seat.follow(Steer.HALT if session is None else session.steer)
        with self._lock:
            idle = [(name, seat) for name, seat in self._seats.items() if seat.is_idle()]
            for name, _ in idle:
                del self._seats[name]
        for _, seat in idle:
            seat.close()

    def halt(self) -> None:
        """Nothing goes on here; what is in hand keeps its claims until they are given back."""
        with self._lock:
            self._is_closed = True
            seats = list(self._seats.values())
        for seat in seats:
            seat.control.halt()

    def close(self) -> None:
        """Put everything away, once no thread works any more.

        Raises:
            StoreError: the newest states could not be written; they are progress, no ends.
        """
        with self._lock:
            self._is_closed = True
            seats, self._seats = list(self._seats.values()), {}
        with ExitStack() as closing:
            for seat in seats:
                closing.callback(seat.close)

    def _work(self, session_id: str, video_id: str, queue: str, reached: int) -> None:
        seat = self._sit(session_id)
        if seat is None:
            return
        try:
            claim = self._store.claim(session_id, video_id, queue=queue, reached=reached)
            if claim is not Claim.TAKEN:
                _log.debug("%s of %s: %s", video_id, session_id, claim.value)
                return
            item = seat.session.item(video_id)
            if item is None or not seat.work(item):
                self._store.give_back(session_id, video_id)
            stopped_by = seat.news_of_stop()
            if isinstance(stopped_by, StoreError):
                self._on_trouble(stopped_by)
            elif stopped_by is not None:
                self._store.stop(session_id, stopped_by, seat.steer_after_stop())
        finally:
            self._leave(seat)

    def _sit(self, session_id: str) -> "_Seat | None":
        """A place at the session's bench; None where it is being put away."""
        with self._lock:
            if self._is_closed:
                return None
            seat = self._seats.get(session_id)
            if seat is not None and seat.control.is_draining:
                if seat.users:
                    return None
                seat.close()
                seat = None
            if seat is None:
                seat = self._seats[session_id] = self._open(session_id)
            seat.users += 1
            seat.idle_looks = 0
            return seat

    def _leave(self, seat: "_Seat") -> None:
        with self._lock:
            seat.users -= 1

    def _open(self, session_id: str) -> "_Seat":
        app = self._app
        settings = self._settings_with(app.stored_flags(session_id))
        session = ClaimedSession(app.database, app.clock, session_id)
        control = RunControl(app.clock)
        with ExitStack() as parts:
            bench = parts.enter_context(app.workbench(session, settings, control, self._to_come))
            parts.enter_context(bench.writing())
            return _Seat(session, bench, control, parts.pop_all())


class _Seat:
    """One session on the desk. `users` and `idle_looks` are guarded by the desk's lock."""

    def __init__(
        self, session: ClaimedSession, bench: Workbench, control: RunControl, parts: ExitStack
    ) -> None:
        self.session = session
        self.control = control
        self.users = 0
        self.idle_looks = 0
        self._bench = bench
        self._parts = parts
        self._guard = Guard(bench.process, self._finish, bench.goes_on_free, control)
        self._steer = Steer.RUN
        self._told = threading.Event()  # of the error that stopped the session

    def work(self, item: Any) -> bool:
        """Take a video through its steps; False where it was not begun."""
        self._bench.monitor.add((item,))
        return self._guard.work(item) is not None

    def follow(self, steer: Steer) -> None:
        """Do what is wanted of the session now."""
        if steer is self._steer:
            return
        self._steer = steer
        match steer:
            case Steer.RUN if self._guard.stopped_by is None:
                self.control.resume()
            case Steer.RUN:
                pass
            case Steer.PAUSE:
                self.control.pause()
            case Steer.DRAIN:
                self.control.drain()
            case Steer.HALT:
                self.control.halt()

    def news_of_stop(self) -> StopBatchError | None:
        """The error that stops the session, told once."""
        error = self._guard.stopped_by
        if error is None or self._told.is_set():
            return None
        self._told.set()
        why = self._bench.till.why_closed(error)
        return why if isinstance(why, StopBatchError) else error

    def steer_after_stop(self) -> Steer:
        """What the other workers should do: as this one does."""
        if self.control.is_halted:
            return Steer.HALT
        return Steer.DRAIN if self.control.is_draining else Steer.RUN

    def is_idle(self) -> bool:
        """Whether it may be put away; called about once a second."""
        self.idle_looks = 0 if self.users else self.idle_looks + 1
        return self.idle_looks > _IDLE_LOOKS

    def close(self) -> None:
        self._parts.close()

    def _finish(self, result: VideoResult) -> None:
        """A video's end. One that is cut short because its worker ends has not ended."""
        stops = self._steer in {Steer.DRAIN, Steer.HALT} or self._guard.stopped_by is not None
        if isinstance(result, Cancelled) and not stops:
            return
        self._bench.finish(result)
