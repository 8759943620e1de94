"""Which block an instruction names, and which posture of the hand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.embodiments.errors import EmbodimentError
from unichunk.embodiments.sim.block_paths import BLOCKS

if TYPE_CHECKING:
    from unichunk.embodiments.sim.block_paths import Block
    from unichunk.embodiments.sim.hands import Posture

INSTRUCTIONS: Final[dict[Posture, str]] = {
    "half": "follow the {block} block",
    "open": "follow the {block} block with an open hand",
    "closed": "follow the {block} block with a closed hand",
}
"""How each posture is asked for; `{block}` stands for the colour."""

_WORDS: Final[dict[Posture, frozenset[str]]] = {
    "open": frozenset(("open", "opened")),
    "closed": frozenset(("closed", "close")),
}
_HANDS: Final = frozenset(("hand", "hands", "gripper", "grippers", "finger", "fingers"))
_LONGEST_QUOTE: Final = 80


class InstructionUnclear(EmbodimentError):
    """An instruction names no block or more than one, or is unclear about the hand."""


@dataclass(frozen=True)
class Asked:
    """What an instruction asks for.

    Attributes:
        block: Which block to follow.
        posture: Of the hand or hands; half-way where nothing is said.
    """

    block: Block
    posture: Posture = "half"


def parse_instruction(instruction: str) -> Asked:
    """What an instruction asks for: the one block whose colour is a word of it, and open or closed hands.

    Words count whatever their case. "Open" and "closed" are about the hand, the gripper or the fingers.

    Raises:
        InstructionUnclear: Where no block is named, or more than one, or the hand is to be open and closed, or it is
            not said what is to be open or closed.
    """
    words = set(re.findall(r"[^\W_]+", instruction.lower()))
    named = [block for block in BLOCKS if block in words]
    if len(named) != 1:
        raise InstructionUnclear(
            f"instruction {_quoted(instruction)}: expected one of the words {' or '.join(BLOCKS)}, "
            f"got {'both' if named else 'neither'}; say for example {INSTRUCTIONS['half'].format(block=BLOCKS[0])!r}"
        )
    postures = [posture for posture, synonyms in _WORDS.items() if synonyms & words]
    if len(postures) > 1 or (postures and not _HANDS & words):
        raise InstructionUnclear(
            f"instruction {_quoted(instruction)}: expected an open or a closed hand, "
            f"got {'both' if len(postures) > 1 else f'{postures[0]} without a hand, gripper or fingers'}; "
            f"say for example {INSTRUCTIONS['open'].format(block=named[0])!r}"
        )
    return Asked(named[0], postures[0] if postures else "half")


def _quoted(instruction: str) -> str:
    return repr(instruction if len(instruction) <= _LONGEST_QUOTE else f"{instruction[:_LONGEST_QUOTE]}...")
