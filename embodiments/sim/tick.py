"""One tick of the control pipeline in virtual time: rows in, commands at the robot's rate out, physics forward."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.interpolation import weights
from unichunk.runtime.ticks import Timebase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from unichunk.embodiments.sim.twin import Twin


def run_tick(twin: Twin, rows: NDArray[np.float64], tick: int = 0) -> Iterator[int]:
    """Run one tick; yields the control sample's number after each command has acted for its period.

    What the runtime does besides, averaging for the jerk limit and the guard, is not in it: where rows stay within the
    limits it changes them by half that average's length in time, of milliseconds.

    Args:
        twin: The robot; stepped in place.
        rows: Rows k-2, k-1 and k, shape (3, n), [rad]: the same spline as in `runtime.interpolation`.
        tick: Number k of the tick, where the action rate does not divide the command rate: ticks then differ by a
            sample, as those of `runtime.ticks.Timebase` do.
    """
    ticks = Timebase(0, twin.spec.action_hz, twin.spec.command_hz)
    first, end = (-(-k * ticks.command_hz // ticks.action_hz) for k in (tick, tick + 1))
    for step in range(first, end):
        twin.set_command(np.einsum("k,kn->n", weights(ticks.phase_of_step(step)), rows))
        twin.advance(twin.steps_per_command)
        yield step - first
