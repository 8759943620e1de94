"""Tables of what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from unichunk.benchmarks.harness.markdown import markdown_table

if TYPE_CHECKING:
    from collections.abc import Sequence

COLUMNS: Final = (
    "case",
    "",
    "solver",
    "rows",
    "solved %",
    "ours %",
    "median us",
    "mean us",
    "p99 us",
    "cpu median",
    "x ours",
    "mm p95",
)


def print_measurements(title: str, measurements: Sequence[dict[str, Any]]) -> None:
    """One Markdown table: a line for each case and solver."""
    moving = any("largest_step_over_limit" in entry for one in measurements for entry in one["solvers"])
    rows = [
        [measurement["case"], measurement["what"], *_cells(entry)]
        for measurement in measurements
        for entry in measurement["solvers"]
    ]
    headers = [*COLUMNS, *(["step/limit"] if moving else [])]
    print(f"\n{title}\n\n{markdown_table(headers, [row + [''] * (len(headers) - len(row)) for row in rows])}")


def _cells(entry: dict[str, Any]) -> list[str]:
    wall, cpu = entry["wall_us"], entry["cpu_us"]
    cells = [
        entry["solver"],
        str(entry["reachable_rows"]),
        f"{100.0 * entry['solved']:.2f}",
        f"{100.0 * entry['solved_by_ours_of_these']:.2f}",
        *(f"{wall[name]:.0f}" for name in ("median", "mean", "p99")),
        f"{cpu['median']:.0f}",
        f"{entry['wall_over_ours']['median']:.2f}",
        f"{entry['distance_mm']['p95']:.2f}",
    ]
    if "largest_step_over_limit" in entry:
        cells.append(f"{entry['largest_step_over_limit']:.6f}")
    return cells
