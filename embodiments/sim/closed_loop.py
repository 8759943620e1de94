"""A policy in closed loop with the twin, in virtual time: any delay, no clock, the runtime's own chunking."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.embodiments.sim.fixed_delay import FixedDelay
from unichunk.embodiments.sim.follow_score import FollowScore, Told, follow_score
from unichunk.embodiments.sim.instruction import parse_instruction
from unichunk.embodiments.sim.seams import Seams, seams
from unichunk.embodiments.sim.tick import run_tick
from unichunk.runtime.chunking import largest_delay
from unichunk.runtime.fallback import HoldFallback
from unichunk.runtime.observation import CameraFrame, Observation, RobotState
from unichunk.runtime.producer import Producer
from unichunk.runtime.ring_buffer import RingBuffer, Row
from unichunk.runtime.state_forward import told_observation
from unichunk.runtime.ticks import NANOSECONDS, Timebase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from unichunk.embodiments.sim.camera import CameraRenderer, Disturbance
    from unichunk.embodiments.sim.twin import Snapshot, Twin
    from unichunk.runtime.chunk_policy import Adapter, ChunkPolicy
    from unichunk.runtime.producer import ChunkRecord

OBSERVATION_AGE_S: Final = 0.02
"""Age of the observation at the start of its tick, [s]."""


@dataclass(frozen=True)
class ClosedLoopResult:
    """How a run went.

    Attributes:
        score: How well the hands followed.
        max_command_step: Largest change of a joint between consecutive commands, [rad].
        seams: How smoothly chunk followed chunk.
        chunks: How many took over.
        violations: How many of them had been inferred for other rows than those that ran before them.
    """

    score: FollowScore
    max_command_step: float
    seams: Seams
    chunks: int
    violations: int


class ClosedLoop:
    """Runs a policy with a fixed delay: observe at t0, commit rows t0 .. t0 + d - 1, execute new rows from t0 + d.

    Rows are committed, stitched and read by the runtime's `Producer` and `RingBuffer`. The next observation is taken
    when the chunk is there, at t0 + max(d, 1), as with an inference that takes d ticks.

    Args:
        twin: The robot.
        camera: Name and renderer of the policy's camera.
        adapter: Between the robot's joints and the policy's keys.
        policy: The policy.
        lock: Whether the policy is told which rows are committed, as the runtime does. Otherwise it plans from the
            observation alone, as if its first row ran at t0, and its rows from d on take over: naive asynchronous
            execution.
    """

    def __init__(
        self,
        twin: Twin,
        camera: tuple[str, CameraRenderer],
        adapter: Adapter,
        policy: ChunkPolicy,
        *,
        lock: bool = True,
    ) -> None:
        self._twin, self._camera, self._adapter, self._policy = twin, camera, adapter, policy
        self._lock = lock

    def run(self, instructions: Sequence[str], delay: int, disturbance: Disturbance | None = None) -> ClosedLoopResult:
        """Run from the rest pose at time zero.

        Args:
            instructions: What the policy is told, one for each tick; each names one block, and perhaps a posture.
            delay: d, in ticks; at most half a chunk, or rows would run out before the next chunk is there.
            disturbance: What is wrong with the view.

        Raises:
            InstructionUnclear: Where an instruction does not say which block, or is unclear about the posture.
            ValueError: Where the delay is too long.
        """
        twin = self._twin
        told = Told.of([parse_instruction(text) for text in instructions])
        twin.reset()
        # The twin has stood still for long: committed are rows that keep it there.
        ring, producer = self._chunking(delay)
        row = Row(twin.q)
        rows, chunks = [twin.q, twin.q], [row.chunk, row.chunk]
        age = round(OBSERVATION_AGE_S * twin.spec.command_hz)
        history = deque([(twin.snapshot(), twin.q, twin.dq)], maxlen=age + 1)
        commands, times, reached = [twin.q], [], []
        records: list[ChunkRecord] = []
        arrive: Callable[[], ChunkRecord] | None = None
        for tick, instruction in enumerate(instructions):
            if tick % max(delay, 1) == 0:
                if arrive is not None:
                    records.append(arrive())
                observation = self._observation(*history[0], disturbance)
                arrive = self._infer(producer, ring, observation, instruction, tick, delay)
                if delay == 0:
                    records.append(arrive())
                    arrive = None
            ring.read(tick, row)
            rows.append(row.joints.copy())
            chunks.append(row.chunk)
            for _ in run_tick(twin, np.stack(rows[-3:]), tick):
                history.append((twin.snapshot(), twin.q, twin.dq))
                commands.append(twin.command)
            times.append(twin.time)
            reached.append(twin.q)
        return ClosedLoopResult(
            score=follow_score(twin.task, told, twin.spec.action_hz, np.array(times), np.array(reached)),
            max_command_step=float(np.abs(np.diff(np.array(commands), axis=0)).max()),
            seams=seams(np.array(rows), np.array(chunks), twin.spec.action_hz),
            chunks=len(records),
            violations=sum(not record.intact for record in records),
        )

    def _chunking(self, delay: int) -> tuple[RingBuffer, Producer]:
        """The runtime's parts, started with rows that keep the robot where it stands."""
        spec, length, q = self._twin.spec, self._policy.chunk_length, self._twin.q
        longest = largest_delay(length, minimum_postfix=1, trained_delay=length)
        if not 0 <= delay <= longest:
            raise ValueError(f"delay: expected 0 to {longest} ticks, half a chunk of {length} rows, got {delay}")
        # The fallback is never asked: a chunk lasts until the next one is there.
        ring = RingBuffer(4 * length, length, len(q), HoldFallback())
        ring.start(0, max(delay, 1), self._encode(q[None], q)[0], q)
        producer = Producer(
            ring,
            FixedDelay(delay),
            Timebase(0, spec.action_hz, spec.command_hz),
            encode=self._encode,
            joint_step=spec.limits.velocity / spec.action_hz,
            minimum_postfix=1,
            trained_delay=length,
            chunk_length=length,
            locks=self._policy.locks,
        )
        return ring, producer

    def _encode(self, joints: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float32]:
        return self._policy.encode_actions(self._adapter.actions(joints, before))

    def _infer(
        self, producer: Producer, ring: RingBuffer, observation: Observation, instruction: str, tick: int, d: int
    ) -> Callable[[], ChunkRecord]:
        """Commit rows and infer at a tick; call what comes back d ticks later, when the chunk is there."""
        begun_ns, there_ns = (self._start_of(k) for k in (tick, tick + d))
        commitment = producer.begin(begun_ns, begun_ns)
        if self._lock:
            told = told_observation(observation, commitment, self._twin.spec.limits, self._policy.state_time)
            inputs = self._adapter.policy_input(told, instruction)
            chunk = self._policy.infer(inputs, commitment.running, d)
            joints = self._adapter.joints(chunk.actions, commitment.before, d)
        else:
            chunk = self._policy.infer(self._adapter.policy_input(observation, instruction), None, 0)
            joints = self._adapter.joints(chunk.actions, ring.snapshot(tick - 1, 1)[1][0], 0)
        return lambda: producer.finish(commitment, chunk.unified, joints, lambda: there_ns)

    def _start_of(self, tick: int) -> int:
        """The first nanosecond of a tick."""
        return -(-tick * NANOSECONDS // self._twin.spec.action_hz)

    def _observation(
        self,
        snapshot: Snapshot,
        q: NDArray[np.float64],
        dq: NDArray[np.float64],
        disturbance: Disturbance | None,
    ) -> Observation:
        name, renderer = self._camera
        stamp = round(snapshot.time * 1e9)
        state = RobotState(stamp_ns=stamp, sequence=0, q=q, dq=dq, watchdog=False)
        frame = CameraFrame(stamp_ns=stamp, sequence=0, image=renderer.render(snapshot, disturbance))
        return Observation(stamp_ns=stamp, state=state, frames={name: frame})
