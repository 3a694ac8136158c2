"""Everything that the pages read from the store: frozen values, each call one moment."""

from collections.abc import Iterable
from dataclasses import dataclass

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.stage import Stage, VideoState
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import InputError
from bulk_transcribe.save.database import Database
from bulk_transcribe.save.pulses import Belief
from bulk_transcribe.save.receipts import Receipts, VideoReceipt
from bulk_transcribe.save.session import InputProblem, Session, SessionInfo, VideoSort
from bulk_transcribe.save.sessions import SessionManager
from bulk_transcribe.save.views import (
    PulsePoint,
    SessionLine,
    SessionView,
    VideoTable,
    Views,
)

Overview = SessionView
"""A session as its page shows it."""


@dataclass(frozen=True, kw_only=True)
class VideoDetail:
    """One video with all that is known of its way."""

    item: VideoItem
    state: VideoState
    receipt: VideoReceipt


class Reading:
    """Reads the store for the pages. May be shared by all threads; holds nothing it has read."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._views = Views(database)
        self._receipts = Receipts(database)
        self._manager = SessionManager(database, clock)

    def has(self, session_id: str) -> bool:
        """Whether there is a session with exactly this id."""
        try:
            self._manager.open_session(session_id)
        except InputError:
            return False
        return True

    def sessions(self) -> list[SessionLine]:
        """All sessions, newest first."""
        return self._views.lines()

    def newest_sessions(self, limit: int) -> list[SessionInfo]:
        """The newest sessions, at most `limit`, without their money."""
        return self._manager.list_sessions(limit=limit)

    def overview(self, session_id: str) -> Overview:
        """A session as a whole.

        Raises:
            InputError: it was deleted meanwhile.
        """
        return self._views.session(session_id)

    def belief(self, session_id: str) -> Belief:
        """What the limiter of the newest run believed last; empty before the first."""
        return self._views.belief(session_id)

    def pulses(self, session_id: str) -> list[PulsePoint]:
        """The way of a session's runs, for charts; oldest first, a bounded number."""
        return self._views.pulse_points(session_id)

    def table(
        self,
        session_id: str,
        *,
        stages: Iterable[Stage] | None = None,
        search: str = "",
        sort: VideoSort = VideoSort.POSITION,
        descending: bool = False,
        offset: int = 0,
        limit: int | None = None,
    ) -> VideoTable:
        """The status table: every video that fits; see `Session.states` for the filters."""
        return self._views.table(
            session_id,
            stages=stages,
            search=search,
            sort=sort,
            descending=descending,
            offset=offset,
            limit=limit,
        )

    def count(self, session_id: str, stages: Iterable[Stage]) -> int:
        """How many videos of a session are in one of these stages."""
        return self._session(session_id).count(stages=stages)

    def video(self, session_id: str, video_id: str) -> VideoDetail | None:
        """One video; None if the session does not have it."""
        session = self._manager.open_session(session_id)
        item, state = session.item(video_id), session.state(video_id)
        receipt = self._receipts.of_video(session_id, video_id)
        if item is None or state is None or receipt is None:
            return None
        return VideoDetail(item=item, state=state, receipt=receipt)

    def problems(self, session_id: str) -> list[InputProblem]:
        """The input lines of a session that could not be understood."""
        return self._session(session_id).problems()

    def _session(self, session_id: str) -> Session:
        return self._manager.open_session(session_id)
