"""A process that transcribes one video with the real parts and dies where it is told to.

Run as `python -m tests.contract.paid_child DATABASE ADDRESS [DIES_AT]`; prints how it ended.
"""

import os
import sys
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from bulk_transcribe.clients.deapi import DeapiClient
from bulk_transcribe.clients.http import HttpClient
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.job import JobState, JobStatus, Submission
from bulk_transcribe.core.ports import Reporter
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.core.stage import Stage, WaitReason
from bulk_transcribe.core.transcript import ContentKey, Transcript
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import BulkTranscribeError
from bulk_transcribe.save.submissions import SubmissionLedger
from bulk_transcribe.save.transcripts import Transcripts
from bulk_transcribe.sources.deapi import DeapiSource
from tests.postgres import open_quick, place_of
from tests.unit.clients.doubles import MemoryLog, OpenLimiter

VIDEO = "dQw4w9WgXcQ"


class Mortal:
    """The real ledger; the process ends, as by a power cut, before or after one of its words."""

    def __init__(self, ledger: SubmissionLedger, dies_at: str) -> None:
        self._ledger = ledger
        self._dies_at = dies_at

    def _die(self, moment: str) -> None:
        if moment == self._dies_at:
            os._exit(9)

    def find_open(self, key: ContentKey) -> Submission | None:
        return self._ledger.find_open(key)

    def intend(
        self,
        key: ContentKey,
        *,
        quoted_usd: Decimal | None = None,
        most_usd: Decimal | None = None,
    ) -> Submission:
        made = self._ledger.intend(key, quoted_usd=quoted_usd, most_usd=most_usd)
        self._die("after intend")
        return made

    def mark_sent(self, submission_id: int) -> None:
        self._ledger.mark_sent(submission_id)
        self._die("after mark_sent")

    def accept(self, submission_id: int, request_id: str) -> None:
        self._die("before accept")
        self._ledger.accept(submission_id, request_id)
        self._die("after accept")

    def refuse(self, submission_id: int, detail: str) -> None:
        self._ledger.refuse(submission_id, detail)

    def doubt(self, submission_id: int, detail: str) -> Submission:
        return self._ledger.doubt(submission_id, detail)

    def claim(
        self, submission_id: int, transcript: Transcript, charged_usd: Decimal | None
    ) -> None:
        self._die("before claim")
        self._ledger.claim(submission_id, transcript, charged_usd)
        self._die("after claim")

    def fail(self, submission_id: int, detail: str, charged_usd: Decimal | None = None) -> None:
        self._ledger.fail(submission_id, detail, charged_usd)

    def abandon(self, submission_id: int, detail: str) -> None:
        self._ledger.abandon(submission_id, detail)


class Impatient:
    """Looks at once, again and again."""

    def watch(
        self,
        submission: Submission,
        *,
        duration_s: float | None,  # noqa: ARG002 -- the port's
        look: Callable[[Ticket], JobStatus],
        reporter: Reporter,  # noqa: ARG002 -- the port's
    ) -> JobStatus:
        while True:
            status = look(Ticket(video_id=submission.key.video_id))
            if status.state is not JobState.RUNNING:
                return status


class Nobody:
    """A reporter that tells nobody."""

    def stage(self, stage: Stage, *, source: str | None = None) -> None: ...

    def progress(self, fraction: float | None) -> None: ...

    def waiting(self, reason: WaitReason | None, until_at: datetime | None = None) -> None: ...


def run(place: Path | str, address: str, dies_at: str) -> str:
    """Take the video to its transcript as a run does; what it says, or the error's class."""
    clock = SystemClock()
    limiter, log = OpenLimiter(), MemoryLog()
    with (
        open_quick(place) as database,
        HttpClient(limiter=limiter, log=log, clock=clock, timeout_s=5.0) as http,
    ):
        source = DeapiSource(
            DeapiClient(address, "1|key", http=http),
            Mortal(SubmissionLedger(database, clock, "s"), dies_at),
            Impatient(),
            control=RunControl(clock),
            clock=clock,
            model="WhisperLargeV3",
        )
        known = Transcripts(database, clock).find_transcript(source.key(VIDEO))
        if known is not None:
            return known.text
        try:
            return source.fetch(VideoItem(video_id=VIDEO), None, Nobody()).text
        except BulkTranscribeError as error:
            return type(error).__name__


if __name__ == "__main__":
    print(run(place_of(sys.argv[1]), sys.argv[2], " ".join(sys.argv[3:])))  # noqa: T201 -- the answer
