"""File names: readable, safe on every file system, one for each video, and lasting."""

import re
import unicodedata
from collections.abc import Iterable

from pathvalidate import sanitize_filename

#: Bytes of UTF-8 for the title. With the id and the ending a name stays below 143 bytes, the
#: least that a file system in use allows (eCryptfs, https://ecryptfs.org; most allow 255).
MAX_TITLE_BYTES = 110

_VIDEO_ID = re.compile(r"[A-Za-z0-9_-]{1,24}")
_STEM = re.compile(r"(?:.* )?\((?P<video_id>[A-Za-z0-9_-]{1,24})\)(?:-\d+)?", re.DOTALL)
#: Left out of names: these turn the reading direction, so that a name looks like another one.
_DIRECTION_MARKS = dict.fromkeys(
    [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
)
#: Left out of names: notes that are called so cannot be linked to.
_NOT_IN_LINKS = str.maketrans(dict.fromkeys("#^[]|", " "))
#: Windows takes these for devices, also with any ending ("nul.notes (id).md").
_DEVICE = re.compile(
    r"^(con|prn|aux|nul|clock\$|com[0-9¹²³]|lpt[0-9¹²³])(?=\s*(\.|$))", re.IGNORECASE
)


def safe_title(title: str) -> str:
    """The part of a title that may stand in a file name on Windows, macOS and Linux.

    Cut at `MAX_TITLE_BYTES`, between characters. "" where nothing is left.
    """
    text = unicodedata.normalize("NFC", title.encode("utf-8", "replace").decode("utf-8"))
    text = text.translate(_DIRECTION_MARKS).translate(_NOT_IN_LINKS)
    text = " ".join(text.split())
    text = sanitize_filename(text, platform="universal", replacement_text=" ")
    text = " ".join(text.split()).lstrip(" .-~")  # hidden files, and names that look like options
    text = _DEVICE.sub(r"\1_", text)
    return text.encode("utf-8")[:MAX_TITLE_BYTES].decode("utf-8", "ignore").rstrip(" .")


def stem_of(title: str, video_id: str, number: int = 1) -> str:
    """The name "Title (video_id)", or "(video_id)" without a usable title.

    From `number` 2 on it has "-2" and so on behind it.

    Raises:
        ValueError: the id could lead out of the folder.
    """
    if not _VIDEO_ID.fullmatch(video_id):
        raise ValueError(f"{video_id!r} is not a video id")
    parts = [safe_title(title), f"({video_id})"]
    return " ".join(part for part in parts if part) + (f"-{number}" if number > 1 else "")


class FileNames:
    """The name of each video's files in one folder. Not thread-safe: its owner locks.

    A video keeps the name that it got first, also when its title has changed since: links to
    the file stay whole, and no second file appears beside it. Two ids that differ only in upper
    and lower case would be one file on Windows and macOS: the later one gets a number, on every
    system, because folders travel.

    Args:
        existing: Names without their endings that are in the folder already.
    """

    def __init__(self, existing: Iterable[str] = ()) -> None:
        self._stems: dict[str, str] = {}  # by video id
        self._owners: dict[str, str] = {}  # video id by what a file system may see as the same
        for stem in sorted(existing):
            match = _STEM.fullmatch(stem)
            if match is not None and match["video_id"] not in self._stems:
                self._keep(match["video_id"], stem)

    def stem(self, video_id: str, title: str) -> str:
        """The name of the video's files, without ending."""
        known = self._stems.get(video_id)
        if known is not None:
            return known
        number = 1
        while _seen_as(stem := stem_of(title, video_id, number)) in self._owners:
            number += 1
        self._keep(video_id, stem)
        return stem

    def _keep(self, video_id: str, stem: str) -> None:
        self._stems[video_id] = stem
        self._owners[_seen_as(stem)] = video_id


def _seen_as(stem: str) -> str:
    """The id and number behind the title, without case: enough to tell files apart."""
    return stem[stem.rindex("(") :].casefold()
