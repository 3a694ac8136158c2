"""Buttons that steer a session: wishes to a living engine, else a new engine."""

from collections.abc import Callable

import streamlit as st

from bulk_transcribe.app.launch import Wanted
from bulk_transcribe.config import MAX_SLOTS, Slots
from bulk_transcribe.core.figures import count
from bulk_transcribe.errors import BulkTranscribeError
from bulk_transcribe.save.session import SessionStatus, Wish
from bulk_transcribe.ui import figures, trouble, words
from bulk_transcribe.ui.context import PageContext
from bulk_transcribe.ui.reading import Overview

_DOUBT = {
    "ask": "Leave them alone",
    "resend": "Send again, which may pay twice",
    "skip": "Leave these videos out",
}


def face(view: Overview) -> tuple[object, ...]:
    """What the buttons depend on: when it changes they are drawn anew."""
    totals, pulse = view.info.totals, view.pulse
    return (
        view.info.status,
        view.info.totals.total,
        bool(totals.unfinished),
        view.retriable if not view.info.is_live else bool(view.retriable),
        totals.in_doubt if not view.info.is_live else 0,
        pulse is not None and (pulse.is_draining, pulse.slots if not pulse.is_auto else "auto"),
    )


def draw(page: PageContext, view: Overview) -> None:
    """The buttons that make sense now."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="controls"):
        if view.info.is_live:
            _live(page, view)
        else:
            _at_rest(page, view)


def _live(page: PageContext, view: Overview) -> None:
    session_id = view.info.session_id
    is_paused = view.info.status is SessionStatus.PAUSED
    is_draining = figures.is_stopping(view)
    refusal = _NO_WAY_BACK if is_draining else None
    # each button keeps its place whatever it says: none moves under a hand that is about to press,
    # and one that a stop makes useless is greyed with the words that it had
    if is_paused:
        _wish(
            page,
            session_id,
            "Go on",
            Wish.RESUME,
            said="Going on.",
            is_primary=not is_draining,
            refusal=refusal,
        )
    else:
        _wish(
            page,
            session_id,
            "Pause",
            Wish.PAUSE,
            said="Pausing: nothing new is started.",
            refusal=refusal,
        )
    if is_draining:
        _wish(page, session_id, "Stop now", Wish.STOP, value="now", said="Stopping at once.")
        st.caption("Jobs that were paid for stay claimable: Resume fetches them.")
        return
    _wish(page, session_id, "Stop", Wish.STOP, said="Stopping: what is in flight is finished.")
    with st.popover("Videos at once", icon=":material/speed:", key="at_once"):
        slots = _choose_slots(view, "live")
        st.button(
            "Apply",
            key="apply_slots",
            type="primary",
            on_click=_make_wish,
            args=(page, session_id, Wish.CONCURRENCY, str(slots), f"At once: {slots}."),
        )
    if view.retriable:
        failed = count(view.retriable, "video")
        st.caption(f"{failed} can be tried again when this run has ended.")


def _at_rest(page: PageContext, view: Overview) -> None:
    totals = view.info.totals
    is_new = view.info.status is SessionStatus.NEW
    doubt = "ask"
    if totals.in_doubt:
        doubt = st.selectbox(
            "Paid requests whose answer was lost",
            list(_DOUBT),
            format_func=_DOUBT.__getitem__,
            key="in_doubt",
            help="The service may or may not have taken money for them.",
            width=300,
        )
    may_continue = totals.unfinished or doubt != "ask"
    if not (may_continue or view.retriable):
        return
    session_id = view.info.session_id
    starts = may_continue and st.button(
        "Start" if is_new else "Resume",
        type="primary",
        icon=":material/play_arrow:",
        key="resume",
    )
    retries = bool(view.retriable) and st.button(
        f"Retry {view.retriable:,} failed", icon=":material/replay:", key="retry"
    )
    with st.popover("Videos at once", icon=":material/speed:", key="at_once"):
        slots = _choose_slots(view, "rest")
    wanted = Wanted(concurrency=slots, in_doubt=doubt)
    if starts:
        _launch(lambda: page.launch.resume(session_id, wanted))
    if retries:
        _launch(lambda: page.launch.retry(session_id, wanted))


def _choose_slots(view: Overview, where: str) -> Slots:
    """A number, or the engine's own choice; begins with what the session has now."""
    now = _slots_now(view)
    key = f"{view.info.session_id}_{where}_{now}"
    is_auto = st.toggle(
        "Automatic",
        value=now == "auto",
        key=f"auto_{key}",
        help="As many as the limit can feed.",
    )
    number = st.number_input(
        "Videos at once",
        min_value=1,
        max_value=MAX_SLOTS,
        value=1 if now == "auto" else now,
        key=f"slots_{key}",
        disabled=is_auto,
        help="1 is one after the other. Ten suit most accounts.",
    )
    return "auto" if is_auto else int(number)


def _slots_now(view: Overview) -> Slots:
    pulse = view.pulse
    if pulse is not None and view.info.is_live:
        return "auto" if pulse.is_auto else pulse.slots
    stored = view.settings.get("max_concurrent", 1)
    return "auto" if stored == "auto" else int(stored)


def _wish(
    page: PageContext,
    session_id: str,
    label: str,
    wish: Wish,
    *,
    said: str,
    value: str = "",
    is_primary: bool = False,
    refusal: str | None = None,
) -> None:
    st.button(
        label,
        key=f"wish_{_PLACES[wish]}",
        width=_BUTTON_WIDTH,
        disabled=refusal is not None,
        help=refusal,
        icon=_ICONS[wish],
        type="primary" if is_primary else "secondary",
        on_click=_make_wish,
        args=(page, session_id, wish, value, said),
    )


#: Which button a wish is made by; one that says "Pause" or "Go on", and one that stops.
_PLACES = {Wish.PAUSE: "pace", Wish.RESUME: "pace", Wish.STOP: "stop"}
_BUTTON_WIDTH = 128
_NO_WAY_BACK = "A stop cannot be taken back. Resume goes on when the run has ended."

_ICONS = {
    Wish.PAUSE: ":material/pause:",
    Wish.RESUME: ":material/play_arrow:",
    Wish.STOP: ":material/stop:",
}


def _make_wish(page: PageContext, session_id: str, wish: Wish, value: str, said: str) -> None:
    try:
        page.sessions.open_session(session_id).wish(wish, value)
    except BulkTranscribeError as error:
        st.toast(words.plain(str(error), 300), icon=":material/error:")
    else:
        st.toast(said)


def _launch(start: Callable[[], None]) -> None:
    with trouble.said():
        with st.spinner("Starting an engine…"):
            start()
        st.rerun()
