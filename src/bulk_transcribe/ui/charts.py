"""Throughput and the request budget over time."""

from collections.abc import Sequence

import streamlit as st

from bulk_transcribe.save.views import PulsePoint
from bulk_transcribe.ui import figures

_HEIGHT = 180
#: A line needs two points.
_FEWEST = 2


def draw(points: Sequence[PulsePoint], *, is_live: bool) -> None:
    """Two charts, side by side where there is room; a line of text where it is too early.

    A session that never ran has none.
    """
    if len(points) < _FEWEST and not is_live:
        return
    st.markdown("**Over time**")
    if len(points) < _FEWEST:
        st.caption("The charts begin a few seconds after the start.")
        return
    left, right = st.columns(2)
    with left:
        st.caption("Videos a minute, over the last five minutes")
        st.line_chart(figures.throughput(points), height=_HEIGHT, x_label="", y_label="")
    with right:
        st.caption("Requests of the last minute, and the limit")
        st.line_chart(figures.budget(points), height=_HEIGHT, x_label="", y_label="")
