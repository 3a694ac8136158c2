"""Free captions as a way to a transcript."""

from collections.abc import Sequence
from typing import Final

from bulk_transcribe.core.ports import CaptionFetcher, Reporter
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.core.stage import Stage
from bulk_transcribe.core.transcript import ContentKey, Transcript
from bulk_transcribe.core.video import VideoItem, VideoMetadata

NAME: Final = "captions"


def captions_key(video_id: str, languages: Sequence[str]) -> ContentKey:
    """Under which captions in these wanted languages are kept."""
    return ContentKey(video_id=video_id, source=NAME, language=",".join(languages))


class CaptionsSource:
    """The port `TranscriptSource` on top of a `CaptionFetcher`. May be shared by all threads.

    Args:
        fetcher: Gets the track.
        languages: Wanted languages in order; "any" stands for whatever there is.
    """

    def __init__(self, fetcher: CaptionFetcher, languages: Sequence[str] = ("any",)) -> None:
        self._fetcher = fetcher
        self._languages = tuple(languages)

    @property
    def name(self) -> str:
        return NAME

    def key(self, video_id: str) -> ContentKey:
        return captions_key(video_id, self._languages)

    def fetch(
        self,
        item: VideoItem,
        metadata: VideoMetadata | None,  # noqa: ARG002 -- the port's; captions need no facts
        reporter: Reporter,
    ) -> Transcript:
        """The best caption track. See `CaptionFetcher.fetch` for what it raises."""
        reporter.stage(Stage.CAPTIONS, source=NAME)
        ticket = Ticket(video_id=item.video_id, on_wait=reporter.waiting)
        return self._fetcher.fetch(item.video_id, self._languages, ticket)
