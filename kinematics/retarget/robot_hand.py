"""A robot's hand: its fingertips and knuckles, seen from its palm."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pinocchio as pin

from unichunk.kinematics.description import robot_description
from unichunk.kinematics.retarget.errors import RetargetError
from unichunk.kinematics.retarget.hand_scale import HandLandmarks
from unichunk.kinematics.retarget.mano import FINGERS
from unichunk.kinematics.robot_model import frame_index, joint_names, robot_model
from unichunk.kinematics.shapes import float_array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from unichunk.kinematics.description import HandDescription, Side


class RobotHand:
    """A hand of a robot, alone or on an arm.

    Args:
        model: The robot.
        frames: Names of the hand's palm and fingertips in the model.
        side: Which hand it is.

    Attributes:
        model: The robot.
        side: Which hand it is.
        palm: Name of the palm's frame.
        fingers: Names of the fingers it has, in the order of `FINGERS`; F of them.
        fingertips: Names of their tips' frames, in the same order.
        joint_names: Driven joints between the palm and the fingertips, in the order of the model's q.

    Raises:
        UnknownModel: Where the model has no such frame.
        RetargetError: Where no joint moves a fingertip against the palm.
    """

    def __init__(self, model: pin.Model, frames: HandDescription, side: Side) -> None:
        self.model = model
        self.side = side
        self.palm = frames.palm
        self.fingers = tuple(finger for finger in FINGERS if finger in frames.fingertips)
        self.fingertips = tuple(frames.fingertips[finger] for finger in self.fingers)
        self._data = model.createData()
        self._palm = frame_index(model, frames.palm)
        self._tips = [frame_index(model, tip) for tip in self.fingertips]
        fixed = set(model.supports[model.frames[self._palm].parentJoint])
        chains = [[j for j in model.supports[model.frames[tip].parentJoint] if j not in fixed] for tip in self._tips]
        for finger, chain in zip(self.fingers, chains, strict=True):
            if not chain:
                raise RetargetError(f"hand on {self.palm} of {model.name}: no joint moves the tip of the {finger}")
        self._knuckles = [chain[0] for chain in chains]
        moving = {model.joints[joint].idx_q for chain in chains for joint in chain}
        self.joint_names = tuple(name for place, name in enumerate(joint_names(model)) if place in moving)

    @property
    def open_hand(self) -> NDArray[np.float64]:
        """Configuration of the model with every joint at zero, or at the limit next to it, shape (nq,), [rad]."""
        return np.clip(np.zeros(self.model.nq), self.model.lowerPositionLimit, self.model.upperPositionLimit)

    def fingertips_in_palm(self, q: ArrayLike) -> NDArray[np.float64]:
        """Where the fingertips are.

        Args:
            q: Configurations of the model, shape (..., nq), [rad] or [m].

        Returns:
            Shape (..., F, 3), [m].
        """
        q = float_array(q, f"q of {self.model.name}", self.model.nq)
        rows = [self._points(row)[1] for row in q.reshape(-1, self.model.nq)]
        return np.array(rows).reshape(*q.shape[:-1], len(self.fingers), 3)

    def landmarks(self) -> HandLandmarks:
        """Knuckles (the first joint of each finger) and fingertips of the open hand, in the palm."""
        return HandLandmarks(self.side, self.fingers, *self._points(self.open_hand))

    def _points(self, q: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Knuckles and fingertips in the palm, each shape (F, 3), [m]."""
        pin.framesForwardKinematics(self.model, self._data, q)
        palm = self._data.oMf[self._palm]
        knuckles = np.array([palm.actInv(self._data.oMi[joint].translation) for joint in self._knuckles])
        return knuckles, np.array([palm.actInv(self._data.oMf[tip].translation) for tip in self._tips])


def robot_hand(robot: str, side: Side = "right") -> RobotHand:
    """The hand of a shipped robot, or a shipped hand.

    Args:
        robot: One of `robot_names()`.
        side: Which of its hands.

    Raises:
        UnknownModel: Where no robot goes by that name.
        RetargetError: Where it has no such hand.
    """
    hands = robot_description(robot).hands
    if side not in hands:
        raise RetargetError(f"{robot} has no {side} hand with fingers: expected one of {', '.join(hands) or 'none'}")
    return RobotHand(robot_model(robot), hands[side], side)
