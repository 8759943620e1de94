"""Universal Async Chunking as pure functions: how many rows to commit, where to stitch, how to mend a late seam.

Rows of a chunk are counted from its observation: row i belongs to tick t0 + i. Rows 0 ... d-1 are committed and locked
in the sampler, rows d ... T-1 are stitched (Being-H0.5, section on Universal Async Chunking).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def required_delay(latency_s: float, action_hz: int, margin: int) -> int:
    """Ticks to commit so that a chunk is there before its first own row is due.

    d = ceil(latency / tick) + margin. The observation falls somewhere inside tick t0, so a margin of 1 is what makes
    d sufficient wherever it falls; more than 1 is reserve.

    Args:
        latency_s: From the observation's capture to readable rows, [s].
        action_hz: Ticks a second.
        margin: Ticks added, at least 1.
    """
    return math.ceil(latency_s * action_hz - 1e-9) + margin


def postfix_needed(delay: int, minimum_postfix: int) -> int:
    """Rows that a chunk must have after its locked prefix.

    They must last until the next chunk arrives, which takes `delay` ticks again, and be at least `minimum_postfix`.
    """
    return max(delay, minimum_postfix)


def largest_delay(chunk_length: int, minimum_postfix: int, trained_delay: int) -> int:
    """The largest d a policy can be run with (0 where even d = 0 leaves too short a postfix).

    Args:
        chunk_length: T.
        minimum_postfix: Fewest rows a chunk must keep after its prefix.
        trained_delay: Longest prefix the policy was trained to continue.
    """
    return max(0, min(chunk_length - minimum_postfix, chunk_length // 2, trained_delay))


def stitch_row(delay: int, tick: int, cursor: int) -> int:
    """First row of a chunk that may be written: row d, or the first one whose tick has not begun.

    Args:
        delay: d of the chunk.
        tick: Tick of its observation, t0.
        cursor: Tick that executes now.
    """
    return max(delay, cursor + 1 - tick)


def late_seam_fade(shift: NDArray[np.float64], step: NDArray[np.float64], rows: int) -> NDArray[np.float64]:
    """How the seam of a late chunk is mended: the share of `shift` to add to each row that is still written.

    A late chunk believed the robot to be elsewhere than it is. That difference is added to its rows and fades
    linearly, over as many rows as keep the fading itself within half a step limit per row, or over all that are left.
    The guard bounds what remains of it.

    Args:
        shift: What ran at the tick before the first written row, minus what the chunk had there, shape (n,), [rad].
        step: Largest change of each joint from row to row, shape (n,), [rad].
        rows: Rows that are still written, at least 1.

    Returns:
        Weights in [0, 1], falling, shape (rows,).
    """
    needed = math.ceil(float(np.max(np.abs(shift) / (0.5 * step), initial=0.0)))
    length = min(max(1, needed), rows)
    return np.clip(1.0 - np.arange(1, rows + 1) / length, 0.0, 1.0)
