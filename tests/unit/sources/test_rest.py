"""A source that refuses everyone is rested for everyone."""

import math
import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.stage import WaitReason
from bulk_transcribe.core.video import VideoMetadata
from bulk_transcribe.errors import AuthError, NetworkError, SourceBlockedError, StoppedError
from bulk_transcribe.sources.rest import METADATA, Rest, RestingMetadata, RestPace, SourceRest, Turn
from bulk_transcribe.testing import FakeClock
from bulk_transcribe.testing.fakes import FakeMetadata, FakeReporter

PACE = RestPace(first_s=60, longest_s=600)
NEVER_S = math.inf


def _rests(clock: FakeClock) -> SourceRest:
    return SourceRest(clock, RunControl(clock), PACE)


def _must_enter(rests: SourceRest, source: str = "captions") -> Turn:
    turn = rests.try_enter(source)
    assert turn is not None
    return turn


def test_sources_at_work_admit_everyone() -> None:
    rests = _rests(FakeClock())
    turns = [_must_enter(rests) for _ in range(10)]
    assert not any(turn.is_probe for turn in turns)
    assert rests.resting() == {}


def test_a_block_rests_the_source_for_everyone_and_no_other_source() -> None:
    clock = FakeClock()
    rests = _rests(clock)
    rests.blocked(_must_enter(rests), None)
    assert rests.try_enter("captions") is None
    assert rests.try_enter("deapi") is not None
    assert rests.resting() == {"captions": clock.now() + timedelta(seconds=60)}


def test_the_rest_lasts_as_long_as_the_source_asks() -> None:
    clock = FakeClock()
    rests = _rests(clock)
    rests.blocked(_must_enter(rests), 7_200)
    clock.advance(7_199)
    assert rests.try_enter("captions") is None
    clock.advance(1)
    assert rests.try_enter("captions") is not None


def test_when_the_rest_is_over_one_video_probes_and_its_success_lets_all_go() -> None:
    clock = FakeClock()
    rests = _rests(clock)
    rests.blocked(_must_enter(rests), None)
    clock.advance(60)
    probe = _must_enter(rests)
    assert probe.is_probe
    assert rests.try_enter("captions") is None
    rests.worked(probe)
    rests.leave(probe)
    assert not _must_enter(rests).is_probe
    assert not _must_enter(rests).is_probe


def test_each_refused_probe_doubles_the_rest_up_to_a_bound() -> None:
    clock = FakeClock()
    rests = _rests(clock)
    turn, lengths = _must_enter(rests), []
    for _ in range(6):
        rests.blocked(turn, None)
        rests.leave(turn)
        lengths.append((rests.resting()["captions"] - clock.now()).total_seconds())
        clock.advance(lengths[-1])
        turn = _must_enter(rests)
    assert lengths == [60, 120, 240, 480, 600, 600]


def test_a_success_makes_the_next_rest_short_again() -> None:
    clock = FakeClock()
    rests = _rests(clock)
    for _ in range(2):
        rests.blocked(_must_enter(rests), None)
        clock.advance(60)
        rests.worked(_must_enter(rests))
    rests.blocked(_must_enter(rests), None)
    assert rests.resting()["captions"] == clock.now() + timedelta(seconds=60)


def test_a_probe_that_learned_nothing_lets_the_next_one_probe() -> None:
    clock = FakeClock()
    rests = _rests(clock)
    rests.blocked(_must_enter(rests), None)
    clock.advance(60)
    rests.leave(_must_enter(rests))
    assert _must_enter(rests).is_probe


def test_twenty_videos_refused_together_are_one_block() -> None:
    clock = FakeClock()
    rests = _rests(clock)
    turns = [_must_enter(rests) for _ in range(20)]
    clock.advance(5)
    for turn in turns:
        rests.blocked(turn, None)
        rests.leave(turn)
    assert rests.resting()["captions"] == clock.now() + timedelta(seconds=60)


def test_a_straggler_from_before_the_rest_does_not_end_it_but_may_prolong_it() -> None:
    clock = FakeClock()
    rests = _rests(clock)
    first, second, third = (_must_enter(rests) for _ in range(3))
    clock.advance(1)
    rests.blocked(first, None)
    rests.worked(second)
    assert rests.try_enter("captions") is None
    rests.blocked(third, 900)
    assert rests.resting()["captions"] == clock.now() + timedelta(seconds=900)


def test_three_troubles_in_a_row_are_a_block_and_an_answer_between_forgives_them() -> None:
    rests = _rests(FakeClock())
    for _ in range(2):
        rests.troubled(_must_enter(rests), None)
    rests.worked(_must_enter(rests))
    for _ in range(3):
        assert rests.resting() == {}
        rests.troubled(_must_enter(rests), None)
    assert "captions" in rests.resting()


