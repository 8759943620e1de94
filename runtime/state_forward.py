"""The state that a policy is told: its observation's, or the one expected when the chunk's own rows take over.

While a policy computes, its robot goes on along the committed rows. A policy whose bundle says so (`state_time`) is
told where they will have brought it, as VLASH does ("Real-Time VLAs via Future-State-Aware Asynchronous Inference",
arXiv 2512.01031, with actions that are displacements; here rows are joint positions, which joints follow with a lag).
It was trained so: the same function makes its training samples. What it sees stays as old as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.limits import JointLimits
    from unichunk.runtime.observation import Observation
    from unichunk.runtime.policy.manifest import StateTime
    from unichunk.runtime.producer import Commitment


def expected_joints(
    observed: NDArray[np.float64],
    ran: NDArray[np.float64],
    last: NDArray[np.float64],
    limits: JointLimits,
) -> NDArray[np.float64]:
    """Joint positions at the tick t0 + d, when the rows before it will have run.

    A servo stays behind its commands. Where it stays behind by as much as it did at t0 (constant lag, on any straight
    course or at rest) this is exact: what the commands go on by, the joints go on by. Joints that do not move are left
    as they were observed, bit by bit, and so are all with d = 0. No joint is expected farther beyond its limits than it
    was observed.

    Args:
        observed: Joint positions at t0, shape (..., n), [rad].
        ran: The row that ran right before t0, shape (..., n), [rad].
        last: The row of tick t0 + d - 1; with d = 0 it is `ran`. Shape (..., n), [rad].
        limits: Of the joints.

    Returns:
        Shape (..., n), [rad].
    """
    way = last - ran
    inside = np.clip(observed + way, np.minimum(limits.lower, observed), np.maximum(limits.upper, observed))
    # Adding zero would turn -0.0 into 0.0.
    expected: NDArray[np.float64] = np.where(way == 0.0, observed, inside)
    return expected


def told_observation(
    observation: Observation, commitment: Commitment, limits: JointLimits, state_time: StateTime
) -> Observation:
    """What a policy is told of an observation, for the rows that are committed.

    Args:
        observation: As it was taken.
        commitment: What runs until the chunk takes over.
        limits: Of the joints.
        state_time: Whose state the policy was trained with.

    Returns:
        The observation itself, or one with the joint positions that are expected; images, velocities and stamps are
        those of t0 all the same.
    """
    if state_time == "observation":
        return observation
    q = expected_joints(observation.state.q, commitment.ran, commitment.before, limits)
    return replace(observation, state=replace(observation.state, q=q))
