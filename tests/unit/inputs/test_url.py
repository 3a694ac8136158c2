import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bulk_transcribe.errors import InputError
from bulk_transcribe.inputs.url import (
    ChannelLink,
    Link,
    PlaylistLink,
    Prefer,
    VideoLink,
    read_link,
)

ID = "dQw4w9WgXcQ"
LIST = "PLrAXtmErZgOeiKm4sgNOknGvNjby9efdf"
CHANNEL = "UC4QobU6STFB0P71PMvOGN5A"
ZERO_WIDTH = "\u200b"
BOM = "\ufeff"

SIGN_IN = (
    "https://accounts.google.com/ServiceLogin?continue=https%3A%2F%2Fwww.youtube.com%2Fsignin"
    f"%3Fnext%3D%252Fwatch%253Fv%253D{ID}"
)

VIDEO_FORMS = [
    f"https://www.youtube.com/watch?v={ID}",
    f"https://www.youtube.com/watch?t=90&si=x&pp=y&feature=share&ab_channel=z&v={ID}",
    f"https://www.youtube.com/watch?v={ID}&index=3&list={LIST}",
    f"https://www.youtube.com/watch/?v={ID}",
    f"https://www.youtube.com/watch/{ID}",
    f"https://www.youtube.com/?v={ID}",
    f"https://www.youtube.com/watch_popup?v={ID}",
    f"https://youtu.be/{ID}?si=abc&t=90",
    f"https://youtu.be/{ID}#t=90",
    f"https://youtu.be/{ID}?list={LIST}",
    f"https://youtu.be/{ID}&feature=share",
    f"https://youtu.be/watch?v={ID}",
    f"https://www.youtu.be/{ID}/",
    f"https://youtube.com/shorts/{ID}?feature=share",
    f"https://www.youtube.com/live/{ID}?si=x",
    f"https://www.youtube.com/embed/{ID}?start=90",
    f"https://www.youtube.com/v/{ID}",
    f"https://www.youtube.com/e/{ID}",
    f"https://m.youtube.com/watch?v={ID}",
    f"https://m.youtube.com/#/watch?v={ID}",
    f"https://music.youtube.com/watch?v={ID}&list=RDAMVM{ID}",
    f"https://gaming.youtube.com/watch?v={ID}",
    f"https://de.youtube.com/watch?v={ID}",
    f"https://www.youtube-nocookie.com/embed/{ID}",
    f"https://www.youtubekids.com/watch?v={ID}",
    f"https://youtube.googleapis.com/v/{ID}",
    f"https://studio.youtube.com/video/{ID}/edit",
    f"https://yewtu.be/watch?v={ID}",
    f"https://yewtu.be/{ID}",
    f"https://piped.video/watch?v={ID}",
    f"http://www.youtube.com/watch?v={ID}",
    f"HTTP://WWW.YOUTUBE.COM/watch?v={ID}",
    f"https://www.youtube.com:443/watch?v={ID}",
    f"http://www.youtube.com:80/watch?v={ID}",
    f"https://www.youtube.com./watch?v={ID}",
    f"//www.youtube.com/watch?v={ID}",
    f"www.youtube.com/watch?v={ID}",
    f"youtube.com/watch?v={ID}",
    f"youtu.be/{ID}",
    f"https:/www.youtube.com/watch?v={ID}",
    rf"https:\\www.youtube.com\watch?v={ID}",
    f"/watch?v={ID}",
    f"watch?v={ID}",
    f"?v={ID}",
    f"v={ID}",
    f"https://www.youtube.com/watch&v={ID}",
    f"https://www.youtube.com/watch?v={ID}?si=abc",
    f"https://www.youtube.com/watch?list={LIST}&amp;v={ID}",
    f"https://www.youtube.com/watch?list={LIST}&amp;amp;v={ID}",
    f"https://www.youtube.com/watch?list={LIST}&#38;v={ID}",
    f"https://www.youtube.com/attribution_link?a=x&u=%2Fwatch%3Fv%3D{ID}%26feature%3Dshare",
    f"https://consent.youtube.com/m?continue=https%3A%2F%2Fwww.youtube.com%2Fwatch%3Fv%3D{ID}&gl=DE",
    SIGN_IN,
    f"https://www.google.com/url?sa=t&url=https%3A%2F%2Fyoutu.be%2F{ID}",
    f"https://www.google.co.uk/url?q=https://www.youtube.com/watch%3Fv%3D{ID}&sa=U",
    f"https://www.youtube.com/oembed?url=https%3A%2F%2Fyoutu.be%2F{ID}&format=json",
    f"https://www.youtube.com/redirect?q=https%3A%2F%2Fyoutu.be%2F{ID}",
    f"https://l.facebook.com/l.php?u=https%3A%2F%2Fyoutu.be%2F{ID}%3Ffbclid%3Dx&h=y",
    f"<https://youtu.be/{ID}>",
    f"(https://youtu.be/{ID})",
    f"https://youtu.be/{ID}.",
    f"https://youtu.be/{ID}),",
    f'"https://youtu.be/{ID}"',
    f"“https://youtu.be/{ID}”",
    f"**https://youtu.be/{ID}**",
    f"[a talk](https://youtu.be/{ID})",
    f'[a talk](<https://youtu.be/{ID}> "title")',
    f'<a href="https://youtu.be/{ID}">a talk</a>',
    f"{BOM}https://youtu.be/{ID}",
    f"https://you{ZERO_WIDTH}tu.be/{ID}{ZERO_WIDTH}",
    f"  https://youtu.be/{ID}\u00a0\r\n",
    f'=HYPERLINK("https://youtu.be/{ID}";"a talk")',
    f'="{ID}"',
    f"'{ID}",
    ID,
    f"{ID}.",
]


