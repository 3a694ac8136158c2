"""Wishes from outside."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

import pytest

from bulk_transcribe.core.control import RunControl
from bulk_transcribe.core.outcome import Succeeded, VideoResult
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import StoreError
from bulk_transcribe.process.processor import BatchPorts, ParallelVideoProcessor
from bulk_transcribe.process.steering import Steering
from bulk_transcribe.testing import FakeClock
from bulk_transcribe.testing.fakes import ResultBook, make_items, make_plan


@dataclass(frozen=True)
class _Made:
    wish: str
    value: str = ""


class _Scene:
    """A processor that is busy, and wishes that come one a look, once its slots are full."""

    def __init__(self, *looks: Iterable[_Made] | Exception) -> None:
        self.clock = FakeClock()
        self.control = RunControl(self.clock)
        self.looks = list(looks)
        self.beats_s: list[float] = []
        self.may_end: Callable[[], bool] = lambda: self.control.is_draining
        self.looked_s: list[float] = []
        self.has_looked = threading.Semaphore(0)
        self.begun = threading.Condition()  # guards number_begun
        self.number_begun = 0
        self.processor = ParallelVideoProcessor(
            BatchPorts(process=self._process, finish=ResultBook().finish),
            control=self.control,
            clock=self.clock,
            slots=2,
            most=16,
        )
        self.steering = Steering(
            self.processor,
            self._take,
            control=self.control,
            clock=self.clock,
            heartbeat=self._beat,
        )

    def _process(self, item: VideoItem) -> VideoResult:
        with self.begun:
            self.number_begun += 1
            self.begun.notify_all()
        while not self.may_end():
            self.control.sleep_s(0.5)
        return Succeeded(video_id=item.video_id, source="captions")

    def _beat(self) -> None:
        self.beats_s.append(self.clock.now_s())

    def _take(self) -> Iterable[_Made]:
        with self.begun:
            slots = self.processor.concurrency
            assert self.begun.wait_for(lambda: self.number_begun >= slots, 10)
        self.looked_s.append(self.clock.now_s())
        self.has_looked.release()
        look = self.looks.pop(0) if self.looks else ()
        if isinstance(look, Exception):
            raise look
        return look


def _names() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("speed", [1.0, 60.0])
def test_it_looks_twice_a_real_second_at_any_speed_and_ends_with_the_batch(speed: float) -> None:
    scene = _Scene()
    scene.clock.speed = speed
    scene.number_begun = 2
    with scene.steering:
        for _ in range(2_000):
            scene.clock.advance(0.1 * speed)
            scene.has_looked.acquire(timeout=0.001)
            if len(scene.looked_s) >= 9:
                break
    gaps_s = [after - before for before, after in pairwise(scene.looked_s)]
    assert len(gaps_s) >= 8
    assert min(gaps_s) >= 0.5 * speed - 1e-6
    assert scene.beats_s[:2] == [scene.looked_s[0], scene.looked_s[4]]
    assert not any(name.startswith("steering") for name in _names())


@pytest.mark.parametrize("word", ["pause", "stop"])
def test_what_a_wish_did_is_told_with_the_look_that_found_it(word: str) -> None:
    scene = _Scene([], [_Made(word)], [], [_Made("stop")])
    with scene.clock.running(), scene.steering:
        scene.processor.process_video_batch(make_plan(make_items(50)))
    assert len(scene.looked_s) >= 2
    assert scene.beats_s[:2] == scene.looked_s[:2]


def test_a_session_that_another_engine_has_is_left_at_once() -> None:
    lost = StoreError("another one has it", code="session_lost")
    scene = _Scene(lost)
    with scene.clock.running(), scene.steering:
        result = scene.processor.process_video_batch(make_plan(make_items(40)))
    assert result.stopped_by is lost
    assert len(scene.looked_s) == 1


def test_pause_and_resume() -> None:
    scene = _Scene()
    scene.steering.carry_out(_Made("pause"))
    assert scene.control.is_paused
    scene.steering.carry_out(_Made("resume"))
    assert not scene.control.is_paused


def test_stop_finishes_what_is_in_flight_and_stop_again_ends_it() -> None:
    scene = _Scene()
    scene.steering.carry_out(_Made("stop"))
    assert (scene.control.is_draining, scene.control.is_halted) == (True, False)
    scene.steering.carry_out(_Made("stop"))
    assert scene.control.is_halted


def test_stop_now_ends_it_at_once() -> None:
    scene = _Scene()
    scene.steering.carry_out(_Made("stop", "now"))
    assert scene.control.is_halted


def test_an_ending_run_cannot_be_resumed() -> None:
    scene = _Scene()
    scene.control.drain()
    scene.control.pause()
    scene.steering.carry_out(_Made("resume"))
    assert scene.control.is_paused


def test_wishes_act_while_the_batch_runs() -> None:
    scene = _Scene([_Made("concurrency", "5")], [], [_Made("stop")])
    with scene.clock.running(), scene.steering:
        result = scene.processor.process_video_batch(make_plan(make_items(50)))
    assert (result.totals.done, result.totals.queued) == (5, 45)
    assert result.was_interrupted


@pytest.mark.parametrize(
    "made", [_Made("concurrency", "many"), _Made("concurrency", "999"), _Made("dance")]
)
def test_an_impossible_wish_is_logged_and_left(
    made: _Made, caplog: pytest.LogCaptureFixture
) -> None:
    scene = _Scene()
    with caplog.at_level(logging.WARNING):
        scene.steering.carry_out(made)
    assert scene.processor.concurrency == 2
    assert len(caplog.records) == 1


def test_auto_can_be_wished_for() -> None:
    scene = _Scene()
    scene.steering.carry_out(_Made("concurrency", "auto"))
    assert scene.processor.concurrency == 4


def test_a_store_that_is_busy_for_a_moment_changes_nothing() -> None:
    scene = _Scene(StoreError("busy"), StoreError("busy"), [_Made("concurrency", "3")])
    scene.may_end = lambda: scene.processor.concurrency == 3
    with scene.clock.running(), scene.steering:
        result = scene.processor.process_video_batch(make_plan(make_items(4)))
    assert result.is_complete
    assert scene.processor.concurrency == 3


def test_a_store_that_stays_away_stops_the_batch_with_its_error() -> None:
    gone = StoreError("the database is gone")
    scene = _Scene(*[gone] * 3)
    with scene.clock.running(), scene.steering:
        result = scene.processor.process_video_batch(make_plan(make_items(40)))
    assert result.stopped_by is gone
    assert scene.control.is_halted
    assert result.totals.done == 0


def test_a_bug_in_steering_drains_the_run_and_comes_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    scene = _Scene(ZeroDivisionError())
    results = []

    def run() -> None:
        with scene.clock.running(), scene.steering:
            results.append(scene.processor.process_video_batch(make_plan(make_items(40))))

    with caplog.at_level(logging.ERROR), pytest.raises(ZeroDivisionError):
        run()
    assert results[0].totals.done == 2  # what was in flight
    assert results[0].was_interrupted
    assert len(caplog.records) == 1
    assert not any(name.startswith("steering") for name in _names())


def test_the_batchs_own_error_is_not_hidden_by_steerings() -> None:
    scene = _Scene(ZeroDivisionError())
    scene.number_begun = 2

    def run() -> None:
        with scene.clock.running(), scene.steering:
            while not scene.control.is_draining:
                scene.control.sleep_s(0.5)
            raise KeyError("the batch's")

    with pytest.raises(KeyError):
        run()
