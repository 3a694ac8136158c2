"""The page "Monitor": where every video of a session is, and the buttons that steer it.

Two parts of it draw themselves anew each second, as long as an engine works: the figures with the
videos in flight, and the table. When the status changes the whole page is drawn anew.
"""

import streamlit as st

from bulk_transcribe.core.figures import count
from bulk_transcribe.save.session import SessionInfo, SessionStatus
from bulk_transcribe.ui import charts, controls, figures, status_table, trouble, words
from bulk_transcribe.ui.badge import badge
from bulk_transcribe.ui.context import PageContext, choose
from bulk_transcribe.ui.reading import Overview

#: Real seconds between two looks while an engine works, and while none does.
_TICK_S, _REST_TICK_S = 1.0, 2.0
_CHART_TICK_S = 5.0
#: Bars of videos in flight; the rest is a count, and the table has them all.
_MOST_BARS = 24
_MOST_TO_CHOOSE = 50


def render(page: PageContext) -> None:
    """Draw it."""
    if page.missing_id:
        st.warning(f"There is no session {words.plain(page.missing_id, 60)}.")
    if page.session_id is None:
        _empty(page)
        return
    view = page.store.overview(page.session_id)
    is_live = view.info.is_live
    _head(page, view)
    controls.draw(page, view)
    often_s = _TICK_S if is_live else _REST_TICK_S
    st.fragment(_now, run_every=often_s)(page, view.info.session_id, controls.face(view), [view])
    if not view.info.totals.total:
        return
    status_table.draw(page, view, tick_s=_TICK_S if is_live else None)
    seldom_s = _CHART_TICK_S if is_live else None
    st.fragment(_over_time, run_every=seldom_s)(page, view.info.session_id, is_live=is_live)


def _empty(page: PageContext) -> None:
    st.subheader("Nothing here yet")
    st.markdown(
        "Paste links, a playlist, a channel or a spreadsheet, see what it will cost and how long "
        "it will take, and start."
    )
    if st.button("New batch", type="primary", icon=":material/add_circle:"):
        page.go("new", None)


def _head(page: PageContext, view: Overview) -> None:
    info = view.info
    with st.container(horizontal=True, vertical_alignment="center", key="head"):
        st.subheader(words.plain(info.name or "Batch", 80), anchor=False, width="content")
        badge(figures.status_word(view))
        _choose(page, info)
    st.caption(
        f"{words.plain(info.session_id)} · {count(info.totals.total, 'video')} · "
        f"made {info.created_at.astimezone():%d %b %Y, %H:%M} · files in "
        f"{words.plain(info.out_dir, 200)}"
    )


def _choose(page: PageContext, info: SessionInfo) -> None:
    """A box of the newest sessions and this one, where there is more than one."""
    others = {each.session_id: each for each in page.store.newest_sessions(_MOST_TO_CHOOSE)}
    others.setdefault(info.session_id, info)
    if len(others) == 1:
        return
    ids = list(others)
    key = "session_box"
    # what is looked at can have changed elsewhere: by a link, or on another page
    st.session_state[key] = info.session_id
    st.selectbox(
        "Session",
        ids,
        format_func=lambda session_id: figures.session_name(others[session_id]),
        key=key,
        label_visibility="collapsed",
        width=280,
        on_change=lambda: choose(st.session_state[key]),
    )


def _now(
    page: PageContext, session_id: str, drawn: tuple[object, ...], first: list[Overview]
) -> None:
    """Bar, figures and the videos in flight; draws the whole page anew when the buttons change.

    Args:
        page: The context.
        session_id: The session.
        drawn: What the buttons were drawn for.
        first: The look that the rest of the page was drawn with, taken out when it was used.
    """
    with trouble.said():
        view = first.pop() if first else page.store.overview(session_id)
        if controls.face(view) != drawn:
            st.rerun(scope="app")
        _notice(view)
        with st.container(gap="xxsmall", key="overall"):
            # the words stand for themselves: the browser shows them at once, while it still loads
            # the programs of the bar, of the figures and of the table
            st.markdown(figures.overall_text(view))
            st.progress(view.info.totals.fraction)
        with st.container(horizontal=True, gap="small", key="figures"):
            for each in figures.figures(view):
                st.metric(each.label, each.value, help=each.about or None, width=each.width_px)
        _active(page, view)


def _notice(view: Overview) -> None:
    said = figures.notice(view)
    if said is None:
        return
    if said.is_trouble:
        st.warning(said.text, icon=":material/warning:")
    else:
        st.info(said.text)


def _active(page: PageContext, view: Overview) -> None:
    """One bar for each video in flight; one after the other it is one bar."""
    if not view.active:
        if view.info.status is SessionStatus.RUNNING and view.info.totals.queued:
            st.caption("Getting ready…")
        return
    now_at = page.clock.now() if view.info.is_live else None
    shown = figures.cards(view.active, now_at)[:_MOST_BARS]
    if not view.info.is_live:
        title = "Unfinished"
    elif view.pulse is not None and view.pulse.slots == 1:
        title = "Current video"
    else:
        title = "In progress"
    st.markdown(f"**{title}**")
    columns = st.columns(2) if len(shown) > 1 else [st.container()]
    for number, card in enumerate(shown):
        with columns[number % len(columns)].container(gap="xxsmall", key=f"active_{number}"):
            st.progress(card.fraction, text=card.title)
            st.caption(card.line)
    if len(view.active) > len(shown):
        st.caption(f"… and {len(view.active) - len(shown):,} more in flight")


def _over_time(page: PageContext, session_id: str, *, is_live: bool) -> None:
    """The way of the session's runs, and what the limiter believes."""
    with trouble.said():
        charts.draw(page.store.pulses(session_id), is_live=is_live)
        belief = page.store.belief(session_id)
        if not belief.summary:
            return
        with st.expander("What the limiter believes", icon=":material/shield:"):
            st.text(belief.summary)
            for reason in belief.why:
                st.caption(words.plain(reason, 300))
