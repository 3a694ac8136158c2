"""How many videos at once, chosen as the batch runs. Pure: from one observation to the next pace.

More videos in flight help until a limit is the bottleneck: then newcomers only wait for their
first permit. So the pace grows while nobody waits to begin, doubling while permits lie idle and in
small steps otherwise. It also grows in small steps while the limit goes into early looks at running
jobs: more videos in flight make those later and fewer. It stands still while newcomers wait, and
longer after each such crowd; it gives back what has waited for minutes; and it halves on trouble
(429s, many errors), down to one video at a time.

A job's look comes minutes after its submit, so a beginning batch seems to have the whole limit for
submits. It is not led astray: beyond a first burst, no more videos are in flight than could have
begun so far at the rate that the limit sustains, a submit and a look each, and in the next minute:
the looks at those come later still.
"""

import math
from dataclasses import dataclass, replace
from typing import Final

#: How often to observe, seconds: a doubling every 5 s fills 300 permits in half a minute.
LOOK_EVERY_S: Final = 5.0
#: Videos at once to begin with.
FIRST_SLOTS: Final = 4
#: Videos at once where nothing else bounds them; more threads only wait for each other.
MOST: Final = 512

_STEP: Final = 0.05  # share of the slots added at a time where doubling is too bold
_CROWDED: Final = 0.1  # share of the videos in flight that may wait to begin, and still grow
_CROWDED_LEAST: Final = 2
_PATIENT_S: Final = 120.0  # crowded this long (two windows of the limit): give slots back
_CALM_S: Final = 30.0  # after trouble: no growth
_FIRST_QUIET_S: Final = 15.0  # after a crowd: no growth; twice as long after each further one
_LONGEST_QUIET_S: Final = 120.0
_IDLE: Final = 0.5  # share of the limit that lies idle where doubling is in place again
_FIRST_BURST_LEAST: Final = 16  # free captions may do for most videos, whatever deAPI allows
_REQUESTS_A_VIDEO: Final = 2.05  # one submit, and an aimed look that is rarely too early
_HEAD_START_S: Final = 60.0  # no job's look is asked for sooner, where the limit is used up
_BETWEEN_VIDEOS: Final = 0.05  # share of the slots that may be changing hands
_USED_UP: Final = 0.1  # share of the limit that may be free where it is the bottleneck
_LOOKS_WITHOUT_WASTE: Final = 1.1  # looks a job, where another video in flight gains nothing
_SETTLE_S: Final = 60.0  # after a cut: no other cut, what is in flight has to end first
_ERROR_SHARE: Final = 0.2  # of all that ended or failed between two looks
_ERRORS_LEAST: Final = 3


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One observation.

    Args:
        at_s: Clock reading.
        in_flight: Videos that have a slot.
        held_up: Of these, those that wait for a permit or a resting source before their job runs.
        to_come: Videos that have not started.
        ended: Videos that ended so far.
        refused: Answers 429 so far.
        errors: Other troubles worth a try so far.
        free_permits: Paid requests that could go at once; None where nothing is limited.
        limit_per_s: Paid requests that the limit sustains, a second; None likewise.
        limit: Paid requests that it lets through in one window; None likewise.
        paused_until_s: Clock reading until which the limiter rests after a 429, or None.
        looks_each: Looks that a paid job takes as things are; None where nobody looks.
    """

    at_s: float
    in_flight: int
    held_up: int = 0
    to_come: int = 0
    ended: int = 0
    refused: int = 0
    errors: int = 0
    free_permits: int | None = None
    limit_per_s: float | None = None
    limit: int | None = None
    paused_until_s: float | None = None
    looks_each: float | None = None


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Slots, and what has to be remembered to choose them.

    Args:
        slots: Videos at once, at least 1.
        began_s: When it was first looked at.
        bold_below: Doubling goes up to here without further question; a crowd lowers it.
        calm_at_s: No growth before: trouble or a crowd was seen.
        cut_at_s: No cut before.
        quiet_s: How long a crowd has to stay away before the next growth.
        crowded_since_s: Since when newcomers wait, None: they do not.
        seen: The observation before.
    """

    slots: int = FIRST_SLOTS
    began_s: float | None = None
    bold_below: float = math.inf
    calm_at_s: float = -math.inf
    cut_at_s: float = -math.inf
    quiet_s: float = _FIRST_QUIET_S
    crowded_since_s: float | None = None
    seen: Seen | None = None


def next_pace(pace: Pace, seen: Seen, most: int) -> Pace:
    """The pace after one more observation; 1 <= slots <= `most`."""
    began_s = seen.at_s if pace.began_s is None else pace.began_s
    before = replace(pace, slots=min(pace.slots, most), began_s=began_s)
    if _is_trouble(before.seen, seen):
        after = _after_trouble(before, seen)
    elif _has_looks_to_spare(seen):
        after = _grown_by_a_step(replace(before, crowded_since_s=None), seen, most)
    elif _is_crowded(seen):
        after = _while_crowded(before, seen)
    else:
        after = _grown(replace(before, crowded_since_s=None), seen, most)
    return replace(after, seen=seen)


