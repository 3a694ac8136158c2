from hypothesis import given
from hypothesis import strategies as st

from bulk_transcribe.clients.safe_text import one_line, safe_text, short


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=50))
def test_whatever_comes_can_be_encoded_and_stored(text: str) -> None:
    for clean in (safe_text(text), one_line(text), short(text, 10)):
        assert "\x00" not in clean
        clean.encode("utf-8")


def test_ordinary_text_stays_as_it_is() -> None:
    assert safe_text("Grüße\n世界 🎬") == "Grüße\n世界 🎬"


def test_one_line_has_no_line_ends_and_single_blanks() -> None:
    assert one_line(" a \n\t b\u00a0c ") == "a b c"
    assert one_line("") == ""


def test_a_long_text_is_cut_with_a_sign() -> None:
    assert short("abcdef", 4) == "abc…"
    assert short("abcd", 4) == "abcd"
