"""The page "Sessions"."""

import streamlit as st

from bulk_transcribe.ui.context import PageContext


def render(page: PageContext) -> None:
    """Draw it."""
    st.info(f"{page.session_id}")
