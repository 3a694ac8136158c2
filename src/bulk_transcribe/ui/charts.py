"""Throughput and the request budget over time."""

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import streamlit as st

from bulk_transcribe.save.views import PulsePoint
from bulk_transcribe.ui import figures

_HEIGHT = 180
#: A line needs two points.
_FEWEST = 2
_TIME: Final = {"field": "Time", "type": "temporal", "title": None}
_VALUE: Final = {"field": "Value", "type": "quantitative", "title": None}
_MINUTE: Final = {"format": "%d %b, %H:%M:%S"}
_NEAREST: Final = {"type": "point", "on": "pointermove", "nearest": True, "clear": "pointerout"}
_WHAT: Final = {"field": "What", "type": "nominal", "title": None}


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
        _lines(figures.throughput(points), alt="Videos a minute over time")
    with right:
        st.caption("Requests of the last minute, and the limit")
        _lines(figures.budget(points), alt="Requests of the last minute and the limit over time")


def _lines(table: pa.Table, *, alt: str) -> None:
    """Lines over time, each named below where there are two.

    Written as Vega-Lite takes it: `st.line_chart` builds and checks the same with a library that
    takes longer for it than the rest of the page.
    """
    has_names = len(table.column("What").unique()) > 1
    colour = {"color": _WHAT | {"legend": {"orient": "bottom"}}} if has_names else {}
    spec: dict[str, Any] = {
        "encoding": {"x": _TIME, "y": _VALUE, **colour},
        "layer": [
            {"mark": "line"},
            {  # the point under the pointer tells its figures
                "mark": {"type": "point", "filled": True, "size": 60},
                "params": [{"name": "near", "select": _NEAREST}],
                "encoding": {
                    "opacity": {
                        "value": 0,
                        "condition": {"param": "near", "value": 1, "empty": False},
                    },
                    "tooltip": [_TIME | _MINUTE, _VALUE | {"format": ".3~r"}, _WHAT],
                },
            },
        ],
    }
    st.vega_lite_chart(table, spec, height=_HEIGHT, alt=alt)
