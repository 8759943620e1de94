"""mink (https://github.com/kevinzakka/mink), a step at a time, on the same URDF as MuJoCo compiles it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import mink
import mujoco
import numpy as np

from unichunk.benchmarks.ik_limb_urdf import limb_urdf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.benchmarks.ik_problem import Problem
    from unichunk.benchmarks.ik_stepping import Settings

MIMIC_COST: Final = 100.0
"""What a radian between a joint and the one that it mimics counts for, [m]."""


class _BoxLimit:
    """Joints between two bounds, as one of mink's limits."""

    def __init__(self, lower: NDArray[np.float64], upper: NDArray[np.float64]) -> None:
        self.lower, self.upper = lower, upper
        self._sides = np.vstack([np.eye(len(lower)), -np.eye(len(lower))])

    def compute_qp_inequalities(self, configuration: Any, _: float) -> Any:
        q = configuration.data.qpos
        return mink.Constraint(self._sides, np.concatenate([self.upper - q, q - self.lower]))


class MinkStepper:
    """A step of mink: one quadratic program, solved by DAQP. Mimics are a task of their own, as mink has them.

    Args:
        problem: The case.
        settings: Costs, gain and damping.
    """

    def __init__(self, problem: Problem, settings: Settings) -> None:
        model = _compiled(limb_urdf(problem))
        self._order = np.array([model.joint(name).qposadr[0] for name in problem.joints])
        self._configuration = mink.Configuration(model)
        # The box is set for driven joints; those that mimic them follow.
        self._limit = _BoxLimit(*model.jnt_range.T.copy())
        self._mimics = _mimics(model)
        self._settings = settings
        self._goals = problem.case.goals
        self._frame_tasks = [
            mink.FrameTask(
                goal.frame,
                "body",
                position_cost=1.0,
                orientation_cost=settings.orientation_cost if goal.has_orientation else 0.0,
                lm_damping=settings.lm_damping,
                gain=settings.gain,
            )
            for goal in self._goals
        ]
        coupled = [mink.EqualityConstraintTask(model, MIMIC_COST)] if model.neq else []
        self._tasks = [*self._frame_tasks, *coupled]

    def aim(self, targets: NDArray[np.float64]) -> None:
        """Set the targets."""
        for task, target in zip(self._frame_tasks, targets, strict=True):
            task.set_target(mink.SE3.from_matrix(target))

    def place(self, x: NDArray[np.float64]) -> None:
        """Put the joints somewhere."""
        q = self._configuration.q
        q[self._order] = x
        for follower, driver, offset, multiplier in self._mimics:
            q[follower] = offset + multiplier * q[driver]
        self._configuration.update(q)

    def joints(self) -> NDArray[np.float64]:
        """Where the joints are."""
        joints: NDArray[np.float64] = self._configuration.data.qpos[self._order]
        return joints

    def errors(self) -> tuple[float, float]:
        """Largest distance and angle."""
        twists = [task.compute_error(self._configuration) for task in self._frame_tasks]
        if self._goals[0].has_orientation:
            # The linear part of a small twist is at least as long as the distance.
            linear = max(float(np.linalg.norm(twist[:3])) for twist in twists)
            return linear, max(float(np.linalg.norm(twist[3:])) for twist in twists)
        data, tasks = self._configuration.data, self._frame_tasks
        gaps = [data.body(task.frame_name).xpos - task.transform_target_to_world.translation() for task in tasks]
        return max(float(np.linalg.norm(gap)) for gap in gaps), 0.0

    def step(self, box: tuple[NDArray[np.float64], NDArray[np.float64]]) -> bool:
        """One step."""
        self._limit.lower[self._order], self._limit.upper[self._order] = box
        try:
            velocity = mink.solve_ik(
                self._configuration,
                self._tasks,
                1.0,
                solver="daqp",
                damping=self._settings.damping,
                safety_break=False,
                limits=[self._limit],
            )
        except mink.NoSolutionFound:
            return False
        self._configuration.integrate_inplace(velocity, 1.0)
        if self._mimics:
            self.place(self.joints())
        return True


def _compiled(urdf: str) -> Any:
    """MuJoCo's model, with a body for every link."""
    specification = mujoco.MjSpec.from_string(urdf)
    compiler = specification.compiler
    compiler.fusestatic = False
    # Kinematics alone: links without a mass get one.
    compiler.boundmass, compiler.boundinertia, compiler.balanceinertia = 1e-3, 1e-6, True
    return specification.compile()


def _mimics(model: Any) -> list[tuple[int, int, float, float]]:
    """Follower and driver as indices into q, offset and multiplier of each mimic."""
    found = []
    for number in range(model.neq):
        follower, driver = model.eq_obj1id[number], model.eq_obj2id[number]
        offset, multiplier = model.eq_data[number, :2]
        found.append((model.jnt_qposadr[follower], model.jnt_qposadr[driver], offset, multiplier))
    return found
