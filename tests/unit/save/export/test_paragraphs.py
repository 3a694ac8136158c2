from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.transcript import Segment
from bulk_transcribe.save.export.paragraphs import Paragraph, join_words, paragraphs

texts = st.text(st.sampled_from("ab .!?。\n 日本é🎉"), max_size=80)


def letters(text: str) -> str:
    return "".join(text.split())


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 9), texts), max_size=60))
def test_no_word_is_lost_or_moved(parts: list[tuple[float, float, str]]) -> None:
    at_s = 0.0
    segments = []
    for gap_s, length_s, text in parts:
        at_s += gap_s
        segments.append(Segment(at_s, at_s + length_s, text))
    found = paragraphs(segments, "")
    together = letters("".join(text for _, _, text in parts))
    assert letters("".join(part.text for part in found)) == together
    starts = [part.start_s for part in found]
    assert starts == sorted(starts, key=lambda start_s: start_s or 0)
    assert all(part.text for part in found)


@given(texts)
def test_no_word_of_a_plain_text_is_lost_or_moved(text: str) -> None:
    found = paragraphs((), text)
    assert letters("".join(part.text for part in found)) == letters(text)
    assert all(part.start_s is None for part in found)


def said(number: int, text: str, gap_s: float = 0.0) -> list[Segment]:
    return [Segment(at * (2 + gap_s), at * (2 + gap_s) + 2, text) for at in range(number)]


def test_silence_is_no_paragraph() -> None:
    assert paragraphs((), "") == []
    assert paragraphs((), " \n\n ") == []
    assert paragraphs([Segment(0, 1, " ")], "") == []


def test_a_paragraph_ends_with_a_sentence_once_it_is_long() -> None:
    found = paragraphs(said(40, "This sentence has about fifty letters, I would say."), "")
    assert len(found) == 4
    assert found[1] == Paragraph(found[0].text, 20.0)
    assert all(part.text.endswith(".") for part in found)


def test_words_without_full_stops_are_cut_anyway() -> None:
    found = paragraphs(said(100, "automatic captions have no full stops"), "")
    assert len(found) == 5
    assert max(len(part.text) for part in found) < 1_000


def test_a_pause_ends_a_paragraph_of_more_than_a_few_words() -> None:
    spoken = [
        Segment(0, 2, "Hi."),
        Segment(10, 12, "word " * 30),  # after a pause, but "Hi." is too little to stand alone
        Segment(20, 22, "After the pause."),
    ]
    assert [part.start_s for part in paragraphs(spoken, "")] == [0, 20]


def test_a_paragraph_begins_with_a_sentence_also_within_a_caption() -> None:
    """Captions of a few seconds end where the line is full, not where the sentence is."""
    spoken = [
        Segment(at * 4.0, at * 4.0 + 4, "end of the day. As you can see from this chart, the")
        for at in range(60)
    ]
    found = paragraphs(spoken, "")
    assert len(found) > 3
    assert all(part.text.startswith("As you can see") for part in found[1:])
    first = found[1].start_s or 0.0
    assert 0 < first % 4 < 4  # within the caption, not at its beginning


def test_a_breath_within_a_sentence_ends_no_paragraph() -> None:
    words = "and so we look at the water, which is here in great amounts, " * 3
    spoken = [
        Segment(0, 5, "It begins."),
        Segment(5, 20, words),
        Segment(23, 25, "with care."),
        Segment(28, 30, "The next one."),
    ]
    assert [part.start_s for part in paragraphs(spoken, "")] == [0, 28]


def test_captions_that_overlap_keep_their_order() -> None:
    spoken = [Segment(float(at), at + 9.0, "One of many. Another one here.") for at in range(100)]
    starts = [part.start_s or 0.0 for part in paragraphs(spoken, "")]
    assert len(starts) > 3
    assert starts == sorted(starts)


def test_blank_lines_of_a_plain_text_stay_breaks() -> None:
    assert [part.text for part in paragraphs((), "one\ntwo\n\n three ")] == ["one two", "three"]


def test_a_long_plain_text_is_broken_between_sentences() -> None:
    found = paragraphs((), "It is one sentence of many. " * 100)
    assert len(found) > 3
    assert all(part.text.endswith("many.") for part in found)


def test_scripts_without_spaces_get_none() -> None:
    assert join_words(["今日は", "天気が"]) == "今日は天気が"
    assert join_words(["안녕", "하세요"]) == "안녕 하세요"
    assert join_words(["hello", "今日", "🎉", "🎉"]) == "hello 今日 🎉 🎉"
    assert join_words([]) == ""
