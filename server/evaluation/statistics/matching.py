"""How often guesses would hit if they were dealt out anew to the trials they were made for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_EXACT: Final = 400
"""Guesses above which the normal approximation is used; the exact numbers have a thousand digits by then."""


def hits_at_least(hits: int, made: Sequence[int], named: Sequence[int]) -> float:
    """Chance of at least so many hits when all orders of the guesses are equally likely.

    The numbers of ways to place j hits are the coefficients of a rook polynomial, a product over policies, and give the
    chance by inclusion and exclusion (Riordan 1958, chapter 7), in whole numbers.

    Args:
        hits: Observed.
        made: Guesses made about each policy, shape (k,).
        named: How often each policy was guessed, shape (k,); the same sum.

    Returns:
        One-sided p-value, exact up to `MOST_EXACT` guesses.
    """
    if hits <= 0:
        return 1.0
    total = sum(made)
    if total > MOST_EXACT:
        return _normal(hits, made, named)
    rooks = [1]
    for about, of in zip(made, named, strict=True):
        rooks = _product(
            rooks, [math.comb(about, j) * math.comb(of, j) * math.factorial(j) for j in range(min(about, of) + 1)]
        )
    ways: int = sum(
        (-1) ** (j - hits) * math.comb(j - 1, hits - 1) * rooks[j] * math.factorial(total - j)
        for j in range(hits, len(rooks))
    )
    return ways / math.factorial(total)


def _product(one: Sequence[int], other: Sequence[int]) -> list[int]:
    product = [0] * (len(one) + len(other) - 1)
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            product[i + j] += a * b
    return product


def _normal(hits: int, made: Sequence[int], named: Sequence[int]) -> float:
    """With the exact mean and variance of the number of hits, and correction for continuity."""
    n = sum(made)
    products = [about * of for about, of in zip(made, named, strict=True)]
    mean = sum(products) / n
    # E[T(T - 1)]: ordered pairs of trials that both hit, in the same policy or in two.
    same = sum(about * (about - 1) * of * (of - 1) for about, of in zip(made, named, strict=True))
    different = sum(products) ** 2 - sum(product**2 for product in products)
    variance = (same + different) / (n * (n - 1)) + mean - mean**2
    if variance <= 0:
        return 1.0
    return 0.5 * math.erfc((hits - 0.5 - mean) / math.sqrt(2.0 * variance))