@pytest.mark.parametrize("text", VIDEO_FORMS)
def test_every_form_of_a_video_link_gives_the_same_video(text: str) -> None:
    assert read_link(text) == VideoLink(ID)


@pytest.mark.parametrize("video_id", ["-abcdefghi1", "_abcdefghi1", "abcdefghi1-", "abcdefghi1_"])
@pytest.mark.parametrize(
    "form",
    ["{}", "'{}", '="{}"', "https://youtu.be/{}", "https://youtu.be/{}.", "(youtu.be/{})", "<{}>"],
)
def test_an_id_may_begin_and_end_with_a_dash_or_an_underscore(video_id: str, form: str) -> None:
    assert read_link(form.format(video_id)) == VideoLink(video_id)


def test_markdown_escapes_inside_an_id_are_undone() -> None:
    assert read_link(r"https://youtu.be/abc\_def\-gh1") == VideoLink("abc_def-gh1")


@pytest.mark.parametrize(
    "text",
    [
        f"https://www.youtube.com/playlist?list={LIST}",
        f"https://www.youtube.com/watch?list={LIST}",
        f"https://www.youtube.com/embed/videoseries?list={LIST}",
        f"https://www.youtube.com/embed?listType=playlist&list={LIST}",
        f"https://music.youtube.com/browse/VL{LIST}",
        f"https://studio.youtube.com/playlist/{LIST}/videos",
        f"https://youtu.be/playlist?list={LIST}",
        LIST,
    ],
)
def test_every_form_of_a_playlist_link_gives_the_same_playlist(text: str) -> None:
    assert read_link(text) == PlaylistLink(LIST)


@pytest.mark.parametrize("list_id", ["UU" + CHANNEL[2:], "OLAK5uy_" + "a" * 33, "FL" + CHANNEL[2:]])
def test_uploads_favourites_and_albums_are_playlists(list_id: str) -> None:
    assert read_link(list_id) == PlaylistLink(list_id)
    assert read_link(f"https://youtube.com/playlist?list={list_id}") == PlaylistLink(list_id)


@pytest.mark.parametrize(
    ("prefer", "link"), [("video", VideoLink(ID)), ("playlist", PlaylistLink(LIST))]
)
@pytest.mark.parametrize(
    "form",
    [
        "https://www.youtube.com/watch?v={}&list={}",
        "https://youtu.be/{}?list={}",
        "https://www.youtube.com/embed/{}?list={}",
    ],
)
def test_a_video_within_a_playlist_is_what_the_policy_says(
    form: str, prefer: Prefer, link: Link
) -> None:
    assert read_link(form.format(ID, LIST), prefer=prefer) == link


@pytest.mark.parametrize("prefer", ["video", "playlist"])
@pytest.mark.parametrize("list_id", [f"RD{ID}", "WL", "LL", "LM", "x"])
def test_a_list_that_cannot_be_had_leaves_the_video(list_id: str, prefer: Prefer) -> None:
    link = read_link(f"https://www.youtube.com/watch?v={ID}&list={list_id}", prefer=prefer)
    assert link == VideoLink(ID)


