from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Any

import frontmatter
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulk_transcribe.core.transcript import Segment, Transcript
from bulk_transcribe.core.video import VideoItem, VideoMetadata
from bulk_transcribe.save.export.markdown import clock_text, escape, to_markdown

NOW = datetime(2026, 11, 24, 23, 59, tzinfo=UTC)
VIDEO_ID = "dQw4w9WgXcQ"
hostile = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def note(
    item: VideoItem, metadata: VideoMetadata | None = None, *segments: Segment, text: str = ""
) -> tuple[dict[str, Any], str]:
    transcript = Transcript(
        video_id=VIDEO_ID, source="captions", text=text, segments=segments, language="en"
    )
    written = to_markdown(item, metadata, transcript, transcribed_at=NOW, tags=["transcript"])
    read = frontmatter.loads(written)
    return read.metadata, read.content


@given(hostile, hostile, st.dictionaries(hostile, hostile, max_size=4))
@example("---", "no", {"title": "mine", "input_title": "also mine"})
@example("x: y # \"z\" 'q'", "0123", {"": "", "  ": "12:34"})
@example("null", "2026-01-01", {"k" * 200: "- a\n- b", "k" * 201: "~"})
@example("../\0\x85\u2028\u202e", "yes", {"<<": "=", "content": "x", "handler": "y"})
def test_any_title_and_column_comes_back_from_the_front_matter(
    title: str, channel: str, extra: dict[str, str]
) -> None:
    item = VideoItem(video_id=VIDEO_ID, title=title, channel=channel, extra=MappingProxyType(extra))
    facts, body = note(item, None, Segment(0, 1, "Hi."))
    assert facts["title"] == (" ".join(title.split()) or VIDEO_ID)
    assert facts.get("channel", "") == " ".join(channel.split())
    assert facts["video_id"] == VIDEO_ID
    ours = {"title", "video_id", "url", "channel", "language", "source", "transcribed", "tags"}
    columns = [value for name, value in facts.items() if name not in ours]
    assert columns == list(extra.values())
    assert body.startswith("# ")
    assert body.endswith("Hi.")


def test_the_whole_note() -> None:
    item = VideoItem(video_id=VIDEO_ID, title="mine", extra=MappingProxyType({"Week": "3"}))
    metadata = VideoMetadata(
        video_id=VIDEO_ID,
        title="YouTube's",
        channel="Chan",
        published_at=datetime(2009, 10, 25, 6, tzinfo=UTC),
        duration_s=3_754.0,
        language="de",
    )
    segments = [Segment(61.9, 63, "word " * 40), Segment(3_700, 3_702, "The end.")]
    facts, body = note(item, metadata, *segments)
    assert facts == {
        "title": "YouTube's",
        "video_id": VIDEO_ID,
        "url": f"https://www.youtube.com/watch?v={VIDEO_ID}",
        "channel": "Chan",
        "published": date(2009, 10, 25),
        "duration": "1:02:34",
        "duration_s": 3_754,
        "language": "en",
        "source": "captions",
        "transcribed": date(2026, 11, 24),
        "tags": ["transcript"],
        "Week": "3",
    }
    url = f"https://www.youtube.com/watch?v={VIDEO_ID}"
    assert body.split("\n\n") == [
        "# YouTube's",
        f"[Watch on YouTube]({url})",
        f"[1:01]({url}&t=61s) {('word ' * 40).strip()}",
        f"[1:01:40]({url}&t=3700s) The end.",
    ]


def test_words_without_times_have_no_stamps_and_silence_says_so() -> None:
    item = VideoItem(video_id=VIDEO_ID)
    assert note(item, text="One.\n\n# Two")[1].split("\n\n")[2:] == ["One.", "\\# Two"]
    assert "No speech" in note(item)[1]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("[Music] *so* _x_ `c` <b> \\", r"\[Music\] \*so\* \_x\_ \`c\` \<b> \\"),
        ("$5 and $6", r"\$5 and \$6"),
        ("#1 is #tag, C# is not", r"\#1 is \#tag, C# is not"),
        ("~~a~~ ==b== %%c%%", r"\~~a\~~ \==b\== \%%c\%%"),
        ("AT&T &amp; &#35; & co", r"AT&T \&amp; \&\#35; & co"),
        ("1. one", r"1\. one"),
        ("1.5 is fine", "1.5 is fine"),
        ("- dash", r"\- dash"),
        ("> quote", r"\> quote"),
        ("plain, (text): 50% off!", "plain, (text): 50% off!"),
    ],
)
def test_markdown_shows_the_words_as_they_stand(text: str, shown: str) -> None:
    assert escape(text) == shown


def test_times_are_written_as_players_show_them() -> None:
    assert [clock_text(at_s) for at_s in (0, 59, 60, 3_599, 3_600, 360_000)] == [
        "0:00",
        "0:59",
        "1:00",
        "59:59",
        "1:00:00",
        "100:00:00",
    ]
