"""The page "Sessions": all batches of the store, newest first."""

import streamlit as st

from bulk_transcribe.core.figures import count, money
from bulk_transcribe.errors import BulkTranscribeError
from bulk_transcribe.save.session import SessionStatus
from bulk_transcribe.save.views import SessionLine
from bulk_transcribe.ui import trouble, words
from bulk_transcribe.ui.badge import badge
from bulk_transcribe.ui.context import PageContext
from bulk_transcribe.ui.paging import page_of

_A_PAGE = 20


def render(page: PageContext) -> None:
    """Draw it."""
    lines = page.store.sessions()
    st.subheader("Sessions", anchor=False)
    if not lines:
        st.markdown("No batch was started yet.")
        if st.button("New batch", type="primary", icon=":material/add_circle:"):
            page.go("new", None)
        return
    number = page_of(len(lines), _A_PAGE, key="sessions_page")
    for line in lines[(number - 1) * _A_PAGE : number * _A_PAGE]:
        _line(page, line)


def _line(page: PageContext, line: SessionLine) -> None:
    info, totals = line.info, line.info.totals
    session_id = info.session_id
    with st.container(border=True, gap="xsmall", key=f"session_{session_id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{words.plain(info.name or 'Batch', 80)}**", width="content")
            badge(words.STATUSES[info.status])
        ends = [f"{totals.done:,} of {totals.total:,} done"]
        ends += [f"{totals.failed:,} failed"] if totals.failed else []
        ends += [f"{totals.in_doubt:,} in doubt"] if totals.in_doubt else []
        facts = [*ends, f"spent {words.plain(money(line.spent_usd))}"]
        facts += [f"{info.created_at.astimezone():%d %b %Y, %H:%M}", words.plain(session_id)]
        st.progress(totals.fraction, text=" · ".join(facts))
        with st.container(horizontal=True):
            _buttons(page, line)


def _buttons(page: PageContext, line: SessionLine) -> None:
    info, totals = line.info, line.info.totals
    session_id = info.session_id
    if st.button("Watch", key=f"watch_{session_id}", icon=":material/monitoring:"):
        page.go("monitor", session_id)
    if st.button("Read", key=f"read_{session_id}", icon=":material/description:"):
        page.go("results", session_id)
    if info.is_live:
        return
    if totals.unfinished:
        label = "Start" if info.status is SessionStatus.NEW else "Resume"
        if st.button(label, key=f"resume_{session_id}", icon=":material/play_arrow:"):
            _resume(page, session_id)
    if st.button("Delete", key=f"delete_{session_id}", icon=":material/delete:", type="tertiary"):
        _ask(page, line)


def _resume(page: PageContext, session_id: str) -> None:
    with trouble.said():
        with st.spinner("Starting an engine…"):
            page.launch.resume(session_id)
        page.go("monitor", session_id)


@st.dialog("Delete this session?")
def _ask(page: PageContext, line: SessionLine) -> None:
    """Nothing is deleted without a yes."""
    info = line.info
    st.markdown(
        f"**{words.plain(info.name or 'Batch', 80)}**, {words.plain(info.session_id)}, "
        f"{count(info.totals.total, 'video')}."
    )
    st.markdown(
        "The list, its states and its history go. The files, the transcripts in the store and "
        "the record of every paid request stay: nothing will be paid twice."
    )
    if st.button(
        "Delete",
        type="primary",
        key="delete_yes",
        icon=":material/delete:",
        on_click=_delete,
        args=(page, info.session_id),
    ):
        st.rerun()
    if st.button("Keep it", key="delete_no"):
        st.rerun()


def _delete(page: PageContext, session_id: str) -> None:
    try:
        page.sessions.delete_session(session_id)
    except BulkTranscribeError as error:  # somebody has begun to work on it meanwhile
        st.toast(words.plain(str(error), 300), icon=":material/error:")
