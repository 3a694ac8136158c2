"""What an engine notes of itself is what its monitor and its limiter say."""

from decimal import Decimal

from bulk_transcribe.app.pulse import limit_60s, pulse_of
from bulk_transcribe.core.outcome import Succeeded
from bulk_transcribe.core.stage import Stage
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.limit import LimiterBelief
from bulk_transcribe.limit.belief import PoolBelief
from bulk_transcribe.monitor.monitor import ConcurrentProgressMonitor
from bulk_transcribe.save.pulses import Belief
from bulk_transcribe.testing import FakeClock


def belief(*pools: tuple[tuple[str, ...], int, float]) -> LimiterBelief:
    return LimiterBelief(
        mode="auto",
        plan="premium",
        pools=tuple(
            PoolBelief(kinds=kinds, limit=limit, window_s=window_s, used=1)
            for kinds, limit, window_s in pools
        ),
        why=("told so",),
    )


def test_it_is_the_snapshot_with_the_belief() -> None:
    clock = FakeClock(auto=True)
    monitor = ConcurrentProgressMonitor(clock, slots=2, requests_per_min=300)
    monitor.add([VideoItem(video_id=f"video{n}") for n in range(3)])
    monitor.record("video0", Stage.CAPTIONS)
    monitor.record("video1", Stage.CAPTIONS)
    clock.advance(5)
    monitor.finish(
        "video0", Succeeded(video_id="video0", source="deapi", spent_usd=Decimal("0.25"))
    )
    snapshot = monitor.snapshot()
    made = pulse_of(
        snapshot,
        belief((("poll", "price", "submit"), 300, 60)),
        slots=2,
        is_auto=True,
        is_draining=False,
    )
    assert (made.finished, made.active, made.spent_usd) == (1, 1, Decimal("0.25"))
    assert (made.low_s, made.high_s) == (snapshot.time_left.low_s, snapshot.time_left.high_s)
    assert made.low_s <= made.likely_s <= made.high_s
    assert (made.slots, made.is_auto, made.limit_60s) == (2, True, 300)
    assert made.belief == Belief(
        summary="auto: poll+price+submit 1 of 300 a minute", why=("told so",)
    )


def test_without_a_paid_service_there_is_no_limit() -> None:
    snapshot = ConcurrentProgressMonitor(FakeClock()).snapshot()
    made = pulse_of(snapshot, None, slots=1, is_auto=False, is_draining=True)
    assert made.limit_60s is None
    assert made.belief == Belief()
    assert (made.low_s, made.high_s, made.is_draining) == (0, 0, True)


def test_pools_of_their_own_add_up_and_windows_are_a_minute() -> None:
    assert limit_60s(belief((("poll",), 300, 60), (("submit",), 300, 60))) == 600
    assert limit_60s(belief((("submit",), 5, 1))) == 300
    assert limit_60s(belief((("captions",), 120, 60))) == 0
