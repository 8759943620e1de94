"""Pink (https://github.com/stephane-caron/pink), a step at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pink
import pinocchio as pin

from unichunk.benchmarks.ik_limb_urdf import limb_urdf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.benchmarks.ik_problem import Problem
    from unichunk.benchmarks.ik_stepping import Settings


class _BoxLimit:
    """Joints between two bounds, as one of Pink's limits."""

    def __init__(self, size: int) -> None:
        self.lower, self.upper = np.full(size, -np.inf), np.full(size, np.inf)
        self._sides = np.vstack([np.eye(size), -np.eye(size)])

    def compute_qp_inequalities(self, configuration: Any, _: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        q = configuration.q
        return self._sides, np.concatenate([self.upper - q, q - self.lower])


class PinkStepper:
    """A step of Pink: one quadratic program, solved by DAQP.

    Args:
        problem: The case.
        settings: Costs, gain and damping.
    """

    def __init__(self, problem: Problem, settings: Settings) -> None:
        model = pin.buildModelFromXML(limb_urdf(problem), mimic=True)
        names = problem.joints
        places = [model.joints[model.getJointId(name)].idx_q for name in names]
        self._order = np.array(places)
        self._q = pin.neutral(model)
        self._configuration = pink.Configuration(model, model.createData(), self._q)
        self._limit = _BoxLimit(model.nv)
        self._settings = settings
        self._goals = problem.case.goals
        self._tasks = [
            pink.FrameTask(
                goal.frame,
                position_cost=1.0,
                orientation_cost=settings.orientation_cost if goal.has_orientation else 0.0,
                lm_damping=settings.lm_damping,
                gain=settings.gain,
            )
            for goal in self._goals
        ]

    def aim(self, targets: NDArray[np.float64]) -> None:
        """Set the targets."""
        for task, target in zip(self._tasks, targets, strict=True):
            task.set_target(pin.SE3(target))

    def place(self, x: NDArray[np.float64]) -> None:
        """Put the joints somewhere."""
        self._q[self._order] = x
        self._configuration.update(self._q)

    def joints(self) -> NDArray[np.float64]:
        """Where the joints are."""
        joints: NDArray[np.float64] = self._configuration.q[self._order]
        return joints

    def errors(self) -> tuple[float, float]:
        """Largest distance and angle."""
        distance, angle = 0.0, 0.0
        for task, goal in zip(self._tasks, self._goals, strict=True):
            pose = self._configuration.get_transform_frame_to_world(task.frame)
            target = task.transform_target_to_world
            distance = max(distance, float(np.linalg.norm(pose.translation - target.translation)))
            if goal.has_orientation:
                angle = max(angle, float(np.linalg.norm(pin.log3(pose.rotation.T @ target.rotation))))
        return distance, angle

    def step(self, box: tuple[NDArray[np.float64], NDArray[np.float64]]) -> bool:
        """One step."""
        self._limit.lower[self._order], self._limit.upper[self._order] = box
        try:
            velocity = pink.solve_ik(
                self._configuration,
                self._tasks,
                dt=1.0,
                solver="daqp",
                damping=self._settings.damping,
                limits=[self._limit],
                safety_break=False,
            )
        except pink.exceptions.NoSolutionFound:
            return False
        self._configuration.integrate_inplace(velocity, 1.0)
        return True
