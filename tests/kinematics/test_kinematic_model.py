"""The batched numpy kinematics of the simulator against Pinocchio's, which is held to the published facts elsewhere."""

from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest

from tests.one_line import refused
from unichunk.embodiments.catalogue import embodiment_names, load_spec
from unichunk.kinematics import robot_model
from unichunk.kinematics.description import robot_names
from unichunk.kinematics.errors import KinematicsError, UnknownModel
from unichunk.kinematics.model import KinematicModel, urdf_path
from unichunk.kinematics.robot_model import frame_index, joint_names

SPEC = load_spec("so101")


@pytest.fixture(scope="module")
def model() -> KinematicModel:
    return KinematicModel.from_urdf(urdf_path("so101.urdf"), SPEC.joint_names)


@pytest.fixture(scope="module")
def reference() -> pin.Model:
    return robot_model("so101")


@pytest.mark.parametrize("frame", ["gripper_frame_link", "moving_jaw_so101_v1_link", "lower_arm_link"])
def test_poses_and_jacobians_of_a_batch_are_pinocchio_s(model, reference, frame):
    order = [SPEC.joint_names.index(name) for name in joint_names(reference)]
    batch = np.random.default_rng(7).uniform(SPEC.limits.lower, SPEC.limits.upper, size=(50, 6))
    poses, jacobians = model.frame_pose(batch, frame), model.frame_jacobian(batch, frame)
    data, index = reference.createData(), frame_index(reference, frame)
    for q, pose, jacobian in zip(batch, poses, jacobians, strict=True):
        expected = pin.computeFrameJacobian(reference, data, q[order], index, pin.LOCAL_WORLD_ALIGNED)
        placement = pin.updateFramePlacement(reference, data, index)
        np.testing.assert_allclose(pose, placement.homogeneous, atol=1e-12)
        np.testing.assert_allclose(jacobian[:, order], expected, atol=1e-12)


def test_names_and_limits_agree_with_the_spec(model, reference):
    assert set(joint_names(reference)) == set(SPEC.joint_names)
    for joint in SPEC.joints:
        limits = (joint.lower, joint.upper)
        assert (model.joints[joint.name].lower, model.joints[joint.name].upper) == limits
        column = joint_names(reference).index(joint.name)
        assert (reference.lowerPositionLimit[column], reference.upperPositionLimit[column]) == limits


def test_the_tool_frame_of_the_spec_exists(model):
    assert model.frame_pose(SPEC.rest, SPEC.end_effectors["right"].frame).shape == (4, 4)


@pytest.mark.parametrize(
    ("ask", "known"),
    [
        (lambda: urdf_path("so102.urdf"), "so101.urdf"),
        (lambda: KinematicModel.from_urdf(urdf_path("so101.urdf"), ["elbow"]), "elbow_flex"),
        (
            lambda: KinematicModel.from_urdf(urdf_path("so101.urdf"), []).frame_pose(np.zeros(0), "tip"),
            "gripper_frame_link",
        ),
    ],
)
def test_what_does_not_exist_is_refused_with_what_does(ask, known):
    with pytest.raises(UnknownModel, match=known):
        ask()


def test_a_joint_that_mimics_another_is_refused_by_name():
    with refused(KinematicsError, "joint thumb_ip", "mimics 'thumb_cmc_pitch'", "robot_model"):
        KinematicModel.from_urdf(urdf_path("o6_right.urdf"), [])


def test_every_spec_names_a_shipped_model():
    assert {load_spec(name).model for name in embodiment_names()} <= set(robot_names())
