"""Robot models and kinematics."""

from unichunk.kinematics.goals import FrameGoal
from unichunk.kinematics.inverse_kinematics import InverseKinematics
from unichunk.kinematics.robot_model import robot_model
from unichunk.kinematics.solution import RowStatus, Solution

__all__ = ["FrameGoal", "InverseKinematics", "RowStatus", "Solution", "robot_model"]
