"""Other people's words, made safe to store and to print."""

import re

#: NUL cannot be stored by PostgreSQL; a lone surrogate (JSON can spell one) cannot be encoded.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_BLANKS = re.compile(r"\s+")


def safe_text(text: str) -> str:
    """The text without what a file or a database cannot hold; most texts are unchanged."""
    return _UNSTORABLE.sub("", text)


def one_line(text: str) -> str:
    """Safe text on one line: runs of blanks and line ends become one space; "" stays ""."""
    return _BLANKS.sub(" ", safe_text(text)).strip()


def short(text: str, limit: int = 200) -> str:
    """One line of at most `limit` characters, for a message."""
    line = one_line(text)
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
