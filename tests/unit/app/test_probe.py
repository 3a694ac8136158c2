"""The probe: few videos, spread over the list, and at peace with whoever is asked."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.app.probe import PROBED, chosen, probe_captions
from bulk_transcribe.core.plan import CaptionProbe
from bulk_transcribe.core.request import Ticket
from bulk_transcribe.core.transcript import Transcript
from bulk_transcribe.errors import (
    NetworkError,
    NoCaptionsError,
    SourceBlockedError,
    StoppedError,
    VideoUnavailableError,
)

IDS = [f"vid{number:08d}" for number in range(100)]


class Fetcher:
    """Answers with what was put there for the nth call; with captions otherwise."""

    def __init__(self, answers: Sequence[Exception | None] = ()) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    def fetch(self, video_id: str, _languages: Sequence[str], _ticket: Ticket) -> Transcript:
        self.asked.append(video_id)
        answer = (
            self._answers[len(self.asked) - 1] if len(self.asked) <= len(self._answers) else None
        )
        if answer is not None:
            raise answer
        return Transcript(video_id=video_id, source="captions", text="words")


def probe(fetcher: Fetcher, ids: Sequence[str] = IDS) -> tuple[CaptionProbe, list[str]]:
    kept: list[str] = []
    found = probe_captions(ids, fetcher, ("any",), keep=lambda t: kept.append(t.video_id))
    return found, kept


@given(st.integers(0, 300), st.integers(1, 12))
def test_the_chosen_are_distinct_spread_and_the_same_for_the_same_list(
    size: int, number: int
) -> None:
    ids = [f"v{n}" for n in range(size)]
    picked = chosen(ids, number)
    assert picked == chosen(ids, number)
    assert len(set(picked)) == len(picked) == min(size, number)
    positions = [ids.index(each) for each in picked]
    assert positions == sorted(positions)
    if size > number:
        for part, position in enumerate(positions):
            assert size * part // number <= position < size * (part + 1) // number


def test_what_is_found_is_kept_and_each_answer_counted() -> None:
    none, gone = NoCaptionsError("none"), VideoUnavailableError("gone", video_id="v")
    fetcher = Fetcher([None, none, gone, None, none])
    found, kept = probe(fetcher)
    assert len(fetcher.asked) == found.asked == PROBED
    assert set(kept) == found.free
    assert len(found.free) == 5
    assert found.paid == {fetcher.asked[1], fetcher.asked[4]}
    assert found.neither == {fetcher.asked[2]}
    assert found.note == ""


def test_a_block_ends_the_probe_and_nothing_is_believed() -> None:
    blocked = SourceBlockedError("YouTube refuses.", source="captions")
    fetcher = Fetcher([None, None, blocked])
    found, kept = probe(fetcher)
    assert len(fetcher.asked) == 3
    assert (found.asked, found.note) == (0, "YouTube refuses.")
    assert len(kept) == 2  # not thrown away all the same


def test_two_troubles_in_a_row_end_it_and_one_does_not() -> None:
    lost = NetworkError("no answer")
    fetcher = Fetcher([None, lost, None, lost, lost])
    found, _ = probe(fetcher)
    assert len(fetcher.asked) == 5
    assert (found.asked, found.note) == (2, "no answer")
    found, _ = probe(Fetcher([lost]))
    assert (found.asked, found.note) == (PROBED - 1, "")


def test_a_stop_goes_through() -> None:
    with pytest.raises(StoppedError):
        probe(Fetcher([StoppedError("stop")]))


def test_no_videos_are_no_questions() -> None:
    fetcher = Fetcher()
    assert probe(fetcher, ())[0] == CaptionProbe()
    assert fetcher.asked == []


def test_what_was_found_by_an_earlier_probe_counts_and_is_not_asked_again() -> None:
    first = Fetcher([None, NoCaptionsError("none")])
    found, kept = probe(first)
    second = Fetcher([NoCaptionsError("none")])
    again = probe_captions(
        IDS, second, ("any",), keep=lambda _found: None, free_ids=frozenset(kept)
    )
    assert second.asked == [first.asked[1]]
    assert (again.free, again.paid) == (found.free, found.paid)
