"""Plots as SVG. Matplotlib is an extra (`report`): without it a benchmark still writes its numbers."""

from __future__ import annotations

import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

COLOURS: Final = ("#0969da", "#cf222e", "#1a7f37", "#8250df", "#bf8700", "#57606a", "#d4a72c", "#1b7c83", "#e16f24")
MARKERS: Final = "osD^vPX*<"


class FiguresUnavailable(RuntimeError):
    """Matplotlib is not installed."""


class Canvas:
    """What `drawing` hands out: axes to draw on, and afterwards the drawing."""

    def __init__(self, axes: Any) -> None:
        self.axes = axes
        self.svg = ""
        """The drawing, once it is finished."""


@contextmanager
def drawing(width: float = 7.0, height: float = 3.6) -> Iterator[Canvas]:
    """Draw one plot.

    Args:
        width: [inch].
        height: [inch].

    Raises:
        FiguresUnavailable: Where matplotlib is missing.
    """
    try:
        import matplotlib as mpl  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise FiguresUnavailable("plots need matplotlib: pip install 'unichunk[report]'") from None
    # Text stays text, and the same data give the same bytes.
    style = {"svg.fonttype": "none", "svg.hashsalt": "unichunk", "font.size": 10, "font.family": "sans-serif"}
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots()
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, axis="y", color="#d5dae0", linewidth=0.6)
        axes.set_axisbelow(True)
        canvas = Canvas(axes)
        yield canvas
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    drawn = text.getvalue()
    canvas.svg = drawn[drawn.index("<svg") :]


def line_plot(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x: str,
    y: str,
    bands: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    log_y: bool = False,
    y_range: tuple[float, float] | None = None,
    level: float | None = None,
) -> str:
    """Lines with markers.

    Args:
        series: Label -> (xs, ys).
        x: Label of the x axis, with its unit.
        y: Label of the y axis, with its unit.
        bands: Label -> (lows, highs) of its intervals, at the same xs.
        log_y: Whether the y axis is logarithmic.
        y_range: What it spans; left out: the data's.
        level: Where a dashed line is drawn across; None: nowhere.
    """
    with drawing() as canvas:
        axes = canvas.axes
        for index, (label, (xs, ys)) in enumerate(series.items()):
            colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
            axes.plot(xs, ys, marker=marker, markersize=4, linewidth=1.4, color=colour, label=label)
            if bands and label in bands:
                axes.fill_between(xs, *bands[label], color=colour, alpha=0.15, linewidth=0)
        axes.set(xlabel=x, ylabel=y, yscale="log" if log_y else "linear")
        if y_range is not None:
            axes.set_ylim(*y_range)
        _dash(axes, level)
        axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return canvas.svg


def stacked_bars(parts: Mapping[str, Sequence[float]], names: Sequence[str], *, unit: str) -> str:
    """One horizontal bar for each name, made of parts.

    Args:
        parts: Part -> its length in each bar.
        names: Of the bars, from the top.
        unit: Label of the axis.
    """
    with drawing(height=0.9 + 0.45 * len(names)) as canvas:
        axes = canvas.axes
        left = [0.0] * len(names)
        for index, (label, lengths) in enumerate(parts.items()):
            axes.barh(names, lengths, left=left, color=COLOURS[index % len(COLOURS)], label=label, height=0.6)
            left = [start + length for start, length in zip(left, lengths, strict=True)]
        axes.invert_yaxis()
        axes.grid(visible=False, axis="y")
        axes.grid(visible=True, axis="x", color="#d5dae0", linewidth=0.6)
        axes.set_xlabel(unit)
        axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return canvas.svg


def grouped_bars(
    groups: Mapping[str, Sequence[float]],
    names: Sequence[str],
    *,
    y: str,
    log_y: bool = False,
    level: float | None = None,
) -> str:
    """Vertical bars, one group for each name.

    Args:
        groups: Label -> one height for each name.
        names: Of the groups, from the left.
        y: Label of the y axis, with its unit.
        log_y: Whether it is logarithmic.
        level: Where a dashed line is drawn across; None: nowhere.
    """
    with drawing() as canvas:
        axes = canvas.axes
        width = 0.8 / len(groups)
        for index, (label, heights) in enumerate(groups.items()):
            at = [place - 0.4 + (index + 0.5) * width for place in range(len(names))]
            axes.bar(at, heights, width=width, color=COLOURS[index % len(COLOURS)], label=label)
        axes.set_xticks(range(len(names)), names)
        axes.set(ylabel=y, yscale="log" if log_y else "linear")
        _dash(axes, level)
        axes.legend(frameon=False, fontsize=9, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return canvas.svg


def _dash(axes: Any, level: float | None) -> None:
    if level is not None:
        axes.axhline(level, color="#57606a", linewidth=1.0, linestyle="--")
