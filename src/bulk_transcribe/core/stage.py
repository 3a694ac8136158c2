"""Where a video is on its way, and why it waits."""

import enum
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any


class Stage(enum.StrEnum):
    """A video's place. The last seven are final: the video leaves them only by retry or resume."""

    QUEUED = "queued"
    METADATA = "metadata"
    CAPTIONS = "captions"  # asking for free captions
    SUBMITTING = "submitting"  # a paid request is about to go out or on its way
    TRANSCRIBING = "transcribing"  # the paid job runs; its id is on disk
    SAVING = "saving"
    DONE = "done"
    FAILED = "failed"
    CRASHED = "crashed"  # a bug of ours; traceback in the log; counts as failed
    SKIPPED = "skipped"  # on purpose: live, upcoming, or not wanted
    CANCELLED = "cancelled"  # the run was stopped before its end
    IN_DOUBT = "in_doubt"  # a paid request whose answer was lost

    @property
    def is_final(self) -> bool:
        return self in FINAL_STAGES


FINAL_STAGES = frozenset(
    {Stage.DONE, Stage.FAILED, Stage.CRASHED, Stage.SKIPPED, Stage.CANCELLED, Stage.IN_DOUBT}
)


class WaitReason(enum.StrEnum):
    """Why a video in flight does nothing right now."""

    LIMIT = "waiting for the rate limit"
    DAILY_LIMIT = "waiting for the daily limit"
    RETRY = "waiting to try again"
    SOURCE_REST = "waiting for a resting source"
    OTHER_RUN = "waiting for another run that has this video"
    PAUSED = "paused"
    JOB = "waiting for the service"
    LATE = "late: has no slot, is looked at now and then"


@dataclass(frozen=True, kw_only=True)
class VideoState:
    """All that a status table shows of one video."""

    video_id: str
    stage: Stage = Stage.QUEUED
    position: int = 0  # in the input, from 0
    url: str = ""
    title: str | None = None
    duration_s: float | None = None
    progress: float | None = None  # 0.0 to 1.0 within the stage, where the service tells
    worker: str | None = None  # name of the thread that has it
    source: str | None = None  # where the transcript comes or came from
    since_at: datetime | None = None  # when this stage began
    started_at: datetime | None = None
    finished_at: datetime | None = None
    waiting: WaitReason | None = None
    waiting_until_at: datetime | None = None
    error: str | None = None
    error_code: str | None = None
    next_step: str | None = None
    can_retry: bool = False
    spent_usd: str = "0"  # decimal text
    files: tuple[str, ...] = field(default=())

    @property
    def status(self) -> str:
        """The design brief's word for the stage."""
        return self.stage.value

    def moved(self, stage: Stage, at: datetime, **changes: Any) -> "VideoState":
        """The state after entering `stage`: progress and wait reset, then `changes`."""
        fresh: dict[str, Any] = {"progress": None, "waiting": None, "waiting_until_at": None}
        return replace(self, stage=stage, since_at=at, **(fresh | changes))
