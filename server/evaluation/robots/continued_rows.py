"""Rows that go on from what a robot has committed, as a chunk's rows must."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def continued_rows(
    rows: NDArray[np.float32], committed: NDArray[np.float32], step: NDArray[np.float64]
) -> tuple[NDArray[np.float32], float]:
    """Let rows begin with what is committed, and go on from there.

    Where the proxy's rows are others than those that are committed, the difference at the seam is added to the rows
    after it and fades, half a step limit a row. What is left of it at the end fades in the next chunk, which is
    continued in the same way (unlike `late_seam_fade`, after which nothing is left).

    Args:
        rows: Handed out by the proxy, shape (H, n), [rad].
        committed: The first d of them as the robot has them, shape (d, n), [rad].
        step: Largest change of each joint from row to row, shape (n,), [rad].

    Returns:
        Rows, shape (H, n), and the largest difference of a joint in the committed ones, [rad]; 0 where they are the
        same, bit by bit.
    """
    delay = len(committed)
    if np.array_equal(rows[:delay], committed):
        return rows, 0.0
    continued = rows.copy()
    continued[:delay] = committed
    shift = committed[-1].astype(np.float64) - rows[delay - 1]
    fading = max(1.0, float(np.max(np.abs(shift) / (0.5 * step))))
    share = np.clip(1.0 - np.arange(1, len(rows) - delay + 1) / fading, 0.0, 1.0)
    continued[delay:] += share[:, None] * shift
    return continued, float(np.abs(committed - rows[:delay]).max())
