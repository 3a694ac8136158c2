"""The page "New batch"."""

import streamlit as st

from bulk_transcribe.ui.context import PageContext


def render(page: PageContext) -> None:
    """Draw it."""
    del page
    st.info("This page is being written. The command line has all of it.")
