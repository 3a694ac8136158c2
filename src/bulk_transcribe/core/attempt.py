"""One try of one source on one video, as the store keeps it."""

import enum
from dataclasses import dataclass
from datetime import datetime


class AttemptOutcome(enum.StrEnum):
    """How a try of a source ended."""

    GOT = "got"  # a transcript
    NOTHING = "nothing"  # the source has nothing for this video
    FAILED = "failed"  # the video's own trouble
    NOT_YET = "not_yet"  # live or upcoming
    IN_DOUBT = "in_doubt"
    TROUBLE = "trouble"  # worth another try
    LIMITED = "limited"  # 429
    BLOCKED = "blocked"  # the source refuses everyone
    STOPPED = "stopped"  # the run ended meanwhile
    STOPPED_BATCH = "stopped_batch"  # key, credit, disk or database
    CRASHED = "crashed"  # a bug of ours


@dataclass(frozen=True, kw_only=True)
class SourceAttempt:
    """One call of a source's `fetch`, repeated ones one by one."""

    video_id: str
    source: str
    started_at: datetime
    ended_at: datetime
    outcome: AttemptOutcome
    error: str | None = None  # the message, without traceback
    error_code: str | None = None
