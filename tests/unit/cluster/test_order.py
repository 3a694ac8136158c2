"""Fair turns: laws of the order, for any sessions in any order of arrival."""

import heapq
from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.cluster.order import (
    LAST,
    STEPS,
    Priority,
    as_priority,
    as_virtual_time,
    waits_at,
)


class Line:
    """A queue as the job table keeps it: highest priority first, then the one that came first."""

    def __init__(self) -> None:
        self._jobs: list[tuple[int, int, str]] = []
        self._numbers = count()
        self.reached = 0

    def add(self, session: str, videos: int, priority: Priority = Priority.NORMAL) -> None:
        for at in waits_at(self.reached, STEPS[priority], videos):
            heapq.heappush(self._jobs, (-as_priority(at), next(self._numbers), session))

    def take(self) -> str:
        at, _, session = heapq.heappop(self._jobs)
        self.reached = max(self.reached, as_virtual_time(-at))
        return session


def test_ten_videos_beside_fifty_thousand_take_turns_with_them() -> None:
    line = Line()
    line.add("large", 50_000)
    for _ in range(1_000):
        line.take()
    line.add("small", 10)
    taken = [line.take() for _ in range(21)]
    assert taken.count("small") == 10
    assert all("small" in taken[at : at + 2] for at in range(0, 20, 2))


@given(st.integers(1, 40), st.sampled_from(list(Priority)))
def test_a_stream_of_newcomers_starves_nobody(rounds: int, priority: Priority) -> None:
    line = Line()
    line.add("old", 1_000)
    taken = []
    for number in range(rounds * 10):
        line.add(f"new{number}", 1, priority)
        taken.append(line.take())
    # more arrive than are taken, so the shares shrink, but the old one's turn comes again and again
    least = int(len(taken) ** 0.5 / 4)
    assert taken.count("old") >= least


@given(st.lists(st.integers(20, 200), min_size=2, max_size=6))
def test_equals_that_all_wait_get_equal_shares(sizes: list[int]) -> None:
    line = Line()
    for number, size in enumerate(sizes):
        line.add(str(number), size)
    taken = [line.take() for _ in range(len(sizes) * 20)]
    assert {taken.count(str(number)) for number in range(len(sizes))} == {20}


def test_a_word_of_priority_is_worth_four() -> None:
    line = Line()
    line.add("normal", 400)
    line.add("high", 400, Priority.HIGH)
    taken = [line.take() for _ in range(100)]
    assert 79 <= taken.count("high") <= 81


@given(st.integers(0, LAST), st.integers(0, 50), st.sampled_from(list(STEPS.values())))
def test_places_ascend_and_fit_into_the_job_table(reached: int, videos: int, step: int) -> None:
    places = list(waits_at(reached, step, videos))
    assert len(places) == videos
    assert places == sorted(places)
    assert all(reached <= at <= LAST for at in places)
    assert [as_virtual_time(as_priority(at)) for at in places] == places
