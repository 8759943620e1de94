"""What people say to a robot that shall follow a block, for training: a few ways to say each of the goals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.hands import POSTURES

if TYPE_CHECKING:
    from unichunk.embodiments.sim.block_paths import Block
    from unichunk.embodiments.sim.hands import Posture
    from unichunk.embodiments.spec import EmbodimentSpec

PLACES: Final = (
    "follow the {block} block",
    "follow the {block} block",
    "follow the {block} block",
    "Follow the {block} block",
    "follow the {block} cube",
    "follow the {block} target",
    "track the {block} block",
    "keep the {hand} at the {block} cube",
    "stay with the {block} block",
    "move with the {block} block",
    "go to the {block} block and stay with it",
)
"""How a place is named; the plainest way more often than the others."""

MANNERS: Final[dict[Posture, tuple[str, ...]]] = {
    "half": ("",),
    "open": (" with an open hand", " with an open {hand}", " with the {hand} open", " with open fingers"),
    "closed": (" with a closed hand", " with a closed {hand}", " with the {hand} closed", ", closing the {hand}"),
}
"""How a posture is asked for, after the place."""


def phrases(spec: EmbodimentSpec) -> dict[tuple[Block, Posture], tuple[str, ...]]:
    """All instructions of a robot, by block and posture; each goal has the same number of them, some repeated."""
    kinds = {group.kind for group in spec.groups.values()}
    hand = "gripper" if "gripper" in kinds else "hand"
    most = max(len(manners) for manners in MANNERS.values())
    said: dict[tuple[Block, Posture], tuple[str, ...]] = {}
    for block in BLOCKS:
        for posture in POSTURES:
            manners = MANNERS[posture] * (most // len(MANNERS[posture]))
            texts = [place + manner for place in PLACES for manner in manners]
            texts += [f"{text}." for text in texts[:: len(manners)]]
            said[block, posture] = tuple(text.format(block=block, hand=hand) for text in texts)
    return said
