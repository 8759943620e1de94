"""The SO-101's model against the published joint facts, evaluated independently of the URDF and its reader."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from unichunk.embodiments.spec import load_spec
from unichunk.kinematics.errors import UnknownModel
from unichunk.kinematics.model import KinematicModel, urdf_names, urdf_path

FACTS = json.loads((Path(__file__).parents[1] / "data" / "so101.json").read_text())["joints"]
SPEC = load_spec("so101")


@pytest.fixture(scope="module")
def model() -> KinematicModel:
    return KinematicModel.from_urdf(urdf_path(SPEC.model), SPEC.joint_names)


def quaternion_product(a, b):
    (w, x, y, z), (p, q, r, s) = a, b
    return np.array(
        [
            w * p - x * q - y * r - z * s,
            w * q + x * p + y * s - z * r,
            w * r - x * s + y * p + z * q,
            w * s + x * r - y * q + z * p,
        ]
    )


def turn(axis, angle):
    return np.array([math.cos(angle / 2), *(math.sin(angle / 2) * np.asarray(axis, dtype=float))])


def rotate(quaternion, vector):
    conjugate = quaternion * np.array([1, -1, -1, -1])
    return quaternion_product(quaternion_product(quaternion, np.array([0.0, *vector])), conjugate)[1:]


def published_pose(positions: dict[str, float], frame: str):
    """Position and quaternion of a link by walking up the published joints, with quaternions instead of matrices."""
    by_child = {joint["child"]: joint for joint in FACTS}
    position, orientation = np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])
    while frame in by_child:
        joint = by_child[frame]
        roll, pitch, yaw = joint["origin_rpy"]
        origin = quaternion_product(
            quaternion_product(turn([0, 0, 1], yaw), turn([0, 1, 0], pitch)), turn([1, 0, 0], roll)
        )
        if joint["type"] == "revolute":
            origin = quaternion_product(origin, turn(joint["axis"], positions[joint["name"]]))
        position = np.array(joint["origin_xyz"]) + rotate(origin, position)
        orientation = quaternion_product(origin, orientation)
        frame = joint["parent"]
    return position, orientation


@pytest.mark.parametrize("frame", ["gripper_frame_link", "moving_jaw_so101_v1_link", "lower_arm_link"])
def test_forward_kinematics_equals_the_published_facts_at_random_configurations(model, frame):
    random = np.random.default_rng(7)
    configurations = random.uniform(SPEC.limits.lower, SPEC.limits.upper, size=(50, 6))
    poses = model.frame_pose(configurations, frame)
    for q, pose in zip(configurations, poses, strict=True):
        position, orientation = published_pose(dict(zip(SPEC.joint_names, q, strict=True)), frame)
        np.testing.assert_allclose(pose[:3, 3], position, atol=1e-6)
        for axis in np.eye(3):
            np.testing.assert_allclose(pose[:3, :3] @ axis, rotate(orientation, axis), atol=1e-6)


def test_the_gripper_frame_at_zero_is_where_it_is_known_to_be(model):
    assert model.frame_pose(np.zeros(6), "gripper_frame_link")[:3, 3] == pytest.approx([0.3914, 0.0, 0.2265], abs=5e-5)


def test_the_jacobian_is_the_derivative_of_the_pose(model):
    q = np.random.default_rng(3).uniform(SPEC.limits.lower, SPEC.limits.upper)
    jacobian = model.frame_jacobian(q, SPEC.tool_frame)
    for joint, step in enumerate(1e-6 * np.eye(6)):
        after, before = model.frame_pose(q + step, SPEC.tool_frame), model.frame_pose(q - step, SPEC.tool_frame)
        np.testing.assert_allclose((after - before)[:3, 3] / 2e-6, jacobian[:3, joint], atol=1e-8)
        spin = ((after - before) / 2e-6)[:3, :3] @ model.frame_pose(q, SPEC.tool_frame)[:3, :3].T
        np.testing.assert_allclose([spin[2, 1], spin[0, 2], spin[1, 0]], jacobian[3:, joint], atol=1e-8)


def test_names_and_limits_agree_with_the_spec(model):
    published = {joint["name"]: joint["limit"] for joint in FACTS if joint["type"] == "revolute"}
    assert set(published) == set(SPEC.joint_names)
    for joint in SPEC.joints:
        limits = (joint.lower, joint.upper)
        assert (model.joints[joint.name].lower, model.joints[joint.name].upper) == limits
        assert (published[joint.name]["lower"], published[joint.name]["upper"]) == limits


def test_the_tool_frame_of_the_spec_exists(model):
    assert model.frame_pose(SPEC.rest, SPEC.tool_frame).shape == (4, 4)


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


def test_every_spec_names_a_shipped_model():
    assert SPEC.model in urdf_names()
