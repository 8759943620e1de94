"""The simulated robot: servos follow joint commands, the blocks follow their paths."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.sim.block_paths import BLOCKS, BlockPaths
from unichunk.embodiments.sim.follow_target import FollowTarget
from unichunk.embodiments.sim.mujoco_import import mujoco
from unichunk.embodiments.sim.scene import build_model, steps_per_command
from unichunk.embodiments.sim.standing_blocks import StandingBlocks
from unichunk.kinematics.names import instead_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.embodiments.sim.block_paths import Block
    from unichunk.embodiments.spec import EmbodimentSpec, Side


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
        q: Joint positions, shape (n,), [rad], in the spec's order.
        tools: Side -> position of the frame that the task brings to a block, shape (3,), [m].
        blocks: Centre of each block, shape (3,), [m].
        errors: Distance between a tool and its point at each block, the larger one of two hands, [m].
    """

    time: float
    q: NDArray[np.float64]
    tools: Mapping[Side, NDArray[np.float64]]
    blocks: Mapping[Block, NDArray[np.float64]]
    errors: Mapping[Block, float]


class Twin:
    """A robot on a table with two moving blocks. Not thread-safe: one thread steps, others get snapshots.

    Args:
        spec: The robot.
        seed: Seed of the blocks' paths.
        objects: Whether the loose objects of the spec are there.

    Raises:
        SpecError: Where the robot cannot be simulated, with what is wrong in its spec.
    """

    def __init__(self, spec: EmbodimentSpec, seed: int = 0, *, objects: bool = False) -> None:
        self.spec = spec
        self.model = build_model(spec, objects=objects)
        self.steps_per_command = steps_per_command(spec)
        """Physics steps in a command period."""
        self._seed = seed
        self._task = None if spec.twin is None else spec.twin.task
        self._paths: BlockPaths | StandingBlocks | None = None if self._task is None else BlockPaths(seed, self._task)
        self._data = mujoco.MjData(self.model)
        joints = [self.model.joint(name) for name in spec.joint_names]
        self._q_index = np.array([joint.qposadr[0] for joint in joints])
        self._dq_index = np.array([joint.dofadr[0] for joint in joints])
        self._lower, self._upper = spec.limits.lower, spec.limits.upper
        self._mocap = {} if self._task is None else {block: self.model.body(block).mocapid[0] for block in BLOCKS}
        self._mimics = _mimics(self.model)
        self.reset()

    @cached_property
    def task(self) -> FollowTarget:
        """The follow task; made when it is first asked for, which takes some time.

        Raises:
            SpecError: Where the spec has none.
        """
        return FollowTarget(self.spec, self._seed)

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
        for follower, driver, coefficients in self._mimics:
            self._data.qpos[follower] = np.polyval(coefficients, self._data.qpos[driver])
        self.set_command(start)
        mujoco.mj_forward(self.model, self._data)
        self._frames_time, self._blocks_time = time, math.nan

    def stand(self, places: Mapping[Block, tuple[float, float]]) -> None:
        """Let the blocks stand still from now on, both at these places over the table in the base, [m].

        Raises:
            SpecError: Where the spec has no task, and so no blocks.
        """
        if self._task is None:
            raise SpecError(
                f"embodiment.twin.task of {self.spec.name}: expected an object, got null: there are no blocks"
            )
        self._paths, self._blocks_time = StandingBlocks(places), math.nan

    def set_command(self, q: NDArray[np.float64]) -> None:
        """Set the servos' targets, shape (n,), [rad]; a servo never aims beyond its joint's limits."""
        np.clip(q, self._lower, self._upper, out=self._data.ctrl)

    def advance(self, steps: int = 1) -> None:
        """Run physics steps of `timestep` each."""
        mujoco.mj_step(self.model, self._data, steps)

    def snapshot(self) -> Snapshot:
        """A copy of what rendering needs, to be taken in the thread that steps."""
        self._place_blocks()
        return Snapshot(self.time, self._data.qpos.copy(), self._data.mocap_pos.copy())

    def frame_position(self, frame: str) -> NDArray[np.float64]:
        """Where a link or frame of the model is now, in the base, shape (3,), [m].

        Raises:
            SpecError: Where the model has no such frame.
        """
        if self._frames_time != self._data.time:
            # After a step MuJoCo's own are those of the step's beginning.
            mujoco.mj_kinematics(self.model, self._data)
            self._frames_time = self._data.time
        body = mujoco.mj_name2id(self.model, mujoco.mjtObj.mjOBJ_BODY, frame)
        if body < 0:
            names = [self.model.body(i).name for i in range(1, self.model.nbody)]
            raise SpecError(f"unknown frame {frame!r} of the {self.spec.name} twin: {instead_of(frame, names)}")
        position: NDArray[np.float64] = self._data.xpos[body].copy()
        return position

    def block_position(self, block: Block) -> NDArray[np.float64]:
        """Where the centre of a block is now, in the base, shape (3,), [m]."""
        self._place_blocks()
        position: NDArray[np.float64] = self._data.mocap_pos[self._mocap[block]].copy()
        return position

    def truth(self) -> Truth:
        """What only a simulator knows; empty of tools and blocks where the spec has no task."""
        hands = {} if self._task is None else self._task.hands
        tools = {side: self.frame_position(hand.frame) for side, hand in hands.items()}
        blocks = {block: self.block_position(block) for block in self._mocap}
        errors = {
            block: max(
                float(np.linalg.norm(tools[side] - centre - np.array(hand.offset))) for side, hand in hands.items()
            )
            for block, centre in blocks.items()
        }
        return Truth(time=self.time, q=self.q, tools=tools, blocks=blocks, errors=errors)

    def _place_blocks(self) -> None:
        """They touch nothing: it is enough that they are in place when somebody looks."""
        if self._task is None or self._paths is None or self._blocks_time == self._data.time:
            return
        for block, index in self._mocap.items():
            self._data.mocap_pos[index, :2] = self._paths.position(block, self.time)
            self._data.mocap_pos[index, 2] = self._task.height
        self._blocks_time = self._data.time


def _mimics(model: Any) -> list[tuple[int, int, NDArray[np.float64]]]:
    """Addresses of each mimicking joint and of its driver in qpos, and coefficients, highest power first."""
    return [
        (
            int(model.jnt_qposadr[model.eq_obj1id[i]]),
            int(model.jnt_qposadr[model.eq_obj2id[i]]),
            model.eq_data[i, 4::-1].copy(),
        )
        for i in range(model.neq)
        if model.eq_type[i] == mujoco.mjtEq.mjEQ_JOINT
    ]
