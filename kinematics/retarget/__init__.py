"""Human hands to robot hands, and robot hands to each other.

Two ways, for what a policy predicts:

- Joints (VITRA, MANO rotations of the unified space's slots 110-200): `hand_joint_map(hand, model)` has `to_robot` and,
  for a state that is a human hand, `to_human`.
- Fingertips in the wrist frame (METIS, or the tips of another robot's hand): `FingertipRetargeting(hand, scale)`, where
  `scale = fit_hand_scale(average_hand("right").landmarks(), hand.landmarks())` and `hand = robot_hand("o6_right")`.
  MANO rotations become such fingertips by `HandSkeleton.fingertip_positions`.

Frames, names and order of the human hand are told in `mano`.
"""

from unichunk.kinematics.retarget.average_hand import average_hand
from unichunk.kinematics.retarget.errors import RetargetError
from unichunk.kinematics.retarget.fingertips import FingertipRetargeting
from unichunk.kinematics.retarget.hand_scale import HandLandmarks, HandScale, fit_hand_scale
from unichunk.kinematics.retarget.hand_skeleton import HandSkeleton
from unichunk.kinematics.retarget.joint_angles import joint_angles, joint_rotations
from unichunk.kinematics.retarget.joint_map import HandJointMap, hand_joint_map
from unichunk.kinematics.retarget.joint_table import JointRule, JointTable, joint_table, mapped_hands
from unichunk.kinematics.retarget.mano import FINGERS, MANO_FINGERS, MANO_JOINTS, mirrored
from unichunk.kinematics.retarget.robot_hand import RobotHand, robot_hand

__all__ = [
    "FINGERS",
    "MANO_FINGERS",
    "MANO_JOINTS",
    "FingertipRetargeting",
    "HandJointMap",
    "HandLandmarks",
    "HandScale",
    "HandSkeleton",
    "JointRule",
    "JointTable",
    "RetargetError",
    "RobotHand",
    "average_hand",
    "fit_hand_scale",
    "hand_joint_map",
    "joint_angles",
    "joint_rotations",
    "joint_table",
    "mapped_hands",
    "mirrored",
    "robot_hand",
]
