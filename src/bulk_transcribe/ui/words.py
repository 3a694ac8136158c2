"""Foreign text on a page, and how states read."""

import re
from typing import Final

from bulk_transcribe.core.stage import Stage
from bulk_transcribe.save.session import SessionStatus

#: Zero-width, forbids a line break, and parts what the page would otherwise read as one sign.
_JOINER: Final = "\u2060"
_PUNCTUATION: Final = re.compile(r"([!-/:-@\[-`{-~])")
#: What Streamlit replaces in finished text, where no backslash helps: emoji and icon words,
#: addresses, arrows and dashes.
_AFTERTHOUGHTS: Final = re.compile(r"(:|www(?=\.)|[<>~=-](?=[<>=-])|(?=@))", re.IGNORECASE)

STAGES: Final = {
    Stage.QUEUED: "Waiting",
    Stage.METADATA: "Looking up",
    Stage.CAPTIONS: "Captions",
    Stage.SUBMITTING: "Sending",
    Stage.TRANSCRIBING: "Transcribing",
    Stage.SAVING: "Saving",
    Stage.DONE: "Done",
    Stage.FAILED: "Failed",
    Stage.CRASHED: "Crashed",
    Stage.SKIPPED: "Skipped",
    Stage.CANCELLED: "Left for later",
    Stage.IN_DOUBT: "In doubt",
}

STATUSES: Final = {
    SessionStatus.NEW: "New",
    SessionStatus.RUNNING: "Running",
    SessionStatus.PAUSED: "Paused",
    SessionStatus.STOPPED: "Stopped",
    SessionStatus.FINISHED: "Finished",
    SessionStatus.INTERRUPTED: "Interrupted",
}
#: What a living session is that was asked to stop and still finishes what is in flight.
STOPPING: Final = "Stopping"


def plain(text: str | None, width: int = 200) -> str:
    """Foreign text for a place that reads Markdown: it shows as it is, whatever is in it.

    One line, without control characters, cut to `width` characters; "" for None.
    """
    flat = one_line(text or "", width)
    parted = _AFTERTHOUGHTS.sub(lambda found: found.group() + _JOINER, flat)
    return _PUNCTUATION.sub(r"\\\1", parted)


def one_line(text: str, width: int) -> str:
    """Text without control characters and line breaks, cut to `width`; not for Markdown."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"
