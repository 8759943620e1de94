"""Chunks that are joint rows already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

ROWS: Final = "action.joints"
"""The one key of actions that say where each joint goes, in command order."""


@dataclass(frozen=True)
class JointChunk:
    """A `Chunk` whose unified rows simply carry the joints.

    Attributes:
        unified: Shape (T, 200): the joints, and zeros.
        actions: `action.joints`, shape (T, n), [rad].
        cold: Whether its latency says nothing of the next one's.
        gates, discrepancies, text: There are none; a text would tell whose it is.
    """

    unified: NDArray[np.float32]
    actions: Mapping[str, NDArray[np.float32]]
    cold: bool = False
    gates: NDArray[np.float32] | None = None
    discrepancies: NDArray[np.float32] | None = None
    text: str | None = None

    @classmethod
    def of(cls, rows: NDArray[np.float32], *, cold: bool = False) -> JointChunk:
        """The chunk of joint rows (T, n), [rad]."""
        return cls(unified=unified_rows(rows), actions={ROWS: rows}, cold=cold)


def unified_rows(joints: NDArray[np.generic]) -> NDArray[np.float32]:
    """Joint rows (m, n) as rows of the unified width, (m, 200)."""
    unified = np.zeros((len(joints), UNIFIED_WIDTH), np.float32)
    unified[:, : joints.shape[1]] = joints
    return unified
