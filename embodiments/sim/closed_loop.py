"""A policy in closed loop with the twin, in virtual time: any delay, no clock, the same protocol as the runtime."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.sim.follow_score import FollowScore, Told, follow_score
from unichunk.embodiments.sim.instruction import parse_instruction
from unichunk.embodiments.sim.tick import run_tick
from unichunk.runtime.observation import CameraFrame, Observation, RobotState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unichunk.embodiments.sim.camera import CameraRenderer, Disturbance
    from unichunk.embodiments.sim.twin import Snapshot, Twin
    from unichunk.runtime.chunk_policy import Adapter, ChunkPolicy

OBSERVATION_AGE_S: Final = 0.02
"""Age of the observation at the start of its tick, [s]."""


@dataclass(frozen=True)
class ClosedLoopResult:
    """How a run went.

    Attributes:
        score: How well the hands followed.
        max_command_step: Largest change of a joint between consecutive commands, [rad].
    """

    score: FollowScore
    max_command_step: float


class ClosedLoop:
    """Runs a policy with a fixed delay: observe at t0, lock rows t0 .. t0 + d - 1, execute the new rows from t0 + d.

    The next observation is taken when the chunk is there, at t0 + max(d, 1), as with an inference that takes d ticks.

    Args:
        twin: The robot.
        camera: Name and renderer of the policy's camera.
        adapter: Between the robot's joints and the policy's keys.
        policy: The policy.
    """

    def __init__(self, twin: Twin, camera: tuple[str, CameraRenderer], adapter: Adapter, policy: ChunkPolicy) -> None:
        self._twin, self._camera, self._adapter, self._policy = twin, camera, adapter, policy

    def run(self, instructions: Sequence[str], delay: int, disturbance: Disturbance | None = None) -> ClosedLoopResult:
        """Run from the rest pose at time zero.

        Args:
            instructions: What the policy is told, one for each tick; each names one block, and perhaps a posture.
            delay: d, in ticks.
            disturbance: What is wrong with the view.

        Raises:
            InstructionUnclear: Where an instruction does not say which block, or is unclear about the posture.
        """
        twin, ticks, length = self._twin, len(instructions), self._policy.chunk_length
        told = Told.of([parse_instruction(text) for text in instructions])
        twin.reset()
        # The twin has stood still for long: committed are rows that keep it there.
        standing = self._policy.encode_actions(self._adapter.actions(twin.q[None], twin.q))
        unified = np.repeat(standing, ticks + 2 * length, axis=0)
        joints = np.repeat(twin.q[None], ticks + 2 * length, axis=0)
        age = round(OBSERVATION_AGE_S * twin.spec.command_hz)
        history = deque([(twin.snapshot(), twin.q, twin.dq)], maxlen=age + 1)
        commands, times, reached = [twin.q], [], []
        for tick, instruction in enumerate(instructions):
            if tick % max(delay, 1) == 0:
                observation = self._observation(*history[0], instruction, disturbance)
                chunk = self._policy.infer(observation, unified[tick : tick + length], delay)
                before = joints[max(tick + delay - 1, 0)]
                unified[tick + delay : tick + length] = chunk.unified[delay:]
                joints[tick + delay : tick + length] = self._adapter.joints(chunk.actions, before, delay)[delay:]
            rows = np.stack([joints[max(tick - back, 0)] for back in (2, 1, 0)])
            for _ in run_tick(twin, rows, tick):
                history.append((twin.snapshot(), twin.q, twin.dq))
                commands.append(twin.command)
            times.append(twin.time)
            reached.append(twin.q)
        return ClosedLoopResult(
            score=follow_score(twin.task, told, twin.spec.action_hz, np.array(times), np.array(reached)),
            max_command_step=float(np.abs(np.diff(np.array(commands), axis=0)).max()),
        )

    def _observation(
        self,
        snapshot: Snapshot,
        q: NDArray[np.float64],
        dq: NDArray[np.float64],
        instruction: str,
        disturbance: Disturbance | None,
    ) -> dict[str, NDArray[np.generic] | str]:
        name, renderer = self._camera
        stamp = round(snapshot.time * 1e9)
        state = RobotState(stamp_ns=stamp, sequence=0, q=q, dq=dq, watchdog=False)
        frame = CameraFrame(stamp_ns=stamp, sequence=0, image=renderer.render(snapshot, disturbance))
        observation = Observation(stamp_ns=stamp, state=state, frames={name: frame})
        return self._adapter.policy_input(observation, instruction)
