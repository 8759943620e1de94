"""What operators preferred, as strengths of policies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unichunk.server.evaluation.statistics import bradley_terry
from unichunk.server.evaluation.statistics.document import Interval, Preferences, Strength

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from unichunk.server.evaluation.results import Preference

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Tally:
    """Wins of row over column, ties of row and column (symmetric), and how many preferences say nothing."""

    wins: Floats
    ties: Floats
    left_out: int


def preferred(
    preferences: Sequence[Preference], policies: Sequence[str], policy_of: Mapping[str, str], confidence: float
) -> Preferences:
    """Fit Bradley and Terry's model to each group of policies that were compared with each other.

    Args:
        preferences: Of the operators.
        policies: Names as declared.
        policy_of: Trial -> policy, of the trials that count.
        confidence: Level of the intervals.
    """
    tally = _tally(preferences, policies, policy_of)
    wins = tally.wins + 0.5 * tally.ties
    groups = bradley_terry.components(wins)
    strengths: list[Strength] = []
    regularized = False
    for number, group in enumerate(groups):
        inside = wins[np.ix_(group, group)]
        infinite = len(group) > 1 and not bradley_terry.has_estimate(inside)
        regularized |= infinite
        found = bradley_terry.fit(bradley_terry.with_half_wins(inside) if infinite else inside)
        strengths += _strengths(number, group, found, tally, policies, confidence)
    return Preferences(
        compared=int(tally.wins.sum() + tally.ties.sum() / 2),
        ties=int(tally.ties.sum() / 2),
        left_out=tally.left_out,
        connected=len(groups) == 1,
        regularized=regularized,
        strengths=tuple(strengths),
        note=_note(groups, policies, regularized=regularized),
    )


def _tally(preferences: Sequence[Preference], policies: Sequence[str], policy_of: Mapping[str, str]) -> _Tally:
    index = {name: number for number, name in enumerate(policies)}
    wins, ties = np.zeros((len(policies), len(policies))), np.zeros((len(policies), len(policies)))
    left_out = 0
    for preference in preferences:
        first = index.get(policy_of.get(preference.first, preference.first))
        second = index.get(policy_of.get(preference.second, preference.second))
        better = index.get(preference.better)
        if first is None or second is None or first == second or (preference.better and better not in {first, second}):
            left_out += 1
        elif better is None:
            ties[first, second] += 1
            ties[second, first] += 1
        else:
            wins[better, second if better == first else first] += 1
    return _Tally(wins, ties, left_out)


def _strengths(
    component: int,
    group: Sequence[int],
    found: tuple[Floats, Floats],
    tally: _Tally,
    policies: Sequence[str],
    confidence: float,
) -> list[Strength]:
    from scipy.special import ndtri  # noqa: PLC0415

    z = float(ndtri(0.5 + 0.5 * confidence))
    alone = len(group) == 1
    return [
        Strength(
            policy=policies[group[row]],
            component=component,
            wins=int(tally.wins[group[row]].sum()),
            losses=int(tally.wins[:, group[row]].sum()),
            ties=int(tally.ties[group[row]].sum()),
            strength=None if alone else float(found[0][row]),
            interval=None
            if alone
            else Interval(low=float(found[0][row] - z * found[1][row]), high=float(found[0][row] + z * found[1][row])),
        )
        for row in sorted(range(len(group)), key=lambda row: -found[0][row])
    ]


def _note(groups: Sequence[Sequence[int]], policies: Sequence[str], *, regularized: bool) -> str:
    notes = []
    if len(groups) > 1:
        named = "; ".join(", ".join(policies[index] for index in group) for group in groups)
        notes.append(f"policies fall into groups that were never compared with each other: {named}")
    if regularized:
        notes.append("some policies never lost to others: half a win was added to both sides of every compared pair")
    return "; ".join(notes)
