"""What could not be understood, and what came twice."""

from dataclasses import dataclass
from typing import Final, Self

from bulk_transcribe.clients.safe_text import safe_text, short
from bulk_transcribe.errors import BulkTranscribeError, InputError

#: Of a text that was not understood, this much is shown and kept.
_SHOWN: Final = 200


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing of the input that could not be used; the rest goes on.

    Args:
        origin: Where it stands: "videos.txt", "argument 2", "standard input", "list.json entry 3".
        line: Line or row, counted from 1; None where there are no lines.
        text: What stands there, on one line, cut after 200 characters.
        message: What is wrong.
        suggestion: What would be right, or "".
    """

    origin: str
    line: int | None
    text: str
    message: str
    suggestion: str = ""

    @classmethod
    def about(cls, error: BulkTranscribeError, text: str, origin: str, line: int | None) -> Self:
        """The problem that an error tells of."""
        return cls(
            origin=safe_text(origin),
            line=line,
            text=short(text, _SHOWN),
            message=error.message,
            suggestion=error.next_step,
        )

    @property
    def place(self) -> str:
        """Where it stands, in words."""
        return self.origin if self.line is None else f"{self.origin}, line {self.line}"

    def as_error(self) -> InputError:
        """The same as an error, for those who want to stop at the first one."""
        return InputError(
            f"{self.place}: {self.text!r}: {self.message}",
            next_step=self.suggestion,
            code="not_understood",
        )


@dataclass(frozen=True, kw_only=True)
class Duplicate:
    """A video that was asked for again; it is done once, for its first origin."""

    video_id: str
    first_origin: str
    origin: str
