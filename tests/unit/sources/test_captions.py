from collections.abc import Sequence
from datetime import datetime

import pytest

from bulk_transcribe.core.ports import TranscriptSource
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.core.stage import Stage, WaitReason
from bulk_transcribe.core.transcript import ContentKey, Transcript
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import NoCaptionsError
from bulk_transcribe.sources.captions import CaptionsSource

ITEM = VideoItem(video_id="dQw4w9WgXcQ")


class Fetcher:
    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.asked: list[tuple[str, tuple[str, ...], Ticket]] = []

    def fetch(self, video_id: str, languages: Sequence[str], ticket: Ticket) -> Transcript:
        self.asked.append((video_id, tuple(languages), ticket))
        if self.failure is not None:
            raise self.failure
        return Transcript(video_id=video_id, source="captions", text="Hi")


class Notes:
    def __init__(self) -> None:
        self.said: list[object] = []

    def stage(self, stage: Stage, *, source: str | None = None) -> None:
        self.said.append((stage, source))

    def progress(self, fraction: float | None) -> None:
        self.said.append(fraction)

    def waiting(self, reason: WaitReason | None, until_at: datetime | None = None) -> None:
        self.said.append((reason, until_at))


def test_captions_are_asked_in_the_wanted_languages() -> None:
    fetcher, notes = Fetcher(), Notes()
    source: TranscriptSource = CaptionsSource(fetcher, ["de", "any"])
    assert source.fetch(ITEM, None, notes).text == "Hi"
    ((video_id, languages, ticket),) = fetcher.asked
    assert (video_id, languages) == (ITEM.video_id, ("de", "any"))
    assert notes.said == [(Stage.CAPTIONS, "captions")]
    ticket.on_wait(WaitReason.LIMIT, None)
    assert notes.said[-1] == (WaitReason.LIMIT, None)
    assert ticket.video_id == ITEM.video_id


def test_the_wish_is_part_of_the_key() -> None:
    key = CaptionsSource(Fetcher(), ["de", "any"]).key(ITEM.video_id)
    assert key == ContentKey(video_id=ITEM.video_id, source="captions", language="de,any")
    assert CaptionsSource(Fetcher()).name == "captions"


def test_no_captions_come_out_as_they_are() -> None:
    failure = NoCaptionsError("none")
    with pytest.raises(NoCaptionsError) as caught:
        CaptionsSource(Fetcher(failure)).fetch(ITEM, None, Notes())
    assert caught.value is failure
