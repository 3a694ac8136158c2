"""The page "Results": read transcripts, search in all of them, take them along."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import streamlit as st

from bulk_transcribe.app.library import Book, Found, OnWork, Packed
from bulk_transcribe.config import FORMATS
from bulk_transcribe.core.figures import count
from bulk_transcribe.core.video import watch_url
from bulk_transcribe.errors import BulkTranscribeError, OutputError
from bulk_transcribe.ui import reader
from bulk_transcribe.ui.background import Background, News
from bulk_transcribe.ui.context import PageContext, choose
from bulk_transcribe.ui.drafts import FORMATS_HELP, Tell
from bulk_transcribe.ui.paging import page_of
from bulk_transcribe.ui.scratch import Scratch
from bulk_transcribe.ui.telling import tell_error, wait_for
from bulk_transcribe.ui.words import one_line, plain

_KEY: Final = "results"
_READ, _SEARCH, _TAKE = "Read", "Search", "Download"
#: Titles to choose from at once, sessions likewise; a search narrows titles down.
_MOST_TITLES: Final = 200
_MOST_SESSIONS: Final = 50
_HITS_A_PAGE: Final = 20
_MIME: Final = {
    "md": "text/markdown",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
    "txt": "text/plain",
    "json": "application/json",
}


@dataclass
class _Desk:
    """What one browser tab does with one session. It goes when another session is chosen."""

    session_id: str
    scratch: Scratch = field(default_factory=Scratch)
    words: str = ""
    searching: Background[Found] | None = None
    packing: Background[Packed] | None = None
    packs: int = 0
    formats: tuple[str, ...] = ()
    video_id: str | None = None  # asked for by a hit
    at_s: float | None = None


def render(page: PageContext) -> None:
    """Draw it."""
    st.title("Results", anchor=False)
    if page.missing_id:
        st.warning(f"There is no session {plain(page.missing_id, 60)}.")
    if page.session_id is None:
        st.markdown("Transcripts can be read here once a batch has run.")
        if st.button("New batch", type="primary", icon=":material/add_circle:"):
            page.go("new", None)
        return
    session_id = _session_choice(page, page.session_id)
    desk = _desk(session_id)
    if not page.library.shelf(session_id, most=1).total:
        _nothing_yet(page, session_id)
        return
    view = st.segmented_control(
        "View",
        [_READ, _SEARCH, _TAKE],
        default=_READ,
        required=True,
        key="results_view",
        label_visibility="collapsed",
    )
    if view == _SEARCH:
        _search_view(page, desk)
    elif view == _TAKE:
        _download_view(page, desk)
    else:
        _read_view(page, desk)


def _desk(session_id: str) -> _Desk:
    found = st.session_state.get(_KEY)
    if not isinstance(found, _Desk) or found.session_id != session_id:
        if isinstance(found, _Desk):
            for job in (found.searching, found.packing):
                if job is not None:
                    job.cancel()
        found = st.session_state[_KEY] = _Desk(session_id=session_id)
    return found


def _session_choice(page: PageContext, session_id: str) -> str:
    infos = {info.session_id: info for info in page.store.newest_sessions(_MOST_SESSIONS)}
    ids = list(infos) if session_id in infos else [session_id, *infos]

    def words(each: str) -> str:
        info = infos.get(each)
        if info is None:
            return each
        name = f"{one_line(info.name, 60)}, " if info.name else ""
        made = f"{info.created_at.astimezone():%d %b %Y, %H:%M}"
        return f"{name}{made}: {info.totals.done:,} of {info.totals.total:,} done"

    chosen = st.selectbox(
        "Batch", ids, index=ids.index(session_id), format_func=words, key=f"batch_{session_id}"
    )
    if chosen != session_id:
        choose(chosen)
        st.query_params.pop("video", None)
        st.rerun()
    return chosen


def _nothing_yet(page: PageContext, session_id: str) -> None:
    info = page.sessions.open_session(session_id).info()
    if info.is_live:
        st.info("No transcript yet: the batch is running.", icon=":material/hourglass_top:")
    else:
        st.info("This batch has no transcripts.", icon=":material/info:")
    if st.button("See the batch", icon=":material/monitoring:"):
        page.go("monitor", session_id)


def _read_view(page: PageContext, desk: _Desk) -> None:
    left, right = st.columns([2, 5], gap="medium")
    with left:
        video_id = _video_choice(page, desk)
        book = page.library.book(desk.session_id, video_id) if video_id else None
        if book is not None:
            _about(page, book)
    with right:
        if video_id is None:
            st.caption("No finished video fits.")
        elif book is None:
            st.warning(
                "The transcript of this video is no longer in the store.", icon=":material/info:"
            )
        else:
            _words(desk, book)


def _video_choice(page: PageContext, desk: _Desk) -> str | None:
    wanted = desk.video_id or st.query_params.get("video")
    search = st.text_input(
        "Find a video",
        key=f"find_{desk.session_id}",
        placeholder="title, channel or id",
        icon=":material/search:",
    )
    shelf = page.library.shelf(desk.session_id, search=search.strip(), most=_MOST_TITLES)
    titles = {title.video_id: title.title for title in shelf.titles}
    if wanted and wanted not in titles and not search:
        book = page.library.book(desk.session_id, wanted)
        if book is not None:
            titles = {wanted: book.title} | titles
    if not titles:
        return None
    ids = list(titles)
    chosen: str = st.selectbox(
        "Video",
        ids,
        index=ids.index(wanted) if wanted in titles else 0,
        format_func=lambda video_id: one_line(titles[video_id], 100) or video_id,
        key=f"video_{desk.session_id}_{search}_{wanted}",
    )
    if shelf.total > len(shelf.titles):
        st.caption(f"The first {len(shelf.titles):,} of {shelf.total:,}: search to narrow down.")
    if chosen != wanted:
        desk.at_s = None
    return chosen


def _about(page: PageContext, book: Book) -> None:
    st.link_button("Watch on YouTube", watch_url(book.item.video_id), icon=":material/play_circle:")
    for line in reader.facts_of(book):
        st.caption(plain(line))
    with st.container(horizontal=True, gap="small"):
        for name in FORMATS:
            st.download_button(
                f".{name}",
                data=partial(page.library.file, book, name),
                file_name=page.library.file_name(book, name),
                mime=_MIME[name],
                key=f"take_{book.item.video_id}_{name}",
                on_click="ignore",
                help=f"Download this transcript as .{name}",
            )


def _words(desk: _Desk, book: Book) -> None:
    st.subheader(plain(book.title, 300) or book.item.video_id, anchor=False)
    parts = reader.parts_of(book)
    if not parts:
        st.caption("No speech was found in this video.")
        return
    number = 1
    if len(parts) > 1:
        start = reader.part_at(parts, desk.at_s) + 1
        number = st.number_input(
            f"Part of {len(parts)}",
            min_value=1,
            max_value=len(parts),
            value=start,
            key=f"part_{book.item.video_id}_{start}",
            width=160,
        )
    st.html(reader.transcript_html(parts[number - 1], book.item.video_id))


def _search_view(page: PageContext, desk: _Desk) -> None:
    with st.form("search_form", border=False):
        left, right = st.columns([5, 1], vertical_alignment="bottom")
        key = f"words_{desk.session_id}"
        # by its key the box stays the same one, and the focus and what is typed stay in it: a box
        # with another start value is a new box, made under the hands of the one who types
        st.session_state.setdefault(key, desk.words)
        words = left.text_input(
            "Search in all transcripts of this batch", key=key, placeholder="words as spoken"
        )
        is_asked = right.form_submit_button("Search", icon=":material/search:", width="stretch")
    if is_asked and words.strip():
        if desk.searching is not None:
            desk.searching.cancel()
        desk.words = words.strip()
        desk.searching = Background(partial(_search, page, desk.session_id, desk.words)).start()
    if desk.searching is None:
        st.caption("Letter case does not matter. Each place links to its moment in the video.")
        return
    desk.searching.wait(0.3)
    if not desk.searching.is_over:
        wait_for(desk.searching, _searching_text)
        return
    try:
        _show_found(desk, desk.searching.result())
    except BulkTranscribeError as error:
        tell_error(error)


def _show_found(desk: _Desk, found: Found) -> None:
    if found.is_cut:
        st.warning(reader.found_text(found), icon=":material/info:")
    else:
        st.caption(reader.found_text(found))
    groups = reader.by_video(found)
    number = page_of(len(groups), _HITS_A_PAGE, key=f"hits_{desk.words}", width=160)
    for video_id, hits in groups[(number - 1) * _HITS_A_PAGE : number * _HITS_A_PAGE]:
        with st.container(border=True, gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{plain(hits[0].title, 150) or video_id}**", width="stretch")
                st.button(
                    "Read",
                    key=f"open_{video_id}",
                    icon=":material/description:",
                    on_click=partial(_open, desk, video_id, hits[0].at_s),
                )
            st.html(reader.hits_html(hits))


def _open(desk: _Desk, video_id: str, at_s: float | None) -> None:
    """Read this video next, at this moment."""
    desk.video_id, desk.at_s = video_id, at_s
    st.session_state["results_view"] = _READ
    st.session_state[f"find_{desk.session_id}"] = ""


def _download_view(page: PageContext, desk: _Desk) -> None:
    total = page.library.shelf(desk.session_id, most=1).total
    formats = st.pills(
        "Files for each video",
        FORMATS,
        selection_mode="multi",
        default=["md"],
        key=f"formats_{desk.session_id}",
        help=FORMATS_HELP,
    )

    is_busy = desk.packing is not None and not desk.packing.wait(0.3)
    is_asked = st.button(
        f"Make a ZIP of {count(total, 'video')}",
        disabled=not formats or is_busy,
        icon=":material/folder_zip:",
        type="primary",
        key="pack",
    )
    if is_asked and formats and not is_busy:
        desk.formats = tuple(formats)
        desk.packs += 1
        folder = desk.scratch.folder / str(desk.packs)  # a cancelled one may still write its own
        path = folder / f"transcripts-{desk.session_id}.zip"
        work = partial(_pack, page, desk.session_id, desk.formats, path)
        desk.packing = Background(work).start()
        st.rerun()
    if not formats:
        st.caption("Choose at least one format.")
    if desk.packing is None:
        return
    if is_busy:
        wait_for(desk.packing, _packing_text)
        return
    try:
        packed = desk.packing.result()
    except BulkTranscribeError as error:
        tell_error(error)
        return
    size = packed.path.stat().st_size / 1e6
    st.success(
        f"{count(packed.videos, 'video')}, {', '.join(desk.formats)}, {size:,.1f} MB",
        icon=":material/check:",
    )
    if packed.without_transcript:
        gone = count(packed.without_transcript, "transcript")
        st.warning(f"{gone} of this batch are no longer in the store.", icon=":material/info:")
    st.download_button(
        "Download the ZIP",
        data=packed.path.read_bytes,
        file_name=packed.path.name,
        mime="application/zip",
        on_click="ignore",
        icon=":material/download:",
        key="take_zip",
    )


def _told(tell: Tell, what: str) -> OnWork:
    def told(done: int, of: int, /) -> None:
        tell(what, done, of)

    return told


def _search(page: PageContext, session_id: str, words: str, tell: Tell) -> Found:
    return page.library.search(session_id, words, on_work=_told(tell, "transcripts"))


def _pack(
    page: PageContext, session_id: str, formats: tuple[str, ...], path: Path, tell: Tell
) -> Packed:
    try:
        for old in path.parent.parent.glob("*/*.zip"):
            old.unlink(missing_ok=True)
        path.parent.mkdir()
        told = _told(tell, "transcripts")
        return page.library.pack(session_id, formats, path, on_work=told)
    except OSError as error:
        raise OutputError(
            f"The ZIP cannot be written: {error.strerror or type(error).__name__}.",
            next_step="Make room on the disk for temporary files.",
        ) from error


def _searching_text(news: News) -> str:
    return f"Searching: {news.done:,} of {count(news.of or 0, 'transcript')}"


def _packing_text(news: News) -> str:
    return f"Packing: {news.done:,} of {count(news.of or 0, 'video')}"
