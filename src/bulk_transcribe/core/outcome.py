"""How a video ended, and how a batch ended."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from bulk_transcribe.core.stage import Stage
from bulk_transcribe.errors import BulkTranscribeError


@dataclass(frozen=True, kw_only=True)
class Succeeded:
    """Transcript saved, files written."""

    video_id: str
    source: str
    files: tuple[str, ...] = ()
    was_known: bool = False  # taken from an earlier session, nothing asked for
    spent_usd: Decimal = Decimal(0)

    stage = Stage.DONE


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The video's own trouble."""

    video_id: str
    error: BulkTranscribeError
    can_retry: bool = False
    spent_usd: Decimal = Decimal(0)

    stage = Stage.FAILED


@dataclass(frozen=True, kw_only=True)
class Crashed:
    """A bug of ours; the traceback is in the log."""

    video_id: str
    error: BaseException

    stage = Stage.CRASHED


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """Left out on purpose; `error` says why."""

    video_id: str
    error: BulkTranscribeError
    can_retry: bool = True

    stage = Stage.SKIPPED


@dataclass(frozen=True, kw_only=True)
class Cancelled:
    """The run ended before this video did; `resume` takes it up."""

    video_id: str

    stage = Stage.CANCELLED


@dataclass(frozen=True, kw_only=True)
class InDoubt:
    """A paid request whose answer was lost."""

    video_id: str
    error: BulkTranscribeError

    stage = Stage.IN_DOUBT


VideoResult = Succeeded | Failed | Crashed | Skipped | Cancelled | InDoubt


@dataclass(frozen=True, kw_only=True)
class Totals:
    """Counts of a session; the parts always add up to `total`."""

    total: int = 0
    queued: int = 0
    active: int = 0
    done: int = 0
    failed: int = 0  # crashed ones included
    skipped: int = 0
    cancelled: int = 0
    in_doubt: int = 0

    @classmethod
    def of(cls, stages: Iterable[Stage]) -> "Totals":
        """Count stages. No stages at all give zeros."""
        counts = dict.fromkeys(Stage, 0)
        for stage in stages:
            counts[stage] += 1
        return cls.from_counts(counts)

    @classmethod
    def from_counts(cls, counts: dict[Stage, int]) -> "Totals":
        """From the number of videos in each stage; a stage that is missing counts as 0."""
        final = {stage: counts.get(stage, 0) for stage in Stage if stage.is_final}
        queued = counts.get(Stage.QUEUED, 0)
        total = sum(counts.values())
        return cls(
            total=total,
            queued=queued,
            active=total - queued - sum(final.values()),
            done=final[Stage.DONE],
            failed=final[Stage.FAILED] + final[Stage.CRASHED],
            skipped=final[Stage.SKIPPED],
            cancelled=final[Stage.CANCELLED],
            in_doubt=final[Stage.IN_DOUBT],
        )

    @property
    def finished(self) -> int:
        """Videos that no run will touch again by itself; those left for later are not."""
        return self.done + self.failed + self.skipped + self.in_doubt

    @property
    def to_come(self) -> int:
        """Videos that the run still has to end, one way or the other."""
        return self.queued + self.active

    @property
    def unfinished(self) -> int:
        """Videos that a run that begins now has to do."""
        return self.to_come + self.cancelled

    @property
    def fraction(self) -> float:
        """Share that is finished, 0.0 to 1.0; a session without videos is finished (1.0)."""
        return self.finished / self.total if self.total else 1.0


@dataclass(frozen=True, kw_only=True)
class BatchResult:
    """How a run ended.

    `stopped_by` is the error that ended the batch early (bad key, no credit, full disk), if any;
    `was_interrupted` is True when somebody asked it to stop. `restored` counts finished
    videos whose files were gone and have been written again.
    """

    session_id: str
    totals: Totals
    requests: int = 0
    spent_usd: Decimal = Decimal(0)
    elapsed_s: float = 0.0
    stopped_by: BulkTranscribeError | None = None
    was_interrupted: bool = False
    restored: int = 0

    @property
    def is_complete(self) -> bool:
        """Every video has its transcript."""
        return self.totals.done == self.totals.total
