"""Whether trials of several classes can be told apart by numbers: a classifier, and how much better than chance it is.

Linear discriminant analysis with a covariance that is shrunk towards its diagonal (Friedman, 1989, "Regularized
Discriminant Analysis"), cross-validated by trial. Nothing is assumed of how numbers are distributed for the p-value:
labels are permuted among trials, and everything is done again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Labels = NDArray[np.int64]

FOLDS: Final = 6
SHRINKAGE: Final = 0.2


@dataclass(frozen=True)
class ToldApart:
    """How well.

    Attributes:
        accuracy: Share of trials whose class was found.
        p_binomial: Of as many hits by chance or more, were trials independent.
        p_permutation: Share of permuted labels that are found as well or better, with the real ones among them.
    """

    accuracy: float
    p_binomial: float
    p_permutation: float


def told_apart(features: Floats, labels: Labels, random: np.random.Generator, permutations: int) -> ToldApart:
    """Cross-validate.

    Args:
        features: A row for each trial, shape (N, f).
        labels: Classes 0 ... C - 1, shape (N,).
        random: Chooses folds and permutations.
        permutations: How many.
    """
    folds = _folds(labels, random)
    hits = _hits(features, labels, folds)
    as_good = 1
    for _ in range(permutations):
        permuted = random.permutation(labels)
        as_good += _hits(features, permuted, _folds(permuted, random)) >= hits
    chance = 1.0 / (labels.max() + 1)
    return ToldApart(hits / len(labels), binomial_tail(hits, len(labels), chance), as_good / (permutations + 1))


def binomial_tail(hits: int, n: int, chance: float) -> float:
    """Probability of `hits` or more among n."""
    return float(sum(math.comb(n, k) * chance**k * (1 - chance) ** (n - k) for k in range(hits, n + 1)))


def _folds(labels: Labels, random: np.random.Generator) -> Labels:
    """A fold for each trial, with about as many trials of each class in each."""
    folds = np.empty(len(labels), np.int64)
    for label in range(labels.max() + 1):
        (mine,) = np.nonzero(labels == label)
        folds[random.permutation(mine)] = np.arange(len(mine)) % FOLDS
    return folds


def _hits(features: Floats, labels: Labels, folds: Labels) -> int:
    hits = 0
    for fold in range(FOLDS):
        test = folds == fold
        found = _classify(features[~test], labels[~test], features[test])
        hits += int((found == labels[test]).sum())
    return hits


def _classify(known: Floats, labels: Labels, asked: Floats) -> Labels:
    """Classes of rows, from rows whose classes are known."""
    centre, scale = known.mean(axis=0), known.std(axis=0)
    # What never changes says nothing; what rounding makes of it does not either.
    useful = scale > 1e-9 * (1.0 + np.abs(centre))
    if not useful.any():
        return np.zeros(len(asked), np.int64)
    known, asked = ((rows[:, useful] - centre[useful]) / scale[useful] for rows in (known, asked))
    means = np.stack([known[labels == label].mean(axis=0) for label in range(labels.max() + 1)])
    inner = known - means[labels]
    covariance = inner.T @ inner / max(1, len(known) - len(means))
    covariance = (
        (1 - SHRINKAGE) * covariance + SHRINKAGE * np.diag(np.diag(covariance)) + 1e-6 * np.eye(len(covariance))
    )
    weights = np.linalg.solve(covariance, means.T)
    scores = asked @ weights - 0.5 * np.einsum("cf,fc->c", means, weights)
    # Ties are broken by nothing that depends on the truth: the first class.
    found: Labels = np.argmax(scores, axis=1)
    return found
