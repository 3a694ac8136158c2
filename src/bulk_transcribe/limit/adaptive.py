"""The limiter for deAPI: it learns what the account is allowed."""

import hashlib

from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.permit import PermitStore
from bulk_transcribe.limit.adaptive_policy import AdaptivePolicy
from bulk_transcribe.limit.belief import LimiterBelief
from bulk_transcribe.limit.facts import read_facts
from bulk_transcribe.limit.limiter import DistributedRateLimiter

#: Makes the stored hash useless for finding keys in lists that others made.
_SALT = b"bulk-transcribe!"


def account_name(service: str, api_key: str) -> str:
    """A name for the account behind a key that does not tell the key.

    The same for every process with the same key, so that they find each other in the store.
    """
    digest = hashlib.blake2b(api_key.encode(), digest_size=16, salt=_SALT).hexdigest()
    return f"{service}-{digest}"


class AdaptiveRateLimiter(DistributedRateLimiter):
    """Permits for submits, polls and price quotes of one deAPI account. See `AdaptivePolicy`.

    - "conservative": one pool for all of them.
    - "aggressive": a pool for each of them. Numbers in the answers that show otherwise still
      hold it back.
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
        account: See `account_name`.
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
        super().__init__(
            AdaptivePolicy(mode, rate_limit_rpm),
            clock=clock,
            store=store,
            account=account,
            control=control,
        )
        self._rate_limit_rpm = rate_limit_rpm

    def switch_mode(self, mode: str) -> None:
        """Hold other limits from now on. What is in flight or went out lately still counts.

        Raises:
            ValueError: there is no such mode.
        """
        self.change_policy(AdaptivePolicy(mode, self._rate_limit_rpm))


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
