"""Blinding indices from guesses: Bang's per policy, James' over all, and a test of recognition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from unichunk.server.evaluation.statistics.document import BlindingIndex, Interval, PolicyGuesses, Tested
from unichunk.server.evaluation.statistics.matching import hits_at_least

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.results import PolicyGuess

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Guesses:
    """Counts of guesses.

    Attributes:
        named: Row: the policy, column: what it was taken for; shape (k, k).
        unknown: Does not know, for each policy; shape (k,).
    """

    named: Ints
    unknown: Ints


def blinding_index(
    guesses: Sequence[PolicyGuess], policies: Sequence[str], confidence: float, alpha: float
) -> BlindingIndex:
    """All indices.

    Args:
        guesses: Of operators; an empty guess, or a name that is not in the plan: does not know.
        policies: Names as declared.
        confidence: Level of the intervals.
        alpha: Level of the test.
    """
    table = _count(guesses, policies)
    estimate, interval = james(table, confidence)
    return BlindingIndex(
        asked=int(table.named.sum() + table.unknown.sum()),
        policies=tuple(_of_policy(table, policies, row, confidence) for row in range(len(policies))),
        james=estimate,
        james_interval=interval,
        recognized=recognition(table, alpha),
        note="" if estimate is not None else "James' index is not defined: too few guesses to tell from chance",
    )


def bang(correct: int, wrong: int, unknown: int, policies: int, confidence: float) -> tuple[float, Interval] | None:
    """Bang's index (Bang, Ni & Davis 2004) of one policy, for k policies: P(correct) - P(wrong) / (k - 1).

    For two policies it is Bang's own. It is 0 for guesses at random, 1 if all are correct, and -1 / (k - 1) if all
    are wrong. The variance is that of a mean of multinomial scores.

    Args:
        correct: Guesses.
        wrong: Guesses.
        unknown: Does not know.
        policies: k.
        confidence: Level of the interval.
    """
    asked = correct + wrong + unknown
    if asked == 0:
        return None
    miss = 1.0 / (policies - 1)
    index = (correct - miss * wrong) / asked
    variance = max(0.0, (correct + miss**2 * wrong) / asked - index**2) / asked
    reach = _z(confidence) * variance**0.5
    return index, Interval(low=max(-1.0, index - reach), high=min(1.0, index + reach))


def james(table: Guesses, confidence: float) -> tuple[float | None, Interval | None]:
    """James' index (James, Bloch, Lee, Kraemer & Fuller 1996): 1 complete blinding, 0.5 as by chance, 0 none.

    (1 + D + (1 - D) K) / 2, D: share that does not know, K: wrong guesses among those made, relative to what their
    margins make expect, less 1. Its interval is by the delta method on the multinomial shares of all cells, the
    gradient by differences.

    Args:
        table: Counts.
        confidence: Level of the interval.
    """
    cells = np.concatenate([table.named.ravel(), table.unknown]).astype(np.float64)
    asked = float(cells.sum())
    if asked == 0:
        return None, None
    shares = cells / asked
    index = _james(shares, len(table.unknown))
    if index is None:
        return None, None
    step = 1e-6
    gradient = np.zeros_like(shares)
    for cell in np.flatnonzero(shares):
        up, down = shares.copy(), shares.copy()
        up[cell] += step
        down[cell] -= step
        above, below = _james(up / up.sum(), len(table.unknown)), _james(down / down.sum(), len(table.unknown))
        if above is None or below is None:
            return index, None
        gradient[cell] = (above - below) / (2.0 * step)
    variance = max(0.0, float(shares @ gradient**2 - (shares @ gradient) ** 2)) / asked
    reach = _z(confidence) * variance**0.5
    return index, Interval(low=max(0.0, index - reach), high=min(1.0, index + reach))


def recognition(table: Guesses, alpha: float) -> Tested:
    """Whether guesses hit more often than if they were dealt out anew to the trials; one-sided, exact up to 400.

    Args:
        table: Counts.
        alpha: Level.
    """
    name = "recognized more often than by chance (one-sided)"
    made = int(table.named.sum())
    if made == 0:
        return Tested(name=name, p=None, note="nobody guessed")
    hits = int(np.trace(table.named))
    p = hits_at_least(hits, table.named.sum(axis=1).tolist(), table.named.sum(axis=0).tolist())
    return Tested(name=name, p=p, rejects=p <= alpha, statistic=hits / made)


def _james(shares: Floats, policies: int) -> float | None:
    named, unknown = shares[: policies**2].reshape(policies, policies), float(shares[policies**2 :].sum())
    made = 1.0 - unknown
    if made <= 1e-9:
        return 1.0
    observed = (named.sum() - np.trace(named)) / made
    expected = 1.0 - float(named.sum(axis=1) @ named.sum(axis=0)) / made**2
    if expected <= 1e-9:
        return None
    return float(0.5 * (1.0 + unknown + made * (observed - expected) / expected))


def _of_policy(table: Guesses, policies: Sequence[str], row: int, confidence: float) -> PolicyGuesses:
    correct = int(table.named[row, row])
    wrong, unknown = int(table.named[row].sum()) - correct, int(table.unknown[row])
    found = bang(correct, wrong, unknown, len(policies), confidence)
    named = [(name, int(times)) for name, times in zip(policies, table.named[row], strict=True)]
    return PolicyGuesses(
        policy=policies[row],
        guesses=(*named, ("", unknown)),
        correct=correct,
        wrong=wrong,
        unknown=unknown,
        bang=found[0] if found else None,
        interval=found[1] if found else None,
    )


def _count(guesses: Sequence[PolicyGuess], policies: Sequence[str]) -> Guesses:
    index = {name: number for number, name in enumerate(policies)}
    named = np.zeros((len(policies), len(policies)), dtype=np.int64)
    unknown = np.zeros(len(policies), dtype=np.int64)
    for guess in guesses:
        if guess.policy not in index:
            continue
        if guess.guess in index:
            named[index[guess.policy], index[guess.guess]] += 1
        else:
            unknown[index[guess.policy]] += 1
    return Guesses(named, unknown)


def _z(confidence: float) -> float:
    from scipy.special import ndtri  # noqa: PLC0415

    return float(ndtri(0.5 + 0.5 * confidence))
