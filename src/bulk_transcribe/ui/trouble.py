"""Errors on a page: said where they happen, while the rest of the page stays."""

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from bulk_transcribe.errors import BulkTranscribeError
from bulk_transcribe.ui import words


@contextmanager
def said() -> Iterator[None]:
    """What the block raises on purpose is shown with its next step; bugs go on their way."""
    try:
        yield
    except BulkTranscribeError as error:
        st.error(words.plain(error.message, 600), icon=":material/error:")
        if error.next_step:
            st.markdown(words.plain(error.next_step, 600))
