"""What a link means, and the ids inside links. Pure; nothing is asked of YouTube."""

import re
from dataclasses import dataclass
from typing import Final, Literal

from bulk_transcribe.clients.safe_text import short
from bulk_transcribe.core.video import watch_url
from bulk_transcribe.errors import InputError

#: What a watch link that also names a playlist stands for.
Prefer = Literal["video", "playlist"]

_ID_LENGTH: Final = 11
_VIDEO_ID: Final = re.compile(r"[0-9A-Za-z_-]{11}")
_ID_RUN: Final = re.compile(r"[0-9A-Za-z_-]*")
_CHANNEL_ID: Final = re.compile(r"UC[0-9A-Za-z_-]{22}")
#: The shortest list ids are a letter pair and a video id (13); 64 leaves room for what may come.
_LIST_ID: Final = re.compile(r"[0-9A-Za-z_-]{13,64}")
#: List ids that cannot be anything else, even where no address stands round them.
_CERTAIN_LIST_ID: Final = re.compile(
    r"PL(?:[0-9A-F]{16}|[0-9A-Za-z_-]{32})|(?:UU|FL)[0-9A-Za-z_-]{22}"
    r"|UU(?:LF|SH|LV)[0-9A-Za-z_-]{22}|OLAK5uy_[0-9A-Za-z_-]{33}"
)
#: YouTube allows letters of any script, digits and . _ - · in a handle, 30 of them.
_HANDLE: Final = re.compile(r"@[\w.·-]{1,30}")
_NAME: Final = re.compile(r"[\w.·-]{1,100}")
_WORD_OR_NUMBER: Final = re.compile(
    r"[a-z]{2,}(?:[_-][a-z]{2,})*|[A-Z]{2,}(?:[_-][A-Z]{2,})*|[A-Z][a-z]+(?:[_-][A-Z]?[a-z]+)*"
    r"|[0-9_-]+"
)

_PERSONAL_LISTS: Final = {
    "WL": "Watch later",
    "LL": "Liked videos",
    "LM": "Liked music",
    "HL": "History",
}


@dataclass(frozen=True)
class VideoLink:
    """One video."""

    video_id: str


@dataclass(frozen=True)
class PlaylistLink:
    """A playlist, or a channel's uploads ("UU…")."""

    playlist_id: str


@dataclass(frozen=True)
class ChannelLink:
    """All uploads of a channel: "UC…", "@handle", "c/name" or "user/name"."""

    channel: str


Link = VideoLink | PlaylistLink | ChannelLink


def is_video_id(text: str) -> bool:
    """Whether the text has the form of a video id."""
    return _VIDEO_ID.fullmatch(text) is not None


def is_like_a_word(text: str) -> bool:
    """Whether 11 characters look like a word or a number more than like a video id.

    "documentary", "well-formed", "hello_world", "Mississippi" and "01234567890" do. Of all
    possible ids, about three in ten thousand look so as well.
    """
    return _WORD_OR_NUMBER.fullmatch(text) is not None


def video_of(raw: str) -> VideoLink:
    """The video whose id stands at the beginning of a piece of an address.

    What follows the id may be anything that cannot belong to it, such as "&feature=share" or a
    full stop.

    Raises:
        InputError: the id has another length than 11.
    """
    found = _ID_RUN.match(raw)
    run = found.group() if found else ""
    if len(run) == _ID_LENGTH:
        return VideoLink(run)
    if len(run) > _ID_LENGTH:
        raise InputError(
            f"The video id {short(run, 40)!r} is too long: {len(run)} characters instead of 11.",
            next_step="Copy the link again; something is stuck to its end.",
            code="bad_video_id",
        )
    if not run:
        raise InputError(
            "The link has no video id.",
            next_step=f"A link to a video looks like {watch_url('jNQXAC9IVRw')}.",
            code="bad_video_id",
        )
    raise InputError(
        f"The video id {run!r} is cut off: {len(run)} characters instead of 11.",
        next_step="Copy the whole link again.",
        code="bad_video_id",
    )


def playlist_of(list_id: str) -> PlaylistLink:
    """The playlist with this id.

    Raises:
        InputError: it is a mix, a personal list, or no list id at all.
    """
    if list_id in _PERSONAL_LISTS:
        raise InputError(
            f"{list_id} is your list {_PERSONAL_LISTS[list_id]!r}, which only you can see.",
            next_step="Copy its videos to an unlisted playlist and use that link.",
            code="private_list",
        )
    if list_id.startswith("RD"):
        raise InputError(
            f"{short(list_id, 40)} is a mix: YouTube makes it up for each viewer, without end.",
            next_step="Save its videos to a playlist of your own and use that link.",
            code="endless_list",
        )
    if _CHANNEL_ID.fullmatch(list_id):
        raise InputError(
            f"{list_id} is the id of a channel, not of a playlist.",
            next_step=f"For all its uploads use https://www.youtube.com/channel/{list_id}.",
            code="bad_list_id",
        )
    if not _LIST_ID.fullmatch(list_id):
        raise InputError(
            f"{short(list_id, 40)!r} is not a whole playlist id.",
            next_step="Copy the playlist's link again: https://www.youtube.com/playlist?list=PL…",
            code="bad_list_id",
        )
    return PlaylistLink(list_id)


def video_or_list(raw_id: str | None, list_id: str | None, prefer: Prefer) -> Link | None:
    """What an address with a video id, a list id or both stands for; None without either.

    Where the playlist is preferred but cannot be had (a mix), the video counts.

    Raises:
        InputError: what is there cannot be used.
    """
    if list_id and (prefer == "playlist" or not raw_id):
        try:
            return playlist_of(list_id)
        except InputError:
            if not raw_id:
                raise
    return video_of(raw_id) if raw_id else None


def channel_of_id(channel_id: str) -> ChannelLink:
    """The channel with this "UC…" id.

    Raises:
        InputError: it is no channel id.
    """
    if not _CHANNEL_ID.fullmatch(channel_id):
        raise InputError(
            f"{short(channel_id, 40)!r} is not a channel id: UC and 22 more characters.",
            next_step="Copy the channel's link again, or use its @handle.",
            code="bad_channel",
        )
    return ChannelLink(channel_id)


def channel_of_handle(handle: str) -> ChannelLink:
    """The channel with this "@handle".

    Raises:
        InputError: it is no handle.
    """
    if not _HANDLE.fullmatch(handle):
        raise InputError(
            f"{short(handle, 40)!r} is not a channel's handle.",
            next_step="A handle looks like @jawed: letters, digits and . _ - up to 30.",
            code="bad_channel",
        )
    return ChannelLink(handle)


def channel_of_name(kind: Literal["c", "user"], name: str) -> ChannelLink:
    """The channel with an old-style name.

    Raises:
        InputError: it is no name.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{short(name, 40)!r} is not a channel's name.",
            next_step="Use the channel's @handle.",
            code="bad_channel",
        )
    return ChannelLink(f"{kind}/{name}")


def certain_list_or_channel(text: str) -> PlaylistLink | ChannelLink | None:
    """The list or channel whose naked id or @handle this is, or None."""
    if _CHANNEL_ID.fullmatch(text) or _HANDLE.fullmatch(text):
        return ChannelLink(text)
    return PlaylistLink(text) if _CERTAIN_LIST_ID.fullmatch(text) else None
