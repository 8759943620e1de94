"""Efficiency factors: how much longer each part takes in the graphs than was measured alone."""

from __future__ import annotations

from dataclasses import asdict, astuple, dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PRIOR: Final = 0.01
"""Weight, for each time that is fitted, of the belief that the roofline is right: nothing longer, all hidden."""


@dataclass(frozen=True)
class Parts:
    """Times that make up a graph's, or factors of them.

    Attributes:
        products: Matrix products, each the longer of arithmetic and memory.
        hidden: The shorter of the two; a factor of 0 means that it is hidden behind the longer, 1 that it is not.
        pointwise: What stands between products.
        launches: Launches.
    """

    products: float
    hidden: float
    pointwise: float
    launches: float

    def row(self) -> dict[str, float]:
        """As plain values."""
        return asdict(self)


ROOFLINE: Final = Parts(products=1.0, hidden=0.0, pointwise=1.0, launches=1.0)
"""Factors before anything was measured."""


@dataclass(frozen=True)
class Sample:
    """One graph: what it is made of, and what it took.

    Attributes:
        model: Which model's.
        graph: Which graph of it.
        parts: At the rates measured alone, [s].
        measured_s: Median, [s].
        spread: Between the quartiles of what was measured, in terms of the median.
    """

    model: str
    graph: str
    parts: Parts
    measured_s: float
    spread: float = 0.0


def seconds(factors: Parts, parts: Parts) -> float:
    """Predicted time, [s]."""
    return float(np.dot(astuple(factors), astuple(parts)))


def fitted(samples: Sequence[Sample]) -> Parts:
    """The factors, none of them negative, that make the relative errors smallest in the mean square."""
    parts = np.array([astuple(sample.parts) for sample in samples])
    measured = np.array([sample.measured_s for sample in samples])
    believed = np.array(astuple(ROOFLINE))
    weight = np.sqrt(PRIOR * len(samples))
    matrix = np.concatenate([parts / measured[:, None], weight * np.eye(len(believed))])
    target = np.concatenate([np.ones(len(samples)), weight * believed])
    return Parts(*(float(value) for value in _not_negative(matrix, target)))


def _not_negative(matrix: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Least squares over vectors without negative entries: the best of all choices of entries that are zero."""
    best, least = np.zeros(matrix.shape[1]), float(np.sum(target**2))
    for count in range(1, matrix.shape[1] + 1):
        for chosen in combinations(range(matrix.shape[1]), count):
            part, *_ = np.linalg.lstsq(matrix[:, chosen], target, rcond=None)
            error = float(np.sum((matrix[:, chosen] @ part - target) ** 2))
            if (part >= 0).all() and error < least:
                best, least = np.zeros(matrix.shape[1]), error
                best[list(chosen)] = part
    return best


def left_out(samples: Sequence[Sample]) -> list[tuple[Sample, float]]:
    """Each sample with its time as predicted by factors that were fitted to the other models, [s]."""
    return [
        (sample, seconds(fitted([other for other in samples if other.model != sample.model]), sample.parts))
        for sample in samples
    ]


def errors(pairs: Sequence[tuple[Sample, float]]) -> dict[str, float]:
    """Median and largest size of the relative error, [%]."""
    sizes = [100 * abs(predicted / sample.measured_s - 1) for sample, predicted in pairs]
    return {"median_percent": float(np.median(sizes)), "worst_percent": float(np.max(sizes)), "graphs": len(sizes)}
