"""Times that no clock can stand between: differences of graphs that differ in one number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.benchmarks.harness.document import not_measured
from unichunk.benchmarks.harness.ratio import interval_rank
from unichunk.benchmarks.stages import stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unichunk.benchmarks.stages.case import Case
    from unichunk.benchmarks.stages.visit import Visit

TAILS: Final = "derived from medians: tails of a difference are those of neither graph"


def derived_rows(visits: Mapping[Case, Sequence[Visit]]) -> list[dict[str, Any]]:
    """A row for every refinement round and for every Euler step that two of the cases differ in.

    The rounds and steps are unrolled in one graph. What a round takes is the difference of the graphs with and without
    it, measured in turn: for each visit the difference of the two medians, of these the median.
    """
    rows = []
    for low, high in _neighbours(visits, "rounds"):
        first, last = low.rounds + 1, high.rounds
        name = f"refinement round {last}" if first == last else f"refinement rounds {first} to {last}, each"
        rows.append(_row(high, name, low, visits, high.rounds - low.rounds))
    for low, high in _neighbours(visits, "steps"):
        steps = (high.steps - low.steps) * (1 + high.rounds)
        rows.append(_row(high, f"Euler step {low.steps + 1} to {high.steps}, each", low, visits, steps))
    return rows


def paired_difference(high: Sequence[float], low: Sequence[float], parts: int) -> dict[str, Any]:
    """The median difference of one part, and its distribution-free interval (as of `harness.ratio.paired_ratio`).

    Args:
        high: One value a visit.
        low: One value a visit, of the same visits.
        parts: How many equal parts the difference is made of.
    """
    differences = np.sort((np.asarray(high, float) - np.asarray(low, float)) / parts)
    rank, confidence = interval_rank(len(differences))
    return {
        "n": len(differences),
        "p50": float(np.median(differences)),
        "low": float(differences[rank - 1]),
        "high": float(differences[-rank]),
        "confidence": confidence,
    }


def _neighbours(visits: Mapping[Case, Sequence[Visit]], varied: str) -> list[tuple[Case, Case]]:
    """Pairs of cases that follow each other in one number and agree in all others."""
    pairs = []
    for low in visits:
        higher = [high for high in visits if _differs_only(low, high, varied) and _of(high, varied) > _of(low, varied)]
        if higher:
            pairs.append((low, min(higher, key=lambda case: _of(case, varied))))
    return pairs


def _of(case: Case, name: str) -> int:
    value: int = getattr(case, name)
    return value


def _differs_only(a: Case, b: Case, varied: str) -> bool:
    return all(_of(a, name) == _of(b, name) for name in ("views", "steps", "rounds") if name != varied)


def _row(case: Case, name: str, low: Case, visits: Mapping[Case, Sequence[Visit]], parts: int) -> dict[str, Any]:
    ours, theirs = ([visit.p50(stage.DENOISE) for visit in visits[each]] for each in (case, low))
    return {
        **case.row(),
        "stage": name,
        "unit": "ms",
        "derived_from": [case.label, low.label],
        **paired_difference(ours, theirs, parts),
        **dict.fromkeys(("p95", "p99", "max"), not_measured(TAILS)),
    }
