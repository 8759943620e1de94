"""The model of Bradley and Terry (1952) for preferences between policies: maximum likelihood, by components.

P(i is preferred to j) = 1 / (1 + exp(s_j - s_i)); a tie counts as half a win for both.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MOST_STEPS: Final = 200
HALF_A_WIN: Final = 0.5


def components(wins: Floats) -> list[list[int]]:
    """Groups of policies that were compared with each other, directly or through others; one alone is a group, too.

    Args:
        wins: How often the row's policy was preferred to the column's, shape (P, P).
    """
    linked = (wins + wins.T) > 0
    return _groups(_reachable(linked))


def has_estimate(wins: Floats) -> bool:
    """Whether the likelihood has a maximum (Ford 1957): every policy won, through others, against every other.

    Args:
        wins: Of one component.
    """
    return bool(_reachable(wins > 0).all())


def fit(wins: Floats) -> tuple[Floats, Floats]:
    """Strengths of one component.

    Args:
        wins: Of one component for which `has_estimate` holds, or regularized by `with_half_wins`.

    Returns:
        Log-strengths of mean 0, shape (P,), and their standard errors, shape (P,).
    """
    games = wins + wins.T
    strengths = np.zeros(len(wins))
    for _ in range(MOST_STEPS):
        chance = 1.0 / (1.0 + np.exp(strengths[None, :] - strengths[:, None]))
        gradient = (wins - games * chance).sum(axis=1)
        step = np.linalg.pinv(_information(games, chance)) @ gradient
        # Newton's step may overshoot far from the maximum; the likelihood is concave, so short steps get there.
        strengths = strengths + step * min(1.0, 1.0 / max(float(np.abs(step).max()), 1e-300))
        strengths -= strengths.mean()
        if np.abs(step).max() < 1e-10:
            break
    chance = 1.0 / (1.0 + np.exp(strengths[None, :] - strengths[:, None]))
    covariance = np.linalg.pinv(_information(games, chance))
    return strengths, np.sqrt(np.diag(covariance))


def with_half_wins(wins: Floats) -> Floats:
    """Half a win more for both sides of every pair that was compared, so that strengths are finite."""
    return wins + HALF_A_WIN * ((wins + wins.T) > 0)


def _information(games: Floats, chance: Floats) -> Floats:
    weights = games * chance * (1.0 - chance)
    return np.diag(weights.sum(axis=1)) - weights


def _reachable(linked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    reached = linked | np.eye(len(linked), dtype=np.bool_)
    for via in range(len(linked)):
        reached |= reached[:, via : via + 1] & reached[via : via + 1, :]
    return reached


def _groups(reached: NDArray[np.bool_]) -> list[list[int]]:
    groups: list[list[int]] = []
    seen: set[int] = set()
    for index in range(len(reached)):
        if index not in seen:
            group = [int(other) for other in np.flatnonzero(reached[index])]
            groups.append(group)
            seen.update(group)
    return groups
