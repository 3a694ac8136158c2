"""The budgets of a process: the paid account's, shared through the store, and YouTube's."""

import hashlib
from contextlib import ExitStack
from typing import Any, Final, Self

from bulk_transcribe.app.parts import ByService
from bulk_transcribe.config import Settings
from bulk_transcribe.core.clock import Clock
from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.ports import Limiter
from bulk_transcribe.core.request import RequestKind
from bulk_transcribe.limit import DistributedRateLimiter, FixedPolicy, RateLimit
from bulk_transcribe.save.database import Database
from bulk_transcribe.save.permits import DatabasePermitStore

_PAID: Final = frozenset({RequestKind.SUBMIT, RequestKind.POLL, RequestKind.PRICE})
_YOUTUBE: Final = frozenset({RequestKind.CAPTIONS, RequestKind.YT_DLP})
_PURPOSE: Final = b"bulk-transcribe rate limit of account "


class Limits:
    """All limiters, closed together.

    YouTube counts by address, not by key: everything on this machine that asks it shares one
    budget under one name.
    """

    def __init__(
        self, settings: Settings, database: Database, clock: Clock, control: RunControl
    ) -> None:
        self._parts = ExitStack()
        store = DatabasePermitStore(database)
        self._paid = self._parts.enter_context(
            DistributedRateLimiter(
                FixedPolicy({_PAID: RateLimit(settings.rate_limit_rpm)}),
                clock=clock,
                store=store,
                account=account_name(settings.deapi_base_url, settings.deapi_api_key),
                control=control,
            )
        )
        self._youtube = self._parts.enter_context(
            DistributedRateLimiter(
                FixedPolicy({_YOUTUBE: RateLimit(settings.captions_rpm)}),
                clock=clock,
                store=store,
                account="youtube",
                control=control,
            )
        )
        self.limiter: Limiter = ByService(paid=self._paid, youtube=self._youtube)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def beliefs(self) -> list[dict[str, Any]]:
        """What is believed of each account's limits, and why."""
        return []


def account_name(base_url: str, api_key: str) -> str:
    """A name for an account that tells nothing of its key: a keyed hash, cut short."""
    digest = hashlib.blake2b(api_key.encode(), key=_PURPOSE, digest_size=12)
    digest.update(base_url.encode())
    return f"deapi-{digest.hexdigest()}"
