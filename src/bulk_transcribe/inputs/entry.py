"""What the readers yield: one wanted link with its place, or a problem."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from bulk_transcribe.inputs.links import Link
from bulk_transcribe.inputs.problem import Problem

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A link that was understood.

    Args:
        link: What it means.
        origin: The file or argument it stands in.
        line: Line or row, counted from 1; None where there are no lines.
        extra: The other columns of its row, header -> text.
    """

    link: Link
    origin: str
    line: int | None = None
    extra: Mapping[str, str] = field(default_factory=lambda: _NOTHING)

    @property
    def place(self) -> str:
        """Where it stands, as a video's origin: "videos.txt:14"."""
        return self.origin if self.line is None else f"{self.origin}:{self.line}"


Entry = Wanted | Problem
Entries = Iterator[Entry]
