"""Chance that is the same in every run: a number derived from the seed and from what it is for.

Nothing here depends on the order in which requests arrive, so two runs with one seed meet the
same videos, prices, job times and faults.
"""

import random
from hashlib import blake2b
from typing import Final

_SPAN: Final = 2**64


def number(seed: int, *about: object) -> int:
    """A whole number in [0, 2**64) for this seed and subject."""
    text = "\x1f".join(map(str, (seed, *about)))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def share(seed: int, *about: object) -> float:
    """A number in [0, 1) for this seed and subject."""
    # 53 bits fit a float: dividing the whole number could round up to 1.0
    return (number(seed, *about) >> 11) / (_SPAN >> 11)


def between(low: float, high: float, seed: int, *about: object) -> float:
    """A number in [low, high) for this seed and subject; `low` when both are equal."""
    return low + (high - low) * share(seed, *about)


def dice(seed: int, *about: object) -> random.Random:
    """A source of many numbers for this seed and subject."""
    return random.Random(number(seed, *about))