@pytest.mark.parametrize(
    ("text", "channel"),
    [
        ("https://www.youtube.com/@jawed", "@jawed"),
        ("https://www.youtube.com/@jawed/videos", "@jawed"),
        ("youtube.com/@a.b-c_d·e/shorts", "@a.b-c_d·e"),
        ("https://www.youtube.com/@%E3%83%86%E3%82%B9%E3%83%88/live", "@テスト"),
        ("https://www.youtube.com/@テスト", "@テスト"),
        ("@jawed", "@jawed"),
        (f"https://www.youtube.com/channel/{CHANNEL}", CHANNEL),
        (f"https://www.youtube.com/channel/{CHANNEL}/streams?view=1", CHANNEL),
        (f"https://studio.youtube.com/channel/{CHANNEL}/videos", CHANNEL),
        (CHANNEL, CHANNEL),
        ("https://www.youtube.com/c/SomeName/playlists", "c/SomeName"),
        ("https://www.youtube.com/user/jawed", "user/jawed"),
        ("https://www.youtube.com/jawed", "c/jawed"),
        ("https://www.youtube.com/jawed/videos", "c/jawed"),
    ],
)
def test_every_form_of_a_channel_link_gives_the_channel(text: str, channel: str) -> None:
    assert read_link(text) == ChannelLink(channel)


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("https://www.youtube.com/watch?v=dQw4w9WgXcQx", "bad_video_id", "12 characters"),
        ("https://www.youtube.com/watch?v=dQw4w9WgXc", "bad_video_id", "cut off: 10"),
        ("https://youtu.be/dQw4w9WgXcQx", "bad_video_id", "12 characters"),
        ("https://www.youtube.com/shorts/abc", "bad_video_id", "cut off: 3"),
        ("https://www.youtube.com/watch?v=%20", "bad_video_id", "no video id"),
        ("dQw4w9WgXc", "bad_video_id", "has 10 characters"),
        ("documentary", "ambiguous_id", "watch?v=documentary"),
        ("Mississippi", "ambiguous_id", "word"),
        ("well-formed", "ambiguous_id", "word"),
        ("hello_world", "ambiguous_id", "word"),
        ("20261124123", "ambiguous_id", "number"),
        ("", "not_a_link", "neither"),
        ("some words", "not_a_link", "line of its own"),
        (f"{ID} and more", "not_a_link", "line of its own"),
        (f"https://youtu.be/{ID} https://youtu.be/{ID}", "not_a_link", "blank"),
        ("#NAME?", "not_a_link", "spreadsheet"),
        ("#DIV/0!", "not_a_link", "spreadsheet"),
        ("htp://youtu.be/dQw4w9WgXcQ", "not_a_link", "https://"),
        ("https://[::1", "not_a_link", "not an address"),
        ("https://youtube.com:99999999/", "not_a_link", "not an address"),
        ("https://" + "a" * 5000, "not_a_link", "5,008 characters"),
        (f"https://www.youtube.com.evil.example/watch?v={ID}", "not_youtube", "evil.example"),
        (f"https://evil.example/youtube.com/watch?v={ID}", "not_youtube", "evil.example"),
        (f"https://notyoutube.com/watch?v={ID}", "not_youtube", "notyoutube.com"),
        (f"https://youtube.com@evil.example/watch?v={ID}", "not_youtube", "evil.example"),
        (rf"https://evil.example\@youtube.com/watch?v={ID}", "not_youtube", "evil.example"),
        (f"https://xyoutu.be/{ID}", "not_youtube", "xyoutu.be"),
        (f"https://youtu.be.evil.example/{ID}", "not_youtube", "evil.example"),
        (f"https://www.youtube.com:8080/watch?v={ID}", "not_youtube", "8080"),
        ("https://vimeo.com/76979871", "not_youtube", "vimeo.com"),
        ("https://www.youtube.com/redirect?q=https%3A%2F%2Fexample.com", "not_youtube", "example"),
        ("https://www.google.com/url?q=example", "not_youtube", "example"),
        ("https://www.google.com/search?hl=en", "not_a_video", "carries no link"),
        ("https://www.youtube.com", "not_a_video", "names no video"),
        ("https://www.youtube.com/watch", "not_a_video", "names no video"),
        ("https://youtu.be/", "not_a_video", "names no video"),
        ("https://www.youtube.com/clip/UgkxabcdefG", "not_a_video", "clip"),
        ("https://www.youtube.com/post/UgkxabcdefG", "not_a_video", "post"),
        ("https://www.youtube.com/results?search_query=x", "not_a_video", "search"),
        ("https://www.youtube.com/hashtag/x", "not_a_video", "hashtag"),
        ("https://www.youtube.com/feed/history", "not_a_video", "viewer"),
        ("https://www.youtube.com/source/abc/shorts", "not_a_video", "sound"),
        ("https://www.youtube.com/shorts/", "not_a_video", "shorts"),
        ("https://www.youtube.com/premium", "not_a_video", "no video"),
        ("https://www.youtube.com/howyoutubeworks/our-commitments", "not_a_video", "no video"),
        ("https://support.youtube.com/x", "not_a_video", "no video"),
        (f"https://www.youtube.com/{ID}", "not_a_video", f"watch?v={ID}"),
        (f"https://i.ytimg.com/vi/{ID}/hq.jpg", "not_a_video", f"watch?v={ID}"),
        (f"https://img.youtube.com/vi/{ID}/0.jpg", "not_a_video", "picture"),
        ("https://studio.youtube.com/", "not_a_video", "Studio"),
        ("https://www.youtube.com/embed/videoseries", "not_a_video", "names no video"),
        (
            f"https://www.youtube.com/embed/live_stream?channel={CHANNEL}",
            "not_a_video",
            f"youtube.com/channel/{CHANNEL}",
        ),
        ("https://www.youtube.com/playlist", "bad_list_id", "missing"),
        ("https://www.youtube.com/playlist?list=PL", "bad_list_id", "whole"),
        (f"https://www.youtube.com/playlist?list={CHANNEL}", "bad_list_id", "channel"),
        ("https://www.youtube.com/playlist?list=WL", "private_list", "Watch later"),
        ("https://www.youtube.com/playlist?list=LL", "private_list", "Liked videos"),
        ("https://music.youtube.com/playlist?list=LM", "private_list", "Liked music"),
        (f"https://www.youtube.com/watch?list=RD{ID}", "endless_list", "mix"),
        (f"https://www.youtube.com/playlist?list=RDMM{ID}", "endless_list", "mix"),
        ("https://www.youtube.com/channel/UCshort", "bad_channel", "UC"),
        ("https://www.youtube.com/channel/", "bad_channel", "UC"),
        ("https://www.youtube.com/@", "bad_channel", "handle"),
        ("https://www.youtube.com/@" + "a" * 31, "bad_channel", "30"),
        ("https://www.youtube.com/c/", "bad_channel", "name"),
    ],
)
def test_what_is_no_link_is_refused_with_reason_and_remedy(text: str, code: str, says: str) -> None:
    with pytest.raises(InputError, match=re.escape(says)) as refusal:
        read_link(text)
    assert refusal.value.code == code
    assert len(str(refusal.value)) < 300


