"""Plots of stored documents, by benchmark: caption -> SVG."""

from __future__ import annotations

from math import hypot
from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.async_control.report import success_plot
from unichunk.benchmarks.harness.document import is_measured
from unichunk.benchmarks.harness.figures import grouped_bars
from unichunk.benchmarks.summary.evaluated_drawings import evaluation_drawings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

JITTER_HZ: Final = 500
"""The rate that the plot of the control loops shows, where it was measured; else the highest."""


ALL_TASKS: Final = "all tasks"
CELL: Final = ("method", "delay", "delay_kind", "chunk")


def drawings_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Plots of a document, as SVG by caption; none for a benchmark that has no plot.

    Raises:
        FiguresUnavailable: Where matplotlib is missing.
    """
    draw = _DRAWINGS.get(document["benchmark"])
    return {} if draw is None else draw(document)


def async_drawings(document: Mapping[str, Any]) -> dict[str, str]:
    """Success over delay, one plot for each task and chunk length, and one for the mean of all tasks."""
    rows = [*document["rows"], *mean_rows(document["rows"])]
    return {
        f"{task}, chunk {chunk}: success over the delay ({_episodes(rows)} episodes, 95 % intervals)": success_plot(
            rows, task, chunk
        )
        for task, chunk in dict.fromkeys((row["task"], row["chunk"]) for row in rows)
    }


def mean_rows(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the mean over tasks, for every cell that all tasks have; its interval is that of independent rates."""
    tasks = dict.fromkeys(row["task"] for row in rows)
    cells: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        cells.setdefault(tuple(row[name] for name in CELL), []).append(row)
    means = []
    for cell, members in cells.items():
        if len(members) == len(tasks) > 1:
            success = sum(row["success"] for row in members) / len(members)
            half = hypot(*(0.5 * (row["high"] - row["low"]) for row in members)) / len(members)
            known = {"task": ALL_TASKS, "episodes": members[0]["episodes"], "success": success}
            means.append({**known, **dict(zip(CELL, cell, strict=True)), "low": success - half, "high": success + half})
    return means


def jitter_drawings(document: Mapping[str, Any]) -> dict[str, str]:
    """The p99 of the interval error by load, one colour for each loop, at one rate."""
    rates = {row["rate_hz"] for row in document["rows"]}
    rate = JITTER_HZ if JITTER_HZ in rates else max(rates)
    rows = [row for row in document["rows"] if row["rate_hz"] == rate]
    loads = list(dict.fromkeys(row["load"] for row in rows))
    loops: dict[str, list[float]] = {}
    for row in rows:
        if is_measured(row["p99_us"]):
            loops.setdefault(row["loop"], [float("nan")] * len(loads))[loads.index(row["load"])] = row["p99_us"] / 1e3
    caption = f"p99 of the interval error at {rate} Hz beside each load (logarithmic)"
    return {caption: grouped_bars(loops, loads, y="p99 of interval error [ms]", log_y=True)} if loops else {}


def _episodes(rows: Sequence[Mapping[str, Any]]) -> str:
    counts = sorted({row["episodes"] for row in rows})
    return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


_DRAWINGS: Final[dict[str, Callable[[Mapping[str, Any]], dict[str, str]]]] = {
    "async": async_drawings,
    "evaluation": evaluation_drawings,
    "jitter": jitter_drawings,
}
