from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.simulator import Faults


def test_nothing_goes_wrong_by_itself() -> None:
    faults = Faults()
    assert not any(faults.happens("html_502", "poll", 1, n) for n in range(100))


def test_a_whole_number_strikes_that_many_next_requests() -> None:
    faults = Faults(html_502=2)
    assert [faults.happens("html_502", "poll", 1, n) for n in range(4)] == [
        True,
        True,
        False,
        False,
    ]


def test_true_strikes_always_until_it_is_taken_back() -> None:
    faults = Faults(storm_429=True)
    assert all(faults.happens("storm_429", "poll", 1, n) for n in range(5))
    faults.storm_429 = False
    assert not faults.happens("storm_429", "poll", 1, 9)


@given(st.floats(0.1, 0.9), st.integers(0, 99))
def test_a_share_strikes_the_same_requests_in_every_order(share: float, seed: int) -> None:
    subjects = [f"video{n}" for n in range(40)]
    first = {s for s in subjects if Faults(html_502=share).happens("html_502", "poll", seed, s)}
    again = {
        s for s in reversed(subjects) if Faults(html_502=share).happens("html_502", "poll", seed, s)
    }
    assert first == again


def test_a_share_strikes_about_that_many() -> None:
    faults = Faults(html_502=0.3)
    struck = sum(faults.happens("html_502", "poll", 1, n) for n in range(2_000))
    assert 500 < struck < 700


def test_a_fault_strikes_only_the_kinds_that_it_is_meant_for() -> None:
    faults = Faults(drop_answer_after=True, html_502=True, only={"html_502": ("poll",)})
    assert faults.happens("drop_answer_after", "submit", 1)
    assert not faults.happens("drop_answer_after", "poll", 1)
    assert faults.happens("html_502", "poll", 1)
    assert not faults.happens("html_502", "submit", 1)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("html_502", 1.5),
        ("html_502", -1),
        ("html_502", "often"),
        ("slow_answer_s", -2),
        ("slow_answer_s", float("inf")),
        ("storm_type", "hourly"),
        ("storm_retry_after_s", "soon"),
        ("captions_blocked", "maybe"),
        ("network_down", 1),
        ("failing_code", ""),
        ("missing_requests", "one"),
        ("only", {"network_down": ["poll"]}),
        ("only", {"html_502": ["lunch"]}),
        ("only", ["html_502"]),
        ("volcano", True),
    ],
)
def test_a_bad_change_is_named_and_changes_nothing(field: str, value: Any) -> None:
    faults = Faults()
    with pytest.raises(ValueError, match=field):
        faults.update({"revoke_key": True, field: value})
    assert faults == Faults()


def test_good_changes_are_all_made() -> None:
    faults = Faults()
    faults.update({"captions_blocked": 429, "missing_requests": ["a"], "html_502": 0.5})
    assert faults == Faults(captions_blocked="429", missing_requests={"a"}, html_502=0.5)


def test_a_bad_value_is_refused_from_the_start() -> None:
    with pytest.raises(ValueError, match="html_502"):
        Faults(html_502=2.5)
