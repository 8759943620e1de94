"""Under which conditions a policy is evaluated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.lighting import ChangingLighting
from unichunk.embodiments.sim.occlusion import Occlusion

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.embodiments.sim.block_paths import Block
    from unichunk.embodiments.sim.camera import Disturbance


@dataclass(frozen=True)
class Condition:
    """One of them.

    Attributes:
        name: What it is called.
        disturbance: What is wrong with the view, made from a seed; None: nothing.
        switch: Whether the instruction names the other block from half-way on.
    """

    name: str
    disturbance: Callable[[int], Disturbance] | None = None
    switch: bool = False

    def named(self, block: Block, ticks: int) -> list[Block]:
        """Which block is named in each tick, beginning with this one."""
        other = BLOCKS[1 - BLOCKS.index(block)]
        return [other if self.switch and 2 * tick >= ticks else block for tick in range(ticks)]


CONDITIONS: Final = (
    Condition("clean"),
    Condition("lighting", ChangingLighting),
    Condition("occlusion", Occlusion),
    Condition("switch", switch=True),
)
"""All of them. The first three name one block throughout."""
