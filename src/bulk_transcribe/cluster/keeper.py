"""What keeps sessions going whoever comes and goes: one round every few seconds, by any worker."""

import logging
from datetime import timedelta
from typing import Final

from bulk_transcribe.app import App
from bulk_transcribe.app.pulse import limit_60s
from bulk_transcribe.cluster.dispatch import Dispatch
from bulk_transcribe.cluster.queue import Queue
from bulk_transcribe.core.outcome import Totals
from bulk_transcribe.monitor.requests import LIMITED
from bulk_transcribe.save.cluster import ClusterSession, Steer
from bulk_transcribe.save.pulses import Belief, Pulse, Pulses

_log: Final = logging.getLogger(__name__)

#: Pace is judged over this while.
_LATELY: Final = timedelta(minutes=5)
#: The time left is told as a range: the pace goes up and down by about so much.
_FASTER, _SLOWER = 0.8, 1.4
#: Seconds of a video, as long as none has ended.
_FIRST_GUESS_S: Final = 60.0


class Keeper:
    """Sees to all sessions that the workers have. Its rounds may overlap those of other workers."""

    def __init__(self, app: App, queue: Queue, dispatch: Dispatch) -> None:
        self._app = app
        self._queue = queue
        self._dispatch = dispatch

    def round(self) -> None:
        """Rescue, fill up, end and report.

        Raises:
            StoreError: the database cannot be used; the next round makes up for it.
        """
        store = self._dispatch.store
        rescued = store.rescue()
        if rescued:
            _log.warning("%d videos of workers that are gone wait for their turn again", rescued)
            self._app.settle()
        stuck = self._queue.drop_stuck(store.held())
        if stuck:
            _log.info("%d jobs had no worker any more", stuck)
        store.sweep_workers()
        slots = sum(worker.slots for worker in store.workers())
        for session in store.live():
            number = self._dispatch.fill_up(session)
            if number:
                _log.info("%s: %d videos were put into the queue", session.session_id, number)
            is_over = self._dispatch.end_if_over(session.session_id)
            self._note_pulse(session, slots)
            if is_over:
                _log.info("%s: over", session.session_id)

    def _note_pulse(self, session: ClusterSession, slots: int) -> None:
        app, session_id = self._app, session.session_id
        now = app.clock.now()
        info = app.sessions.open_session(session_id).info()
        began_at = info.started_at or now
        watched = min(_LATELY, max(now - began_at, timedelta(seconds=1)))
        ended = self._dispatch.store.finished_since(session_id, watched)
        per_min = 60.0 * ended / watched.total_seconds() if ended else None
        left_s = time_left_s(info.totals, per_min, slots)
        belief = app.belief()
        told = Belief(summary=belief.summary, why=belief.why) if belief else Belief()
        kinds = {kind.value for kind in LIMITED}
        Pulses(app.database, session_id).write(
            Pulse(
                at=now,
                finished=info.totals.finished,
                active=info.totals.active,
                slots=slots,
                is_auto=False,
                is_draining=session.steer in {Steer.DRAIN, Steer.HALT},
                low_s=_FASTER * left_s,
                likely_s=left_s,
                high_s=_SLOWER * left_s,
                videos_per_min=per_min,
                limited_60s=sum(
                    pool.used for pool in (belief.pools if belief else ()) if kinds & {*pool.kinds}
                ),
                limit_60s=None if belief is None else limit_60s(belief),
                spent_usd=app.spent_usd(session_id),
                belief=told,
            )
        )


def time_left_s(totals: Totals, per_min: float | None, slots: int) -> float:
    """Seconds until a session's last video ends, at the pace of late.

    Before the first end every slot is thought to take a minute for a video; without workers, and
    where nothing is left, it is 0.0.
    """
    left = totals.queued + totals.active
    if per_min:
        return 60.0 * left / per_min
    return _FIRST_GUESS_S * left / slots if slots else 0.0
