"""The simulated robots: deterministic, within their limits, obedient to their specs, made of what the model says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pinocchio as pin
import pytest

from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.embodiments.errors import SpecError
from unichunk.embodiments.model import spec_model
from unichunk.embodiments.sim.block_paths import BLOCKS, BlockPaths
from unichunk.embodiments.sim.scene import build_model
from unichunk.embodiments.sim.twin import Twin
from unichunk.kinematics.robot_model import frame_index, joint_names

if TYPE_CHECKING:
    from unichunk.embodiments.spec import EmbodimentSpec

SPEC = load_spec("so101")
ROBOTS = [name for name in embodiment_names() if load_spec(name).twin is not None]


@pytest.fixture(scope="module", params=ROBOTS)
def twin(request) -> Twin:
    return Twin(load_spec(request.param), 3)


def drive(twin: Twin, seed: int, samples: int = 100) -> np.ndarray:
    random = np.random.default_rng(seed)
    command, reached = twin.q, []
    for _ in range(samples):
        command = command + random.uniform(-0.03, 0.03, command.size)
        twin.set_command(command)
        twin.advance(twin.steps_per_command)
        reached.append(np.concatenate([twin.q, twin.dq]))
    return np.array(reached)


def test_equal_commands_lead_to_equal_motion(twin):
    twin.reset()
    other = Twin(twin.spec, 3)
    np.testing.assert_array_equal(drive(twin, 1), drive(other, 1))
    assert twin.truth().errors == other.truth().errors
    twin.reset()
    other.reset()
    np.testing.assert_array_equal(drive(twin, 2), drive(other, 2))


def test_joints_stay_within_their_limits_whatever_is_commanded(twin):
    limits = twin.spec.limits
    twin.reset()
    command = twin.q
    for direction in (1.0, -1.0):
        for _ in range(int(2.5 * twin.spec.command_hz)):
            command = command + direction * limits.velocity / twin.spec.command_hz
            twin.set_command(command)
            assert (twin.command <= limits.upper).all()
            assert (twin.command >= limits.lower).all()
            twin.advance(twin.steps_per_command)
            assert (twin.q <= limits.upper + 0.02).all()
            assert (twin.q >= limits.lower - 0.02).all()


def test_servos_hold_the_rest_pose_with_little_sag(twin):
    twin.reset()
    twin.advance(round(2.0 / twin.timestep))
    np.testing.assert_allclose(twin.q, twin.spec.rest, atol=0.01)
    np.testing.assert_allclose(twin.dq, 0.0, atol=0.01)


def test_servos_have_the_force_and_the_order_of_the_spec(twin):
    model, joints = twin.model, twin.spec.joints
    assert [model.actuator(i).name for i in range(model.nu)] == list(twin.spec.joint_names)
    assert model.actuator_forcerange[:, 1] == pytest.approx([joint.effort for joint in joints])
    assert model.actuator_ctrlrange == pytest.approx(np.array([(joint.lower, joint.upper) for joint in joints]))


def test_every_frame_is_where_the_kinematic_model_has_it(twin):
    """Joints that the spec does not command are frozen at zero, and those that mimic another follow."""
    spec, model = twin.spec, spec_model(twin.spec)
    names, data = joint_names(model), model.createData()
    random = np.random.default_rng(1)
    for _ in range(3):
        q = random.uniform(spec.limits.lower, spec.limits.upper)
        twin.reset(q)
        full = np.zeros(model.nq)
        full[[names.index(name) for name in spec.joint_names]] = q
        pin.framesForwardKinematics(model, data, full)
        links = [twin.model.body(i).name for i in range(1, twin.model.nbody)]
        compared = 0
        for link in links:
            if model.existFrame(link, pin.FrameType.BODY):
                expected = data.oMf[frame_index(model, link)].translation
                np.testing.assert_allclose(twin.frame_position(link), expected, atol=1e-5, err_msg=link)
                compared += 1
        assert compared > len(spec.joints) / 2


def test_cameras_look_where_the_spec_says_from_where_it_says(twin):
    """Those that a link carries move with it."""
    spec, model = twin.spec, spec_model(twin.spec)
    names, data = joint_names(model), model.createData()
    q = np.random.default_rng(2).uniform(spec.limits.lower, spec.limits.upper)
    twin.reset(q)
    full = np.zeros(model.nq)
    full[[names.index(name) for name in spec.joint_names]] = q
    pin.framesForwardKinematics(model, data, full)
    for name, camera in spec.cameras.items():
        mount = pin.SE3.Identity() if camera.mount == "base" else data.oMf[frame_index(model, camera.mount)]
        place, aim = mount.act(np.array(camera.position)), mount.act(np.array(camera.look_at))
        compiled = twin._data.cam(name)
        right, up, backwards = compiled.xmat.reshape(3, 3).T
        np.testing.assert_allclose(compiled.xpos, place, atol=1e-5)
        np.testing.assert_allclose(-backwards, (aim - place) / np.linalg.norm(aim - place), atol=1e-5)
        assert up @ mount.rotation @ np.array(camera.up) > 0.0
        assert right @ mount.rotation @ np.array(camera.up) == pytest.approx(0.0, abs=1e-5)
        assert twin.model.cam(name).fovy == pytest.approx(camera.fovy)


def test_a_frame_is_where_it_is_after_a_step_and_not_before():
    twin = Twin(SPEC)
    twin.set_command(SPEC.rest + 0.3)
    twin.advance(20)
    stepped = twin.frame_position("gripper_frame_link")
    twin.reset(twin.q)
    np.testing.assert_allclose(stepped, twin.frame_position("gripper_frame_link"), atol=1e-9)


def test_mimicking_joints_follow_while_hands_close(twin):
    spec, worst = twin.spec, 0.0
    twin.reset()
    command = twin.q
    for name, group in spec.groups.items():
        if group.open is None or group.closed is None:
            continue
        index = spec.joint_index(name)
        for posture in (group.open, group.closed):
            for _ in range(int(0.7 * spec.command_hz)):
                step = spec.limits.velocity[index] / spec.command_hz
                command[index] += np.clip(np.array(posture) - command[index], -step, step)
                twin.set_command(command)
                twin.advance(twin.steps_per_command)
                errors = [
                    abs(twin._data.qpos[follower] - np.polyval(coefficients, twin._data.qpos[driver]))
                    for follower, driver, coefficients in twin._mimics
                ]
                worst = max([worst, *errors])
    assert worst < 0.02


def test_the_step_divides_the_command_period(twin):
    assert twin.steps_per_command * twin.timestep * twin.spec.command_hz == pytest.approx(1.0, abs=1e-12)
    assert twin.timestep <= 0.002 + 1e-12


def test_truth_says_where_blocks_and_tools_are(twin):
    task = twin.spec.twin.task
    paths = BlockPaths(3, task)
    twin.reset()
    twin.advance(round(1.0 / twin.timestep))
    truth = twin.truth()
    assert truth.time == pytest.approx(1.0)
    assert set(truth.tools) == set(task.hands)
    for index, block in enumerate(BLOCKS):
        place = paths.position(block, twin.time)
        assert truth.blocks[block] == pytest.approx([*place, task.height])
        assert twin.block_position(block) == pytest.approx(truth.blocks[block])
        # What is called red is red: bodies, colours and mocap entries go together.
        assert truth.blocks[block] == pytest.approx(twin.snapshot().mocap_pos[index])
        assert twin.model.geom(block).rgba[2 * index] > 0.8
        distances = [
            np.linalg.norm(truth.tools[side] - truth.blocks[block] - hand.offset) for side, hand in task.hands.items()
        ]
        assert truth.errors[block] == pytest.approx(max(distances))


def test_a_robot_without_a_task_stands_at_an_empty_table():
    twin = Twin(changed(SPEC, task=None))
    twin.advance(10)
    assert twin.truth().blocks == {}
    assert twin.snapshot().mocap_pos.shape == (0, 3)
    with pytest.raises(SpecError, match=r"twin\.task"):
        _ = twin.task


def changed(spec: EmbodimentSpec, **twin: object) -> EmbodimentSpec:
    return msgspec.structs.replace(spec, twin=msgspec.structs.replace(spec.twin, **twin))


@pytest.mark.parametrize(
    ("camera", "reason"),
    [
        ({"mount": "gripper"}, r"cameras\.third_person\.mount: the model has no link 'gripper'.*gripper_link"),
        ({"up": (0.71, 0.0, 0.71)}, r"cameras\.third_person\.up: expected a direction beside the line"),
        ({"position": (0.24, 0.0, 0.05)}, r"cameras\.third_person\.up"),
    ],
)
def test_a_camera_that_cannot_be_placed_is_refused_by_name(camera, reason):
    if "up" in camera:
        camera = {**camera, "up": tuple(np.subtract((0.24, 0.0, 0.05), (0.95, 0.0, 0.76)))}
    cameras = {"third_person": msgspec.structs.replace(SPEC.cameras["third_person"], **camera)}
    with pytest.raises(SpecError, match=reason) as error:
        build_model(msgspec.structs.replace(SPEC, cameras=cameras))
    assert "\n" not in str(error.value)


def test_a_joint_that_the_model_lacks_is_refused_by_name():
    arm = SPEC.groups["arm_joints"]
    joints = (msgspec.structs.replace(arm.joints[0], name="hip"), *arm.joints[1:])
    groups = {**SPEC.groups, "arm_joints": msgspec.structs.replace(arm, joints=joints)}
    with pytest.raises(SpecError, match=r"so101 has no joint 'hip' that moves by itself"):
        build_model(msgspec.structs.replace(SPEC, groups=groups))


def test_a_frame_that_the_model_lacks_is_refused_by_name():
    with pytest.raises(SpecError, match=r"unknown frame 'gripper_frame' of the so101 twin.*gripper_frame_link"):
        Twin(SPEC).frame_position("gripper_frame")


def test_a_robot_without_a_twin_is_refused():
    with pytest.raises(SpecError, match="so101 has no simulated twin"):
        Twin(msgspec.structs.replace(SPEC, twin=None))
