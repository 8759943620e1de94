"""The simulated robot: deterministic, within its limits, obedient to the spec."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.sim.block_paths import BLOCKS
from unichunk.embodiments.sim.scene import build_model
from unichunk.embodiments.sim.twin import Twin
from unichunk.embodiments.spec import load_spec
from unichunk.kinematics.model import KinematicModel, urdf_path

SPEC = load_spec("so101")


def drive(twin: Twin, seed: int, samples: int = 200) -> np.ndarray:
    random = np.random.default_rng(seed)
    command, reached = twin.q, []
    for _ in range(samples):
        command = command + random.uniform(-0.03, 0.03, command.size)
        twin.set_command(command)
        twin.advance(5)
        reached.append(np.concatenate([twin.q, twin.dq]))
    return np.array(reached)


def test_equal_commands_lead_to_equal_motion():
    first, second = Twin(SPEC, 3), Twin(SPEC, 3)
    np.testing.assert_array_equal(drive(first, 1), drive(second, 1))
    assert first.truth().errors == second.truth().errors
    first.reset()
    second.reset()
    np.testing.assert_array_equal(drive(first, 2), drive(second, 2))


def test_joints_stay_within_their_limits_whatever_is_commanded():
    twin = Twin(SPEC)
    command = twin.q
    for direction in (1.0, -1.0):
        for _ in range(250):
            command = command + direction * SPEC.limits.velocity / SPEC.command_hz
            twin.set_command(command)
            assert (twin.command <= SPEC.limits.upper).all()
            assert (twin.command >= SPEC.limits.lower).all()
            twin.advance(5)
            assert (twin.q <= SPEC.limits.upper + 0.02).all()
            assert (twin.q >= SPEC.limits.lower - 0.02).all()


def test_servos_hold_a_pose_with_little_sag():
    twin = Twin(SPEC)
    twin.advance(1000)
    np.testing.assert_allclose(twin.q, SPEC.rest, atol=0.01)
    np.testing.assert_allclose(twin.dq, 0.0, atol=0.01)


def test_servos_have_the_force_of_the_spec_and_the_order_of_the_spec():
    model = build_model(SPEC)
    assert [model.actuator(i).name for i in range(model.nu)] == list(SPEC.joint_names)
    assert model.actuator_forcerange[:, 1] == pytest.approx([joint.effort for joint in SPEC.joints])


def test_the_compiled_tool_frame_is_the_one_of_the_kinematic_model():
    twin = Twin(SPEC)
    model = KinematicModel.from_urdf(urdf_path(SPEC.model), SPEC.joint_names)
    q = np.random.default_rng(1).uniform(SPEC.limits.lower, SPEC.limits.upper)
    twin.reset(q)
    compiled = twin._data.body(SPEC.tool_frame)
    pose = model.frame_pose(q, SPEC.tool_frame)
    np.testing.assert_allclose(compiled.xpos, pose[:3, 3], atol=1e-6)
    np.testing.assert_allclose(compiled.xmat.reshape(3, 3), pose[:3, :3], atol=1e-6)


def test_the_step_divides_the_command_period():
    steps = 1.0 / (SPEC.command_hz * Twin(SPEC).timestep)
    assert steps == pytest.approx(round(steps), abs=1e-9)


def test_truth_says_where_blocks_and_tool_are():
    twin = Twin(SPEC, 4)
    twin.advance(500)
    truth = twin.truth()
    assert truth.time == pytest.approx(1.0)
    for index, block in enumerate(BLOCKS):
        assert truth.blocks[block][:2] == pytest.approx(twin.task.paths.position(block, 1.0))
        # What is called red is red: bodies, colours and mocap entries go together.
        assert truth.blocks[block] == pytest.approx(twin.snapshot().mocap_pos[index])
        assert twin.model.geom(block).rgba[2 * index] > 0.8
        hover = np.array([*truth.blocks[block][:2], 0.09])
        assert truth.errors[block] == pytest.approx(np.linalg.norm(truth.tool - hover))


def test_a_camera_without_a_place_is_refused_by_name():
    spec = msgspec.structs.replace(SPEC, cameras={"wrist": SPEC.cameras["third_person"]})
    with pytest.raises(SpecError, match=r"cameras\.wrist.*third_person"):
        build_model(spec)


def test_a_joint_that_the_model_lacks_is_refused_by_name():
    joints = (msgspec.structs.replace(SPEC.joints[0], name="hip"), *SPEC.joints[1:])
    with pytest.raises(SpecError, match=r"so101\.urdf has no joint 'hip'"):
        build_model(msgspec.structs.replace(SPEC, joints=joints))
