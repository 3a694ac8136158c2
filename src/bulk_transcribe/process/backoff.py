"""Doing the same thing again after trouble: how long to wait, and when to give up.

The arithmetic (`next_wait_s`) is pure; `Backoff` is the thread side. A 429 is the account's
trouble, not the video's: it does not count as a try, since the limiter pauses everyone meanwhile.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.ports import Reporter
from bulk_transcribe.core.stage import WaitReason
from bulk_transcribe.errors import GaveUpError, RateLimitError, RetryableError, StoppedError

T = TypeVar("T")

#: A draining run sees waits of this length through, and no longer ones.
_WHILE_DRAINING_S = 60.0
_random = secrets.SystemRandom().random
_MOST_DOUBLINGS = 30  # beyond, 2 ** n only overflows


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to keep trying.

    Args:
        tries: Calls in all, the first one included; those that met a 429 do not count.
        first_s: Upper bound of the first wait; each further one doubles it.
        longest_s: Upper bound of any wait that the service did not ask for.
        total_s: All waits together, those after a 429 left out.
        limited_total_s: All waits after a 429 together. A day and some: daily limits open again
            within 24 hours.
    """

    tries: int = 5
    first_s: float = 2.0
    longest_s: float = 60.0
    total_s: float = 900.0
    limited_total_s: float = 26 * 3600.0


@dataclass(frozen=True)
class Troubles:
    """What went wrong so far in one call."""

    failures: int = 0
    waited_s: float = 0.0
    limited: int = 0
    limited_s: float = 0.0

    def after(self, error: RetryableError, wait_s: float) -> "Troubles":
        """With one more error and the wait that followed it."""
        if isinstance(error, RateLimitError):
            return replace(self, limited=self.limited + 1, limited_s=self.limited_s + wait_s)
        return replace(self, failures=self.failures + 1, waited_s=self.waited_s + wait_s)


def next_wait_s(
    troubles: Troubles, error: RetryableError, jitter: float, patience: Patience
) -> float | None:
    """Seconds to wait before the next try, or None to give up.

    The wait is anything from 0 to a bound that doubles ("full jitter", so that many callers do
    not come back together), and never shorter than the service asked for.

    Args:
        troubles: What went wrong before this error.
        error: What went wrong now.
        jitter: A number from 0 to 1.
        patience: The bounds.
    """
    is_limited = isinstance(error, RateLimitError)
    before = troubles.limited if is_limited else troubles.failures
    if not is_limited and before + 1 >= patience.tries:
        return None
    bound_s = min(patience.longest_s, patience.first_s * 2.0 ** min(before, _MOST_DOUBLINGS))
    if is_limited:
        jitter = (1 + jitter) / 2  # a 429 without a time must not be asked again at once
    wait_s = max(jitter * bound_s, error.retry_after_s or 0.0)
    spent_s = troubles.limited_s if is_limited else troubles.waited_s
    allowed_s = patience.limited_total_s if is_limited else patience.total_s
    return wait_s if spent_s + wait_s <= allowed_s else None


def _ignore(_error: RetryableError) -> None:
    """Nobody counts the troubles."""


class Backoff:
    """Calls something until it works, fails for good, or patience ends. Shared by all threads.

    Args:
        control: The run's stop; all waits end with it.
        clock: For the moment until which a video waits.
        patience: The bounds.
        jitter: A number from 0 to 1 that spreads the waits.
        on_trouble: Told of every error that was worth a try, 429s included.
    """

    def __init__(
        self,
        control: RunControl,
        clock: Clock,
        patience: Patience | None = None,
        *,
        jitter: Callable[[], float] = _random,
        on_trouble: Callable[[RetryableError], None] = _ignore,
    ) -> None:
        self._control = control
        self._clock = clock
        self._patience = patience or Patience()
        self._jitter = jitter
        self._on_trouble = on_trouble

    def __call__(self, video_id: str, reporter: Reporter, call: Callable[[], T], /) -> T:
        """What `call` returns, in the end.

        Raises:
            GaveUpError: patience ended; `__cause__` is the last error.
            StoppedError: the run was halted, or drained during a long wait.
        """
        troubles = Troubles()
        while True:
            try:
                return call()
            except RetryableError as error:
                self._on_trouble(error)
                wait_s = next_wait_s(troubles, error, self._jitter(), self._patience)
                if wait_s is None:
                    raise _gave_up(video_id, troubles, error) from error
                self._wait(wait_s, error, reporter)
                troubles = troubles.after(error, wait_s)

    def _wait(self, wait_s: float, error: RetryableError, reporter: Reporter) -> None:
        reason = WaitReason.LIMIT if isinstance(error, RateLimitError) else WaitReason.RETRY
        reporter.waiting(reason, self._clock.now() + timedelta(seconds=wait_s))
        left_s = wait_s
        while left_s > 0:
            if left_s > _WHILE_DRAINING_S and self._control.is_draining:
                raise StoppedError("the run ends, and the service asks for a long wait") from error
            nap_s = min(left_s, _WHILE_DRAINING_S)
            self._control.sleep_s(nap_s)
            left_s -= nap_s
        self._control.raise_if_halted()
        reporter.waiting(None)


def _gave_up(video_id: str, troubles: Troubles, error: RetryableError) -> GaveUpError:
    tries = troubles.failures + troubles.limited + 1
    times = "1 try" if tries == 1 else f"{tries} tries"
    reason = error.message.removeprefix(f"{video_id}: ")
    return GaveUpError(
        f"{video_id}: given up after {times}: {reason}",
        video_id=video_id,
        next_step=error.next_step or "Retry it later.",
        can_retry=True,
    )
