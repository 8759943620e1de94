"""The anytime-valid test of a pair of policies, as the plan's randomization allows it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from unichunk.server.evaluation.planning.campaign import Randomization
from unichunk.server.evaluation.statistics import fair_labels, matched_pairs
from unichunk.server.evaluation.statistics.confidence_sequence import difference_sequence, odds_ratio_sequence
from unichunk.server.evaluation.statistics.document import Interval, Sequential, SequentialStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.planning.campaign import Campaign
    from unichunk.server.evaluation.results import ScoredTrial

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_STEPS: Final = 200
"""A longer course is thinned out to so many steps; the decision is taken on all."""

_LARGEST_LOG: Final = 700.0
"""e-values are cut off here, so that they stay finite numbers."""


@dataclass(frozen=True)
class _Course:
    """Running values after each bet: orders, log e-values, ends of both confidence sequences (None: none)."""

    settled: Ints
    log_e: Floats
    odds: tuple[Floats, Floats] | None
    difference: tuple[Floats, Floats] | None
    bets: int


def sequential_test(campaign: Campaign, trials: Sequence[ScoredTrial], first: str, second: str) -> Sequential:
    """Bet on the trials of two policies in their order; `adjusted` and `rejects` are left for the family's correction.

    Args:
        campaign: Says how trials were put in order, alpha and confidence.
        trials: All that were scored.
        first: Name of a policy.
        second: Name of another one.
    """
    paired = campaign.randomization is not Randomization.INDEPENDENT_DRAW
    course = (_matched if paired else _labelled)(campaign, trials, first, second)
    orders = np.sort([trial.order for trial in trials if trial.policy in {first, second}]).astype(np.int64)
    seen = np.searchsorted(orders, course.settled, side="right")
    largest = float(np.max(course.log_e, initial=0.0))
    reached = np.flatnonzero(course.log_e >= math.log(1.0 / campaign.analysis.alpha) - 1e-12)
    return Sequential(
        method="matched pairs" if paired else "fair labels",
        null=matched_pairs.NULL if paired else fair_labels.NULL,
        bets=course.bets,
        e_value=_exp(course.log_e[-1]) if course.log_e.size else 1.0,
        largest=_exp(largest),
        p=min(1.0, math.exp(-largest)),
        adjusted=None,
        rejects=False,
        decided_after=int(seen[reached[0]]) if reached.size else None,
        steps=_steps(course, seen),
        note=_note(trials, course),
    )


def _matched(campaign: Campaign, trials: Sequence[ScoredTrial], first: str, second: str) -> _Course:
    cells = len(campaign.policies) * len(campaign.layouts)
    pairs = matched_pairs.match(trials, first, second, cells)
    differences = np.array([int(pair.first) - int(pair.second) for pair in pairs], dtype=np.int64)
    wins, losses = np.cumsum(differences > 0, dtype=np.int64), np.cumsum(differences < 0, dtype=np.int64)
    alpha = 1.0 - campaign.analysis.confidence
    planned = campaign.trials_per_cell * len(campaign.layouts)
    return _Course(
        settled=np.array([pair.settled for pair in pairs], dtype=np.int64),
        log_e=matched_pairs.log_e_value(wins, losses),
        odds=odds_ratio_sequence(wins, losses, alpha),
        difference=difference_sequence(differences, alpha, planned),
        bets=int(np.count_nonzero(differences)),
    )


def _labelled(campaign: Campaign, trials: Sequence[ScoredTrial], first: str, second: str) -> _Course:
    fair = fair_labels.fair_trials(trials, first, second, campaign.trials_per_cell)
    is_first = np.array([trial.is_first for trial in fair], dtype=np.bool_)
    success = np.array([trial.success for trial in fair], dtype=np.bool_)
    among_successes = matched_pairs.log_e_value(
        np.cumsum(is_first & success, dtype=np.int64), np.cumsum(~is_first & success, dtype=np.int64)
    )
    among_failures = matched_pairs.log_e_value(
        np.cumsum(is_first & ~success, dtype=np.int64), np.cumsum(~is_first & ~success, dtype=np.int64)
    )
    settled = np.array([trial.settled for trial in fair], dtype=np.int64)
    return _Course(settled, among_successes + among_failures, None, None, len(fair))


def _steps(course: _Course, seen: Ints) -> tuple[SequentialStep, ...]:
    count = course.log_e.size
    if not count:
        return ()
    shown = np.unique(np.linspace(0, count - 1, min(count, MOST_STEPS)).round().astype(np.int64))
    return tuple(_step(course, seen, int(index)) for index in shown)


def _step(course: _Course, seen: Ints, index: int) -> SequentialStep:
    low = high = difference = None
    if course.odds is not None and course.difference is not None:
        low, high = float(course.odds[0][index]), float(course.odds[1][index])
        difference = Interval(low=float(course.difference[0][index]), high=float(course.difference[1][index]))
    return SequentialStep(
        trials=int(seen[index]),
        e_value=_exp(course.log_e[index]),
        odds_ratio_low=low,
        odds_ratio_high=high if high is not None and math.isfinite(high) else None,
        difference=difference,
    )


def _note(trials: Sequence[ScoredTrial], course: _Course) -> str:
    if not course.log_e.size:
        return "nothing to bet on: no pair of trials is complete"
    if any(trial.slot < 0 for trial in trials):
        return (
            "slots are not known: trials were taken in their order in time, which is exact only where none was redone"
        )
    return ""


def _exp(log_value: float) -> float:
    return math.exp(min(float(log_value), _LARGEST_LOG))