def _is_trouble(before: Seen | None, seen: Seen) -> bool:
    if before is None:
        return False
    has_new_pause = seen.paused_until_s is not None and seen.paused_until_s > (
        before.paused_until_s or 0.0
    )
    errors = seen.errors - before.errors
    share = errors / max(1, errors + seen.ended - before.ended)
    has_errors = errors >= _ERRORS_LEAST and share >= _ERROR_SHARE
    return has_new_pause or seen.refused > before.refused or has_errors


def _after_trouble(pace: Pace, seen: Seen) -> Pace:
    calm = replace(pace, calm_at_s=seen.at_s + _CALM_S)
    if seen.at_s < pace.cut_at_s:
        return calm
    slots = max(1, pace.slots // 2)
    return replace(calm, slots=slots, bold_below=slots, cut_at_s=seen.at_s + _SETTLE_S)


def _has_looks_to_spare(seen: Seen) -> bool:
    """Whether the limit is used up by looks that more videos in flight would make rarer.

    Newcomers wait then, too, but each of them lets the others be looked at later and fewer times:
    what the looks give up goes into submits.
    """
    if seen.looks_each is None or seen.free_permits is None or seen.limit is None:
        return False
    is_used_up = seen.free_permits <= _USED_UP * seen.limit
    return is_used_up and seen.looks_each > _LOOKS_WITHOUT_WASTE


def _grown_by_a_step(pace: Pace, seen: Seen, most: int) -> Pace:
    if not _is_full(pace, seen) or seen.to_come == 0 or seen.at_s < pace.cut_at_s:
        return pace
    highest = min(most, max(pace.slots, _sustained(pace, seen)))
    return replace(pace, slots=min(highest, pace.slots + _step(pace.slots)))


def _is_full(pace: Pace, seen: Seen) -> bool:
    """Whether the slots are in use; a slot between two videos counts as used.

    With hundreds of slots one or two are always being handed on at the moment of the look.
    """
    return seen.in_flight >= pace.slots - int(_BETWEEN_VIDEOS * pace.slots)


def _is_crowded(seen: Seen) -> bool:
    return seen.held_up > _allowed(seen)


def _allowed(seen: Seen) -> int:
    """Newcomers that may wait: they are the next ones to go."""
    return max(_CROWDED_LEAST, int(_CROWDED * seen.in_flight))


def _while_crowded(pace: Pace, seen: Seen) -> Pace:
    """Stand still; when it has lasted, give back a step, never what is at work."""
    still = replace(
        pace,
        bold_below=min(pace.bold_below, pace.slots),
        calm_at_s=max(pace.calm_at_s, seen.at_s + pace.quiet_s),
    )
    if pace.crowded_since_s is None:
        longer_s = min(_LONGEST_QUIET_S, 2 * pace.quiet_s)
        return replace(still, crowded_since_s=seen.at_s, quiet_s=longer_s)
    if seen.at_s - pace.crowded_since_s < _PATIENT_S:
        return still
    at_work = max(1, seen.in_flight - seen.held_up)
    slots = max(min(pace.slots, at_work + _allowed(seen)), pace.slots - _step(pace.slots))
    # the next step back comes a quarter of the patience later
    return replace(still, slots=slots, crowded_since_s=seen.at_s - 0.75 * _PATIENT_S)


def _grown(pace: Pace, seen: Seen, most: int) -> Pace:
    if not _is_full(pace, seen) or seen.to_come == 0 or seen.at_s < pace.calm_at_s:
        return pace
    is_idle = (
        seen.free_permits is not None
        and seen.limit is not None
        and seen.free_permits >= _IDLE * seen.limit
    )
    step = _step(pace.slots)
    wanted = pace.slots if is_idle or pace.slots < pace.bold_below else step
    at_once = wanted if seen.free_permits is None else max(step, seen.free_permits)
    highest = min(most, max(pace.slots, _sustained(pace, seen)))
    return replace(pace, slots=min(highest, pace.slots + min(wanted, at_once)))


def _sustained(pace: Pace, seen: Seen) -> int:
    """Videos that may be in flight by now: a first burst, then what the limit sustains."""
    if seen.limit_per_s is None or seen.limit is None or pace.began_s is None:
        return MOST
    elapsed_s = _HEAD_START_S + seen.at_s - pace.began_s
    return max(
        _FIRST_BURST_LEAST, seen.limit, int(seen.limit_per_s / _REQUESTS_A_VIDEO * elapsed_s)
    )


def _step(slots: int) -> int:
    return max(1, int(_STEP * slots))
