"""The budgets of a process: the paid account's, shared through the store, and YouTube's."""

import hashlib
import socket
from contextlib import ExitStack
from typing import Any, Final, Self

from bulk_transcribe.app.parts import ByService
from bulk_transcribe.config import Settings
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.ports import Limiter
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.limit import (
    AdaptiveRateLimiter,
    DistributedRateLimiter,
    FixedPolicy,
    LimiterBelief,
    RateLimit,
    stored_belief,
)
from bulk_transcribe.save.database import Database
from bulk_transcribe.save.permits import DatabasePermitStore

_PURPOSE: Final = b"bulk-transcribe rate limit of account "
#: The store takes 120 characters, and the limiter adds its clock's speed.
_HOST_CHARS: Final = 80
_YOUTUBE: Final = frozenset({RequestKind.CAPTIONS, RequestKind.YT_DLP})


class Limits:
    """All limiters, closed together.

    YouTube counts by address, not by key: everything on this machine that asks it shares one
    budget, under a name of its own where several machines share the store.
    """

    def __init__(
        self, settings: Settings, database: Database, clock: Clock, control: RunControl
    ) -> None:
        self._parts = ExitStack()
        store = DatabasePermitStore(database, clock)
        self._store, self._clock = store, clock
        self._account = account_name(settings.deapi_base_url, settings.deapi_api_key)
        self._paid = self._parts.enter_context(
            AdaptiveRateLimiter(
                settings.rate_limit_mode,
                settings.rate_limit_rpm,
                clock=clock,
                store=store,
                account=self._account,
                control=control,
            )
        )
        self._youtube = self._parts.enter_context(
            DistributedRateLimiter(
                FixedPolicy({_YOUTUBE: RateLimit(settings.captions_rpm)}),
                clock=clock,
                store=store,
                account=youtube_name(socket.gethostname() if settings.database_url else ""),
                control=control,
            )
        )
        self.limiter: Limiter = ByService(paid=self._paid, youtube=self._youtube)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    @property
    def account(self) -> str:
        """A name for the paid account that tells nothing of its key."""
        return self._account

    def belief(self) -> LimiterBelief:
        """What this process believes now of the paid account's limits.

        Raises:
            StoreError: the shared count cannot be read.
        """
        return self._paid.belief()

    def beliefs(self) -> list[dict[str, Any]]:
        """What the last run that used this account believes of its limits, and why."""
        found = stored_belief(self._store, self._account, clock=self._clock)
        return [] if found is None else [found.as_dict()]


def account_name(base_url: str, api_key: str) -> str:
    """A name for an account that tells nothing of its key: a keyed hash, cut short.

    The same for every process with the same key, so that they find each other in the store.
    """
    digest = hashlib.blake2b(api_key.encode(), key=_PURPOSE, digest_size=16)
    digest.update(base_url.rstrip("/").encode())
    return f"deapi-{digest.hexdigest()}"


def youtube_name(host: str) -> str:
    """A name for what a machine may ask YouTube, cut to what the store takes; "": the only one."""
    return f"youtube@{host[:_HOST_CHARS]}" if host else "youtube"
