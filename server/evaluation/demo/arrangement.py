"""Where the blocks of the demonstration stand: the layouts of its campaign, by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from unichunk.embodiments.sim.block_paths import Block

TARGET: Final[Block] = "red"
"""The block that the instruction names."""

ARRANGEMENTS: Final[Mapping[str, Mapping[Block, tuple[float, float]]]] = {
    "left": {"red": (0.24, 0.10), "blue": (0.24, -0.08)},
    "right": {"red": (0.26, -0.10), "blue": (0.22, 0.06)},
}
"""Layout -> places of both blocks over the table in the base, [m]. The rest pose and every point half-way from there to
a goal are too far from the goal to count."""
