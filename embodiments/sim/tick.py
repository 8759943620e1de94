"""One tick of the control pipeline in virtual time: rows in, commands at the robot's rate out, physics forward."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.interpolation import weights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from unichunk.embodiments.sim.twin import Twin


def run_tick(twin: Twin, rows: NDArray[np.float64]) -> Iterator[int]:
    """Run one tick; yields the control sample's number after each command has acted for its period.

    Args:
        twin: The robot; stepped in place.
        rows: Rows k-2, k-1 and k, shape (3, n), [rad]: the same spline as in `runtime.interpolation`.
    """
    samples = twin.spec.command_hz // twin.spec.action_hz
    steps = round(1.0 / (twin.spec.command_hz * twin.timestep))
    for sample in range(samples):
        twin.set_command(np.array(weights((sample + 1) / samples)) @ rows)
        twin.advance(steps)
        yield sample
