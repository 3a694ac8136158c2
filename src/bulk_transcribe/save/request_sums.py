"""Requests added up for each video and kind: what a receipt needs, in a few rows a video."""

from dataclasses import dataclass
from datetime import datetime

from bulk_transcribe.core.request import RequestKind, RequestRecord

_TOO_MANY = 429
_FIRST_ERROR = 400


@dataclass(frozen=True, kw_only=True)
class RequestSum:
    """Requests of one kind for one video, or for the batch as a whole (`video_id` None).

    Args:
        video_id: The video.
        kind: What they were for.
        sent: All that went out; `refused` and `failed` are among them.
        refused: Answered 429.
        failed: No answer, or another 4xx or 5xx.
        waited_s: Seconds waited for permits.
        took_s: Seconds from sending to the end of the answer.
        first_at: When the first went out.
        last_at: When the last went out.
    """

    video_id: str | None
    kind: RequestKind
    sent: int
    refused: int
    failed: int
    waited_s: float
    took_s: float
    first_at: datetime
    last_at: datetime

    @classmethod
    def of(cls, record: RequestRecord) -> "RequestSum":
        """The sum of one."""
        is_refused = record.status == _TOO_MANY
        is_failed = not is_refused and (record.status is None or record.status >= _FIRST_ERROR)
        return cls(
            video_id=record.video_id,
            kind=record.kind,
            sent=1,
            refused=int(is_refused),
            failed=int(is_failed),
            waited_s=record.waited_s,
            took_s=record.took_s,
            first_at=record.sent_at,
            last_at=record.sent_at,
        )

    def __add__(self, other: "RequestSum") -> "RequestSum":
        """Both together; of the same kind, and named after this one's video."""
        return RequestSum(
            video_id=self.video_id,
            kind=self.kind,
            sent=self.sent + other.sent,
            refused=self.refused + other.refused,
            failed=self.failed + other.failed,
            waited_s=self.waited_s + other.waited_s,
            took_s=self.took_s + other.took_s,
            first_at=min(self.first_at, other.first_at),
            last_at=max(self.last_at, other.last_at),
        )
