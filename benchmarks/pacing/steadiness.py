"""From the times of steps to how steady they were. All times in nanoseconds go in, microseconds come out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.runtime.ticks import NANOSECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def interval_errors_us(stamps_ns: Sequence[int], rate_hz: int) -> NDArray[np.float64]:
    """How far each interval between two steps is from the period, shape (N - 1,), [us].

    It says the same of loops that keep a grid and of those that pace relative to now; a step left out counts as the
    whole period that it is.

    Args:
        stamps_ns: When the steps began, shape (N,), [ns].
        rate_hz: Steps a second that were asked for.
    """
    stamps = np.asarray(stamps_ns, np.int64)
    errors: NDArray[np.float64] = np.abs((stamps[1:] - stamps[:-1]) / 1000.0 - 1e6 / rate_hz)
    return errors


def lateness_us(stamps_ns: Sequence[int], epoch_ns: int, rate_hz: int) -> NDArray[np.float64]:
    """How late each step but the first was, shape (N - 1,), [us].

    A step is due on the absolute grid; where steps were left out before it, the oldest of them is what it is late for.

    Args:
        stamps_ns: When the steps began, shape (N,), [ns].
        epoch_ns: When step 0 was due, [ns].
        rate_hz: Steps a second of the grid.
    """
    since = np.asarray(stamps_ns, np.int64) - epoch_ns
    steps = since * rate_hz // NANOSECONDS
    due = -(-(steps[:-1] + 1) * NANOSECONDS // rate_hz)
    late: NDArray[np.float64] = (since[1:] - due) / 1000.0
    return late


def achieved_hz(runs: Sequence[Sequence[int]]) -> float | None:
    """Intervals a second over all runs; None where there is none."""
    intervals = sum(max(0, len(stamps) - 1) for stamps in runs)
    span_ns = sum(stamps[-1] - stamps[0] for stamps in runs if len(stamps) > 1)
    return 1e9 * intervals / span_ns if span_ns else None


def missed(stamps_ns: Sequence[int], rate_hz: int) -> int:
    """Steps that are short of the exact rate between the first and the last: left out, or lost by drifting."""
    if len(stamps_ns) < 2:
        return 0
    due = round((stamps_ns[-1] - stamps_ns[0]) * rate_hz / NANOSECONDS)
    return max(0, due - (len(stamps_ns) - 1))


def pooled(parts: Sequence[NDArray[np.float64]]) -> NDArray[Any]:
    """All samples of several rounds."""
    return np.concatenate([*parts, np.empty(0)])
