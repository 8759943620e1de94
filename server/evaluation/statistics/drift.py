"""Whether success changed in the course of a campaign, whichever policy drove."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.server.evaluation.statistics.document import CellRate, Drift, DriftPart, Tested
from unichunk.server.evaluation.statistics.intervals import rate_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.results import ScoredTrial

PARTS: Final = 4
NAME: Final = "Mantel's trend"


def drift(trials: Sequence[ScoredTrial], policies: Sequence[str], confidence: float, alpha: float) -> Drift:
    """Success by quarters of the session, and a test of its trend within cells of policy and layout.

    Args:
        trials: Scored.
        policies: Names as declared.
        confidence: Level of the intervals.
        alpha: Level of the test.
    """
    ordered = sorted(trials, key=lambda trial: trial.order)
    bounds = np.linspace(0, len(ordered), PARTS + 1).round().astype(int)
    parts = [ordered[low:high] for low, high in itertools.pairwise(bounds) if high > low]
    trend, slope = trend_within_cells(ordered, alpha)
    return Drift(
        parts=tuple(_part(part, policies, confidence) for part in parts),
        trend=trend,
        slope=slope,
        note="success changed over the session: look at how trials were put in order" if trend.rejects else "",
    )


def trend_within_cells(trials: Sequence[ScoredTrial], alpha: float) -> tuple[Tested, float | None]:
    """Mantel's extension test (1963) of success on order, strata are cells of policy and layout.

    Given each cell's successes, chance alone deals them to its orders; the sum of orders of successes over all cells is
    compared with its expectation. The second value is the slope of success on order within cells, times the session's
    length: how much success changed from the first trial to the last.
    """
    cells: dict[tuple[str, str], list[ScoredTrial]] = {}
    for trial in trials:
        cells.setdefault((trial.policy, trial.layout), []).append(trial)
    covered = variance = spread = 0.0
    for cell in cells.values():
        if len(cell) < 2:
            continue
        order = np.array([trial.order for trial in cell], dtype=np.float64)
        success = np.array([trial.success for trial in cell], dtype=np.float64)
        order -= order.mean()
        squares = float(order @ order)
        covered += float(order @ success)
        spread += squares
        variance += squares * float(success.var()) * len(cell) / (len(cell) - 1)
    slope = covered / spread * (trials[-1].order - trials[0].order) if spread > 0 else None
    if variance <= 0:
        note = "needs cells of policy and layout where trials came out differently"
        return Tested(name=NAME, p=None, note=note), slope
    from scipy.special import chdtrc  # noqa: PLC0415

    statistic = covered**2 / variance
    p = float(chdtrc(1.0, statistic))
    return Tested(name=NAME, p=p, rejects=p <= alpha, statistic=statistic, degrees=1), slope


def _part(trials: Sequence[ScoredTrial], policies: Sequence[str], confidence: float) -> DriftPart:
    return DriftPart(
        first=trials[0].order,
        last=trials[-1].order,
        success=rate_of(sum(trial.success for trial in trials), len(trials), confidence),
        policies=tuple(
            CellRate(
                policy=name,
                task="",
                layout="",
                success=rate_of(
                    sum(trial.success for trial in trials if trial.policy == name),
                    sum(trial.policy == name for trial in trials),
                    confidence,
                ),
            )
            for name in policies
        ),
    )
