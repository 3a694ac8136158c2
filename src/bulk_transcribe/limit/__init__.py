"""May one more request go now?

- `DistributedRateLimiter` gives out permits: one budget for all threads and processes of an
  account. Its rule, and the proof that the service never counts too many, is in `window.py`.
- `FixedPolicy` holds limits that are known; `AdaptiveRateLimiter` learns those of deAPI.
- `LimiterBelief` is what a limiter believes and why.
- `MemoryPermitStore` is the book of a single process; `save.permits` has the shared one.
"""

from bulk_transcribe.limit.adaptive import AdaptiveRateLimiter, stored_belief
from bulk_transcribe.limit.belief import LimiterBelief
from bulk_transcribe.limit.granted import GrantedPermit
from bulk_transcribe.limit.limiter import DistributedRateLimiter
from bulk_transcribe.limit.memory import MemoryPermitStore
from bulk_transcribe.limit.policy import FixedPolicy
from bulk_transcribe.limit.rate import Pool, RateLimit

__all__ = [
    "AdaptiveRateLimiter",
    "DistributedRateLimiter",
    "FixedPolicy",
    "GrantedPermit",
    "LimiterBelief",
    "MemoryPermitStore",
    "Pool",
    "RateLimit",
    "stored_belief",
]
