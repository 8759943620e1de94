"""What runs when there is no row: the embodiment's declared fallback, one row at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


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
    """Stay where the last row was."""

    def extend(
        self,
        unified: NDArray[np.float32],
        joints: NDArray[np.float64],
        next_unified: NDArray[np.float32],
        next_joints: NDArray[np.float64],
    ) -> None:
        """Repeat the row."""
        next_unified[:] = unified
        next_joints[:] = joints


class RampFallback:
    """Move to a rest pose, each joint at a bounded step a row.

    Args:
        rest: Rest pose, shape (n,), [rad].
        step: Largest change of a joint from row to row, shape (n,), [rad].
        encode: Maps joint rows (m, n) to unified, normalized rows (m, 200), so that what ran can be locked.
    """

    def __init__(
        self,
        rest: NDArray[np.float64],
        step: NDArray[np.float64],
        encode: Callable[[NDArray[np.float64]], NDArray[np.float32]],
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
        next_unified[:] = self._encode(next_joints[None])[0]
