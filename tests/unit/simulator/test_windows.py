from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.simulator.windows import FixedWindow, SlidingWindow, Window

_gaps_s = st.lists(st.floats(0, 45, allow_nan=False), max_size=120)
_limits = st.integers(1, 8)


def _taken_s(window: Window, gaps_s: list[float]) -> tuple[list[float], list[float]]:
    """When requests with these gaps were taken, and when they were refused."""
    now_s, taken, refused = 1_000.0, [], []
    for gap_s in gaps_s:
        now_s += gap_s
        if window.left(now_s) > 0:
            window.hit(now_s)
            taken.append(now_s)
        else:
            refused.append(now_s)
    return taken, refused


@given(_limits, _gaps_s)
def test_a_sliding_window_never_takes_more_than_its_limit_in_any_minute(
    limit: int, gaps_s: list[float]
) -> None:
    taken, _ = _taken_s(SlidingWindow(limit, 60.0), gaps_s)
    for first, last in zip(taken, taken[limit:], strict=False):
        assert last >= first + 60.0


@given(_limits, _gaps_s)
def test_a_sliding_window_refuses_only_when_it_is_full(limit: int, gaps_s: list[float]) -> None:
    taken, refused = _taken_s(SlidingWindow(limit, 60.0), gaps_s)
    for at_s in refused:
        assert sum(t <= at_s < t + 60.0 for t in taken) == limit


@given(_limits, _gaps_s)
def test_a_fixed_window_takes_its_limit_from_its_first_request_on(
    limit: int, gaps_s: list[float]
) -> None:
    taken, refused = _taken_s(FixedWindow(limit, lambda: 60.0), gaps_s)
    opened: list[float] = []
    for at_s in taken:
        if not opened or at_s >= opened[-1] + 60.0:
            opened.append(at_s)
    for start_s in opened:
        assert sum(start_s <= t < start_s + 60.0 for t in taken) <= limit
    for at_s in refused:
        start_s = max(s for s in opened if s <= at_s)
        assert sum(start_s <= t <= at_s for t in taken) == limit


def test_a_fixed_window_lets_twice_its_limit_pass_around_its_end() -> None:
    window = FixedWindow(2, lambda: 60.0)
    taken, refused = _taken_s(window, [0, 59, 1, 0, 0])
    assert taken == [1_000, 1_059, 1_060, 1_060]
    assert refused == [1_060]


@given(_limits, _gaps_s, st.booleans())
def test_who_waits_as_told_is_let_in(limit: int, gaps_s: list[float], sliding: bool) -> None:  # noqa: FBT001
    window: Window = SlidingWindow(limit, 60.0) if sliding else FixedWindow(limit, lambda: 60.0)
    taken, refused = _taken_s(window, gaps_s)
    now_s = max([1_000.0, *taken, *refused])
    wait_s = window.opens_in_s(now_s)
    assert 0.0 <= wait_s <= 60.0 + 1e-6
    assert (wait_s == 0.0) == (window.left(now_s) > 0)
    assert window.left(now_s + wait_s + 1e-6) > 0
