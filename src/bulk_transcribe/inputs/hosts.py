"""Which hosts show YouTube's videos, and which of YouTube's pages are not videos."""

import enum
import re
from collections.abc import Mapping
from typing import Final


class Site(enum.Enum):
    """What the addresses of a host look like."""

    YOUTUBE = "youtube"
    SHORT = "short"  # the first part of the path may be a video id: youtu.be and mirrors
    STUDIO = "studio"
    IMAGES = "images"
    WRAPPER = "wrapper"  # carries another address
    OTHER_YOUTUBE = "other"  # help, blog and the like


_DOMAINS: Final = ("youtube.com", "youtube-nocookie.com", "youtubekids.com")
#: Two letters are the old pages by country, such as de.youtube.com.
_SUBDOMAIN: Final = re.compile(r"(?:www|m|music|gaming|tv|[a-z]{2})\.")
#: Invidious and Piped: other pages for the same videos, known under these names.
_MIRRORS: Final = frozenset(
    """
    yewtu.be inv.nadeko.net invidious.nerdvpn.de invidious.fdn.fr invidious.snopyta.org
    invidious.kavin.rocks invidious.tiekoetter.com invidious.flokinet.to invidious.privacydev.net
    invidious.projectsegfau.lt invidious.io.lol invidious.lunar.icu invidious.slipfox.xyz
    invidious.site invidious.tube invidious.xyz redirect.invidious.io invidio.us inv.riverside.rocks
    inv.vern.cc inv.tux.pizza iv.ggtyler.dev iv.melmac.space vid.puffyan.us vid.priv.au
    yt.artemislena.eu
    piped.video piped.kavin.rocks piped.mha.fi piped.yt piped.private.coffee piped.adminforge.de
    """.split()  # noqa: SIM905 -- one string is easier to read
)
_SITES: Final[Mapping[str, Site]] = {
    "youtu.be": Site.SHORT,
    "y2u.be": Site.SHORT,
    "youtube.googleapis.com": Site.YOUTUBE,
    "studio.youtube.com": Site.STUDIO,
    "consent.youtube.com": Site.WRAPPER,
    "accounts.youtube.com": Site.WRAPPER,
    "accounts.google.com": Site.WRAPPER,
    "consent.google.com": Site.WRAPPER,
    "l.facebook.com": Site.WRAPPER,
    "lm.facebook.com": Site.WRAPPER,
    "l.instagram.com": Site.WRAPPER,
    "img.youtube.com": Site.IMAGES,
}
_IMAGES: Final = re.compile(r"i[1-4]?\.ytimg\.com")
_GOOGLE: Final = re.compile(r"google\.(?:[a-z]{2,3}|com?\.[a-z]{2})")

#: Where a wrapper keeps the address that it carries.
CARRIERS: Final = ("continue", "next", "next_url", "url", "q", "u")
#: YouTube's own pages that carry an address.
WRAPPER_PAGES: Final = frozenset(
    {"attribution_link", "redirect", "oembed", "signin", "servicelogin", "verify_age"}
    | {"supported_browsers", "das_captcha"}
)

_A_LIST_WITHOUT_END: Final = "Open it and copy the links of the videos you want."
#: First part of the path -> (what it is, what would be right).
NOT_VIDEOS: Final[Mapping[str, tuple[str, str]]] = {
    "clip": ("a clip, whose address does not tell the video", "Open it and copy the video's link."),
    "post": ("a post", "Copy the link of the video in it."),
    "results": ("a page of search results", _A_LIST_WITHOUT_END),
    "search": ("a page of search results", _A_LIST_WITHOUT_END),
    "hashtag": ("a hashtag's page", _A_LIST_WITHOUT_END),
    "feed": ("a page made for one viewer", _A_LIST_WITHOUT_END),
    "source": ("a page of a sound", _A_LIST_WITHOUT_END),
    "show": ("a show's page", "Use the links of its playlists."),
    "watch_videos": ("a list made up on the fly", "Use the links of its videos."),
    "shorts": ("the shorts feed", _A_LIST_WITHOUT_END),
    "live": ("a page of live streams", _A_LIST_WITHOUT_END),
    "community": ("a page of posts", "Copy the link of the video in it."),
}
#: Pages of YouTube that are not channels, although their address looks like an old channel name.
PAGES: Final = frozenset(
    """
    about account ads api app apps artists audiolibrary browse channels charts clip comment
    copyright creators csi_204 dashboard dev embed error explore feed feeds gaming getalbumart
    handle hashtag howyoutubeworks iframe_api index intl jobs kids learning live logout media
    movies music my_videos new news oembed originals paid_memberships partners player playlist
    podcasts post premium press privacy profile purchases reporthistory results rss s safety
    search settings shop shorts show source sports static storefront subscription_center
    subscription_manager t tech testtube trends trending tv upload vr watch watch_videos yt yts
    """.split()  # noqa: SIM905 -- one string is easier to read
)
#: What may follow a channel's name.
TABS: Final = frozenset(
    """
    about channels community courses discussion featured live playlists podcasts posts releases
    search shorts store streams videos
    """.split()  # noqa: SIM905 -- one string is easier to read
)


def site_of(host: str) -> Site | None:
    """What kind of site a host is; None where it does not belong to YouTube.

    Args:
        host: The parsed host in lower case, so that a look-alike cannot pass.
    """
    host = host.removesuffix(".")
    bare = host.removeprefix("www.")
    if bare in _SITES:
        return _SITES[bare]
    if bare in _MIRRORS:
        return Site.SHORT
    if _IMAGES.fullmatch(host):
        return Site.IMAGES
    if _GOOGLE.fullmatch(bare):
        return Site.WRAPPER
    for domain in _DOMAINS:
        if host == domain or (
            host.endswith(f".{domain}") and _SUBDOMAIN.fullmatch(host.removesuffix(domain))
        ):
            return Site.YOUTUBE
    return Site.OTHER_YOUTUBE if host.endswith(".youtube.com") else None
