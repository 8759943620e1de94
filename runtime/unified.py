"""The unified state-action space: one 200-dimensional vector that holds any robot.

Layout as published with Being-H0.5; unused dimensions are zero.
"""

from __future__ import annotations

from typing import Final

UNIFIED_WIDTH: Final = 200
"""Dimensions of the unified state and action vectors."""

RIGHT_GRIPPER: Final = (18, 19)
"""Slots of the right (or only) gripper: 0 closed, 1 open."""

RIGHT_ARM_JOINTS: Final = (50, 57)
"""Slots of the right (or only) arm's joints, [rad], absolute."""
