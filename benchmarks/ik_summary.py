"""From what solvers did to the numbers that count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unichunk.benchmarks.ik_measure import Record

FAILURES_KEPT: Final = 10
"""So many rows that were not solved are named."""

STEP_ROUNDING: Final = 1e-6
"""A step may be longer than its limit by this part of it: the rounding that quadratic programs leave."""


def summaries(records: Sequence[Record], reachable: NDArray[np.bool_] | None = None) -> list[dict[str, Any]]:
    """One entry per solver, ours first.

    Args:
        records: What each did; the first is ours and may have seen more targets than the others.
        reachable: Which rows can be reached at all; None: all of them.
    """
    return [_summary(record, records[0], reachable) for record in records if record.wall_ns]


def _summary(record: Record, ours: Record, reachable: NDArray[np.bool_] | None) -> dict[str, Any]:
    solved, claims = np.array(record.solved), np.array(record.claims)
    possible = np.ones(len(solved), dtype=np.bool_) if reachable is None else reachable[: len(solved)]
    entry: dict[str, Any] = {
        "solver": record.solver,
        "rows": len(solved),
        "reachable_rows": int(possible.sum()),
        "solved": _fraction(solved, possible),
        "solved_by_ours_of_these": _fraction(np.array(ours.solved[: len(solved)]), possible),
        "not_solved": np.flatnonzero(possible & ~solved)[:FAILURES_KEPT].tolist(),
        "claimed_but_not_solved": int((claims & ~solved).sum()),
        "solved_but_not_claimed": int((solved & ~claims).sum()),
        "wall_us": _microseconds(record.wall_ns),
        "cpu_us": _microseconds(record.cpu_ns),
        "distance_mm": _millimetres(record.distance),
    }
    for kind in ("wall", "cpu"):
        shared = _microseconds(getattr(ours, f"{kind}_ns")[: len(record.wall_ns)])
        entry[f"{kind}_over_ours"] = {name: entry[f"{kind}_us"][name] / shared[name] for name in shared}
    if record.step:
        entry["largest_step_over_limit"] = max(record.step)
        entry["rows_too_fast"] = sum(step > 1.0 + STEP_ROUNDING for step in record.step)
    if not possible.all():
        entry["distance_of_unreachable_mm"] = _millimetres(np.array(record.distance)[~possible])
    return {name: _rounded(value) for name, value in entry.items()}


def _rounded(value: Any) -> Any:
    """Numbers with as many digits as they mean something."""
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _fraction(solved: NDArray[np.bool_], possible: NDArray[np.bool_]) -> float:
    return float(solved[possible].mean()) if possible.any() else 1.0


def _microseconds(times_ns: Sequence[float]) -> dict[str, float]:
    times = np.array(times_ns) / 1e3
    return {"median": float(np.median(times)), "mean": float(times.mean()), "p99": float(np.percentile(times, 99))}


def _millimetres(distances: Sequence[float] | NDArray[np.float64]) -> dict[str, float]:
    distances = 1e3 * np.array(distances)
    return {
        "median": float(np.median(distances)),
        "p95": float(np.percentile(distances, 95)),
        "largest": float(distances.max()),
    }
