import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.simulator.speech import LANGUAGES, Speech, speak, stamped_text, structured_text

_STAMP = re.compile(r"\[([\d:.]+) - ([\d:.]+)\] ")


def _seconds(stamp: str) -> float:
    total = 0.0
    for part in stamp.split(":"):
        total = total * 60 + float(part)
    return total


@given(st.integers(0, 5), st.floats(0, 4_000), st.sampled_from([*LANGUAGES, "en-GB"]))
def test_lines_follow_each_other_and_stay_within_the_video(
    seed: int, duration_s: float, language: str
) -> None:
    speech = speak(seed, "abcdefghijk", duration_s, language)
    assert len(speech.text.split()) == int(duration_s * 2.3)
    end_s = 0.0
    for line in speech.lines:
        assert line.start_s == end_s < line.end_s
        end_s = line.end_s
    assert end_s <= duration_s + 0.01


def test_the_same_video_says_the_same_and_another_something_else() -> None:
    said = speak(1, "abcdefghijk", 300, "en")
    assert said == speak(1, "abcdefghijk", 300, "en")
    assert said.text != speak(1, "abcdefghijl", 300, "en").text
    assert said.text != speak(2, "abcdefghijk", 300, "en").text


def test_sentences_begin_with_a_capital_and_end_with_a_stop() -> None:
    for sentence in re.split(r"(?<=[.?]) ", speak(1, "abcdefghijk", 300, "en").text)[:-1]:
        assert sentence[0].isupper()
        assert sentence[-1] in ".?"


@pytest.mark.parametrize("seed", range(12))
def test_stamps_hold_every_word_and_nearly_every_time(seed: int) -> None:
    speech = speak(seed, "LONGaaaaaaa", 9_000, "en")
    stamped = stamped_text(speech, seed)
    parts = _STAMP.split(stamped)
    assert parts[0] == ""
    assert " ".join(text.strip() for text in parts[3::3]) == speech.text
    starts = [_seconds(stamp) for stamp in parts[1::3]]
    right = sum(
        abs(start_s - line.start_s) <= 1.0
        for start_s, line in zip(starts, speech.lines, strict=True)
    )
    assert right >= 0.98 * len(starts)


def test_every_layout_that_clients_were_written_for_occurs() -> None:
    texts = [stamped_text(speak(s, "LONGaaaaaaa", 9_000, "en"), s) for s in range(60)]
    assert any("\n[" in text for text in texts)
    assert any("\n" not in text for text in texts)
    assert any(re.search(r"\[2:\d\d:\d\d - ", text) for text in texts)
    assert any(re.search(r"\[1[0-4]\d:\d\d - ", text) for text in texts)
    assert any(re.search(r"\[\d+:\d\d\.\d - ", text) for text in texts)
    ranges = [(a, b) for text in texts for a, b in _STAMP.findall(text)]
    assert any(a == b for a, b in ranges)
    assert any(_seconds(a) > _seconds(b) for a, b in ranges)


@pytest.mark.parametrize("level", ["none", "segment", "word"])
def test_the_document_has_what_its_level_asks_for(level: str) -> None:
    speech = speak(1, "abcdefghijk", 60, "de")
    document = json.loads(structured_text(speech, 1, ts_level=level))
    assert document["text"] == speech.text
    assert document["language"] == "de"
    assert document["ts_level"] == level
    assert bool(document["segments"]) == (level != "none")
    words = [word for each in document["segments"] for word in each.get("words", [])]
    assert [w["word"] for w in words] == (speech.text.split() if level == "word" else [])


def test_silence_is_an_empty_text_in_every_shape() -> None:
    silence = Speech("abcdefghijk", "en", ())
    assert silence.text == stamped_text(silence, 1) == ""
    assert json.loads(structured_text(silence, 1, ts_level="segment"))["segments"] == []
