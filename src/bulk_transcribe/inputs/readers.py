"""Reads files and standard input: what each asks for, entry by entry."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TextIO

from bulk_transcribe.clients.safe_text import safe_text, short
from bulk_transcribe.errors import InputError
from bulk_transcribe.inputs.csv_file import csv_rows
from bulk_transcribe.inputs.encoding import open_text, text_of
from bulk_transcribe.inputs.entry import Entries
from bulk_transcribe.inputs.excel import excel_sheets
from bulk_transcribe.inputs.free_text import read_lines
from bulk_transcribe.inputs.json_list import read_json
from bulk_transcribe.inputs.lines import lines_of
from bulk_transcribe.inputs.links import Prefer
from bulk_transcribe.inputs.sheet import read_rows

STDIN_NAME: Final = "standard input"
_NEARLY: Final[Mapping[str, str]] = {
    ".xls": "Save it as .xlsx.",
    ".xlsb": "Save it as .xlsx.",
    ".ods": "Save it as .xlsx or .csv.",
    ".numbers": "Export it as .xlsx or .csv.",
    ".doc": "Save it as plain text, .txt.",
    ".docx": "Save it as plain text, .txt.",
    ".rtf": "Save it as plain text, .txt.",
    ".pdf": "Copy the links out of it into a .txt file.",
    ".html": "Copy the links out of it into a .txt file.",
}


def read_file(path: Path, *, url_column: str | None = None, prefer: Prefer = "video") -> Entries:
    """What a file asks for, in its order, read as it is taken. An empty file asks for nothing.

    Args:
        path: A .txt, .csv, .tsv, .xlsx or .json file; letter case does not matter.
        url_column: Spreadsheet column (header, letter or number) or JSON field of the links.
        prefer: What a watch link that also names a playlist stands for.

    Raises:
        InputError: it cannot be used as a whole: missing, a folder, an unknown kind, not text,
            damaged, too big, or without a column of links. Single bad lines are problems.
    """
    read = _READERS.get(path.suffix.lower())
    name = safe_text(path.name)
    try:
        if not path.exists():
            raise missing_file(str(path))
        if path.is_dir():
            raise InputError(
                f"{short(str(path))} is a folder.",
                next_step="Name the files in it.",
                code="bad_file",
            )
        if read is None:
            raise _unknown_kind(path)
        if not path.is_file():
            raise InputError(
                f"{short(str(path))} is not a plain file.",
                next_step="Send it to standard input and give - instead.",
                code="bad_file",
            )
        yield from read(path, name, url_column, prefer)
    except OSError as error:
        raise InputError(
            f"{short(str(path))} cannot be read: {error.strerror or type(error).__name__}.",
            code="bad_file",
        ) from error


def read_stdin(
    stream: TextIO, *, url_column: str | None = None, prefer: Prefer = "video"
) -> Entries:
    """What standard input asks for: lines of links and ids, or JSON.

    Raises:
        InputError: it is not text, or too big.
    """
    try:
        text = text_of(stream, STDIN_NAME)
        lines = list(lines_of(text))
    except OSError as error:
        raise InputError(f"{STDIN_NAME} cannot be read.", code="bad_file") from error
    whole = "".join(line.text for line in lines).removeprefix("\ufeff").strip()
    if _looks_like_json(whole):
        yield from read_json(whole, STDIN_NAME, url_column=url_column, prefer=prefer)
    else:
        yield from read_lines(lines, STDIN_NAME, prefer)


def missing_file(path: str) -> InputError:
    """The error for a file that is not there."""
    return InputError(
        f"There is no file {short(path, 120)!r}.",
        next_step="Check the name and the folder.",
        code="no_file",
    )


def readable_suffixes() -> tuple[str, ...]:
    """The endings of files that can be read, such as ".csv"."""
    return tuple(_READERS)


def is_known_suffix(suffix: str) -> bool:
    """Whether files that end so are meant for us, or nearly."""
    return suffix.lower() in _READERS or suffix.lower() in _NEARLY


def _looks_like_json(text: str) -> bool:
    """A Markdown link begins with a bracket, too, so the next character tells."""
    return (
        text[:1] in {"[", "{"}
        and text[1:].lstrip()[:1] in {'"', "{", "[", "]", "}"}
        and (text[-1] in {"]", "}"})
    )


def _read_txt(path: Path, name: str, _column: str | None, prefer: Prefer) -> Entries:
    with open_text(path) as stream:
        yield from read_lines(lines_of(stream), name, prefer)


def _read_csv(path: Path, name: str, column: str | None, prefer: Prefer) -> Entries:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else None
    with open_text(path) as stream:
        rows = csv_rows(lines_of(stream), name, delimiter=delimiter)
        yield from read_rows(rows, name, url_column=column, prefer=prefer)


def _read_excel(path: Path, name: str, column: str | None, prefer: Prefer) -> Entries:
    """Every visible sheet. One without links is passed over if another has some."""
    read = False
    refusal: InputError | None = None
    with excel_sheets(path) as sheets:
        for sheet, rows in sheets:
            origin = f"{name} ({safe_text(sheet)})" if sheet else name
            try:
                for entry in read_rows(rows, origin, url_column=column, prefer=prefer):
                    read = True
                    yield entry
            except InputError as error:
                refusal = refusal or error
    if refusal is not None and not read:
        raise refusal


def _read_json(path: Path, name: str, column: str | None, prefer: Prefer) -> Entries:
    with open_text(path) as stream:
        text = stream.read()
    yield from read_json(text, name, url_column=column, prefer=prefer)


def _unknown_kind(path: Path) -> InputError:
    suffix = path.suffix.lower()
    what = f"ends in {short(suffix, 20)}" if suffix else "has no ending that tells what it is"
    return InputError(
        f"{short(path.name)} {what}, which is not read.",
        next_step=_NEARLY.get(suffix, "Give a .txt, .csv, .tsv, .xlsx or .json file."),
        code="unknown_kind",
    )


_READERS: Final[Mapping[str, Callable[[Path, str, str | None, Prefer], Entries]]] = {
    ".txt": _read_txt,
    ".md": _read_txt,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".xlsx": _read_excel,
    ".xlsm": _read_excel,
    ".json": _read_json,
}
