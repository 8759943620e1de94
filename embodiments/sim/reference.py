"""What a run is compared with: the scripted expert and no motion, on the same paths, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.expert import Expert
from unichunk.embodiments.sim.follow_score import FollowScore, Told, follow_score
from unichunk.embodiments.sim.tick import run_tick
from unichunk.embodiments.sim.twin import Twin

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unichunk.embodiments.sim.instruction import Asked
    from unichunk.embodiments.spec import EmbodimentSpec


def reference_errors(
    spec: EmbodimentSpec,
    seed: int,
    asked: Asked,
    duration_s: float,
    q_start: NDArray[np.float64],
    start_time: float = 0.0,
) -> dict[str, float]:
    """Mean tracking errors of the expert and of no motion.

    Args:
        spec: The robot.
        seed: Seed of the blocks' paths.
        asked: Which block to follow, in which posture.
        duration_s: How long the run took, [s].
        q_start: Where the robot stood at its start, shape (n,), [rad].
        start_time: Where on the paths the run started, [s].

    Returns:
        `expert_error_m` and `no_motion_error_m`, [m]: means over the ends of all ticks.
    """
    twin = Twin(spec, seed)
    told = Told.throughout(asked, max(1, round(duration_s * spec.action_hz)))
    expert = expert_score(twin, told, q_start, start_time)
    still = no_motion_score(twin, told, q_start, start_time)
    return {"expert_error_m": expert.error, "no_motion_error_m": still.error}


def expert_score(twin: Twin, told: Told, q_start: NDArray[np.float64], start_time: float = 0.0) -> FollowScore:
    """How the expert does, which sees the blocks themselves at the start of every tick.

    Args:
        twin: The robot; started over.
        told: What is asked for in each tick.
        q_start: Where it begins, shape (n,), [rad].
        start_time: Where on the paths it begins, [s].
    """
    expert = Expert(twin.spec)
    times = start_time + np.arange(len(told)) / twin.spec.action_hz
    goals = np.stack([twin.task.goal(block, times, told.posture) for block in BLOCKS])
    late = goals[told.block, np.arange(len(told))]
    return _score(twin, told, q_start, start_time, lambda k, last: expert.next_row(last, late[k]))


def no_motion_score(twin: Twin, told: Told, q_start: NDArray[np.float64], start_time: float = 0.0) -> FollowScore:
    """How standing still does; arguments as for `expert_score`."""
    return _score(twin, told, q_start, start_time, lambda _, last: last)


def _score(
    twin: Twin,
    told: Told,
    q_start: NDArray[np.float64],
    start_time: float,
    next_row: Callable[[int, NDArray[np.float64]], NDArray[np.float64]],
) -> FollowScore:
    twin.reset(q_start, start_time)
    rows = np.stack([q_start] * 3)
    reached, times = [], []
    for tick in range(len(told)):
        rows = np.stack([rows[1], rows[2], next_row(tick, rows[2])])
        for _ in run_tick(twin, rows, tick):
            pass
        reached.append(twin.q)
        times.append(twin.time)
    return follow_score(twin.task, told, twin.spec.action_hz, np.array(times), np.array(reached))
