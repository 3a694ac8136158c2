"""Takes off what clings to a link that was copied: quotes, brackets, invisible characters."""

import re
from typing import Final

#: Zero-width marks, soft hyphen, marks of writing direction, byte order mark, control characters.
_INVISIBLE: Final = dict.fromkeys(
    [
        *range(0x20),
        *range(0x7F, 0xA0),
        0xAD,
        0x61C,
        0x180E,
        *range(0x200B, 0x2010),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2070),
        0xFEFF,
    ]
)
for _blank in "\t\n\v\f\r\x1c\x1d\x1e\x1f\x85":
    del _INVISIBLE[ord(_blank)]  # these part words
_AMPERSAND: Final = re.compile(r"&(?:amp;|#0{0,4}38;|#[xX]0{0,4}26;)+")
_MARKDOWN_ESCAPE: Final = re.compile(r"\\([_*&~.()#\[\]-])")
_MARKDOWN_LINK: Final = re.compile(r"\]\(\s*<?([^)\s>]+)")
_HTML_LINK: Final = re.compile(r"href\s{0,9}=\s{0,9}[\"']?([^\"'\s>]+)", re.IGNORECASE)
#: A text formula such as ="-abcdefghij" or =HYPERLINK("https://…";"title").
_FORMULA: Final = re.compile(r"=\s{0,9}(?:HYPERLINK\s{0,9}\(\s{0,9})?\"([^\"]+)\"", re.IGNORECASE)
_LATIN_AROUND: Final = " \t\r\n\v\f\xa0\"'`´<>()[]{}«»“”„‘’‚*|,;:!.?…"  # noqa: RUF001 -- meant
#: Punctuation of Chinese and Japanese, which ends an address without a blank.
WIDE_PUNCTUATION: Final = "\u3000、。，；：！？「」『』【】《》（）"  # noqa: RUF001 -- meant


def visible(text: str) -> str:
    """The text without characters that nobody can see."""
    return text.translate(_INVISIBLE)


def clean(text: str) -> str:
    r"""The link or id inside one piece of text; "" where nothing is left.

    Undoes HTML's "&amp;" and Markdown's "\_", opens "[title](link)", `<a href="link">` and
    spreadsheet formulas, and takes off quotes, brackets and punctuation round the rest. What an id
    can begin or end with, "-" and "_", stays.
    """
    text = _AMPERSAND.sub("&", visible(text)).strip()
    text = _MARKDOWN_ESCAPE.sub(r"\1", text)
    for wrapping, found in (
        ("](", _MARKDOWN_LINK.search),
        ("href", _HTML_LINK.search),
        ("=", _FORMULA.match),
    ):
        if wrapping in text.lower() and (match := found(text)):
            text = match.group(1)
    return text.strip(_LATIN_AROUND + WIDE_PUNCTUATION)
