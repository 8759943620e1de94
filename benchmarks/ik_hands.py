"""Targets for fingertips: of the hand itself, beside it, and of a human hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pinocchio as pin

from unichunk.benchmarks.ik_targets import generator, reachable_targets
from unichunk.kinematics.retarget import average_hand, fit_hand_scale, robot_hand
from unichunk.kinematics.retarget.mano import MANO_FINGERS
from unichunk.kinematics.robot_model import frame_index

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.benchmarks.ik_problem import Problem

BESIDE: Final = (0.01, 0.02)
"""How far fingertips are put beside where the hand can have them, [m]."""

MOST_BENT: Final = (1.3, 1.5, 0.9)
MOST_BENT_THUMB: Final = (0.4, 0.6, 0.8)
"""How far a human finger's three joints bend, [rad]."""


def beside_targets(problem: Problem, count: int) -> NDArray[np.float64]:
    """Reachable fingertips, each moved by 1 to 2 cm in a random direction, shape (count, F, 4, 4), [m]."""
    targets = reachable_targets(problem, count)
    rng = generator(problem, "beside")
    directions = rng.normal(size=(*targets.shape[:2], 3))
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    targets[:, :, :3, 3] += rng.uniform(*BESIDE, (*targets.shape[:2], 1)) * directions
    return targets


def human_targets(problem: Problem, count: int) -> NDArray[np.float64]:
    """Fingertips of an average human hand with bent fingers, in the robot hand's size, shape (count, F, 4, 4), [m]."""
    hand, human = robot_hand(problem.case.robot), average_hand("right")
    scale = fit_hand_scale(human.landmarks(), hand.landmarks())
    rotations = _bent_fingers(generator(problem, "human"), count)
    tips_in_palm = scale.to_target(human.fingertip_positions(rotations))
    data = problem.model.createData()
    pin.framesForwardKinematics(problem.model, data, hand.open_hand)
    pose_palm_in_base = data.oMf[frame_index(problem.model, hand.palm)].homogeneous
    order = [hand.fingertips.index(goal.frame) for goal in problem.case.goals]
    targets = np.tile(np.eye(4), (count, len(order), 1, 1))
    targets[..., :3, 3] = tips_in_palm[:, order] @ pose_palm_in_base[:3, :3].T + pose_palm_in_base[:3, 3]
    return targets


def _bent_fingers(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """MANO's rotations of fingers that are bent more or less, shape (count, 15, 3), [rad]."""
    most = np.concatenate([MOST_BENT_THUMB if finger == "thumb" else MOST_BENT for finger in MANO_FINGERS])
    bent = rng.uniform(0.0, 1.0, (count, len(MANO_FINGERS)))
    rotations = np.zeros((count, len(most), 3))
    # A right hand's fingers point along -x with the palm towards -y: they bend about z.
    rotations[..., 2] = np.repeat(bent, 3, axis=1) * most
    return rotations
