"""The simulated robot: servos follow joint commands, the blocks follow their paths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.follow_target import FollowTarget
from unichunk.embodiments.sim.mujoco_import import mujoco
from unichunk.embodiments.sim.scene import BLOCK_HALF_SIZE, build_model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.embodiments.sim.block_paths import Block
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


@dataclass(frozen=True)
class Truth:
    """Where everything really is, in the base link.

    Attributes:
        time: Simulated time, [s].
        tool: Position of the tool frame, shape (3,), [m].
        blocks: Centre of each block, shape (3,), [m].
        errors: Distance between the tool and the hover point of each block, [m].
    """

    time: float
    tool: NDArray[np.float64]
    blocks: Mapping[Block, NDArray[np.float64]]
    errors: Mapping[Block, float]


class Twin:
    """A robot on a table with two moving blocks. Not thread-safe: one thread steps, others get snapshots.

    Args:
        spec: The robot.
        seed: Seed of the blocks' paths.
    """

    def __init__(self, spec: EmbodimentSpec, seed: int = 0) -> None:
        self.spec = spec
        self.model = build_model(spec)
        self.task = FollowTarget(spec, seed)
        self._data = mujoco.MjData(self.model)
        joints = [self.model.joint(name) for name in spec.joint_names]
        self._q_index = np.array([joint.qposadr[0] for joint in joints])
        self._dq_index = np.array([joint.dofadr[0] for joint in joints])
        self._mocap = {block: self.model.body(block).mocapid[0] for block in BLOCKS}
        self.reset()

    @property
    def timestep(self) -> float:
        """Duration of one physics step, [s]."""
        return float(self.model.opt.timestep)

    @property
    def time(self) -> float:
        """Simulated time, which is also the time on the blocks' paths, [s]."""
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
            time: Where on the blocks' paths to start, [s].
        """
        mujoco.mj_resetData(self.model, self._data)
        self._data.time = time
        start = self.spec.rest if q is None else q
        self._data.qpos[self._q_index] = start
        self.set_command(start)
        self._place_blocks()
        mujoco.mj_forward(self.model, self._data)

    def set_command(self, q: NDArray[np.float64]) -> None:
        """Set the servos' targets, shape (n,), [rad]; a servo never aims beyond its joint's limits."""
        self._data.ctrl[:] = np.clip(q, self.spec.limits.lower, self.spec.limits.upper)

    def advance(self, steps: int = 1) -> None:
        """Run physics steps of `timestep` each; the blocks move once per call."""
        mujoco.mj_step(self.model, self._data, steps)
        self._place_blocks()

    def snapshot(self) -> Snapshot:
        """A copy of what rendering needs, to be taken in the thread that steps."""
        return Snapshot(self.time, self._data.qpos.copy(), self._data.mocap_pos.copy())

    def truth(self) -> Truth:
        """What only a simulator knows."""
        tool = self.task.solver.position(self.q)
        return Truth(
            time=self.time,
            tool=tool,
            blocks={block: self._data.mocap_pos[index].copy() for block, index in self._mocap.items()},
            errors={b: float(np.linalg.norm(tool - self.task.hover_point(b, self.time))) for b in BLOCKS},
        )

    def _place_blocks(self) -> None:
        for block, index in self._mocap.items():
            self._data.mocap_pos[index, :2] = self.task.paths.position(block, self.time)
            self._data.mocap_pos[index, 2] = BLOCK_HALF_SIZE
