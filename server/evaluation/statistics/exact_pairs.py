"""Exact tests of two success rates, layouts pooled: Barnard's and Fisher's."""

from __future__ import annotations

import functools
from typing import Final

from unichunk.server.evaluation.statistics.barnard import barnard_p
from unichunk.server.evaluation.statistics.document import Tested

LARGEST_BARNARD: Final = 2000
"""Trials of one policy above which Barnard's test is not computed: it takes memory with the product of both."""


def fisher(first: tuple[int, int], second: tuple[int, int]) -> Tested:
    """Fisher's exact test, two-sided: conditional on both margins, so conservative.

    Args:
        first: Successes and trials.
        second: Successes and trials.
    """
    name = "Fisher"
    if first[1] == 0 or second[1] == 0:
        return Tested(name=name, p=None, note="no trial of one of the policies")
    return Tested(name=name, p=_fisher_p(first, second))


def barnard(first: tuple[int, int], second: tuple[int, int]) -> Tested:
    """Barnard's exact unconditional test (1945), two-sided, with the pooled Wald statistic: more power than Fisher's.

    Args:
        first: Successes and trials.
        second: Successes and trials.
    """
    name = "Barnard"
    if first[1] == 0 or second[1] == 0:
        return Tested(name=name, p=None, note="no trial of one of the policies")
    if first[0] + second[0] in {0, first[1] + second[1]}:
        return Tested(name=name, p=1.0, note="all trials of both came out the same")
    if max(first[1], second[1]) > LARGEST_BARNARD:
        note = f"not computed for more than {LARGEST_BARNARD} trials of a policy; Fisher's agrees closely there"
        return Tested(name=name, p=None, note=note)
    return Tested(name=name, p=_barnard_p(first, second))


@functools.lru_cache(maxsize=4096)
def _fisher_p(first: tuple[int, int], second: tuple[int, int]) -> float:
    from scipy.stats import fisher_exact  # noqa: PLC0415

    return min(1.0, float(fisher_exact(_table(first, second)).pvalue))


@functools.lru_cache(maxsize=4096)
def _barnard_p(first: tuple[int, int], second: tuple[int, int]) -> float:
    return barnard_p(first, second)


def _table(first: tuple[int, int], second: tuple[int, int]) -> list[list[int]]:
    return [[first[0], second[0]], [first[1] - first[0], second[1] - second[0]]]
