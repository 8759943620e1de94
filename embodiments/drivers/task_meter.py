"""How well a simulated robot follows the block it was told to, and what the expert and no motion would have reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.reference import reference_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.sim.block_paths import Block
    from unichunk.embodiments.sim.twin import Truth
    from unichunk.embodiments.spec import EmbodimentSpec

_LONGEST_REFERENCE_S: Final = 120.0


class TaskMeter:
    """One measurement. The control loop adds samples; the control service makes the meter and takes its numbers.

    Args:
        block: The block that was named.
        start_time: Simulated time at its beginning, [s].
        q_start: Where the robot stood, shape (n,), [rad].
    """

    def __init__(self, block: Block, start_time: float, q_start: NDArray[np.float64]) -> None:
        self._block = block
        self._other = BLOCKS[1 - BLOCKS.index(block)]
        self._start_time = start_time
        self._q_start = q_start
        self._errors_m: list[float] = []
        self._other_errors_m: list[float] = []
        self._end_time = start_time

    def add(self, truth: Truth) -> None:
        """Add a sample."""
        self._other_errors_m.append(truth.errors[self._other])
        self._errors_m.append(truth.errors[self._block])
        self._end_time = truth.time

    def numbers(self, spec: EmbodimentSpec, seed: int) -> dict[str, float]:
        """The numbers, with their references on the same path.

        The references are computed for the first two minutes at most: that takes some seconds.

        Raises:
            DriverError: Where nothing was measured.
        """
        if not self._errors_m:
            raise DriverError("nothing was measured: the task ended within one command period of its beginning")
        errors_m = np.array(self._errors_m)
        others_m = np.array(self._other_errors_m)
        duration_s = self._end_time - self._start_time
        return {
            "duration_s": duration_s,
            "policy_error_m": float(errors_m.mean()),
            "policy_error_p95_m": float(np.quantile(errors_m, 0.95)),
            "other_error_m": float(others_m.mean()),
            **reference_errors(
                spec,
                seed,
                self._block,
                min(duration_s, _LONGEST_REFERENCE_S),
                self._q_start,
                self._start_time,
            ),
        }
