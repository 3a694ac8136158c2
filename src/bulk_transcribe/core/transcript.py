"""A transcript: timed segments or plain text, and where it came from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Segment:
    """One stretch of speech; `0 <= start_s <= end_s`. Caption segments may overlap."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, kw_only=True)
class ContentKey:
    """What makes two transcripts the same thing to pay for: same key, same content.

    Args:
        video_id: The video.
        source: "captions" or "deapi".
        model: Model slug of a paid source, "" for captions.
        language: The wish, not the result: language codes joined by ",".
        options: Further options that change the text, as "name=value" joined by ",".
    """

    video_id: str
    source: str
    model: str = ""
    language: str = ""
    options: str = ""

    def __str__(self) -> str:
        return f"{self.video_id}|{self.source}|{self.model}|{self.language}|{self.options}"


@dataclass(frozen=True, kw_only=True)
class Transcript:
    """The words of a video.

    `segments` is in time order and empty where the source gave plain text only; `text` is
    always there, and "" is a legitimate result (silence).
    """

    video_id: str
    source: str  # "captions" or "deapi"
    text: str
    segments: tuple[Segment, ...] = ()
    language: str | None = None  # of the text, BCP 47, where known
    model: str | None = None
    is_generated: bool | None = None  # captions: by machine (True) or by hand (False)
    request_id: str | None = None  # of the paid job
