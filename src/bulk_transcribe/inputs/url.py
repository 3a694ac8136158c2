"""Reads a link: any form of a YouTube address, or a naked id, to what it means. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from bulk_transcribe.clients.safe_text import short
from bulk_transcribe.core.video import watch_url
from bulk_transcribe.errors import InputError
from bulk_transcribe.inputs.cleaning import clean
from bulk_transcribe.inputs.hosts import (
    CARRIERS,
    NOT_VIDEOS,
    PAGES,
    TABS,
    WRAPPER_PAGES,
    Site,
    site_of,
)
from bulk_transcribe.inputs.links import (
    ChannelLink,
    Link,
    PlaylistLink,
    Prefer,
    VideoLink,
    certain_list_or_channel,
    channel_of_handle,
    channel_of_id,
    channel_of_name,
    is_like_a_word,
    is_video_id,
    playlist_of,
    video_of,
    video_or_list,
)

__all__ = ["ChannelLink", "Link", "PlaylistLink", "Prefer", "VideoLink", "read_link"]

#: Sign-in pages wrap an address in an address in an address; nobody needs more.
_MOST_WRAPPINGS: Final = 5
_LONGEST_LINK: Final = 4096
_MOST_PARAMETERS: Final = 100
_WEB_PORTS: Final = (None, 80, 443)

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20}):(?=//)")
_HTTP: Final = re.compile(r"https?:/{0,5}", re.IGNORECASE)
_WITHOUT_SCHEME: Final = re.compile(r"[\w-]+(?:\.[\w-]+)+\.?(?::\d{1,5})?(?=[/?#])")
_HOST_ALONE: Final = re.compile(r"[\w-]+(?:\.[\w-]+)+")
_WITHOUT_HOST: Final = re.compile(r"/?(?:watch/?\?|playlist\?|shorts/|live/|embed/)|\?v=|v=")
_NEARLY_AN_ID: Final = re.compile(r"(?=.*[0-9_-])(?=.*[A-Za-z])[0-9A-Za-z_-]{8,14}")
_VIDEO_PATHS: Final = frozenset({"shorts", "live", "embed", "v", "e"})
_WATCH_PATHS: Final = frozenset({"", "watch", "watch_popup", "movie"})
_A_VIDEO_LINK: Final = f"A link to a video looks like {watch_url('jNQXAC9IVRw')}."


@dataclass(frozen=True)
class _Address:
    """A parsed address: path in parts, first value of each parameter."""

    parts: tuple[str, ...]
    query: Mapping[str, str]
    fragment: str

    def part(self, number: int) -> str:
        return self.parts[number] if number < len(self.parts) else ""


def read_link(text: str, *, prefer: Prefer = "video", is_id: bool = False) -> Link:
    """What a link or a naked id means.

    Args:
        text: One link or id, with whatever clings to it: quotes, brackets, Markdown, a full stop.
        prefer: What a watch link that also names a playlist stands for.
        is_id: The place says that it is an id (a column "video_id"), so that a naked
            "documentary" is not taken for a word.

    Raises:
        InputError: it is something else; the message says what is wrong, `next_step` what would
            be right.
    """
    if len(text) > _LONGEST_LINK:
        raise InputError(f"This is {len(text):,} characters long, no link is.", code="not_a_link")
    link = clean(text)
    if address := _as_address(link):
        return _read_address(address, prefer, 0)
    return _read_naked(link, is_id=is_id)


def _as_address(text: str) -> str | None:
    """The text as an absolute https address; None where it is not an address at all."""
    text = text.replace("\\", "/")  # as browsers read them
    if match := _HTTP.match(text):
        return f"https://{text[match.end() :]}"
    if match := _SCHEME.match(text):
        raise InputError(
            f"{short(text, 80)!r} begins with {match.group(1)}:// instead of https://.",
            next_step=_A_VIDEO_LINK,
            code="not_a_link",
        )
    if text.startswith("//"):
        return f"https:{text}"
    if _WITHOUT_SCHEME.match(text) or (_HOST_ALONE.fullmatch(text) and site_of(text.lower())):
        return f"https://{text}"
    if _WITHOUT_HOST.match(text):
        query = "watch?" if text.startswith("v=") else "watch" if text.startswith("?") else ""
        return f"https://www.youtube.com/{query}{text.removeprefix('/')}"
    return None


def _read_address(url: str, prefer: Prefer, wrappings: int) -> Link:
    if re.search(r"\s", url):
        raise InputError(
            f"{short(url, 80)!r} has a blank inside.",
            next_step="Put each link on a line of its own.",
            code="not_a_link",
        )
    try:
        parsed = urlsplit(url)
        host, port = parsed.hostname, parsed.port
        query = parse_qsl(parsed.query, max_num_fields=_MOST_PARAMETERS)
    except ValueError as error:
        raise InputError(
            f"{short(url, 80)!r} is not an address that can be read.",
            next_step=_A_VIDEO_LINK,
            code="not_a_link",
        ) from error
    site = site_of(host or "")
    if site is None or port not in _WEB_PORTS:
        shown = f"{host}:{port}" if site is not None else host or url
        raise InputError(
            f"{short(shown, 80)!r} is not YouTube.",
            next_step=_A_VIDEO_LINK,
            code="not_youtube",
        )
    parts = tuple(unquote(part) for part in parsed.path.split("/") if part)
    address = _Address(parts, dict(reversed(query)), parsed.fragment)
    if site is Site.WRAPPER or (site is Site.YOUTUBE and address.part(0).lower() in WRAPPER_PAGES):
        return _unwrap(address, prefer, wrappings)
    return _read_site(site, address, prefer)


def _unwrap(address: _Address, prefer: Prefer, wrappings: int) -> Link:
    target = next((address.query[name] for name in CARRIERS if name in address.query), None)
    if target is None or wrappings == _MOST_WRAPPINGS:
        raise InputError(
            "This page carries no link to a video.",
            next_step="Open it and copy the address of the video.",
            code="not_a_video",
        )
    target = target.strip()
    is_relative = target.startswith("/") and not target.startswith("//")
    inner = f"https://www.youtube.com{target}" if is_relative else _as_address(target)
    if inner is None:
        raise InputError(
            f"This page carries {short(target, 80)!r}, which is not a link to a video.",
            next_step=_A_VIDEO_LINK,
            code="not_youtube",
        )
    return _read_address(inner, prefer, wrappings + 1)


def _read_site(site: Site, address: _Address, prefer: Prefer) -> Link:
    match site:
        case Site.STUDIO:
            return _read_studio(address)
        case Site.IMAGES:
            raise _image_refusal(address)
        case Site.OTHER_YOUTUBE:
            raise _refusal("This is a page of YouTube that shows no video.")
        case Site.SHORT if address.part(0) and address.part(0).lower() not in (
            PAGES | _VIDEO_PATHS | {"channel", "c", "user"}
        ):
            if not address.part(0).startswith("@"):
                found = video_or_list(address.part(0), address.query.get("list"), prefer)
                return found or video_of(address.part(0))
    return _read_youtube(address, prefer)


def _read_youtube(address: _Address, prefer: Prefer) -> Link:
    head, _, stuck = address.part(0).partition("&")
    kind = head.lower()
    if stuck and kind == "watch":  # "watch&v=…": the question mark was lost
        address = _Address((head,), dict(parse_qsl(stuck)) | dict(address.query), "")
    if kind in _WATCH_PATHS:
        return _read_watch(address, prefer)
    if kind in _VIDEO_PATHS:
        return _read_video_path(kind, address, prefer)
    if kind == "playlist" and "list" in address.query:
        return playlist_of(address.query["list"])
    return _read_channel(kind, address)


def _read_watch(address: _Address, prefer: Prefer) -> Link:
    raw_id = address.query.get("v") or address.part(1)  # "/watch/ID" is met, too
    if found := video_or_list(raw_id or None, address.query.get("list"), prefer):
        return found
    old_style = re.match(r"!?/?watch\?(.*)|!(v=.*)", address.fragment)
    if old_style:
        query = dict(parse_qsl(old_style.group(1) or old_style.group(2)))
        if found := video_or_list(query.get("v"), query.get("list"), prefer):
            return found
    raise _refusal("This address of YouTube names no video.")


def _read_video_path(kind: str, address: _Address, prefer: Prefer) -> Link:
    raw_id, list_id = address.part(1), address.query.get("list")
    if raw_id == "live_stream":  # has the form of a video id
        channel = address.query.get("channel", "UC…")
        raise InputError(
            "This shows whatever the channel streams just now, not a certain video.",
            next_step="Use the video's own link, or "
            f"https://www.youtube.com/channel/{short(channel, 40)} for all of the channel.",
            code="not_a_video",
        )
    if raw_id == "videoseries":  # likewise
        raw_id = ""
    if found := video_or_list(raw_id or address.query.get("v"), list_id, prefer):
        return found
    if kind in NOT_VIDEOS:
        what, right = NOT_VIDEOS[kind]
        raise InputError(f"This is {what}.", next_step=right, code="not_a_video")
    raise _refusal("This address names no video.")


def _read_channel(kind: str, address: _Address) -> Link:
    name = address.part(1)
    if kind.startswith("@"):
        return channel_of_handle(address.part(0))
    if kind == "channel":
        return channel_of_id(name)
    if kind in {"c", "user"}:
        return channel_of_name("c" if kind == "c" else "user", name)
    if kind == "browse":  # YouTube Music
        return playlist_of(name[2:]) if name.startswith("VL") else channel_of_id(name)
    if kind in NOT_VIDEOS:
        what, right = NOT_VIDEOS[kind]
        raise InputError(f"This is {what}.", next_step=right, code="not_a_video")
    if kind == "playlist":
        raise InputError(
            "The playlist's id is missing.",
            next_step="Copy the whole link: https://www.youtube.com/playlist?list=PL…",
            code="bad_list_id",
        )
    if is_video_id(address.part(0)) and not is_like_a_word(address.part(0)):
        raise InputError(
            "This is not the address of a video, though it ends in what looks like an id.",
            next_step=f"Perhaps you meant {watch_url(address.part(0))}.",
            code="not_a_video",
        )
    if kind in PAGES or (len(address.parts) > 1 and name.lower() not in TABS):
        raise _refusal("This is a page of YouTube that shows no video.")
    return channel_of_name("c", address.part(0))


def _read_studio(address: _Address) -> Link:
    match address.parts:
        case ("video", raw_id, *_):
            return video_of(raw_id)
        case ("playlist", list_id, *_):
            return playlist_of(list_id)
        case ("channel", channel_id, *_):
            return channel_of_id(channel_id)
        case _:
            raise _refusal("This page of YouTube Studio names no video.")


def _image_refusal(address: _Address) -> InputError:
    video_id = next((part for part in address.parts if is_video_id(part)), "")
    return InputError(
        "This is a picture, not a video.",
        next_step=f"If you want its video, use {watch_url(video_id)}."
        if video_id
        else _A_VIDEO_LINK,
        code="not_a_video",
    )


def _read_naked(text: str, *, is_id: bool) -> Link:
    if is_video_id(text):
        if is_like_a_word(text) and not is_id:
            raise InputError(
                f"{text!r} could be a video id, but looks like a word or a number.",
                next_step=f"If you mean the video, write {watch_url(text)}.",
                code="ambiguous_id",
            )
        return VideoLink(text)
    if found := certain_list_or_channel(text):
        return found
    if text.startswith("#") and text.strip("#/0!?").isupper():  # #NAME?, #REF!, #DIV/0!
        raise InputError(
            f"{short(text, 40)!r} is an error of the spreadsheet.",
            next_step="It may have taken an id that begins with - or = for a formula: "
            "use the full link instead.",
            code="not_a_link",
        )
    if _NEARLY_AN_ID.fullmatch(text):
        raise InputError(
            f"{text!r} has {len(text)} characters; a video id has 11.",
            next_step="Copy the id or the whole link again.",
            code="bad_video_id",
        )
    has_words = len(text.split()) > 1
    raise InputError(
        "This is neither a YouTube link nor a video id.",
        next_step="Put each link or id on a line of its own." if has_words else _A_VIDEO_LINK,
        code="not_a_link",
    )


def _refusal(what: str) -> InputError:
    return InputError(what, next_step=_A_VIDEO_LINK, code="not_a_video")
