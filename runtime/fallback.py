"""What runs when there is no row: the embodiment's declared fallback, one row at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Encode: TypeAlias = "Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float32]]"
"""Joint rows (m, n) [rad], and the row that runs before them (n,), to unified, normalized rows (m, 200)."""


class Fallback(Protocol):
    """Continues a row sequence without a policy."""

    def extend(
        self,
        unified: NDArray[np.float32],
        joints: NDArray[np.float64],
        next_unified: NDArray[np.float32],
        next_joints: NDArray[np.float64],
    ) -> None:
        """Write the row that follows (unified (200,), joints (n,) [rad]) into the last two arguments."""
        ...


class HoldFallback:
    """Stay where the last row was.

    Args:
        slots: Unified slots that say how far to go from the row before, shape (k,): there, to stay is not to repeat.
        still: What they hold, normalized, where the robot stays, shape (k,).
    """

    def __init__(self, slots: NDArray[np.int64] | None = None, still: NDArray[np.float32] | None = None) -> None:
        self._slots: NDArray[np.int64] = np.zeros(0, np.int64) if slots is None else slots
        self._still: NDArray[np.float32] = np.zeros(0, np.float32) if still is None else still

    def extend(
        self,
        unified: NDArray[np.float32],
        joints: NDArray[np.float64],
        next_unified: NDArray[np.float32],
        next_joints: NDArray[np.float64],
    ) -> None:
        """Repeat the joints, and what is absolute of the row."""
        next_unified[:] = unified
        next_unified[self._slots] = self._still
        next_joints[:] = joints


class RampFallback:
    """Move to a rest pose, each joint at a bounded step a row.

    Args:
        rest: Rest pose, shape (n,), [rad].
        step: Largest change of a joint from row to row, shape (n,), [rad].
        encode: So that what ran can be locked.
    """

    def __init__(
        self,
        rest: NDArray[np.float64],
        step: NDArray[np.float64],
        encode: Encode,
    ) -> None:
        self._rest = rest
        self._step = step
        self._encode = encode

    def extend(
        self,
        unified: NDArray[np.float32],  # noqa: ARG002  part of the protocol
        joints: NDArray[np.float64],
        next_unified: NDArray[np.float32],
        next_joints: NDArray[np.float64],
    ) -> None:
        """One bounded step towards the rest pose."""
        next_joints[:] = joints + np.clip(self._rest - joints, -self._step, self._step)
        next_unified[:] = self._encode(next_joints[None], joints)[0]
