"""Resting a source that refuses everyone (law 6): a circuit breaker.

::

                 blocked (or too many troubles in a row)
    at work ─────────────────────────────────────────────> resting
       ^                                                      │ its time is over
       │ the probe worked                                     v
       └──────────────────────────────── half open: ONE video probes
                                              │ the probe was blocked
                                              └──> resting, twice as long

`Rest` is the pure state of one source; `SourceRest` shares the states between all threads.
"""

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.ports import MetadataSource
from bulk_transcribe.core.request import OnWait
from bulk_transcribe.core.stage import WaitReason
from bulk_transcribe.core.video import VideoMetadata
from bulk_transcribe.errors import AuthError, RetryableError, SourceBlockedError, StoppedError

#: The name under which the metadata source rests.
METADATA: Final = "metadata"
_MOST_DOUBLINGS = 30
_A_DAY_S = 86_400.0


@dataclass(frozen=True, kw_only=True)
class RestPace:
    """How long to rest.

    Args:
        first_s: The first rest, where the source does not ask for more. Each further one in a
            row is twice as long.
        longest_s: No rest is longer, unless the source asks for more.
        troubles: Troubles in a row (no answer, 5xx) that count as a block.
    """

    first_s: float = 60.0
    longest_s: float = 3600.0
    troubles: int = 3


@dataclass(frozen=True)
class Rest:
    """The state of one source. Pure.

    Args:
        rests: Rests in a row, none of them ended by an answer.
        troubles: Troubles in a row since the last answer.
        since_s: When the present rest began (clock reading).
        until_s: When it ends; None: at work.
        is_probed: Whether a probe is on its way.
    """

    rests: int = 0
    troubles: int = 0
    since_s: float = 0.0
    until_s: float | None = None
    is_probed: bool = False

    def admits(self, now_s: float) -> bool:
        """Whether one more video may ask the source now, as the probe if the source rested."""
        return self.until_s is None or (now_s >= self.until_s and not self.is_probed)

    def counts(self, asked_s: float, *, is_probe: bool) -> bool:
        """Whether an answer says something about now: a straggler from before the rest does not."""
        return self.until_s is None or is_probe or asked_s > self.since_s

    def blocked(self, now_s: float, retry_after_s: float | None, pace: RestPace) -> "Rest":
        """The source refused everyone: rest, longer each time in a row."""
        base_s = max(pace.first_s, retry_after_s or 0.0)
        bound_s = max(pace.longest_s, retry_after_s or 0.0)
        rest_s = min(bound_s, base_s * 2.0 ** min(self.rests, _MOST_DOUBLINGS))
        return Rest(rests=self.rests + 1, since_s=now_s, until_s=now_s + rest_s)

    def prolonged(self, now_s: float, retry_after_s: float | None) -> "Rest":
        """A straggler was refused as well: rest at least as long as it was told."""
        if self.until_s is None or retry_after_s is None:
            return self
        return replace(self, until_s=max(self.until_s, now_s + retry_after_s))

    def troubled(self, now_s: float, retry_after_s: float | None, pace: RestPace) -> "Rest":
        """No usable answer: the last of several in a row, or a probe's, counts as a block."""
        if self.troubles + 1 >= pace.troubles or self.until_s is not None:
            return self.blocked(now_s, retry_after_s, pace)
        return replace(self, troubles=self.troubles + 1)


@dataclass(frozen=True)
class Turn:
    """Leave to ask a source. Give it back with `SourceRest.leave`."""

    source: str
    asked_s: float
    is_probe: bool


