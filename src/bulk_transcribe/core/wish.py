"""What a page, another terminal or a script wants of a run that is going on elsewhere."""

import enum
from dataclasses import dataclass


class WishKind(enum.StrEnum):
    """What is wanted."""

    PAUSE = "pause"  # start nothing new
    RESUME = "resume"
    STOP = "stop"  # start no more, finish what is in flight; said twice: end now
    CONCURRENCY = "concurrency"  # `value`: videos in flight at once, or "auto"


@dataclass(frozen=True)
class Wish:
    """One wish. `value` is "" where the kind needs none."""

    kind: WishKind
    value: str = ""
