"""What the ablation's episodes say: rates with intervals, means, and comparisons on the same paths."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.benchmarks.ablation_plan import METHODS, NEITHER
from unichunk.benchmarks.harness.markdown import markdown_table
from unichunk.benchmarks.harness.ratio import paired_ratio
from unichunk.embodiments.sim.intervals import mean_and_error, wilson

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.benchmarks.ablation_episodes import Episode
    from unichunk.benchmarks.ablation_plan import Method
    from unichunk.benchmarks.harness.ratio import Ratio

ALL: Final = "all"
"""The category that holds all episodes."""

CELL: Final = ("category", "robot", "condition", "posture", "latency_ms", "delay", "mpg", "uac")
MEANS: Final = (
    "on_target",
    "error_mm",
    "seam_step_rad",
    "seam_kink_rad",
    "inside_kink_rad",
    "roughness_rad_s2",
)
COMPARED: Final = {"error": "error_mm", "kink at seams": "seam_kink_rad", "roughness": "roughness_rad_s2"}
"""What ratios between methods are made of, lower is better."""


def rows(episodes: Sequence[Episode]) -> list[dict[str, Any]]:
    """One row for each category, robot, condition, posture, latency and method."""
    cells: dict[tuple[Any, ...], list[Episode]] = {}
    for episode in episodes:
        cells.setdefault(tuple(getattr(episode, name) for name in CELL), []).append(episode)
    return [dict(zip(CELL, cell, strict=True)) | summary(members) for cell, members in cells.items()]


def pooled(episodes: Sequence[Episode]) -> list[dict[str, Any]]:
    """One row for each category, latency and method, over its robots; and for all of them."""
    result = []
    for category in (*dict.fromkeys(episode.category for episode in episodes), ALL):
        for latency in dict.fromkeys(episode.latency_ms for episode in episodes):
            for method in METHODS:
                members = select(episodes, category, latency, method)
                cell = {"category": category, "latency_ms": latency, "mpg": method.mpg, "uac": method.uac}
                result.append(cell | summary(members))
    return result


def summary(episodes: Sequence[Episode]) -> dict[str, Any]:
    """Successes with Wilson's 95 % interval, means, and how many chunks did not continue what ran before them."""
    successes = sum(episode.success for episode in episodes)
    low, high = wilson(successes, len(episodes))
    return {
        "episodes": len(episodes),
        "success": successes / len(episodes),
        "low": low,
        "high": high,
        **{name: float(np.mean([getattr(episode, name) for episode in episodes])) for name in MEANS},
        "chunks": sum(episode.chunks for episode in episodes),
        "violations": sum(episode.violations for episode in episodes),
    }


def select(episodes: Sequence[Episode], category: str, latency_ms: float, method: Method) -> list[Episode]:
    """The episodes of one category (or of all), latency and method."""
    return [
        episode
        for episode in episodes
        if category in (ALL, episode.category)
        and (episode.latency_ms, episode.mpg, episode.uac) == (latency_ms, method.mpg, method.uac)
    ]


def by_path(episodes: Sequence[Episode], name: str) -> dict[tuple[str, int], float]:
    """Means over a robot's runs on one path, which are not independent of each other, whatever their category."""
    values: dict[tuple[str, int], list[float]] = {}
    for episode in episodes:
        values.setdefault((episode.robot, episode.seed), []).append(float(getattr(episode, name)))
    return {path: float(np.mean(some)) for path, some in values.items()}


def difference(
    episodes: Sequence[Episode], category: str, latency_ms: float, method: Method, name: str
) -> tuple[float, float]:
    """Mean difference of a value to neither MPG nor UAC on the same paths, and its standard error."""
    ours, base = (by_path(select(episodes, category, latency_ms, one), name) for one in (method, NEITHER))
    return mean_and_error([ours[path] - base[path] for path in ours])


def ratios(episodes: Sequence[Episode]) -> dict[str, Ratio]:
    """What the regression watch compares: each method over neither, on the same paths, all categories together."""
    result = {}
    for latency in dict.fromkeys(episode.latency_ms for episode in episodes):
        for label, name in COMPARED.items():
            base = by_path(select(episodes, ALL, latency, NEITHER), name)
            for method in METHODS[1:]:
                ours = by_path(select(episodes, ALL, latency, method), name)
                # A robot that never moved has no kinks: it says nothing about their ratio.
                paths = [path for path in base if base[path] > 0.0 and ours[path] > 0.0]
                if paths:
                    result[f"{label} at {latency:g} ms: {method.name} / neither"] = paired_ratio(
                        [ours[path] for path in paths], [base[path] for path in paths], better="lower"
                    )
    return result


def success_table(cells: Sequence[dict[str, Any]]) -> str:
    """Markdown: one row for each category, latency and method."""
    headers = ("category", "latency [ms]", "method", "success (95 % Wilson)", "on target", "error [mm]")
    more = ("largest step at a seam [rad]", "kink at seams, inside chunks [mrad]", "roughness [rad/s^2]")
    names = {(method.mpg, method.uac): method.name for method in METHODS}
    return markdown_table(
        (*headers, *more),
        [
            (
                cell["category"],
                f"{cell['latency_ms']:g}",
                names[cell["mpg"], cell["uac"]],
                f"{round(cell['success'] * cell['episodes'])}/{cell['episodes']} "
                f"({cell['low']:.2f} to {cell['high']:.2f})",
                f"{cell['on_target']:.2f}",
                f"{cell['error_mm']:.1f}",
                f"{cell['seam_step_rad']:.3f}",
                f"{1e3 * cell['seam_kink_rad']:.1f}, {1e3 * cell['inside_kink_rad']:.1f}",
                f"{cell['roughness_rad_s2']:.2f}",
            )
            for cell in cells
        ],
    )


def difference_table(episodes: Sequence[Episode]) -> str:
    """Markdown: differences to neither MPG nor UAC on the same paths."""
    headers = ("category", "latency [ms]", "method", "success minus neither", "on target minus", "error minus [mm]")
    cells = []
    for category in (*dict.fromkeys(episode.category for episode in episodes), ALL):
        for latency in dict.fromkeys(episode.latency_ms for episode in episodes):
            for method in METHODS[1:]:
                signed = [
                    _signed(*difference(episodes, category, latency, method, name), digits)
                    for name, digits in (("success", 2), ("on_target", 3), ("error_mm", 2))
                ]
                cells.append((category, f"{latency:g}", method.name, *signed))
    return markdown_table(headers, cells)


def _signed(mean: float, error: float, digits: int) -> str:
    return f"{mean:+.{digits}f} +- {error:.{digits}f}" if isfinite(error) else f"{mean:+.{digits}f} (one path)"
