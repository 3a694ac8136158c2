"""The status table of all videos, its filters, and a video's own story."""

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from bulk_transcribe.core.attempt import SourceAttempt
from bulk_transcribe.core.figures import count, money, short_time
from bulk_transcribe.core.job import Submission
from bulk_transcribe.core.stage import Stage
from bulk_transcribe.save.session import VideoSort
from bulk_transcribe.save.views import VideoTable
from bulk_transcribe.ui import figures, trouble, words
from bulk_transcribe.ui.context import PageContext
from bulk_transcribe.ui.paging import page_of
from bulk_transcribe.ui.reading import Overview, VideoDetail

#: Streamlit sends no more rows than this at once, and rows that are not sent cannot be chosen.
_MOST_CHOOSABLE = 1_000
_HEIGHT = 420
#: A table of so few grows with them instead of scrolling.
_FEW_ROWS = 10
_SORTS = {
    "Order of the input": (VideoSort.POSITION, False),
    "Newest first": (VideoSort.SINCE, True),
    "Title": (VideoSort.TITLE, False),
    "Shortest first": (VideoSort.DURATION, False),
    "Longest first": (VideoSort.DURATION, True),
    "Status": (VideoSort.STAGE, False),
}
_TROUBLE = (Stage.FAILED, Stage.CRASHED, Stage.IN_DOUBT, Stage.SKIPPED)
_TROUBLES_A_PAGE = 5


def draw(page: PageContext, view: Overview, *, tick_s: float | None) -> None:
    """Filters, table, the chosen video, and the videos in trouble."""
    session_id = view.info.session_id
    st.markdown("**All videos**")
    st.fragment(_all_videos, run_every=tick_s)(page, session_id)
    st.fragment(_troubles, run_every=None if tick_s is None else 3 * tick_s)(page, session_id)


