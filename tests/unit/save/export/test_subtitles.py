from itertools import pairwise

import pysubs2
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.transcript import Segment, Transcript
from bulk_transcribe.save.export.subtitles import Cue, cues, to_srt, to_vtt


def transcript(segments: list[Segment], text: str = "") -> Transcript:
    return Transcript(
        video_id="dQw4w9WgXcQ", source="captions", text=text, segments=tuple(segments)
    )


words = st.text(st.sampled_from("ab<>&{}- \n\0é日🎉1"), max_size=12)
parts = st.tuples(st.floats(0, 50), st.floats(0, 5), words).map(
    lambda part: Segment(part[0], part[0] + part[1], part[2])
)
spoken = st.lists(parts, max_size=12).map(
    lambda segments: sorted(segments, key=lambda segment: segment.start_s)
)


def letters(text: str) -> str:
    return "".join(text.replace("\0", "").split())


@given(spoken)
def test_cues_are_in_order_never_two_at_once_and_no_word_is_lost(segments: list[Segment]) -> None:
    shown = cues(transcript(segments), duration_s=None)
    assert all(cue.start_ms < cue.end_ms for cue in shown)
    assert all(one.end_ms <= other.start_ms for one, other in pairwise(shown))
    assert letters("".join(cue.text for cue in shown)) == letters("".join(s.text for s in segments))
    assert all("\n\n" not in cue.text and cue.text.strip() for cue in shown)


long_words = st.lists(st.text("abcdefgh", min_size=1, max_size=14), min_size=1, max_size=60)


@given(long_words, st.floats(3.0, 40.0))
def test_what_is_too_long_for_a_screen_is_divided(said: list[str], lasts_s: float) -> None:
    shown = cues(transcript([Segment(5.0, 5.0 + lasts_s, " ".join(said))]), duration_s=None)
    lines = [line for cue in shown for line in cue.text.split("\n")]
    assert all(len(line) <= 42 for line in lines)
    assert all(len(cue.text.split("\n")) <= 2 for cue in shown)
    assert " ".join(lines).split() == said  # no word is cut, none is lost
    assert (shown[0].start_ms, shown[-1].end_ms) == (5_000, round(1000 * (5.0 + lasts_s)))
    assert all(one.end_ms == other.start_ms for one, other in pairwise(shown))


def test_a_divided_line_takes_its_share_of_the_time() -> None:
    text = "one two three four five six seven eight nine ten " * 4
    shown = cues(transcript([Segment(0.0, 10.0, text)]), duration_s=None)
    characters = sum(len(cue.text) for cue in shown)
    for cue in shown:
        assert abs(cue.end_ms - cue.start_ms - 10_000 * len(cue.text) / characters) <= 1
    assert [len(cue.text.split("\n")) for cue in shown] == [2, 2, 2]


def test_a_text_without_spaces_is_divided_too() -> None:
    shown = cues(transcript([Segment(0.0, 9.0, "字" * 100)]), duration_s=None)
    assert {len(line) for cue in shown for line in cue.text.split("\n")} <= set(range(1, 43))
    assert letters("".join(cue.text for cue in shown)) == "字" * 100


def test_a_moment_too_short_to_be_divided_stays_one_cue() -> None:
    shown = cues(transcript([Segment(0.0, 0.001, "word " * 40)]), duration_s=None)
    assert [(cue.start_ms, cue.end_ms) for cue in shown] == [(0, 1)]


def plain(text: str) -> str:
    return text.replace("\\N", "\n").replace("\\n", "\n")


@given(spoken)
def test_another_program_reads_the_same_times_from_srt_and_vtt(segments: list[Segment]) -> None:
    shown = cues(transcript(segments), duration_s=None)
    for text, form in [(to_srt(shown), "srt"), (to_vtt(shown), "vtt")]:
        read = pysubs2.SSAFile.from_string(text, format_=form) if shown else []
        assert [(line.start, line.end) for line in read] == [
            (cue.start_ms, cue.end_ms) for cue in shown
        ]


def test_the_text_comes_back_from_srt() -> None:
    shown = [Cue(0, 1_000, "{laughs} one\ntwo"), Cue(3_661_001, 3_662_000, "a --> b")]
    text = to_srt(shown)
    assert text == (
        "1\n00:00:00,000 --> 00:00:01,000\n{laughs} one\ntwo\n\n"
        "2\n01:01:01,001 --> 01:01:02,000\na → b\n"
    )


def test_vtt_escapes_what_it_would_take_for_markup() -> None:
    assert to_vtt([Cue(0, 1_000, "a <b> & c --> d")]) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\na &lt;b&gt; &amp; c --&gt; d\n"
    )


def test_overlapping_simultaneous_and_empty_segments_have_a_defined_place() -> None:
    segments = [
        Segment(0, 4, "overlaps"),
        Segment(2, 2, "no length"),
        Segment(5, 6, "one"),
        Segment(5, 7, "other"),
        Segment(8, 8, "last"),
    ]
    assert cues(transcript(segments), duration_s=None) == [
        Cue(0, 2_000, "overlaps"),
        Cue(2_000, 4_000, "no length"),
        Cue(5_000, 7_000, "one\nother"),
        Cue(8_000, 10_000, "last"),
    ]


def test_words_without_times_are_one_cue_as_long_as_the_video() -> None:
    assert cues(transcript([], "all of it"), duration_s=12.5) == [Cue(0, 12_500, "all of it")]
    (unknown,) = cues(transcript([], "x" * 150), duration_s=None)
    assert unknown.end_ms == 11_000


def test_silence_gives_files_without_cues() -> None:
    assert cues(transcript([], ""), duration_s=9) == []
    assert cues(transcript([Segment(0, 1, " \n ")]), duration_s=9) == []
    assert to_srt([]) == ""
    assert to_vtt([]) == "WEBVTT\n"
