"""How well a simulated robot does what it was told, and what the expert and no motion would have reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.drivers.errors import DriverError
from unichunk.embodiments.sim.follow_score import Told, follow_score
from unichunk.embodiments.sim.follow_target import FollowTarget
from unichunk.embodiments.sim.reference import reference_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.sim.instruction import Asked
    from unichunk.embodiments.spec import EmbodimentSpec

_LONGEST_REFERENCE_S: Final = 120.0


class TaskMeter:
    """One measurement. The control loop adds samples; the control service makes the meter and takes its numbers.

    What a sample says is worked out at the end: adding one costs nothing.

    Args:
        asked: What the instruction asked for.
        start_time: Simulated time at its beginning, [s].
        q_start: Where the robot stood, shape (n,), [rad].
    """

    def __init__(self, asked: Asked, start_time: float, q_start: NDArray[np.float64]) -> None:
        self._asked = asked
        self._start_time = start_time
        self._q_start = q_start
        self._samples: list[tuple[float, NDArray[np.float64]]] = []

    def add(self, time: float, q: NDArray[np.float64]) -> None:
        """Add a sample: simulated time, [s], and joint positions, shape (n,), [rad]; evenly spaced, once a tick."""
        self._samples.append((time, q))

    def numbers(self, spec: EmbodimentSpec, seed: int) -> dict[str, float]:
        """The numbers, with their references on the same path.

        The references are computed for the first two minutes at most: that takes some seconds.

        Returns:
            `duration_s`; `policy_error_m`, `policy_error_p95_m`, `other_error_m`, `posture_error_fraction` as in
            `FollowScore`; `on_target_share` of the time after the approach; `success`, 0 or 1; and
            `expert_error_m` and `no_motion_error_m`.

        Raises:
            DriverError: Where nothing was measured.
        """
        samples = tuple(self._samples)
        if not samples:
            raise DriverError("nothing was measured: the task ended within one tick of its beginning")
        times, reached = np.array([time for time, _ in samples]), np.stack([q for _, q in samples])
        duration_s = float(times[-1]) - self._start_time
        task = FollowTarget(spec, seed)
        rate_hz = max(1, round(len(times) / max(duration_s, 1e-9)))
        score = follow_score(task, Told.throughout(self._asked, len(times)), rate_hz, times, reached)
        return {
            "duration_s": duration_s,
            "policy_error_m": score.error,
            "policy_error_p95_m": float(np.quantile(task.errors(self._asked.block, times, reached), 0.95)),
            "other_error_m": score.other_error,
            "posture_error_fraction": score.posture_error,
            "on_target_share": score.on_target,
            "success": float(score.success),
            **reference_errors(
                spec, seed, self._asked, min(duration_s, _LONGEST_REFERENCE_S), self._q_start, self._start_time
            ),
        }
