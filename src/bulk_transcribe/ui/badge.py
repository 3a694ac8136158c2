"""A session's status as a coloured word."""

import streamlit as st

from bulk_transcribe.save.session import SessionStatus
from bulk_transcribe.ui import words


def badge(status: SessionStatus) -> None:
    """Draw it; the word tells it, too, to those who see no colours."""
    word = words.STATUSES[status]
    match status:
        case SessionStatus.NEW | SessionStatus.STOPPED:
            st.badge(word, color="gray")
        case SessionStatus.RUNNING:
            st.badge(word, color="blue")
        case SessionStatus.PAUSED:
            st.badge(word, color="orange")
        case SessionStatus.FINISHED:
            st.badge(word, color="green")
        case SessionStatus.INTERRUPTED:
            st.badge(word, color="red")
