"""Fingertips of a human or another robot's hand to the joints of a robot's hand, by inverse kinematics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.kinematics.inverse.goals import FrameGoal
from unichunk.kinematics.inverse.inverse_kinematics import InverseKinematics
from unichunk.kinematics.retarget.errors import RetargetError
from unichunk.kinematics.retarget.hand_scale import same_hand
from unichunk.kinematics.shapes import float_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from unichunk.kinematics.inverse.solution import Solution
    from unichunk.kinematics.retarget.hand_scale import HandScale
    from unichunk.kinematics.retarget.robot_hand import RobotHand


class FingertipRetargeting:
    """Fingertip positions to a hand's joints, row by row of a chunk.

    A hand with fewer joints than the fingertips have coordinates cannot meet all targets: the answer is the nearest
    configuration found, its status says so, and its position errors are the distances that remain, per fingertip, in
    metres at the robot.

    Args:
        hand: The robot's hand.
        scale: From the hand that the fingertips are given for to this one (`fit_hand_scale`); None: they are given in
            this hand's palm frame and size.
        position_tolerance: Distance that counts as reached, [m].
        attempts: Starting configurations tried for a row that is not reached, at most.

    Attributes:
        fingers: The fingers that have targets, in the order of `FINGERS`; F of them.

    Raises:
        RetargetError: Where the scale is for a finger that the hand has not got.
    """

    def __init__(
        self,
        hand: RobotHand,
        scale: HandScale | None = None,
        *,
        position_tolerance: float = 1e-3,
        attempts: int = 4,
    ) -> None:
        self.hand = hand
        self.scale = same_hand(hand.fingers) if scale is None else scale
        self.fingers = self.scale.fingers
        for finger in self.fingers:
            if finger not in hand.fingers:
                raise RetargetError(f"scale: this hand has no {finger}: expected a scale for {', '.join(hand.fingers)}")
        tips = dict(zip(hand.fingers, hand.fingertips, strict=True))
        self._kinematics = InverseKinematics(
            hand.model,
            [FrameGoal(tips[finger], "position") for finger in self.fingers],
            joints=hand.joint_names,
            base_frame=hand.palm,
            position_tolerance=position_tolerance,
            attempts=attempts,
        )

    def solve(self, fingertips: ArrayLike, q_start: ArrayLike, *, dt: float | None = None) -> Solution:
        """Joint positions for rows of fingertips, each row from the one before.

        Args:
            fingertips: One row per step and one point per finger, shape (T, F, 3), [m], in the frame of the hand that
                they are given for: the wrist of a human hand (see `mano`), the palm of a robot's. A finger with a point
                that is not finite stays where it is, with the status `INVALID_INPUT`.
            q_start: Configuration before the first row, shape (nq,), [rad] or [m], of the whole model; joints that do
                not belong to the hand stay there.
            dt: Time between rows, [s]: joints keep their velocity limits then; None: no limit.

        Raises:
            WrongShape: With both shapes.
        """
        points = float_array(fingertips, "fingertips", len(self.fingers), 3)
        targets = np.broadcast_to(np.eye(4), (*points.shape[:-1], 4, 4)).copy()
        targets[..., :3, 3] = self.scale.to_target(points)
        return self._kinematics.solve(targets, q_start, dt=dt)
