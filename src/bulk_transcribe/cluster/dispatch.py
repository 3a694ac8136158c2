"""Sessions given to the workers, and steered: the store first, and the queue after it."""

import logging
from collections.abc import Sequence
from typing import Final

from bulk_transcribe.app import App
from bulk_transcribe.cluster import order
from bulk_transcribe.cluster.order import Priority
from bulk_transcribe.cluster.queue import Queue, Waiting, queue_of
from bulk_transcribe.save.cluster import ClusterSession, ClusterStore, Steer, WorkerInfo
from bulk_transcribe.save.session import Wish, WishMade

_log: Final = logging.getLogger(__name__)


class Dispatch:
    """Hands sessions to the workers. May be shared by all threads and used by many processes."""

    def __init__(self, app: App, queue: Queue) -> None:
        self._app = app
        self._queue = queue
        self.store = ClusterStore(app.database, app.clock)

    def hand_over(self, session_id: str, priority: Priority = Priority.NORMAL) -> int:
        """Give the videos that are left in a session to the workers; how many those are.

        Raises:
            InputError: somebody works on the session.
        """
        app, pays = self._app, "deapi" in self._app.settings.sources
        plan = app.plan_left(session_id)
        queue = queue_of(app.account if pays else "")
        with self._queue.turn(wait=True):
            self.store.hand_over(session_id, queue=queue, step=order.STEPS[priority])
            session = self.store.get(session_id)
            if session is None:
                raise RuntimeError(f"{session_id} was not handed over")
            self._put(session, [item.video_id for item in plan.items])
        return len(plan.items)

    def fill_up(self, session: ClusterSession) -> int:
        """Put in what a running session misses in the queue; how many videos that were."""
        if session.steer is not Steer.RUN:
            return 0
        with self._queue.turn(wait=False) as is_ours:
            return self._put(session, self._queue.missing(session.session_id)) if is_ours else 0

    def carry_out(self, session_id: str, made: Wish | WishMade, value: str = "") -> None:
        """Do at once what is wished of a session that the workers have."""
        wish = made.wish if isinstance(made, WishMade) else made
        value = made.value if isinstance(made, WishMade) else value
        session = self.store.get(session_id)
        if session is None:
            return
        match wish:
            case Wish.PAUSE:
                self.store.steer(session_id, Steer.PAUSE)
                self._queue.take_out(session_id)
            case Wish.RESUME:
                self.store.steer(session_id, Steer.RUN)
                now = self.store.get(session_id)
                if now is not None:
                    self.fill_up(now)
            case Wish.STOP:
                at_once = value == "now" or session.steer is Steer.DRAIN
                self.store.steer(session_id, Steer.HALT if at_once else Steer.DRAIN)
                self._queue.take_out(session_id)
                self.end_if_over(session_id)
            case Wish.CONCURRENCY:
                _log.info("%s: the workers' slots are set where they run", session_id)

    def carry_out_all(self) -> None:
        """Do what was wished of all sessions that the workers have."""
        for session in self.store.live():
            for made in self._app.sessions.open_session(session.session_id).take_wishes():
                self.carry_out(session.session_id, made)

    def end_if_over(self, session_id: str) -> bool:
        """End a session that is over; nothing of it waits any more then."""
        is_over = self.store.end_if_over(session_id)
        if is_over:
            self._queue.take_out(session_id)
        return is_over

    def workers(self) -> list[WorkerInfo]:
        """The workers that live."""
        return self.store.workers()

    def has_worker_for(self, session: ClusterSession) -> bool:
        """Whether a worker lives that takes this session's videos."""
        return any(session.queue in worker.queues for worker in self.workers())

    def _put(self, session: ClusterSession, video_ids: Sequence[str]) -> int:
        if not video_ids:
            return 0
        if not self._queue.depth(session.queue)[0]:
            self.store.begin_anew(session.queue)
        times = order.waits_at(self.store.reached(session.queue), session.step, len(video_ids))
        return self._queue.put(
            session.queue,
            session.session_id,
            (
                Waiting(video_id=video_id, priority=order.as_priority(at))
                for video_id, at in zip(video_ids, times, strict=True)
            ),
        )
