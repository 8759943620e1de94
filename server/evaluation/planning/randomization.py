"""In which order layouts and policies are tried: the three ways to draw it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unichunk.server.evaluation.planning.campaign import Randomization

if TYPE_CHECKING:
    from unichunk.server.evaluation.planning.stream import Stream


@dataclass(frozen=True, order=True)
class Cell:
    """What one trial tries.

    Attributes:
        layout: Index among the campaign's layouts.
        policy: Index among the campaign's policies.
    """

    layout: int
    policy: int


def draw_schedule(method: Randomization, layouts: int, policies: int, replicates: int, stream: Stream) -> list[Cell]:
    """Draw the order of all trials.

    Args:
        method: How.
        layouts: L, how many there are.
        policies: P, how many there are.
        replicates: K, how often each cell comes.
        stream: Where the randomness comes from; the same stream draws the same order.

    Returns:
        K L P cells, each of the L P cells exactly K times.
    """
    if method is Randomization.REPLICATE_BLOCKS:
        return _replicate_blocks(layouts, policies, replicates, stream)
    if method is Randomization.LAYOUT_GROUPED:
        return _layout_grouped(layouts, policies, replicates, stream)
    return _independent_draw(layouts, policies, replicates, stream)


def _replicate_blocks(layouts: int, policies: int, replicates: int, stream: Stream) -> list[Cell]:
    """Permuted blocks: wherever the campaign stops, a cell is at most one trial ahead of another."""
    cells = [Cell(layout, policy) for layout in range(layouts) for policy in range(policies)]
    return [cell for _ in range(replicates) for cell in stream.shuffled(cells)]


def _layout_grouped(layouts: int, policies: int, replicates: int, stream: Stream) -> list[Cell]:
    """L resets of the scene in a replicate instead of up to L P."""
    return [
        Cell(layout, policy)
        for _ in range(replicates)
        for layout in stream.shuffled(range(layouts))
        for policy in stream.shuffled(range(policies))
    ]


def _independent_draw(layouts: int, policies: int, replicates: int, stream: Stream) -> list[Cell]:
    """A layout at random among those that are not complete, then a policy among those that are not complete on it.

    Nothing balances the cells before the end, and the last trials are those that chance left over.
    """
    missing = {layout: dict.fromkeys(range(policies), replicates) for layout in range(layouts)}
    schedule: list[Cell] = []
    while missing:
        layout = stream.choice(list(missing))
        policy = stream.choice(list(missing[layout]))
        schedule.append(Cell(layout, policy))
        missing[layout][policy] -= 1
        if not missing[layout][policy]:
            del missing[layout][policy]
        if not missing[layout]:
            del missing[layout]
    return schedule
