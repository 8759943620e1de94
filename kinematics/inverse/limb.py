"""Inverse kinematics of one limb."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from unichunk.kinematics.inverse.follow import Follower
from unichunk.kinematics.inverse.limb_task import LimbTask
from unichunk.kinematics.inverse.search import Searcher
from unichunk.kinematics.inverse.seeds import Seeds

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import pinocchio as pin
    from numpy.typing import NDArray

    from unichunk.kinematics.inverse.chains import LimbChain
    from unichunk.kinematics.inverse.goals import FrameGoal
    from unichunk.kinematics.inverse.joint_limits import JointLimits
    from unichunk.kinematics.inverse.limb_rows import LimbRows, LimbTargets
    from unichunk.kinematics.inverse.limb_task import Tolerance


@dataclass(frozen=True)
class LimbSettings:
    """What all limbs of a solver share.

    Attributes:
        tolerance: What counts as reached.
        rotation_length: What a radian counts for, [m].
        attempts: Starting configurations tried at most where a row is not reached from the one before.
        posture_gain: Part of the way to the posture that a row goes, as far as the targets leave it open.
    """

    tolerance: Tolerance
    rotation_length: float
    attempts: int
    posture_gain: float


class Limb:
    """Goals that share joints, and the joints.

    Args:
        model: The robot.
        limits: Of its joints.
        goals: All goals; the chain tells which are the limb's.
        chain: The limb's goals and joints.
        settings: What all limbs share.
    """

    def __init__(
        self,
        model: pin.Model,
        limits: JointLimits,
        goals: Sequence[FrameGoal],
        chain: LimbChain,
        settings: LimbSettings,
    ) -> None:
        self.chain = chain
        goals = [goals[place] for place in chain.places]
        task = LimbTask(model, goals, chain.columns, settings.rotation_length, settings.tolerance)
        box = limits.lower[chain.columns], limits.upper[chain.columns]
        seeds = Seeds(model, box, goals, chain, settings.rotation_length)
        self._follower = Follower(task, box, seeds, settings.posture_gain)
        self._searcher = Searcher(task, box, seeds, settings.attempts, settings.posture_gain)

    def solve(
        self, asked: LimbTargets, max_step: NDArray[np.float64] | None, posture: NDArray[np.float64] | None
    ) -> LimbRows:
        """Joints for every row of targets.

        Args:
            asked: Targets and start.
            max_step: Largest change of the limb's joints from row to row, shape (n,); None: any, and rows that are not
                reached from the one before are sought from elsewhere.
            posture: Configuration that the limb is drawn to, shape (n,); None: as little motion as possible.
        """
        if max_step is None:
            return self._searcher.solve(asked, posture)
        return self._follower.solve(asked, max_step, posture)
