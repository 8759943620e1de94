"""Robot models and kinematics."""

from unichunk.kinematics.inverse.goals import FrameGoal
from unichunk.kinematics.inverse.inverse_kinematics import InverseKinematics
from unichunk.kinematics.inverse.solution import RowStatus, Solution
from unichunk.kinematics.robot_model import robot_model

__all__ = ["FrameGoal", "InverseKinematics", "RowStatus", "Solution", "robot_model"]