class SourceRest:
    """Which sources rest, for all videos. May be shared by all threads.

    Args:
        clock: Time.
        control: Halt and drain end all waits for a source.
        pace: How long to rest.
    """

    def __init__(self, clock: Clock, control: RunControl, pace: RestPace | None = None) -> None:
        self._clock = clock
        self._control = control
        self._pace = pace or RestPace()
        self._changed = threading.Condition()  # guards the two fields below
        self._rests: dict[str, Rest] = {}
        self._version = 0
        control.on_change(self._wake)

    def try_enter(self, source: str) -> Turn | None:
        """Leave to ask the source now, or None while it rests."""
        with self._changed:
            return self._admit(source)

    def enter(self, source: str, *, give_up_at_s: float, on_wait: OnWait) -> Turn | None:
        """Wait for leave to ask the source; None when it still rests at `give_up_at_s`.

        `give_up_at_s` is a clock reading, or infinity.

        Raises:
            StoppedError: the run was drained or halted: a resting source is not waited for.
        """
        has_waited = False
        while True:
            with self._changed:
                turn = self._admit(source)
                until_s, version = self._rests.get(source, Rest()).until_s, self._version
            if turn is not None:
                if has_waited:
                    on_wait(None, None)
                return turn
            now_s = self._clock.now_s()
            if now_s >= give_up_at_s:
                return None
            if self._control.is_draining:
                raise StoppedError(f"the run ends while {source} rests")
            has_waited = True
            if until_s is not None and until_s <= now_s:
                until_s = None  # over but probed: it ends when the probe does, nobody knows when
            on_wait(WaitReason.SOURCE_REST, None if until_s is None else self._moment(until_s))
            wake_at_s = give_up_at_s if until_s is None else min(until_s, give_up_at_s)
            left_s = None if wake_at_s == math.inf else wake_at_s - now_s
            with self._changed:
                if self._version == version:
                    self._clock.wait(self._changed, left_s)

    def worked(self, turn: Turn) -> None:
        """The source answered about the video, whatever the answer."""
        with self._changed:
            rest = self._rests.get(turn.source)
            if rest is not None and rest.counts(turn.asked_s, is_probe=turn.is_probe):
                del self._rests[turn.source]
                self._tell()

    def blocked(self, turn: Turn, retry_after_s: float | None) -> None:
        """The source refused everyone."""
        with self._changed:
            rest, now_s = self._rests.get(turn.source, Rest()), self._clock.now_s()
            if rest.counts(turn.asked_s, is_probe=turn.is_probe):
                self._put(turn.source, rest.blocked(now_s, retry_after_s, self._pace))
            else:
                self._put(turn.source, rest.prolonged(now_s, retry_after_s))

    def troubled(self, turn: Turn, retry_after_s: float | None) -> None:
        """The source gave no usable answer; several in a row count as a block."""
        with self._changed:
            rest, now_s = self._rests.get(turn.source, Rest()), self._clock.now_s()
            if rest.counts(turn.asked_s, is_probe=turn.is_probe):
                self._put(turn.source, rest.troubled(now_s, retry_after_s, self._pace))

    def leave(self, turn: Turn) -> None:
        """The video is done with the source; a probe that learned nothing lets the next one go.

        After `worked`, `blocked` or `troubled` this changes nothing.
        """
        with self._changed:
            rest = self._rests.get(turn.source)
            if turn.is_probe and rest is not None and rest.since_s < turn.asked_s:
                self._put(turn.source, replace(rest, is_probed=False))

    def resting(self) -> dict[str, datetime]:
        """The sources that rest, and until when. Empty when all are at work."""
        with self._changed:
            found = {name: rest.until_s for name, rest in self._rests.items()}
        return {name: self._moment(at_s) for name, at_s in found.items() if at_s is not None}

    def _admit(self, source: str) -> Turn | None:
        now_s = self._clock.now_s()
        rest = self._rests.get(source, Rest())
        if not rest.admits(now_s):
            return None
        if rest.until_s is None:
            return Turn(source, now_s, is_probe=False)
        self._rests[source] = replace(rest, is_probed=True)
        return Turn(source, now_s, is_probe=True)

    def _put(self, source: str, rest: Rest) -> None:
        self._rests[source] = rest
        self._tell()

    def _tell(self) -> None:
        self._version += 1
        self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._tell()

    def _moment(self, at_s: float) -> datetime:
        return self._clock.now() + timedelta(seconds=at_s - self._clock.now_s())


class RestingMetadata:
    """A `MetadataSource` that is not asked while it rests. May be shared by all threads.

    Facts are nice to have, so nobody waits for them: while the source rests, `fetch` raises at
    once. A key that is refused rests it for a day.
    """

    def __init__(self, source: MetadataSource, rests: SourceRest) -> None:
        self._source = source
        self._rests = rests

    def fetch(self, video_ids: Sequence[str]) -> dict[str, VideoMetadata]:
        """Facts by id; see `MetadataSource.fetch`.

        Raises:
            SourceBlockedError: it rests; nothing was sent.
        """
        turn = self._rests.try_enter(METADATA)
        if turn is None:
            raise SourceBlockedError("facts about videos cannot be had now", source=METADATA)
        try:
            found = self._source.fetch(video_ids)
        except SourceBlockedError as error:
            self._rests.blocked(turn, error.retry_after_s)
            raise
        except AuthError:
            self._rests.blocked(turn, _A_DAY_S)
            raise
        except RetryableError as error:
            self._rests.troubled(turn, error.retry_after_s)
            raise
        else:
            self._rests.worked(turn)
            return found
        finally:
            self._rests.leave(turn)
