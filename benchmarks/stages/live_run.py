"""A short run of the runtime, with a clock between the steps of each inference.

Control thread, control loop, guard, ring buffer, producer and link are the runtime's own, put together as the
supervisor does; the inference thread's cycle is taken apart here (`InferenceThread._produce`). The robot begins in its
rest pose instead of ramping to the policy's first row; the guard takes care of what that asks of it.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.benchmarks.stages import stage
from unichunk.benchmarks.stages.first_commands import FirstCommands
from unichunk.benchmarks.stages.subject import INSTRUCTION
from unichunk.embodiments.link.driver_link import DriverLink
from unichunk.runtime.control_loop import ControlLoop
from unichunk.runtime.control_thread import ControlThread
from unichunk.runtime.errors import UnichunkError
from unichunk.runtime.guard import Guard
from unichunk.runtime.interpolation import smoothing_steps
from unichunk.runtime.motion import Ramp, RingMotion
from unichunk.runtime.producer import Producer
from unichunk.runtime.realtime import collect_between_chunks
from unichunk.runtime.ring_buffer import RingBuffer
from unichunk.runtime.standing import standing_pose
from unichunk.runtime.supervisor import SYNC_FRACTION
from unichunk.runtime.ticks import Timebase
from unichunk.runtime.trouble import Trouble

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

    from unichunk.benchmarks.stages.subject import Subject
    from unichunk.runtime.delay import DelayEstimator
    from unichunk.runtime.observation import Observation
    from unichunk.runtime.producer import ChunkRecord

FRAME_S: Final = 5.0
"""How long a new observation may take, [s]."""

REST_S: Final = 2.0
"""How long braking to rest may take at the end, [s]."""

_WAIT_S: Final = 0.02


class LiveRun:
    """From entering to leaving, a robot is commanded by what `infer` publishes.

    Args:
        subject: What is measured.
        endpoint: Of the robot's driver.
        estimator: Chooses the delay; keeps what it learns for the next run.

    Attributes:
        times: Stage -> a time for each chunk, [ms].
        records: What became of each chunk, with when its rows could be read, [ns].
    """

    def __init__(self, subject: Subject, endpoint: str, estimator: DelayEstimator) -> None:
        robot, policy = subject.robot, subject.policy
        self._subject = subject
        self._link = DriverLink(endpoint, subject.place.spec, cameras=policy.robot.cameras)
        self._first_commands = FirstCommands(self._link.commands)
        self._timebase = Timebase(time.monotonic_ns(), robot.action_hz, robot.command_hz)
        self._loop = ControlLoop(Guard(robot.limits, robot.command_hz), self._first_commands, self._timebase)
        self._control = ControlThread(self._loop, self._timebase)
        capacity = 4 * policy.chunk_length + math.ceil(robot.observation_max_age_s * robot.action_hz)
        self._ring = RingBuffer(capacity, policy.chunk_length, robot.limits.size, robot.fallback)
        self._estimator = estimator
        self._producer = Producer(
            self._ring,
            estimator,
            self._timebase,
            encode=self._encode,
            joint_step=robot.limits.velocity / robot.action_hz,
            minimum_postfix=robot.minimum_postfix_ticks,
            trained_delay=policy.max_delay,
            chunk_length=policy.chunk_length,
        )
        self._first_tick = 0
        self._last_stamp_ns = -1
        self.times: dict[str, list[float]] = {}
        self.records: list[tuple[ChunkRecord, int]] = []

    def __enter__(self) -> Self:
        self._link.connect()
        try:
            self._begin()
        except BaseException as error:
            self._control_ended()
            self._link.close()
            if isinstance(error, Trouble):
                raise UnichunkError(str(error)) from None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.hold()
        deadline_s = time.monotonic() + REST_S
        while not self._loop.settled and self._control.is_alive() and time.monotonic() < deadline_s:
            time.sleep(_WAIT_S)
        self._control_ended()
        self._link.close()

    def infer(self) -> float:
        """Wait for an observation that was not there yet, and make a chunk of it; time of the whole chunk, [ms]."""
        observation, arrived_ns = self._next_observation()
        policy, adapter = self._subject.policy, self._subject.adapter
        begun = time.monotonic_ns()
        commitment = self._producer.begin(observation.stamp_ns, begun)
        committed = time.monotonic_ns()
        seen = adapter.policy_input(observation, INSTRUCTION)
        inputs = policy.preprocess(seen, commitment.running, commitment.delay)
        preprocessed = time.monotonic_ns()
        prefix = policy.prefix(inputs)
        understood = time.monotonic_ns()
        outputs = policy.denoise(inputs, prefix)
        denoised = time.monotonic_ns()
        chunk = policy.decode(inputs, outputs)
        joints = adapter.joints(chunk.actions, commitment.before, commitment.delay)
        decoded = time.monotonic_ns()
        record = self._producer.finish(commitment, chunk.unified, joints, time.monotonic_ns)
        readable = observation.stamp_ns + record.latency_ns
        collect_between_chunks()
        self._note(stage.CAPTURE, arrived_ns - observation.stamp_ns)
        self._note(stage.COMMIT, committed - begun)
        self._note(stage.PREPROCESS, preprocessed - committed)
        self._note(stage.PREFIX, understood - preprocessed)
        self._note(stage.DENOISE, denoised - understood)
        self._note(stage.DECODE, decoded - denoised)
        self._note(stage.PUBLISH, readable - decoded)
        self._note(stage.CHUNK, readable - begun)
        self.records.append((record, readable))
        return (readable - begun) / 1e6

    def forget(self) -> None:
        """Drop what was noted so far."""
        self.times, self.records = {}, []

    def back_to_back(self, chunks: int) -> float:
        """Chunks a second without waiting for anything, nothing published; of one observation."""
        observation, _ = self._next_observation()
        policy, adapter = self._subject.policy, self._subject.adapter
        begun = time.monotonic_ns()
        for _ in range(chunks):
            chunk = policy.infer(adapter.policy_input(observation, INSTRUCTION))
            adapter.joints(chunk.actions, observation.state.q)
        return chunks * 1e9 / (time.monotonic_ns() - begun)

    def note_first_commands(self) -> None:
        """Wait until the newest chunk's first row was sent, and note for every chunk when that was."""
        if self.records and not self.records[-1][0].lost:
            until_ns = self._row_due_ns(self.records[-1][0]) + 3 * 10**9 // self._subject.robot.command_hz
            time.sleep(max(0, until_ns - time.monotonic_ns()) / 1e9)
        for record, readable in self.records:
            sent = self._first_commands.sent_ns.get(record.commitment.chunk)
            if sent is None:
                continue
            due = max(readable, self._row_due_ns(record))
            self._note(stage.WAIT, due - readable)
            self._note(stage.SEND, sent - due)
            self._note(stage.FIRST_COMMAND, sent - readable)
            self._note(stage.REACTION, sent - record.commitment.stamp_ns)

    def _begin(self) -> None:
        """Go to the rest pose, so that every visit begins alike, and let the ring buffer go on from there."""
        robot = self._subject.robot
        self._link.sensors.open()
        start = standing_pose(self._link.states, robot.limits, lambda: None)
        rest = np.clip(self._subject.place.spec.rest, robot.limits.lower, robot.limits.upper)
        ramp = Ramp(
            start,
            rest,
            velocity=SYNC_FRACTION * robot.limits.velocity,
            acceleration=SYNC_FRACTION * robot.limits.acceleration,
            jerk=SYNC_FRACTION * robot.limits.jerk,
            command_hz=robot.command_hz,
        )
        self._loop.restart(start, ramp)
        self._control.start()
        while not ramp.finished and self._control.is_alive():
            time.sleep(_WAIT_S)
        self._first_tick = self._timebase.tick_at(time.monotonic_ns()) + 2
        unified = self._encode(rest[None], rest)[0]
        self._ring.start(self._first_tick, self._subject.policy.chunk_length, unified, rest)
        smoothing = smoothing_steps(robot.limits, robot.command_hz)
        motion = RingMotion(self._ring, self._timebase, self._first_tick, rest, smoothing)
        self._first_commands.motion = motion
        self._loop.follow(motion)

    def _control_ended(self) -> None:
        """End the control thread, where it was begun: the link's handles are not to be closed under its feet."""
        if self._control.ident is not None:
            self._control.stop()

    def _next_observation(self) -> tuple[Observation, int]:
        """An observation that arrived while nothing else was done, and when, [ns]."""
        sensors = self._link.sensors
        waiting = sensors.newest()
        if waiting is not None:
            self._last_stamp_ns = waiting.stamp_ns
        deadline_s = time.monotonic() + FRAME_S
        while time.monotonic() < deadline_s:
            if self._control.failure is not None:
                raise UnichunkError(f"the control thread ended: {self._control.failure}")
            sensors.wait(_WAIT_S)
            observation = sensors.newest()
            arrived_ns = time.monotonic_ns()
            if observation is not None and observation.stamp_ns != self._last_stamp_ns:
                self._last_stamp_ns = observation.stamp_ns
                if self._timebase.tick_at(observation.stamp_ns) >= self._first_tick:
                    return observation, arrived_ns
        raise UnichunkError(f"no new observation from {self._link.endpoint} for {FRAME_S:g} s: does its driver run?")

    def _encode(self, joints: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float32]:
        subject = self._subject
        return subject.policy.encode_actions(subject.adapter.actions(joints, before))

    def _row_due_ns(self, record: ChunkRecord) -> int:
        """When the first row that a chunk wrote begins to run, [ns]."""
        return self._tick_begins_ns(record.commitment.tick + record.first)

    def _tick_begins_ns(self, tick: int) -> int:
        robot = self._subject.robot
        return self._timebase.start_of_step(-(-tick * robot.command_hz // robot.action_hz))

    def _note(self, name: str, nanoseconds: float) -> None:
        self.times.setdefault(name, []).append(nanoseconds / 1e6)
