"""Text out of bytes: which encoding a file is in, and whether it is text at all."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, TextIO

from bulk_transcribe.clients.safe_text import short
from bulk_transcribe.errors import InputError

#: A text of 50,000 links with titles has 10 million bytes; ten times as much is still read.
MOST_BYTES: Final = 100_000_000
_CHUNK_BYTES: Final = 1 << 20

#: Longest first: UTF-32's little-endian mark begins with that of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_KINDS: Final = (
    (b"PK\x03\x04", "an Excel or zip file", "If it is from Excel, name it .xlsx."),
    (b"\xd0\xcf\x11\xe0", "an old Office file", "Save it as .xlsx or .csv."),
    (b"%PDF", "a PDF", "Copy the links out of it into a .txt file."),
    (b"\x1f\x8b", "a compressed file", "Unpack it first."),
    (b"\x89PNG", "a picture", ""),
    (b"\xff\xd8\xff", "a picture", ""),
)


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a text file in whatever common encoding it is, line ends as they stand.

    UTF-8, UTF-16 and UTF-32 with a mark, else UTF-8 if it is valid, else what Windows writes in
    western Europe (cp1252), else Latin-1, which fits anything.

    Raises:
        InputError: the file is too big, or it is not text.
        OSError: it cannot be read.
    """
    if path.stat().st_size > MOST_BYTES:
        raise _too_big(path.name)
    with path.open("rb") as stream:
        encoding = _encoding_of(stream, path.name)
        stream.seek(0)
        yield io.TextIOWrapper(stream, encoding=encoding, errors="replace", newline="")


def text_of(stream: TextIO, name: str) -> TextIO:
    """An open text, such as standard input, read to its end; its bytes are decoded as a file's.

    Raises:
        InputError: it is too big, or it is not text.
        OSError: it cannot be read.
    """
    if not isinstance(stream, io.TextIOWrapper):
        return stream  # text already
    content = io.BytesIO(stream.buffer.read(MOST_BYTES + 1))
    if content.getbuffer().nbytes > MOST_BYTES:
        raise _too_big(name)
    encoding = _encoding_of(content, name)
    content.seek(0)
    return io.TextIOWrapper(content, encoding=encoding, errors="replace", newline="")


def _encoding_of(stream: BinaryIO, name: str) -> str:
    start = stream.read(4)
    for mark, encoding in _MARKS:
        if start.startswith(mark):
            return encoding
    for magic, kind, next_step in _KINDS:
        if start.startswith(magic):
            raise InputError(
                f"{short(name)} is {kind}, not text.", next_step=next_step, code="not_text"
            )
    stream.seek(0)
    fitting = {
        encoding: codecs.getincrementaldecoder(encoding)() for encoding in ("utf-8", "cp1252")
    }
    while fitting:
        chunk = stream.read(_CHUNK_BYTES)
        if b"\0" in chunk:
            raise InputError(
                f"{short(name)} is not text.",
                next_step="Give a .txt, .csv, .tsv, .json or .xlsx file.",
                code="not_text",
            )
        for encoding, decoder in tuple(fitting.items()):
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError:
                del fitting[encoding]
        if not chunk:
            break
    return next(iter(fitting), "latin-1")


def _too_big(name: str) -> InputError:
    return InputError(
        f"{short(name)} has more than {MOST_BYTES // 1_000_000} million bytes.",
        next_step="Split it into smaller files.",
        code="too_big",
    )
