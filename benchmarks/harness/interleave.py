"""Repetitions of several cases in turn, so that a busy moment of the machine hits none alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")
Name = TypeVar("Name")


def interleave(cases: Mapping[Name, Callable[[], T]], rounds: int, *, warm_up: int = 1) -> dict[Name, list[T]]:
    """Run every case once a round: A B, B A, A B, ...

    Every other round runs backwards, so that a steady drift (a processor that warms up) cancels out of ratios.

    Args:
        cases: What to run, by name.
        rounds: Repetitions that count.
        warm_up: Rounds before them, whose results are dropped.

    Returns:
        The results of each case, round by round: those at one index belong to the same round.
    """
    results: dict[Name, list[T]] = {name: [] for name in cases}
    for number in range(-warm_up, rounds):
        for name in list(cases) if number % 2 == 0 else reversed(list(cases)):
            result = cases[name]()
            if number >= 0:
                results[name].append(result)
    return results
