"""How the evidence of the sequential test grew from trial to trial."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from unichunk.server.evaluation.report.palette import COLOURS, MUTED, RULE
from unichunk.server.evaluation.report.scale import Scale, decades, horizontal_axis, power_of_ten
from unichunk.server.evaluation.report.scene import WIDTH, Curve, Label, Line, Mark, Scene, shortened
from unichunk.server.evaluation.report.words import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.server.evaluation.report.scene import Shape
    from unichunk.server.evaluation.statistics.document import PairComparison, Sequential

HEIGHT: Final = 230.0
LEFT: Final = 46.0
MOST: Final = 8
"""Pairs with the most evidence that are drawn in colour and named; the others are grey."""
FLOOR: Final = -6.0
"""Evidence less than 10 to this is drawn there."""


def evidence_plot(pairs: Sequence[PairComparison], alpha: float) -> Scene:
    """E-values over the trials of each pair, on a logarithmic axis.

    Args:
        pairs: Those with a sequential test.
        alpha: The level; 1 / alpha is where the test of a single pair rejects.
    """
    named = [(pair, pair.sequential) for pair in pairs if pair.sequential is not None]
    named.sort(key=lambda item: -item[1].largest)
    exponents = [_exponent(step.e_value) for _, test in named for step in test.steps]
    low = min([*exponents, 0.0])
    high = max([*exponents, -math.log10(alpha) + 0.3])
    last = max([step.trials for _, test in named for step in test.steps], default=1)
    along = Scale(0, max(last, 1), LEFT, WIDTH - 14)
    up = Scale(low, high, HEIGHT, 10)
    shapes = _axes(along, up, alpha)
    for index, (pair, test) in reversed(list(enumerate(named))):
        shapes += _path(pair, test, COLOURS[index] if index < MOST else RULE, along, up)
    bottom = HEIGHT + 40
    for index, (pair, test) in enumerate(named[:MOST]):
        shapes += _key(pair, test, COLOURS[index], bottom + 18 * index)
    height = bottom + 18 * min(len(named), MOST)
    return Scene(WIDTH, height, tuple(shapes), "Evidence of the sequential test over trials")


def _axes(along: Scale, up: Scale, alpha: float) -> list[Shape]:
    ticks = [(value, f"{value:.0f}") for value in along.ticks(6) if value == round(value)]
    shapes: list[Shape] = horizontal_axis(along, ticks, top=10, bottom=HEIGHT, title="scored trials of the pair")
    for exponent in decades(up.low, up.high):
        if up.low <= exponent <= up.high:
            y = up.at(exponent)
            shapes += [
                Line((LEFT, y), (along.end, y), RULE, 0.8),
                Label((LEFT - 6, y + 4), power_of_ten(exponent), 10.5, MUTED, "end"),
            ]
    y = up.at(-math.log10(alpha))
    shapes += [
        Line((LEFT, up.at(0)), (along.end, up.at(0)), MUTED, 1.0),
        Line((LEFT, y), (along.end, y), MUTED, 1.2, (5, 3)),
        Label((LEFT + 6, y - 5), f"1/α = {number(1 / alpha)}", 10.5, MUTED),
    ]
    return shapes


def _path(pair: PairComparison, test: Sequential, colour: str, along: Scale, up: Scale) -> list[Shape]:
    places = [(along.at(0), up.at(0))]
    for step in test.steps:
        # A bet is settled at once: the path is a staircase.
        x = along.at(step.trials)
        places += [(x, places[-1][1]), (x, up.at(_exponent(step.e_value)))]
    tip = f"{pair.first} and {pair.second}: e = {number(test.e_value)}"
    if len(places) == 1:
        return []
    return [Curve(tuple(places), colour, 1.7), Mark(places[-1], "circle", colour, 3, tip=tip)]


def _key(pair: PairComparison, test: Sequential, colour: str, y: float) -> list[Shape]:
    name = shortened(f"{pair.first} and {pair.second}", 220)
    return [
        Line((LEFT, y + 8), (LEFT + 16, y + 8), colour, 3),
        Label((LEFT + 22, y + 12), name),
        Label((WIDTH - 14, y + 12), f"largest e = {number(test.largest)}", 10.5, MUTED, "end"),
    ]


def _exponent(e_value: float) -> float:
    return max(math.log10(e_value), FLOOR) if e_value > 0 else FLOOR