def test_a_column_of_ids_settles_what_a_word_means() -> None:
    assert read_link("documentary", is_id=True) == VideoLink("documentary")


def test_ids_differ_in_letter_case() -> None:
    assert read_link("youtu.be/DQW4w9WgXcQ") != read_link(f"youtu.be/{ID}")


def test_wrappings_without_end_are_refused() -> None:
    url = f"https://youtu.be/{ID}"
    for _ in range(5):
        url = f"https://www.google.com/url?q={url.replace('%', '%25').replace('&', '%26')}"
    assert read_link(url) == VideoLink(ID)
    with pytest.raises(InputError, match="carries no link"):
        read_link(f"https://www.google.com/url?q={url.replace('%', '%25')}")


fragments = st.sampled_from(
    [
        *("https://", "//", "www.", "youtube.com", "youtu.be", "/", "?", "&", "=", "#", "@", "%"),
        *("watch", "v=", "list=", "RD", "WL", "embed", "videoseries", "live_stream", "redirect"),
        *("q=", "u=", "continue=", "google.com/url", ID, LIST, CHANNEL, "[", "](", ")", "<", ">"),
        *("&amp;", "\\", "'", '="', "=HYPERLINK(", "\u200b", "\ufeff", " ", ":", ":80", "\0"),
        *(
            "\ud800",
            "\uff05",
            "\u3002",
            "\uff28\uff34\uff34\uff30",
            "\u2100",
            "%00",
            "%ff",
            "..",
            "::",
            "[::1]",
        ),
    ]
)


@given(st.one_of(st.text(), st.lists(fragments, max_size=14).map("".join)))
@example("https://www.youtube.com\u2100/watch?v=dQw4w9WgXcQ")
@example("https://www.youtube.com/watch?" + "&" * 200 + "v=dQw4w9WgXcQ")
def test_any_text_is_a_link_or_an_input_error(text: str) -> None:
    link: Link | InputError
    try:
        link = read_link(text)
    except InputError as error:
        link = error
    if isinstance(link, InputError):
        assert link.message
    elif isinstance(link, VideoLink):
        assert re.fullmatch(r"[0-9A-Za-z_-]{11}", link.video_id)
    elif isinstance(link, PlaylistLink):
        assert re.fullmatch(r"[0-9A-Za-z_-]{13,64}", link.playlist_id)
    else:
        assert 2 <= len(link.channel) <= 110


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "piece", ["[", "](", "<", "a.", "https://", "href=", "&amp;", "=", "%25", "-", "\\", "#", "'"]
)
def test_no_long_text_holds_the_reader_up(piece: str) -> None:
    for text in (piece * (4096 // len(piece)), piece * 200_000):
        with pytest.raises(InputError):
            read_link(text)


@given(st.from_regex(r"[0-9A-Za-z_-]{11}", fullmatch=True))
def test_any_video_id_in_a_link_comes_out_again(video_id: str) -> None:
    for form in ("https://www.youtube.com/watch?v={}", "youtu.be/{}?t=1", "youtube.com/shorts/{}"):
        assert read_link(form.format(video_id)) == VideoLink(video_id)
