"""What a page says of errors and of work that goes on."""

from collections.abc import Callable

import streamlit as st

from bulk_transcribe.errors import BulkTranscribeError, StoppedError
from bulk_transcribe.ui.background import Background, News
from bulk_transcribe.ui.words import plain

#: How often the news of a piece of work are looked at, real seconds.
_LOOK_EVERY_S = 0.4
_LONGEST = 600


def tell_error(error: BulkTranscribeError) -> None:
    """What went wrong, and what to do about it. What the user stopped is no error."""
    if isinstance(error, StoppedError):
        st.info(plain(error.message, _LONGEST), icon=":material/cancel:")
        return
    text = plain(error.message, _LONGEST)
    if error.next_step:
        text += f"  \n{plain(error.next_step, _LONGEST)}"
    st.error(text, icon=":material/error:")


@st.fragment(run_every=_LOOK_EVERY_S)
def wait_for(job: Background[object], text: Callable[[News], str]) -> None:
    """Show how far a piece of work is, and a way to end it; draws the page anew once it is over.

    The rest of the page stays usable meanwhile.
    """
    if job.is_over:
        st.rerun()
    news = job.news
    words, button = st.columns([5, 1], vertical_alignment="center")
    with words:
        if news.fraction is None:
            st.status(plain(text(news)), state="running")
        else:
            st.progress(news.fraction, text=plain(text(news)))
    with button:
        st.button("Cancel", key=f"cancel_{id(job)}", on_click=job.cancel, width="stretch")
