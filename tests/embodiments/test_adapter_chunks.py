"""Chunks of displacements through the real producer and ring buffer: one motion, whatever the seams between them."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pinocchio as pin
import pytest

from tests.embodiments.robots import Model, apart, bent, single_precision, wandering
from tests.one_line import refused
from unichunk.embodiments import adapter_poses
from unichunk.embodiments.adapter import EmbodimentAdapter
from unichunk.embodiments.catalogue import load_spec
from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.robot_entries import end_effector_entry, joint_entry
from unichunk.embodiments.settings import robot_settings
from unichunk.embodiments.spec import RampFallback
from unichunk.runtime.delay import DelayEstimator
from unichunk.runtime.policy.manifest import MeanStd
from unichunk.runtime.policy.normalization import SlotMap
from unichunk.runtime.producer import ChunkRecord, Producer
from unichunk.runtime.ring_buffer import RingBuffer, Row
from unichunk.runtime.ticks import Timebase

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.embodiments.spec import EmbodimentSpec
    from unichunk.runtime.policy.manifest import RobotEntry

T = 16
STEP = np.array([0.0015, 0.001, -0.001])
"""What the policy says at every row, [m]."""


def normalized(robot: RobotEntry) -> RobotEntry:
    """With statistics, so that zero is not zero once it is normalized."""
    action = {
        name: msgspec.structs.replace(
            key,
            normalization=MeanStd(
                mean=tuple(0.01 * (i + 1) for i in range(key.width)), std=tuple(0.5 + 0.1 * i for i in range(key.width))
            ),
        )
        for name, key in robot.action.items()
    }
    return msgspec.structs.replace(robot, action=action)


class Straight:
    """A policy in end-effector form that always goes on in the same direction and locks its prefix."""

    def __init__(self, robot: RobotEntry, standing: Mapping[str, NDArray[np.float64]]) -> None:
        self._slots = SlotMap("action", robot.action, 200)
        self._rows = {name: np.repeat(values, T, axis=0) for name, values in standing.items()}
        self.go(STEP)

    def go(self, step: NDArray[np.float64]) -> None:
        """Say another displacement from now on, [m]."""
        for name, values in self._rows.items():
            if name.endswith("end_effector_position"):
                values[:] = step
        self._own = self._slots.encode(self._rows, T)

    def encode_actions(self, actions: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float32]:
        return self._slots.encode(actions, len(next(iter(actions.values()))))

    def decode(self, unified: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        return self._slots.decode(unified)

    def infer(self, previous: NDArray[np.float32], delay: int) -> NDArray[np.float32]:
        rows = self._own.copy()
        rows[:delay] = previous[:delay]
        return rows


class Run:
    """A robot in virtual time: a tick a row, and inferences that take as many ticks as they are told."""

    def __init__(self, spec: EmbodimentSpec) -> None:
        robot = normalized(end_effector_entry(spec))
        self.spec, self.hz = spec, spec.action_hz
        self.adapter = EmbodimentAdapter(spec, robot)
        self.start = bent(spec)
        self.policy = Straight(robot, self.adapter.actions(self.start[None], self.start))
        policy: Any = self.policy
        self.settings = robot_settings(spec, policy, self.adapter)
        self.ring = RingBuffer(4 * T, T, len(spec.joints), self.settings.fallback)
        self.timebase = Timebase(0, self.hz, self.hz)
        estimator = DelayEstimator(self.hz, 1)
        estimator.observe(0.0, 2 / self.hz)
        self.producer = Producer(
            self.ring,
            estimator,
            self.timebase,
            encode=self.encode,
            joint_step=spec.limits.velocity / self.hz,
            minimum_postfix=2,
            trained_delay=8,
            chunk_length=T,
        )
        self.ring.start(0, 4, self.encode(self.start[None], self.start)[0], self.start)
        self.ran: list[NDArray[np.float64]] = []

    def encode(self, joints: NDArray[np.float64], before: NDArray[np.float64]) -> NDArray[np.float32]:
        return self.policy.encode_actions(self.adapter.actions(joints, before))

    def infer(self, ticks: int) -> ChunkRecord:
        """An inference on what is seen now, which takes so many ticks."""
        now_ns = self.timebase.start_of_step(max(self.ring.cursor, 0)) + 1
        commitment = self.producer.begin(now_ns, now_ns)
        unified = self.policy.infer(commitment.previous_chunk, commitment.delay)
        self.tick(ticks)
        joints = self.adapter.joints(self.policy.decode(unified), commitment.before, commitment.delay)
        return self.producer.finish(commitment, unified, joints, lambda: now_ns + int(ticks * 1e9 / self.hz))

    def tick(self, ticks: int) -> None:
        for _ in range(ticks):
            row = Row(np.zeros(len(self.spec.joints)))
            self.ring.read(self.ring.cursor + 1, row)
            self.ran.append(row.joints.copy())

    def says(self) -> NDArray[np.float32]:
        """What the policy is told of the rows that ran last, as displacements of the right hand's position."""
        unified, _ = self.ring.snapshot(self.ring.cursor - 3, 4)
        return self.policy.decode(unified)["action.right_end_effector_position"]


