"""Links in JSON: a list of texts or of objects, alone or under a name such as "videos"."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from bulk_transcribe.clients.safe_text import safe_text, short
from bulk_transcribe.errors import InputError
from bulk_transcribe.inputs.entry import Entries, Entry
from bulk_transcribe.inputs.free_text import pieces, read_text
from bulk_transcribe.inputs.lines import LONGEST_LINE
from bulk_transcribe.inputs.links import Prefer
from bulk_transcribe.inputs.problem import Problem

_SHOWN: Final = 100
_LIST_NAMES: Final = ("videos", "entries", "items", "links", "urls")
#: Fields that hold a link, the surest first; the names that end in "id" hold ids.
_LINK_NAMES: Final = (
    "url",
    "video_url",
    "webpage_url",
    "link",
    "href",
    "video_id",
    "videoid",
    "youtube_id",
    "id",
    "video",
)


def read_json(text: str, origin: str, *, url_column: str | None, prefer: Prefer) -> Entries:
    """What each entry asks for; its other fields are `extra`. An empty list asks for nothing.

    Args:
        text: The whole file.
        origin: The file; an entry's place is "list.json entry 3".
        url_column: The field that holds the link; None finds it.
        prefer: What a watch link that also names a playlist stands for.

    Raises:
        InputError: it is not JSON, or there is no list in it.
    """
    for number, entry in enumerate(_entries_of(_parse(text, origin), origin), start=1):
        yield from _read_entry(entry, f"{origin} entry {number}", url_column, prefer)


def _parse(text: str, origin: str) -> Any:
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except (ValueError, RecursionError) as error:
        where = f" (line {error.lineno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InputError(
            f"{origin} is not JSON that can be read{where}.",
            next_step='Give a list: ["https://youtu.be/…", …] or [{"url": "…", …}, …].',
            code="bad_json",
        ) from error


def _entries_of(value: Any, origin: str) -> Sequence[Any]:
    if isinstance(value, dict):
        named = {name.lower(): inner for name, inner in value.items()}
        value = next((named[n] for n in _LIST_NAMES if isinstance(named.get(n), list)), None)
    if not isinstance(value, list):
        raise InputError(
            f"{origin} holds no list of videos.",
            next_step='Give a list: ["https://youtu.be/…", …] or {"videos": […]}.',
            code="bad_json",
        )
    return value


def _read_entry(entry: Any, origin: str, url_column: str | None, prefer: Prefer) -> Iterator[Entry]:
    if isinstance(entry, str):
        yield from _read_value(entry, origin, prefer)
    elif isinstance(entry, dict):
        yield from _read_object(entry, origin, url_column, prefer)
    else:
        yield _not_understood(entry, origin)


def _read_object(
    entry: Mapping[str, Any], origin: str, url_column: str | None, prefer: Prefer
) -> Iterator[Entry]:
    name = _link_name(entry, url_column)
    if name is None or not isinstance(entry[name], str):
        yield _not_understood(entry, origin)
        return
    extra = {
        safe_text(field): _text(value)
        for field, value in entry.items()
        if field != name and value not in (None, "", [], {})
    }
    is_id = name.lower().endswith("id")
    yield from _read_value(entry[name], origin, prefer, extra=extra, is_id=is_id)


def _read_value(
    text: str,
    origin: str,
    prefer: Prefer,
    *,
    extra: Mapping[str, str] | None = None,
    is_id: bool = False,
) -> Iterator[Entry]:
    if len(text) > LONGEST_LINE:
        yield _too_long(text, origin)
        return
    if not pieces(text):
        yield _not_understood(text, origin)
    yield from read_text(text, origin, None, prefer, extra=extra, is_id=is_id)


def _link_name(entry: Mapping[str, Any], url_column: str | None) -> str | None:
    wanted = (url_column.casefold(),) if url_column is not None else _LINK_NAMES
    named = {name.casefold(): name for name in reversed([*entry])}
    present = [named[name] for name in wanted if name in named]
    return next((name for name in present if entry[name]), None)


def _text(value: Any) -> str:
    return safe_text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _too_long(text: str, origin: str) -> Problem:
    return Problem(
        origin=origin,
        line=None,
        text=short(text[:_SHOWN]),
        message=f"The text is longer than {LONGEST_LINE:,} characters and was left out.",
        suggestion="Make each link an entry of its own.",
    )


def _not_understood(entry: Any, origin: str) -> Problem:
    shown = entry if isinstance(entry, str) else json.dumps(entry, ensure_ascii=False)
    return Problem(
        origin=origin,
        line=None,
        text=short(shown),
        message="This entry has no link.",
        suggestion='An entry is a text with a link, or an object with a field "url".',
    )
