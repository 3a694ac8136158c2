"""The limiter for deAPI: it learns what the account is allowed."""

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.permit import PermitStore
from bulk_transcribe.limit.adaptive_policy import AdaptivePolicy
from bulk_transcribe.limit.belief import LimiterBelief
from bulk_transcribe.limit.facts import read_facts
from bulk_transcribe.limit.limiter import DistributedRateLimiter


class AdaptiveRateLimiter(DistributedRateLimiter):
    """Permits for submits, polls and price quotes of one deAPI account. See `AdaptivePolicy`.

    - "conservative": one pool for all of them.
    - "aggressive": a pool for each of them, unless the answers prove that two share one.
    - "auto": conservative until the answers prove that two kinds have pools of their own; the
      first refusal that contradicts takes that back.

    In all modes: the service's own figure goes before `rate_limit_rpm` where it is lower; the
    first request of a kind goes alone until its answer has told the limit; the Basic plan's
    limits for the minute and the day are learned and kept; what others use on the same account
    without this store is counted as soon as an answer shows it.

    Args:
        mode: One of the three.
        rate_limit_rpm: Most requests a minute in any pool.
        clock: The time.
        store: Where the permits are booked; without one, this limiter stands alone.
        account: Whose limit it is: a salted hash, never a key itself.
        control: Its halt ends all waits.
    """

    def __init__(
        self,
        mode: str = "auto",
        rate_limit_rpm: int = 300,
        *,
        clock: Clock,
        store: PermitStore | None = None,
        account: str = "",
        control: RunControl | None = None,
    ) -> None:
        self._adaptive = AdaptivePolicy(mode, rate_limit_rpm)
        super().__init__(
            self._adaptive,
            clock=clock,
            store=store,
            account=account,
            control=control,
        )

    def switch_mode(self, mode: str) -> None:
        """Hold other limits from now on. What is in flight or went out lately still counts.

        Raises:
            ValueError: there is no such mode.
        """
        self._adaptive = self._adaptive.in_mode(mode)
        self.change_policy(self._adaptive)


def stored_belief(store: PermitStore, account: str, *, clock: Clock) -> LimiterBelief | None:
    """What the limiter that used this account last believes; None where none ever did.

    For `status` in another process, which has no settings of that run.

    Raises:
        StoreError: the store cannot be read.
    """
    reader = AdaptiveRateLimiter(clock=clock, store=store, account=account)
    with store.view(reader.account) as book:
        facts = read_facts(book.note())
    if not facts.mode or facts.rpm is None:
        return None
    reader = AdaptiveRateLimiter(facts.mode, facts.rpm, clock=clock, store=store, account=account)
    return reader.belief()
