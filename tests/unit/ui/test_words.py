"""Foreign text stays text: nothing in it may become a link, a format, a formula or an icon."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.core.stage import Stage
from bulk_transcribe.save.session import SessionStatus
from bulk_transcribe.ui import words
from bulk_transcribe.ui.words import one_line, plain

JOINER = "\u2060"
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "**bold** _italic_ ~~gone~~ `code`",
    "[click](javascript:alert(1))",
    "![](http://127.0.0.1/pixel.png)",
    "$x^2$ and $$y$$",
    ":red[danger] :material/delete: :smile: :streamlit:",
    "# heading",
    "1. list",
    "- item",
    "> quote",
    "| a | b |\n|---|---|",
    "https://evil.example www.evil.example me@evil.example",
    "a -> b <- c <-> d -- e >= f ~= g",
    "&lt;b&gt; &#42; &copy;",
    "back\\slash \\* \\[x]",
    "line\nbreak\r\ttab\x00null\x1b[31mred\u202eright-to-left",
    "Ende. 100 %! ünïcödé 日本 🎉",
)


def shown(escaped: str) -> str:
    """What CommonMark makes of the escapes: `\\x` is x for each ASCII punctuation mark x."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", escaped).replace(JOINER, "")


@pytest.mark.parametrize("text", HOSTILE)
def test_it_is_shown_as_it_is(text: str) -> None:
    assert shown(plain(text)) == one_line(text, 200)


@given(text=st.text(max_size=300))
def test_every_mark_is_escaped_and_nothing_is_lost(text: str) -> None:
    escaped = plain(text)
    assert shown(escaped) == one_line(text, 200)
    bare = re.sub(r"\\[!-/:-@\[-`{-~]", "", escaped)
    assert not set(bare) & set(string.punctuation)


@pytest.mark.parametrize(
    "word", [":smile:", "https://", "www.", "me@evil", "->", "<-", "--", ">=", "~=", ":material/"]
)
def test_what_is_replaced_in_finished_text_is_parted(word: str) -> None:
    """Emoji words, addresses and arrows are found after the escapes are gone."""
    after_escapes = re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", plain(f"a {word} b"))
    assert word not in after_escapes


def test_nothing_is_nothing_and_long_text_is_cut() -> None:
    assert plain(None) == plain("") == plain("\n\t") == ""
    assert one_line("x" * 300, 200) == "x" * 199 + "…"
    assert plain("y" * 300, 10) == "y" * 9 + "…"


def test_every_state_has_its_word() -> None:
    assert set(words.STAGES) == set(Stage)
    assert set(words.STATUSES) == set(SessionStatus)
    assert len(set(words.STAGES.values())) == len(Stage)
