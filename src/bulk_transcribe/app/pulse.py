"""What an engine notes of itself for whoever watches. Pure."""

from bulk_transcribe.limit import LimiterBelief
from bulk_transcribe.monitor.requests import LIMITED, WINDOW_S
from bulk_transcribe.monitor.snapshot import Snapshot
from bulk_transcribe.save.pulses import Belief, Pulse

_LIMITED = frozenset(kind.value for kind in LIMITED)


def pulse_of(
    snapshot: Snapshot,
    belief: LimiterBelief | None,
    *,
    slots: int,
    is_auto: bool,
    is_draining: bool,
) -> Pulse:
    """The run at the moment of the snapshot; `belief` is None without a paid service."""
    left = snapshot.time_left
    return Pulse(
        at=snapshot.taken_at,
        finished=snapshot.totals.finished,
        active=snapshot.totals.active,
        slots=slots,
        is_auto=is_auto,
        is_draining=is_draining,
        low_s=left.low_s,
        likely_s=left.likely_s,
        high_s=left.high_s,
        videos_per_min=snapshot.videos_per_min,
        limited_60s=snapshot.limited_60s,
        limit_60s=None if belief is None else limit_60s(belief),
        spent_usd=snapshot.spent_usd,
        belief=Belief() if belief is None else Belief(summary=belief.summary, why=belief.why),
    )


def limit_60s(belief: LimiterBelief) -> int:
    """Requests of the limited kinds that all pools together take in 60 seconds."""
    return round(
        sum(
            pool.limit * WINDOW_S / pool.window_s
            for pool in belief.pools
            if _LIMITED.intersection(pool.kinds)
        )
    )
