"""Which block an instruction names."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from unichunk.embodiments.errors import EmbodimentError
from unichunk.embodiments.sim.block_paths import BLOCKS

if TYPE_CHECKING:
    from unichunk.embodiments.sim.block_paths import Block

_LONGEST_QUOTE = 80


class InstructionUnclear(EmbodimentError):
    """An instruction names no block, or more than one."""


def named_block(instruction: str) -> Block:
    """The one block whose colour is a word of the instruction, whatever its case.

    Raises:
        InstructionUnclear: Where there is none, or more than one.
    """
    words = set(re.findall(r"\w+", instruction.lower()))
    named = [block for block in BLOCKS if block in words]
    if len(named) == 1:
        return named[0]
    quote = instruction if len(instruction) <= _LONGEST_QUOTE else f"{instruction[:_LONGEST_QUOTE]}..."
    raise InstructionUnclear(
        f"instruction {quote!r}: expected one of the words {' or '.join(BLOCKS)}, "
        f"got {'both' if named else 'neither'}; say for example 'follow the {BLOCKS[0]} block'"
    )
