"""Throughput and the request budget over time."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import streamlit as st

from bulk_transcribe.save.views import PulsePoint
from bulk_transcribe.ui import figures

_HEIGHT: Final = 200
#: A line needs two points.
_FEWEST: Final = 2
_VALUE: Final = {
    "field": "Value",
    "type": "quantitative",
    "title": None,
    "axis": {"tickCount": 4, "format": "~r"},
}
_TOLD_TIME: Final = {"field": "Time", "type": "temporal", "title": "Time"}
_TOLD_VALUE: Final = {"field": "Value", "type": "quantitative", "format": ".3~r"}
_WHAT: Final = {"field": "What", "type": "nominal", "title": None}
_NEAREST: Final = {"type": "point", "on": "pointermove", "nearest": True, "clear": "pointerout"}
#: Colours that can be told apart on white and on black, and by a dash where none are seen.
_BLUE, _GRAY = "#2f86d6", "#8b929c"


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
        _lines(points, figures.throughput(points), alt="Videos a minute over time")
    with right:
        st.caption("Requests of the last minute, and the limit (dashed)")
        _lines(
            points,
            figures.budget(points),
            alt="Requests of the last minute and the limit over time",
            encoding={"color": _COLOURS, "strokeDash": _DASHES},
        )


_NAMES: Final = [figures.REQUESTS, figures.LIMIT]
_COLOURS: Final = _WHAT | {"scale": {"domain": _NAMES, "range": [_BLUE, _GRAY]}, "legend": None}
_DASHES: Final = _WHAT | {"scale": {"domain": _NAMES, "range": [[1, 0], [5, 4]]}, "legend": None}


def _lines(
    points: Sequence[PulsePoint],
    table: pa.Table,
    *,
    alt: str,
    encoding: Mapping[str, Any] | None = None,
) -> None:
    """Lines over time.

    Written as Vega-Lite takes it: `st.line_chart` builds and checks the same with a library that
    takes longer for it than the rest of the page.
    """
    time = {
        "field": "Time",
        "type": "temporal",
        "title": None,
        "scale": {"domain": [_moment(at) for at in figures.chart_range(points)]},
        "axis": {
            "format": figures.moment_format(points),
            "tickCount": 4,
            "labelOverlap": True,
            "grid": False,
        },
    }
    spec: dict[str, Any] = {
        "encoding": {"x": time, "y": _VALUE, **(encoding or {})},
        "layer": [
            {"mark": {"type": "line"} | ({} if encoding else {"color": _BLUE})},
            {  # the point under the pointer tells its figures
                "mark": {"type": "point", "filled": True, "size": 60},
                "params": [{"name": "near", "select": _NEAREST}],
                "encoding": {
                    "opacity": {
                        "value": 0,
                        "condition": {"param": "near", "value": 1, "empty": False},
                    },
                    "tooltip": [_TOLD_TIME | {"format": "%d %b, %H:%M:%S"}, _TOLD_VALUE, _WHAT],
                },
            },
        ],
    }
    st.vega_lite_chart(table, spec, height=_HEIGHT, alt=alt)


def _moment(at: datetime) -> dict[str, object]:
    """A moment as Vega-Lite takes it for the end of an axis, to the second."""
    utc = at.astimezone(UTC)
    return {
        "year": utc.year,
        "month": utc.month,
        "date": utc.day,
        "hours": utc.hour,
        "minutes": utc.minute,
        "seconds": utc.second,
        "utc": True,
    }