@pytest.fixture(params=["fr3_inspire", "g1_o6"], scope="module")
def moving(request: pytest.FixtureRequest) -> EmbodimentSpec:
    return load_spec(request.param)


def test_a_straight_motion_goes_straight_on_across_seams(moving: EmbodimentSpec) -> None:
    run = Run(moving)
    run.tick(1)
    for _ in range(10):
        record = run.infer(2)
        assert record.intact
        assert record.dropped == 0
    assert run.adapter.statistics()["unreachable"] == 0
    first = next(i for i, row in enumerate(run.ran) if (row != run.start).any())
    for side in moving.end_effectors:
        path = Model(moving).poses(np.array(run.ran[first:]), side)[:, :3, 3]
        np.testing.assert_allclose(np.diff(path, axis=0), np.repeat(STEP[None], len(path) - 1, axis=0), atol=3e-4)
        went = path[-1] - Model(moving).poses(run.start[None], side)[0, :3, 3]
        np.testing.assert_allclose(went, len(path) * STEP, atol=1e-3)


def test_after_a_late_chunk_the_rows_say_what_runs(moving: EmbodimentSpec) -> None:
    run = Run(moving)
    run.tick(1)
    run.infer(2)
    # The way back: what ran instead of the late rows is elsewhere than they believe.
    run.policy.go(-STEP)
    record = run.infer(6)
    assert record.dropped > 0
    assert record.seam > 0.005
    unified, joints = run.ring.snapshot(run.ring.cursor, 8)
    told = run.adapter.joints(run.policy.decode(unified[1:]), joints[0])
    for side in moving.end_effectors:
        distance, angle = apart(Model(moving).poses(told, side), Model(moving).poses(joints[1:], side))
        assert distance < 1e-3
        assert angle < 0.01


def test_without_a_row_the_robot_stays_and_the_policy_is_told_so(moving: EmbodimentSpec) -> None:
    run = Run(moving)
    run.tick(1)
    run.infer(2)
    run.tick(T + 8)
    np.testing.assert_array_equal(run.ran[-1], run.ran[-4])
    np.testing.assert_allclose(run.says(), 0.0, atol=1e-7)
    commitment = run.producer.begin(run.timebase.start_of_step(run.ring.cursor) + 1, 0)
    np.testing.assert_array_equal(commitment.before, run.ran[-1])


def test_a_ramp_is_for_policies_in_joint_form() -> None:
    """In the other form each of its rows would take forward kinematics, in the control thread."""
    ramping = msgspec.structs.replace(load_spec("fr3_inspire"), fallback=RampFallback(velocity_fraction=0.1))
    with refused(SpecError, "embodiment.fallback.kind of fr3_inspire", "ramp", "hold", "joint form"):
        Run(ramping)
    adapter = EmbodimentAdapter(ramping, joint_entry(ramping))
    joint_form: Any = Straight(joint_entry(ramping), adapter.actions(ramping.rest[None], ramping.rest))
    ramp = robot_settings(ramping, joint_form, adapter).fallback
    unified, joints = np.zeros(200, np.float32), np.zeros(len(ramping.joints))
    ramp.extend(unified, ramping.rest + 0.5, unified, joints)
    step = 0.1 * ramping.limits.velocity / ramping.action_hz
    np.testing.assert_allclose(joints, ramping.rest + 0.5 - np.minimum(step, 0.5), atol=1e-12)


def interrupted(function: Any) -> Any:
    """The other thread comes in before each call."""

    def call(*args: Any) -> Any:
        time.sleep(0)
        return function(*args)

    return call


def test_one_thread_tracks_while_another_encodes(moving: EmbodimentSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control thread's fallback must not find the buffers of the inference thread's kinematics."""
    run, rows = Run(moving), wandering(moving, 6)
    monkeypatch.setattr(adapter_poses.pin, "updateFramePlacement", interrupted(pin.updateFramePlacement))
    chunk = single_precision(run.adapter.actions(rows, run.start))
    expected, encoded = run.adapter.joints(chunk, run.start), run.encode(rows, run.start)
    different: list[str] = []
    done = threading.Event()

    def encode() -> None:
        while not done.is_set():
            if not np.array_equal(run.encode(rows, run.start), encoded):
                different.append("encoded")

    thread = threading.Thread(target=encode)
    thread.start()
    for _ in range(30):
        if not np.array_equal(run.adapter.joints(chunk, run.start), expected):
            different.append("tracked")
    done.set()
    thread.join()
    assert different == []
