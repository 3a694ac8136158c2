"""The script that Streamlit runs for each look at the page and each click on it."""

from collections.abc import Callable

import streamlit as st

from bulk_transcribe.errors import BulkTranscribeError
from bulk_transcribe.ui import words
from bulk_transcribe.ui.context import PageContext, page_context
from bulk_transcribe.ui.pages import monitor, new_batch, results, sessions, settings

TITLE = "Bulk Transcribe"


def show() -> None:
    """Draw the page that is looked at."""
    st.set_page_config(
        page_title=TITLE,
        page_icon=":material/subtitles:",
        layout="wide",
        initial_sidebar_state="auto",
    )
    chosen = st.navigation(
        [
            _page(new_batch.render, "New batch", "new", ":material/add_circle:"),
            _page(monitor.render, "Monitor", "monitor", ":material/monitoring:", default=True),
            _page(results.render, "Results", "results", ":material/description:"),
            _page(sessions.render, "Sessions", "sessions", ":material/history:"),
            _page(settings.render, "Settings", "settings", ":material/tune:"),
        ],
        position="top",
    )
    chosen.run()


def _page(
    render: Callable[[PageContext], None],
    title: str,
    path: str,
    icon: str,
    *,
    default: bool = False,
) -> st.Page:
    def run() -> None:
        try:
            render(page_context())
        except BulkTranscribeError as error:  # the page stays, and says what to do
            st.error(words.plain(error.message, 600), icon=":material/error:")
            if error.next_step:
                st.markdown(words.plain(error.next_step, 600))

    return st.Page(run, title=title, icon=icon, url_path=path, default=default)


if __name__ == "__main__":
    show()
