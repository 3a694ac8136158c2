"""Transcripts as HTML: whatever words are in them, they stay words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.app.library import Book, Found, Hit
from bulk_transcribe.core.video import VideoItem
from bulk_transcribe.save.export.paragraphs import Paragraph
from bulk_transcribe.ui import reader
from tests.unit.ui.stage import transcript_of

A, B = "dQw4w9WgXcQ", "9bZkp7q19f0"


def book(words: list[str], *, timed: bool = True) -> Book:
    transcript = transcript_of(A, words, timed=timed)
    return Book(item=VideoItem(video_id=A, title="T"), metadata=None, transcript=transcript)


def hit(video_id: str = A, **changes: object) -> Hit:
    facts: dict[str, object] = {
        "video_id": video_id,
        "title": "T",
        "at_s": 75.9,
        "before": "a ",
        "match": "b",
        "after": " c",
    }
    return Hit(**(facts | changes))  # type: ignore[arg-type]  # fields by name


def test_a_time_links_to_its_moment() -> None:
    assert reader.time_link(A, 75.9) == (
        f'<a href="https://www.youtube.com/watch?v={A}&amp;t=75s" target="_blank" '
        'rel="noopener">1:15</a>'
    )


def test_a_paragraph_without_a_time_has_no_link() -> None:
    assert reader.transcript_html([Paragraph("words")], A) == "<p>words</p>"


@given(st.text(max_size=60))
def test_no_words_become_markup(words: str) -> None:
    text = f"<script>{words}</script>"
    shown = reader.transcript_html([Paragraph(text)], A)
    assert shown.count("<") == 2  # the paragraph's own
    marked = reader.hits_html([hit(before=text, match=text, after=text, at_s=None)])
    assert marked.count("<") == 4  # the paragraph's and the mark's


def test_a_long_transcript_comes_in_parts_that_lose_nothing() -> None:
    sentences = [f"Sentence number {n} has {'many ' * 100}words." for n in range(150)]
    parts = reader.parts_of(book(sentences))
    assert len(parts) == 3
    assert all(len(part) <= reader.PART for part in parts)
    assert sum(each.text.count("Sentence") for part in parts for each in part) == 150


def test_the_part_of_a_moment_is_found() -> None:
    parts = [[Paragraph("a", 0.0), Paragraph("b", 50.0)], [Paragraph("c", 100.0)]]
    assert [reader.part_at(parts, at_s) for at_s in (None, 0.0, 99.9, 100.0, 1e6)] == [
        0,
        0,
        0,
        1,
        1,
    ]
    assert reader.part_at([], 5.0) == 0


def test_silence_has_no_parts() -> None:
    assert reader.parts_of(book([])) == []


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Found(), "This session has no transcripts yet."),
        (Found(looked_at=3, of=3), "Nothing found in 3 transcripts."),
        (Found(hits=(hit(),), videos=1, looked_at=3, of=3), "1 place in 1 video, of 3 transcripts"),
        (
            Found(hits=(hit(), hit()), videos=1, looked_at=3, of=9, is_cut=True),
            "only the first 3 of 9 transcripts were looked at",
        ),
        (
            Found(hits=(hit(), hit()), videos=1, looked_at=9, of=9, is_cut=True),
            "Some videos have more than is shown",
        ),
    ],
)
def test_what_a_search_gave_is_said(found: Found, words: str) -> None:
    assert words in reader.found_text(found)


def test_hits_are_grouped_by_video_in_order() -> None:
    found = Found(hits=(hit(), hit(), hit(B)))
    assert [(video, len(hits)) for video, hits in reader.by_video(found)] == [(A, 2), (B, 1)]


def test_the_facts_name_source_language_and_words() -> None:
    assert reader.facts_of(book(["one two"])) == [
        "From captions of YouTube (by machine)",
        "Language en",
        "2 words",
    ]
