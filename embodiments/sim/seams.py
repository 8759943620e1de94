"""How smoothly chunk follows chunk, in the rows before interpolation, averaging and guard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Seams:
    """A run's rows where a chunk takes over from another, next to all other rows. Of each row its worst joint counts.

    Attributes:
        count: Rows with which a chunk took over from another.
        largest_step: Largest change from the row before it, [rad].
        kink: Mean change of that change, [rad]: how far the row is from going on as the two before it did.
        kink_inside: The same mean over rows whose two predecessors are of the same chunk, [rad].
        roughness: Root mean square of the rows' second differences over all ticks and joints, as an acceleration,
            [rad/s^2].
    """

    count: int
    largest_step: float
    kink: float
    kink_inside: float
    roughness: float


def seams(rows: NDArray[np.float64], chunks: NDArray[np.int64], action_hz: int) -> Seams:
    """Measure a run.

    Args:
        rows: Joint rows as they were executed, one for each tick, shape (m, n), [rad].
        chunks: Number of the chunk that each came from, shape (m,); negative: from none. Where the first chunk takes
            over from a robot at rest there is no seam.
        action_hz: Ticks a second.
    """
    steps = np.diff(rows, axis=0)
    kinks = np.diff(steps, axis=0)
    same = np.diff(chunks) == 0
    took_over = ~same & (chunks[:-1] >= 0) & (chunks[1:] >= 0)
    inside = same[1:] & same[:-1] & (chunks[2:] >= 0)
    worst = np.abs(kinks).max(axis=1, initial=0.0)
    return Seams(
        count=int(took_over.sum()),
        largest_step=float(np.abs(steps[took_over]).max(initial=0.0)),
        kink=_mean(worst[took_over[1:]]),
        kink_inside=_mean(worst[inside]),
        roughness=float(np.sqrt(_mean(np.square(kinks)))) * action_hz**2,
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(values.mean()) if values.size else 0.0
