"""Whose video is next, so that no session waits for another one's end. Pure.

Self-clocked fair queueing (S. J. Golestani, INFOCOM 1994). A queue has a virtual time: that of the
newest job that was started. The k-th video of a session that comes at virtual time V waits at
V + k * step; the lowest goes first, the one that came first where two are equal. `step` is small
for an urgent session. So sessions of equal priority take turns, one to one, whatever their
lengths; a newcomer begins one step after the present and never before somebody's whole past: a
stream of newcomers starves nobody.
"""

import enum
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final


class Priority(enum.StrEnum):
    """How much of the queue a session gets: each word four times as much as the one before."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


STEPS: Final = MappingProxyType({Priority.LOW: 16, Priority.NORMAL: 4, Priority.HIGH: 1})

#: The job table keeps priorities in 32 bits. 500 million normal videos wait without a pause before
#: it is reached; later ones then share the last place in the order of their coming.
LAST: Final = 2**31 - 1


def waits_at(reached: int, step: int, count: int) -> Iterator[int]:
    """Virtual times of `count` videos of a session, in the order of its plan."""
    for number in range(1, count + 1):
        yield min(LAST, reached + number * step)


def as_priority(waits_at: int) -> int:
    """The priority of a job; the job table takes the highest first."""
    return -waits_at


def as_virtual_time(priority: int) -> int:
    """The virtual time at which a job with this priority waited."""
    return -priority
