"""The textbook: damped least squares in Pinocchio, joints clipped to their limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pinocchio as pin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.benchmarks.ik_problem import Problem
    from unichunk.benchmarks.ik_stepping import Settings


class PlainStepper:
    """dq = J^T (J J^T + damping)^-1 error, as in Pinocchio's example of inverse kinematics.

    Args:
        problem: The case.
        settings: Damping and gain.
    """

    def __init__(self, problem: Problem, settings: Settings) -> None:
        self._model, self._data, self._columns = problem.model, problem.model.createData(), problem.columns
        self._goals = problem.case.goals
        self._frames = [problem.model.getFrameId(goal.frame) for goal in problem.case.goals]
        self._settings = settings
        self._q = problem.start.copy()
        self._targets: list[pin.SE3] = []

    def aim(self, targets: NDArray[np.float64]) -> None:
        """Set the targets."""
        self._targets = [pin.SE3(target) for target in targets]

    def place(self, x: NDArray[np.float64]) -> None:
        """Put the joints somewhere."""
        self._q[self._columns] = x

    def joints(self) -> NDArray[np.float64]:
        """Where the joints are."""
        joints: NDArray[np.float64] = self._q[self._columns]
        return joints

    def errors(self) -> tuple[float, float]:
        """Largest distance and angle."""
        pin.framesForwardKinematics(self._model, self._data, self._q)
        twists = [self._twist(place) for place in range(len(self._frames))]
        angles = [
            np.linalg.norm(twist[3:]) for twist, goal in zip(twists, self._goals, strict=True) if goal.has_orientation
        ]
        return float(max(np.linalg.norm(twist[:3]) for twist in twists)), float(max(angles, default=0.0))

    def step(self, box: tuple[NDArray[np.float64], NDArray[np.float64]]) -> bool:
        """One step."""
        error, jacobian = self._linearized()
        normal = jacobian @ jacobian.T
        normal.flat[:: len(normal) + 1] += self._settings.damping
        step = jacobian.T @ np.linalg.solve(normal, error)
        self._q[self._columns] = np.clip(self._q[self._columns] + self._settings.gain * step, *box)
        return True

    def _twist(self, place: int) -> NDArray[np.float64]:
        """From frame to target, in the frame's axes, shape (6,)."""
        placement, target = self._data.oMf[self._frames[place]], self._targets[place]
        if self._goals[place].has_orientation:
            return np.asarray(pin.log6(placement.actInv(target)).vector)
        distance = placement.rotation.T @ (target.translation - placement.translation)
        return np.concatenate([distance, np.zeros(3)])

    def _linearized(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        errors, jacobians = [], []
        for place, (goal, frame) in enumerate(zip(self._goals, self._frames, strict=True)):
            size = 6 if goal.has_orientation else 3
            full = pin.computeFrameJacobian(self._model, self._data, self._q, frame, pin.LOCAL)
            errors.append(self._twist(place)[:size])
            jacobians.append(full[:size, self._columns])
        return np.concatenate(errors), np.concatenate(jacobians)
