"""Draws the results that are there: `python -m benchmarks.batch plot` (needs the extra `bench`)."""

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

_BLUE, _GREY, _RED = "#2563eb", "#9ca3af", "#dc2626"


def draw(results: Path) -> None:
    """Write `batch.svg` beside the results; a picture without its result file stays empty."""
    mpl.rcParams |= {"svg.hashsalt": "batch", "font.size": 8, "axes.spines.right": False}
    mpl.rcParams["axes.spines.top"] = False
    figure, axes = plt.subplots(2, 3, figsize=(12, 7), layout="constrained")
    _curve(axes[0][0], _rows(results, "curve"))
    _elapsed(axes[0][1], [r for n in ("ten_slots", "sdk") for r in _rows(results, n)])
    _steady(axes[0][2], [r for n in ("steady", "independent") for r in _rows(results, n)])
    _two(axes[1][0], _rows(results, "two_processes"))
    _eta(axes[1][1], _rows(results, "eta"))
    _memory(axes[1][2], _rows(results, "memory_10k"))
    figure.savefig(results / "batch.svg", metadata={"Date": None})
    plt.close(figure)


def _rows(results: Path, name: str) -> list[dict[str, Any]]:
    path = results / f"{name}.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text())["results"] if path.exists() else []
    return rows


def _curve(axes: Axes, rows: list[dict[str, Any]]) -> None:
    slots = [int(row["scenario"].removeprefix("curve_")) for row in rows]
    axes.plot(slots, [100 * row["efficiency"] for row in rows], "o-", color=_BLUE)
    axes.axhline(100, color=_GREY, linestyle="--", label="lower bound")
    axes.set(
        title="Longest first: share of the lower bound",
        xlabel="slots",
        ylabel="%",
        xscale="log",
        ylim=(50, 103),
    )
    axes.legend(frameon=False)


def _elapsed(axes: Axes, rows: list[dict[str, Any]]) -> None:
    kept = [row for row in rows if row["videos"] == 60]
    names = [row["scenario"].removeprefix("ten_slots_") for row in kept]
    axes.barh(names, [row["elapsed_s"] for row in kept], color=_BLUE)
    axes.barh(names, [row["lower_bound_s"] for row in kept], color=_GREY, label="lower bound")
    axes.set(title="60 videos, ten at once: whole batch", xlabel="s")
    axes.invert_yaxis()
    axes.legend(frameon=False)


def _steady(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        samples = row["more"]["samples"]
        minutes = [at_s / 60 for at_s in samples["elapsed_s"]]
        videos = [share * row["videos"] for share in samples["fraction"]]
        axes.plot(minutes, videos, label=row["scenario"])
    if rows:
        most = rows[0]["elapsed_s"] / 60
        axes.plot([0, most], [0, 150 * most], "--", color=_GREY, label="150 a minute")
    axes.set(title="As many as the limit feeds", xlabel="minutes", ylabel="videos that ended")
    axes.legend(frameon=False)


def _two(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        more = row["more"]
        axes.plot(more["minute_from_s"], more["first"], color=_RED, label="killed at 0")
        axes.plot(more["minute_from_s"], more["second"], color=_BLUE, label="the other")
        axes.axhline(row["limit"], color=_GREY, linestyle="--", label="limit")
    axes.set(
        title="Two processes, one is killed",
        xlabel="s after the kill, start of the minute",
        ylabel="requests in a minute",
    )
    axes.legend(frameon=False)


def _eta(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        told = row["time_left"]
        axes.plot(
            [int(percent) for percent in told],
            [100 * at["error"] for at in told.values()],
            "o-",
            label=row["scenario"].removeprefix("eta_"),
        )
    axes.axhspan(-10, 10, color=_GREY, alpha=0.3)
    axes.set(
        title="Time left: likely beside true",
        xlabel="% of the time passed",
        ylabel="error, %",
        ylim=(-40, 40),
    )
    axes.legend(frameon=False, ncols=2)


def _memory(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        samples = row["more"]["samples"]
        ended = [share * row["videos"] for share in samples["fraction"]]
        axes.plot(ended, samples["rss_mb"], color=_BLUE, label="memory, MB")
        axes.plot(ended, samples["snapshot_ms"], color=_RED, label="a snapshot, ms")
        axes.axhline(50, color=_GREY, linestyle="--", label="50 ms")
    axes.set(title="10,000 videos", xlabel="videos that ended", ylim=(0, None))
    axes.legend(frameon=False)
