"""The simulated robot: servos follow joint commands, the target follows its path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.sim.follow_target import FollowTarget
from unichunk.embodiments.sim.mujoco_import import mujoco
from unichunk.embodiments.sim.scene import TARGET, TARGET_HALF_SIZE, build_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec


@dataclass(frozen=True)
class Snapshot:
    """What a picture of the world depends on.

    Attributes:
        time: Simulated time, [s].
        qpos: MuJoCo's generalized positions, shape (nq,).
        mocap_pos: Positions of the bodies moved by the task, shape (nmocap, 3), [m].
    """

    time: float
    qpos: NDArray[np.float64]
    mocap_pos: NDArray[np.float64]


class Twin:
    """A robot on a table with a moving target. Not thread-safe: one thread steps, others get snapshots.

    Args:
        spec: The robot.
        seed: Seed of the target's path.
    """

    def __init__(self, spec: EmbodimentSpec, seed: int = 0) -> None:
        self.spec = spec
        self.model = build_model(spec)
        self.task = FollowTarget(spec, seed)
        self._data = mujoco.MjData(self.model)
        joints = [self.model.joint(name) for name in spec.joint_names]
        self._q_index = np.array([joint.qposadr[0] for joint in joints])
        self._dq_index = np.array([joint.dofadr[0] for joint in joints])
        self._mocap = self.model.body(TARGET).mocapid[0]
        self.reset()

    @property
    def timestep(self) -> float:
        """Duration of one physics step, [s]."""
        return float(self.model.opt.timestep)

    @property
    def time(self) -> float:
        """Simulated time, which is also the time on the target's path, [s]."""
        return float(self._data.time)

    @property
    def q(self) -> NDArray[np.float64]:
        """Joint positions, shape (n,), [rad], in the spec's order; a copy."""
        positions: NDArray[np.float64] = self._data.qpos[self._q_index]
        return positions

    @property
    def dq(self) -> NDArray[np.float64]:
        """Joint velocities, shape (n,), [rad/s]; a copy."""
        velocities: NDArray[np.float64] = self._data.qvel[self._dq_index]
        return velocities

    @property
    def command(self) -> NDArray[np.float64]:
        """The servos' targets, shape (n,), [rad]; a copy."""
        targets: NDArray[np.float64] = self._data.ctrl.copy()
        return targets

    def reset(self, q: NDArray[np.float64] | None = None, time: float = 0.0) -> None:
        """Start over, standing still.

        Args:
            q: Joint positions to start from, shape (n,), [rad]; the spec's rest pose if left out.
            time: Where on the target's path to start, [s].
        """
        mujoco.mj_resetData(self.model, self._data)
        self._data.time = time
        start = self.spec.rest if q is None else q
        self._data.qpos[self._q_index] = start
        self.set_command(start)
        self._place_target()
        mujoco.mj_forward(self.model, self._data)

    def set_command(self, q: NDArray[np.float64]) -> None:
        """Set the servos' targets, shape (n,), [rad]; a servo never aims beyond its joint's limits."""
        self._data.ctrl[:] = np.clip(q, self.spec.limits.lower, self.spec.limits.upper)

    def advance(self, steps: int = 1) -> None:
        """Run physics steps of `timestep` each; the target moves once per call."""
        mujoco.mj_step(self.model, self._data, steps)
        self._place_target()

    def snapshot(self) -> Snapshot:
        """A copy of what rendering needs, to be taken in the thread that steps."""
        return Snapshot(self.time, self._data.qpos.copy(), self._data.mocap_pos.copy())

    def truth(self) -> dict[str, float | list[float]]:
        """What only a simulator knows: target and tool positions in the base link, tracking error; all [m]."""
        target = self.task.path.position(self.time)
        tool = self.task.solver.position(self.q)
        return {
            "time": self.time,
            "target": [float(target[0]), float(target[1]), TARGET_HALF_SIZE],
            "tool": [float(value) for value in tool],
            "tracking_error": float(np.linalg.norm(tool - self.task.hover_point(self.time))),
        }

    def _place_target(self) -> None:
        self._data.mocap_pos[self._mocap, :2] = self.task.path.position(self.time)
        self._data.mocap_pos[self._mocap, 2] = TARGET_HALF_SIZE
