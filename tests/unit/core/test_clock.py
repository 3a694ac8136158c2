"""Time is an argument."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import bulk_transcribe
from bulk_transcribe.core.clock import SystemClock
from bulk_transcribe.testing import FakeClock


def test_only_the_system_clock_and_the_fake_read_the_time() -> None:
    root = Path(bulk_transcribe.__file__).parent
    readers = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        if "\nimport time\n" in (text := path.read_text()) or "datetime.now(" in text
    }
    assert readers <= {"core/clock.py", "testing/clock.py"}


def test_at_normal_speed_the_calendar_is_the_machines() -> None:
    assert abs(SystemClock().now() - datetime.now(UTC)) < timedelta(seconds=5)


def test_two_scaled_clocks_agree_on_the_calendar() -> None:
    first, second = SystemClock(50), SystemClock(50)
    assert abs(first.now() - second.now()) < timedelta(seconds=50 * 2)


def test_a_demo_clock_starts_now() -> None:
    assert abs(SystemClock(60, anchor_now=True).now() - datetime.now(UTC)) < timedelta(minutes=5)


@pytest.mark.parametrize("speed", [0, -1, float("nan")])
def test_a_clock_runs_forwards(speed: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        SystemClock(speed)


def test_a_scaled_wait_is_short() -> None:
    clock = SystemClock(1_000)
    condition = threading.Condition()
    with condition:
        assert not clock.wait(condition, 10)


def test_the_fake_clock_wakes_what_is_due_and_nothing_else() -> None:
    clock = FakeClock()
    woken: list[str] = []
    ready = threading.Barrier(3)

    def waiter(name: str, duration_s: float) -> None:
        condition = threading.Condition()
        with condition:
            ready.wait()
            clock.wait(condition, duration_s)
        woken.append(name)

    threads = [
        threading.Thread(target=waiter, args=("early", 5)),
        threading.Thread(target=waiter, args=("late", 50)),
    ]
    for thread in threads:
        thread.start()
    ready.wait()
    with clock.running():
        for thread in threads:
            thread.join(10)
    assert woken == ["early", "late"]
    assert clock.now_s() == 1_050.0
