"""The monitor's news reach the disk, also at the end and after a failure."""

import threading
from collections.abc import Sequence

import pytest

from bulk_transcribe.core.outcome import VideoResult
from bulk_transcribe.core.ports import VideoLog
from bulk_transcribe.core.stage import Stage, VideoState
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.errors import StopBatchError, StoreError
from bulk_transcribe.monitor import ConcurrentProgressMonitor, StateFlusher
from bulk_transcribe.testing import FakeClock


class Journal:
    """A video log in memory that can refuse."""

    def __init__(self) -> None:
        self.saved: dict[str, VideoState] = {}
        self.calls = 0
        self.is_full = False
        self.called = threading.Semaphore(0)

    def save_states(self, states: Sequence[VideoState]) -> None:
        self.calls += 1
        self.called.release()
        if self.is_full:
            raise StoreError("the disk is full")
        self.saved |= {state.video_id: state for state in states}

    def finish(self, state: VideoState, result: VideoResult) -> None:
        raise AssertionError(f"the flusher ends no video: {state} {result}")


class Desk:
    """A monitor of two videos, its journal and its flusher."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.monitor = ConcurrentProgressMonitor(self.clock)
        self.monitor.add([VideoItem(video_id="a"), VideoItem(video_id="b")])
        self.journal = Journal()
        log: VideoLog = self.journal
        self.errors: list[StopBatchError] = []
        self.flusher = StateFlusher(self.monitor, log, self.clock, on_error=self.errors.append)


def test_changes_are_saved_every_second_and_nothing_is_written_without_any() -> None:
    desk = Desk()
    with desk.clock.running(), desk.flusher:
        assert desk.journal.called.acquire(timeout=5)
        desk.monitor.record("a", Stage.METADATA)
        assert desk.journal.called.acquire(timeout=5)
        assert not desk.journal.called.acquire(timeout=0.05)
    assert desk.journal.saved["a"].stage is Stage.METADATA
    assert desk.journal.calls == 2
    assert desk.clock.now_s() > 1002


def test_leaving_the_block_saves_the_last_changes_without_waiting_for_the_next_round() -> None:
    desk = Desk()
    with desk.flusher:
        desk.monitor.record("b", Stage.SAVING)
    assert desk.journal.saved["b"].stage is Stage.SAVING
    assert desk.clock.now_s() == 1000


def test_a_full_disk_is_told_once_and_the_changes_are_saved_when_it_works_again() -> None:
    desk = Desk()
    desk.journal.is_full = True
    with desk.clock.running(), desk.flusher:
        for _ in range(3):
            assert desk.journal.called.acquire(timeout=5)
        desk.journal.is_full = False
        assert desk.journal.called.acquire(timeout=5)
    assert len(desk.errors) == 1
    assert set(desk.journal.saved) == {"a", "b"}


def test_what_cannot_be_saved_at_the_end_is_an_error() -> None:
    desk = Desk()
    desk.journal.is_full = True
    with pytest.raises(StoreError, match="full"), desk.flusher:
        pass
    assert len(desk.monitor.take_changes()) == 2, "nothing is forgotten"


def test_an_error_of_the_run_is_not_hidden_by_one_of_the_journal() -> None:
    desk = Desk()
    desk.journal.is_full = True
    with pytest.raises(ZeroDivisionError), desk.flusher:
        raise ZeroDivisionError


def test_closing_twice_does_no_harm() -> None:
    desk = Desk()
    with desk.flusher:
        desk.flusher.close()
    assert set(desk.journal.saved) == {"a", "b"}