def _all_videos(page: PageContext, session_id: str) -> None:
    """Filters and table: one part of the page, so that a click on a filter draws it alone."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="filters"):
        groups = st.pills(
            "Show",
            list(figures.GROUPS),
            selection_mode="multi",
            key=f"groups_{session_id}",
            label_visibility="collapsed",
            width="stretch",
        )
        search = st.text_input(
            "Search",
            key=f"search_{session_id}",
            placeholder="Search title, channel or id",
            label_visibility="collapsed",
            icon=":material/search:",
            width=280,
        )
        sort = st.selectbox(
            "Sort", list(_SORTS), key=f"sort_{session_id}", label_visibility="collapsed", width=200
        )
    by, descending = _SORTS[sort]
    stages = frozenset[Stage]().union(*(figures.GROUPS[group] for group in groups))
    with trouble.said():
        videos = page.store.table(
            session_id,
            stages=stages if groups else None,
            search=search.strip(),
            sort=by,
            descending=descending,
        )
        _draw_table(page, session_id, videos, f"{'-'.join(groups)}_{search}_{sort}")


def _draw_table(page: PageContext, session_id: str, videos: VideoTable, filters: str) -> None:
    """The table. `filters` names what was asked for: what is ticked belongs to it."""
    if not videos:
        st.caption("No video fits. Change the filters or the search.")
        return
    options = {
        "data": figures.table(videos),
        "height": _HEIGHT if len(videos) > _FEW_ROWS else "auto",
        "hide_index": True,
        "column_config": _column_config(),
        "placeholder": "",
        "alt": "All videos and where each of them is",
    }
    if len(videos) > _MOST_CHOOSABLE:
        # one and the same for all filters: the browser then fills it anew instead of making it
        st.dataframe(lazy=True, key=f"videos_{session_id}", **options)
        with st.container(key="found"):
            st.caption(
                f"{count(len(videos), 'video')}. Search or filter to {_MOST_CHOOSABLE:,} or fewer "
                "to open one."
            )
        return
    shown = st.dataframe(
        on_select="rerun",
        selection_mode="single-row",
        key=f"videos_{session_id}_{filters}",
        **options,
    )
    with st.container(key="found"):
        st.caption(f"{count(len(videos), 'video')}. Tick a row to open it.")
    _chosen(page, session_id, videos, shown.selection.rows)


def _chosen(
    page: PageContext, session_id: str, videos: VideoTable, positions: Sequence[int]
) -> None:
    """The story of the ticked row, if any."""
    if not positions or positions[0] >= len(videos):
        return
    detail = page.store.video(session_id, videos.video_id[positions[0]])
    if detail is not None:
        with st.container(border=True):
            st.markdown(f"**{words.plain(detail.state.title or detail.item.video_id, 200)}**")
            story(detail)


def _column_config() -> dict[str, object]:
    column = st.column_config
    return {
        "#": column.NumberColumn(width=50, format="%d"),
        "Title": column.TextColumn(width="large"),
        "Status": column.TextColumn(width=110),
        "Progress": column.ProgressColumn(
            width=110, format="percent", min_value=0.0, max_value=1.0
        ),
        "Length": column.NumberColumn("Length, min", width=90, format="%.1f"),
        "Took": column.NumberColumn("Took, s", width=80, format="%.0f"),
        "Source": column.TextColumn(width=80),
        "Cost": column.NumberColumn("Cost, $", width=80, format="%.4f"),
        "Why": column.TextColumn(width="large"),
        "Link": column.LinkColumn(width=80, display_text="YouTube"),
    }


def _troubles(page: PageContext, session_id: str) -> None:
    """Videos without their transcript, each with cause, next step and what was answered."""
    with trouble.said():
        total = page.store.count(session_id, _TROUBLE)
        if not total:
            return
        with st.container(horizontal=True, vertical_alignment="center", key="troubles"):
            st.markdown(f"**What went wrong: {count(total, 'video')}**", width="content")
            number = page_of(total, _TROUBLES_A_PAGE, key=f"troubles_{session_id}")
        bad = page.store.table(
            session_id,
            stages=_TROUBLE,
            offset=(number - 1) * _TROUBLES_A_PAGE,
            limit=_TROUBLES_A_PAGE,
        )
        for video_id, title, stage, error in zip(
            bad.video_id, bad.title, bad.stage, bad.error, strict=True
        ):
            label = f"{words.plain(title or video_id, 80)} · {words.STAGES[Stage(stage)]}"
            label += f": {words.plain(error, 100)}" if error else ""
            with st.expander(label, key=f"trouble_{video_id}"):
                detail = page.store.video(session_id, video_id)
                if detail is not None:
                    story(detail)


def story(detail: VideoDetail) -> None:
    """One video: why it is where it is, what to do, what was tried and paid."""
    state, receipt = detail.state, detail.receipt
    facts = [words.STAGES[state.stage]]
    if state.duration_s is not None:
        facts.append(f"{short_time(state.duration_s)} long")
    if state.source:
        facts.append(f"from {words.plain(state.source)}")
    facts.append(f"{count(receipt.requests_sent, 'request')}")
    facts.append(f"spent {words.plain(money(receipt.spent_usd))}")
    if detail.item.origin:
        facts.append(f"asked for in {words.plain(detail.item.origin, 80)}")
    st.caption(" · ".join(facts))
    if state.error:
        st.markdown(words.plain(state.error, 1_000))
    if state.next_step:
        st.markdown(f"**Next:** {words.plain(state.next_step, 600)}")
    if state.can_retry:
        st.caption("Retry can help.")
    if receipt.attempts:
        st.caption("What was tried")
        st.code(attempts_text(receipt.attempts), language=None, wrap_lines=True)
    if receipt.submissions:
        st.caption("Paid requests")
        st.code(submissions_text(receipt.submissions), language=None, wrap_lines=True)
    st.caption(f"[Open on YouTube]({state.url})")


def attempts_text(attempts: Sequence[SourceAttempt]) -> str:
    """One line a try, oldest first, with what the source answered."""
    return "\n".join(
        f"{_moment(each.started_at)}  {each.source}: "
        f"{each.outcome.value.replace('_', ' ')}"
        f" after {short_time((each.ended_at - each.started_at).total_seconds())}"
        + (f"  [{each.error_code}] {words.one_line(each.error, 2_000)}" if each.error else "")
        for each in attempts
    )


def submissions_text(submissions: Sequence[Submission]) -> str:
    """One line a paid request, oldest first."""
    return "\n".join(
        f"{_moment(each.intended_at)}  {each.state.value.replace('_', ' ')}"
        f"  request {each.request_id or 'not known'}"
        f"  quoted {money(each.quoted_usd)}, charged {money(each.charged_usd)}"
        + (f"  {words.one_line(each.detail, 2_000)}" if each.detail else "")
        for each in submissions
    )


def _moment(at: datetime | None) -> str:
    return "--:--:--" if at is None else f"{at.astimezone():%H:%M:%S}"
