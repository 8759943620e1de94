"""What a run is compared with: the scripted expert and no motion, on the same target path, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.sim.expert import Expert
from unichunk.embodiments.sim.tick import run_tick
from unichunk.embodiments.sim.twin import Twin

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec


def reference_errors(
    spec: EmbodimentSpec, seed: int, duration_s: float, q_start: NDArray[np.float64], start_time: float = 0.0
) -> dict[str, float]:
    """Mean tracking errors of the expert, which sees the true target at the start of every tick, and of no motion.

    Args:
        spec: The robot.
        seed: Seed of the target's path.
        duration_s: How long the run took, [s].
        q_start: Where the robot stood at its start, shape (n,), [rad].
        start_time: Where on the path the run started, [s].

    Returns:
        `expert_error_m` and `no_motion_error_m`, [m]: means over all control samples.
    """
    twin, expert = Twin(spec, seed), Expert(spec)
    ticks = max(1, round(duration_s * spec.action_hz))
    goals = twin.task.goal(start_time + np.arange(ticks) / spec.action_hz)
    return {
        "expert_error_m": _mean_error(
            twin, q_start, start_time, ticks, lambda k, last: expert.next_row(last, goals[k])
        ),
        "no_motion_error_m": _mean_error(twin, q_start, start_time, ticks, lambda _, last: last),
    }


def _mean_error(
    twin: Twin,
    q_start: NDArray[np.float64],
    start_time: float,
    ticks: int,
    next_row: Callable[[int, NDArray[np.float64]], NDArray[np.float64]],
) -> float:
    twin.reset(q_start, start_time)
    rows = np.stack([q_start] * 3)
    reached, times = [], []
    for tick in range(ticks):
        rows = np.stack([rows[1], rows[2], next_row(tick, rows[2])])
        for _ in run_tick(twin, rows):
            reached.append(twin.q)
            times.append(twin.time)
    error = twin.task.solver.position(np.array(reached)) - twin.task.hover_point(np.array(times))
    return float(np.linalg.norm(error, axis=-1).mean())
