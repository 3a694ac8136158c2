"""A session's status as a coloured word."""

from collections.abc import Mapping
from typing import Final, Literal

import streamlit as st

from bulk_transcribe.save.session import SessionStatus
from bulk_transcribe.ui import words

_Colour = Literal["gray", "blue", "orange", "green", "red"]
_COLOURS: Final[Mapping[str, _Colour]] = {
    words.STATUSES[SessionStatus.NEW]: "gray",
    words.STATUSES[SessionStatus.RUNNING]: "blue",
    words.STATUSES[SessionStatus.PAUSED]: "orange",
    words.STOPPING: "orange",
    words.STATUSES[SessionStatus.STOPPED]: "gray",
    words.STATUSES[SessionStatus.FINISHED]: "green",
    words.STATUSES[SessionStatus.INTERRUPTED]: "red",
}


def badge(word: str) -> None:
    """Draw a status word; it tells the status, too, to those who see no colours."""
    st.badge(word, color=_COLOURS[word])
