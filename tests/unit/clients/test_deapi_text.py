"""The service's result text, in all its known shapes, and in none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.clients.deapi_text import parse_result
from bulk_transcribe.core.job import ParsedText
from bulk_transcribe.core.transcript import Segment

WORDS = st.text(
    alphabet=st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="[]"),
    min_size=1,
    max_size=12,
)


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("[0:00 - 0:05] Hello world.", [(0.0, 5.0, "Hello world.")]),
        ("[0:00 - 0:05] One.[0:05 - 0:09] Two.", [(0.0, 5.0, "One."), (5.0, 9.0, "Two.")]),
        (
            "[0:00 - 0:05] One.\n[0:05 - 0:09]\nTwo\nlines.\n",
            [(0, 5, "One."), (5, 9, "Two lines.")],
        ),
        ("[1:02:03 - 1:02:09] Late.", [(3723.0, 3729.0, "Late.")]),
        ("[75:10 - 75:14] Minutes go on.", [(4510.0, 4514.0, "Minutes go on.")]),
        ("[0:01.25 - 0:02,5] Parts.", [(1.25, 2.5, "Parts.")]),
        ("[0:07 - 0:07] No length.", [(7.0, 7.0, "No length.")]),
        ("[0:03 - 0:02] Backwards.", [(3.0, 3.0, "Backwards.")]),
        ("[0:05 - 0:06] B [0:01 - 0:02] A", [(1.0, 2.0, "A"), (5.0, 6.0, "B")]),
        ("Before. [0:04 - 0:06] After.", [(0.0, 4.0, "Before."), (4.0, 6.0, "After.")]),
        ("[0:00 - 0:02]  [0:02 - 0:03] Second.", [(2.0, 3.0, "Second.")]),
        ("[00:00:00.000 --> 00:00:02.000] Arrow.", [(0.0, 2.0, "Arrow.")]),
        ("[0:00–0:02] Dash.", [(0.0, 2.0, "Dash.")]),
        ("\ufeff[0:00 - 0:01] Marked.", [(0.0, 1.0, "Marked.")]),
        ("[0:00 - 0:02] He said [sic] 5:30.", [(0.0, 2.0, "He said [sic] 5:30.")]),
    ],
)
def test_stamped_text_becomes_segments(text: str, segments: list[tuple[float, float, str]]) -> None:
    parsed = parse_result(text)
    assert parsed.segments == tuple(Segment(*s) for s in segments)
    assert parsed.text == " ".join(s[2] for s in segments)


@pytest.mark.parametrize("text", ["", "  \n", "\ufeff"])
def test_silence_is_an_empty_text(text: str) -> None:
    assert parse_result(text) == ParsedText(text="")


def test_only_empty_stamps_are_silence_too() -> None:
    assert parse_result("[0:00 - 0:05] [0:05 - 0:09]") == ParsedText(text="")


@pytest.mark.parametrize(
    "text",
    [
        "Just words.\n\nTwo paragraphs.",
        "[Music] and [12] and [1:2:3:4 - 5] and [0:00]",
        "{not json}",
        '{"no": "transcript"}',
        "[1, 2, 3]",
        "[]",
        "{}",
        '"a quoted text"',
        "42",
        "[" * 5_000,
    ],
)
def test_what_only_looks_like_something_else_stays_plain_text(text: str) -> None:
    assert parse_result(text) == ParsedText(text=text)


def test_a_document_gives_its_segments_its_text_and_its_language() -> None:
    document = {
        "text": " Hi there. ",
        "language": "en",
        "language_probability": 0.99,
        "segments": [
            {
                "start": 0.0,
                "end": 2.4,
                "text": " Hi ",
                "avg_logprob": -0.2,
                "words": [{"word": "Hi", "start": 0.1, "end": 0.3}],
            },
            {"start": 2.4, "end": 1.0, "text": "there.", "speaker": "SPEAKER_01"},
            {"start": 9, "end": 9.5, "text": "  "},
        ],
    }
    parsed = parse_result(json.dumps(document))
    assert parsed.text == "Hi there."
    assert parsed.language == "en"
    assert parsed.segments == (Segment(0.0, 2.4, "Hi"), Segment(2.4, 2.4, "SPEAKER_01: there."))


def test_a_document_without_text_is_made_of_its_segments() -> None:
    document = [{"start": 1, "end": 2, "text": "A"}, {"start": "2", "text": "B"}]
    expected = (Segment(1.0, 2.0, "A"), Segment(2.0, 2.0, "B"))
    assert parse_result(json.dumps(document)) == ParsedText("A B", expected)
    assert parse_result(json.dumps({"segments": document})).segments == expected


def test_an_empty_document_is_silence() -> None:
    assert parse_result('{"text": "", "segments": [], "language": null}') == ParsedText("")


@pytest.mark.parametrize("time", [None, -1, 1e300, "x", True, [], float("inf"), 10**400])
def test_odd_times_count_as_the_start(time: object) -> None:
    document = {"segments": [{"start": time, "end": time, "text": "A"}, "x", None, 7]}
    assert parse_result(json.dumps(document)).segments == (Segment(0.0, 0.0, "A"),)


@given(
    st.lists(st.tuples(st.integers(0, 400_000), st.integers(0, 20_000), WORDS), max_size=20),
    st.sampled_from([" ", "\n", ""]),
)
def test_what_is_written_is_what_is_read(parts: list[tuple[int, int, str]], separator: str) -> None:
    """Tenths of seconds, so that the written form is exact."""
    segments = sorted(
        (Segment(start / 10, (start + length) / 10, text) for start, length, text in parts),
        key=lambda segment: segment.start_s,
    )

    def stamp(time_s: float) -> str:
        minutes, tenths = divmod(round(time_s * 10), 600)
        hours, minutes = divmod(minutes, 60)
        head = f"{hours}:{minutes:02}" if hours else str(minutes)
        return f"{head}:{tenths // 10:02}.{tenths % 10}"

    written = separator.join(f"[{stamp(s.start_s)} - {stamp(s.end_s)}] {s.text}" for s in segments)
    assert parse_result(written).segments == tuple(segments)


JSONISH = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["text", "segments", "start", "end", "speaker", "language"]), inner
        )
    ),
    max_leaves=20,
)
STAMPISH = st.lists(
    st.sampled_from(["[", "]", "0:00", "1:02:03", " - ", "-->", "9" * 30, ":", ",5", "w", "\n"]),
    max_size=30,
).map("".join)


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    check_shape(parse_result(text))


@given(STAMPISH)
def test_no_half_stamp_breaks_the_reader(text: str) -> None:
    check_shape(parse_result(text))


@given(JSONISH)
def test_no_document_breaks_the_reader(document: object) -> None:
    check_shape(parse_result(json.dumps(document)))


def check_shape(parsed: ParsedText) -> None:
    """The promises of `Transcript`: in time order, starts before ends, words that can be stored."""
    starts = [segment.start_s for segment in parsed.segments]
    assert starts == sorted(starts)
    assert all(0 <= s.start_s <= s.end_s and s.text for s in parsed.segments)
    assert bool(parsed.text) or not parsed.segments
    "".join([parsed.text, *(s.text for s in parsed.segments)]).encode("utf-8")
