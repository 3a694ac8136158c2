"""How numbers read in a terminal."""

import json
import sys
from typing import Any

from bulk_transcribe.core.figures import count, money, short_time, time_range

__all__ = ["count", "money", "note", "one_line", "print_json", "short_time", "time_range"]


def print_json(value: Any) -> None:
    """One JSON line on standard output; decimals and moments as text."""
    print(json.dumps(value, default=str, ensure_ascii=False), flush=True)


def note(line: str) -> None:
    """One line for a person, on standard error."""
    print(line, file=sys.stderr, flush=True)


def one_line(text: str, width: int) -> str:
    """Text from outside made safe for one terminal line: no control characters, cut to width."""
    flat = "".join(c if c.isprintable() else " " for c in text)
    return flat if len(flat) <= width else flat[: width - 1] + "…"