@given(
    st.lists(
        st.tuples(st.sampled_from(["blocked", "troubled"]), st.none() | st.floats(0, 5_000)),
        max_size=50,
    )
)
def test_a_rest_is_never_shorter_than_asked_for_nor_longer_than_the_bound(
    refusals: list[tuple[str, float | None]],
) -> None:
    rest, now_s = Rest(), 0.0
    for kind, retry_after_s in refusals:
        before = rest
        rest = getattr(rest, kind)(now_s, retry_after_s, PACE)
        if rest.until_s is None:
            assert kind == "troubled"
            assert before.troubles < 2
            continue
        length_s = rest.until_s - now_s
        asked_s = retry_after_s or 0.0
        assert max(60.0, asked_s) <= length_s + 1e-6
        assert length_s <= max(600.0, asked_s) + 1e-6
        assert not rest.admits(rest.until_s - 1e-3)
        assert rest.admits(rest.until_s)
        now_s = rest.until_s


def test_eight_threads_wait_one_probes_and_then_all_go() -> None:
    clock = FakeClock()
    control = RunControl(clock)
    rests = SourceRest(clock, control, PACE)
    rests.blocked(_must_enter(rests), 300)
    waiting, lock = threading.Semaphore(0), threading.Lock()
    asked: list[tuple[bool, float]] = []
    finished_s: list[float] = []

    def tell(reason: WaitReason | None, _until_at: datetime | None) -> None:
        if reason is WaitReason.SOURCE_REST:
            waiting.release()

    def video() -> None:
        turn = rests.enter("captions", give_up_at_s=NEVER_S, on_wait=tell)
        assert turn is not None
        with lock:
            asked.append((turn.is_probe, clock.now_s() - 1_000))
        control.sleep_s(30)
        with lock:
            finished_s.append(clock.now_s() - 1_000)
        rests.worked(turn)
        rests.leave(turn)

    threads = [threading.Thread(target=video) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert waiting.acquire(timeout=10)
    with clock.running():
        for thread in threads:
            thread.join(20)
    assert asked[0] == (True, 300)
    assert finished_s[0] == 330
    assert [is_probe for is_probe, _ in asked[1:]] == [False] * 7
    assert all(at_s >= 330 for _, at_s in asked[1:])


def test_patience_ends_even_while_another_video_probes() -> None:
    clock = FakeClock(auto=True)
    rests = _rests(clock)
    rests.blocked(_must_enter(rests), None)
    clock.advance(60)
    _must_enter(rests)
    until_s = clock.now_s() + 500
    assert rests.enter("captions", give_up_at_s=until_s, on_wait=FakeReporter().waiting) is None
    assert clock.now_s() == until_s


@pytest.mark.parametrize("wish", ["drain", "halt"])
def test_a_run_that_ends_waits_for_no_resting_source(wish: str) -> None:
    clock = FakeClock()
    control = RunControl(clock)
    rests = SourceRest(clock, control, PACE)
    rests.blocked(_must_enter(rests), 3_000)
    waiting, stopped = threading.Event(), threading.Event()

    def video() -> None:
        with pytest.raises(StoppedError):
            rests.enter("captions", give_up_at_s=NEVER_S, on_wait=lambda *_: waiting.set())
        stopped.set()

    thread = threading.Thread(target=video)
    thread.start()
    assert waiting.wait(10)
    getattr(control, wish)()
    thread.join(10)
    assert stopped.is_set()


class _Tired(FakeMetadata):
    """Fails with each error in turn."""

    def __init__(self, *errors: Exception) -> None:
        super().__init__([VideoMetadata(video_id="a")])
        self.errors = list(errors)

    def fetch(self, video_ids: Sequence[str]) -> dict[str, VideoMetadata]:
        self.error = self.errors.pop(0) if self.errors else None
        return super().fetch(video_ids)


def test_metadata_is_not_asked_for_while_its_source_rests() -> None:
    clock = FakeClock()
    source = _Tired(*[NetworkError("no network") for _ in range(3)])
    metadata = RestingMetadata(source, _rests(clock))
    for _ in range(3):
        with pytest.raises(NetworkError):
            metadata.fetch(["a"])
    for _ in range(50):
        with pytest.raises(SourceBlockedError):
            metadata.fetch(["a"])
    assert len(source.asked) == 3
    clock.advance(60)
    assert set(metadata.fetch(["a"])) == {"a"}
    assert len(source.asked) == 4


@pytest.mark.parametrize(
    ("error", "rest_s"),
    [(AuthError("wrong key"), 86_400), (SourceBlockedError("full", source="x"), 60)],
)
def test_a_refusal_rests_metadata_at_once(error: Exception, rest_s: float) -> None:
    clock = FakeClock()
    rests = _rests(clock)
    with pytest.raises(type(error)):
        RestingMetadata(_Tired(error), rests).fetch(["a"])
    assert rests.resting() == {METADATA: clock.now() + timedelta(seconds=rest_s)}
