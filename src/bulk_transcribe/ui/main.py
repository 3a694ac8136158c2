"""The script that Streamlit runs for each look at the page and each click on it."""

from collections.abc import Callable, Mapping
from typing import NoReturn

import streamlit as st

from bulk_transcribe.ui import trouble
from bulk_transcribe.ui.context import PageContext, page_context
from bulk_transcribe.ui.pages import monitor, new_batch, results, sessions, settings

TITLE = "Bulk Transcribe"
_START = "monitor"
#: Drawn here, because Streamlit's own icons for a tab come from another host.
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">'
    '<rect x="2" y="5" width="28" height="22" rx="5" fill="#1167b1"/>'
    '<path d="M7 17h9m3 0h6M7 22h5m3 0h10" stroke="#fff" stroke-width="2.6" '
    'stroke-linecap="round"/></svg>'
)
_PAGES: Mapping[str, tuple[Callable[[PageContext], None], str, str]] = {
    "new": (new_batch.render, "New batch", ":material/add_circle:"),
    "monitor": (monitor.render, "Monitor", ":material/monitoring:"),
    "results": (results.render, "Results", ":material/description:"),
    "sessions": (sessions.render, "Sessions", ":material/history:"),
    "settings": (settings.render, "Settings", ":material/tune:"),
}


def show() -> None:
    """Draw the page that is looked at."""
    st.set_page_config(page_title=TITLE, page_icon=_ICON, layout="wide")
    pages: dict[str, st.Page] = {}

    def go(path: str) -> NoReturn:
        st.switch_page(pages[path], query_params=st.query_params.to_dict())

    for path, (render, title, icon) in _PAGES.items():
        pages[path] = st.Page(
            _guarded(render, go), title=title, icon=icon, url_path=path, default=path == _START
        )
    st.navigation(list(pages.values()), position="top").run()


def _guarded(
    render: Callable[[PageContext], None], go: Callable[[str], NoReturn]
) -> Callable[[], None]:
    def run() -> None:
        with trouble.said():
            render(page_context(go))

    return run


if __name__ == "__main__":
    show()
