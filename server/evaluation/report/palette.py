"""Colours and marks of policies, told apart without colour vision, too.

The colours are those of Okabe & Ito ("Color Universal Design", 2008), with an ochre in place of their yellow, which is
too faint on white. Every policy has a mark of its own shape besides, so that no plot depends on colours alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

INK: Final = "#1b1f24"
MUTED: Final = "#57606a"
RULE: Final = "#d5dae0"
PAPER: Final = "#ffffff"

COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#8c6d1f", "#56b4e9", "#3d4450", "#e69f00")
SHAPES: Final = ("circle", "square", "diamond", "triangle")
SIGNS: Final = {"circle": "●", "square": "■", "diamond": "◆", "triangle": "▲"}
"""What stands for a mark in a line of text."""


@dataclass(frozen=True)
class Look:
    """How a policy is drawn.

    Attributes:
        colour: As `#rrggbb`.
        shape: One of `SHAPES`.
    """

    colour: str
    shape: str

    @property
    def sign(self) -> str:
        """Its mark as a character."""
        return SIGNS[self.shape]


def looks(policies: Sequence[str]) -> dict[str, Look]:
    """A look for each policy; no two are the same for up to 32 of them.

    Args:
        policies: Names, in declared order.
    """
    return {
        name: Look(COLOURS[index % len(COLOURS)], SHAPES[(index + index // len(COLOURS)) % len(SHAPES)])
        for index, name in enumerate(policies)
    }


def tint(colour: str, share: float) -> str:
    """A colour mixed with white.

    Args:
        colour: As `#rrggbb`.
        share: How much of it is left, 0 (white) to 1.
    """
    parts = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    return "#" + "".join(f"{round(255 - (255 - part) * share):02x}" for part in parts)
