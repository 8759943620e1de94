"""Extrinsic calibrations: what a file means, what is wrong with a bad one, and how one is written."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given

from tests.kinematics.poses import poses, quaternion
from tests.one_line import refused
from unichunk.kinematics.displacement import apply_displacement
from unichunk.kinematics.errors import WrongShape
from unichunk.kinematics.extrinsics import CameraExtrinsics, ExtrinsicsError
from unichunk.kinematics.rotation import from_axis_angle
from unichunk.kinematics.transforms import is_pose, pose_from, transform_points

GOOD = {
    "camera": "head",
    "mounted_on": "torso_link",
    "convention": "opencv",
    "position": [0.06, 0.0, 0.45],
    "quaternion_wxyz": [0.5, -0.5, 0.5, -0.5],
}
FORWARD = [[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]
"""The rotation of GOOD: the camera looks along the mount's x, its picture's top is up."""


def written(folder: Path, **changes: object) -> Path:
    """A calibration file: GOOD with changes; a field that becomes None is left out."""
    path = folder / "head.json"
    path.write_text(json.dumps({key: value for key, value in {**GOOD, **changes}.items() if value is not None}))
    return path


def test_a_camera_that_looks_forward(tmp_path):
    extrinsics = CameraExtrinsics.load(written(tmp_path))
    assert (extrinsics.camera, extrinsics.mounted_on) == ("head", "torso_link")
    np.testing.assert_allclose(extrinsics.pose_camera_in_mount, pose_from(FORWARD, [0.06, 0, 0.45]), atol=1e-15)
    # One metre ahead in the picture, a little right and a little down.
    seen = extrinsics.points_in_base([0.2, 0.1, 1.0], np.eye(4))
    np.testing.assert_allclose(seen, [1.06, -0.2, 0.35], atol=1e-15)


@pytest.mark.parametrize(
    ("convention", "rotation"),
    [
        ("opencv", FORWARD),
        ("ros_body", np.eye(3).tolist()),
        ("opengl", [[0, 0, -1], [-1, 0, 0], [0, 1, 0]]),
    ],
)
def test_all_conventions_describe_the_same_camera(tmp_path, convention, rotation):
    path = written(tmp_path, convention=convention, rotation=rotation, quaternion_wxyz=None)
    np.testing.assert_allclose(
        CameraExtrinsics.load(path).pose_camera_in_mount, pose_from(FORWARD, [0.06, 0, 0.45]), atol=1e-15
    )


def test_a_moving_mount_carries_the_camera(tmp_path):
    extrinsics = CameraExtrinsics.load(written(tmp_path))
    random = np.random.default_rng(3)
    pose_mount_in_base = apply_displacement(np.eye(4), random.normal(size=(8, 6)))
    pose_in_camera = apply_displacement(np.eye(4), random.normal(size=(8, 6)))
    point, displacement = random.normal(size=(8, 3)), random.normal(size=(8, 6))

    pose_camera_in_base = pose_mount_in_base @ pose_from(FORWARD, GOOD["position"])
    np.testing.assert_allclose(extrinsics.pose_camera_in_base(pose_mount_in_base), pose_camera_in_base, atol=1e-14)
    poses_in_base = extrinsics.poses_in_base(pose_in_camera, pose_mount_in_base)
    np.testing.assert_allclose(poses_in_base, pose_camera_in_base @ pose_in_camera, atol=1e-14)
    np.testing.assert_allclose(
        extrinsics.points_in_base(point, pose_mount_in_base), transform_points(pose_camera_in_base, point), atol=1e-14
    )
    # Moving in the camera's frame and looking from the base is looking from the base and moving there.
    np.testing.assert_allclose(
        apply_displacement(poses_in_base, extrinsics.displacements_in_base(displacement, pose_mount_in_base)),
        extrinsics.poses_in_base(apply_displacement(pose_in_camera, displacement), pose_mount_in_base),
        atol=1e-13,
    )


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e155, 1.7e308])
@pytest.mark.parametrize("spoiled", ["seen", "mount"])
def test_what_is_not_finite_spoils_its_row_alone_without_a_warning(bad, spoiled, tmp_path):
    extrinsics, random = CameraExtrinsics.load(written(tmp_path)), np.random.default_rng(4)
    mounts = apply_displacement(np.eye(4), random.normal(size=(3, 6)))
    seen = {
        extrinsics.poses_in_base: apply_displacement(np.eye(4), random.normal(size=(3, 6))),
        extrinsics.points_in_base: random.normal(size=(3, 3)),
        extrinsics.displacements_in_base: random.normal(size=(3, 6)),
    }
    for to_base, values in seen.items():
        wanted, spoiled_values, spoiled_mounts = to_base(values, mounts), values.copy(), mounts.copy()
        (spoiled_values if spoiled == "seen" else spoiled_mounts[:, :3])[1] = bad
        found = to_base(spoiled_values, spoiled_mounts)
        assert np.isfinite(found[1]).all() <= (bad == 1e155)
        np.testing.assert_array_equal(found[[0, 2]], wanted[[0, 2]])


def test_rows_that_do_not_broadcast_are_refused(tmp_path):
    extrinsics = CameraExtrinsics.load(written(tmp_path))
    with refused(WrongShape, "(3,) of poses_in_camera", "(2,) of pose_mount_in_base"):
        extrinsics.poses_in_base(np.zeros((3, 4, 4)), np.zeros((2, 4, 4)))


def test_numbers_of_four_digits_are_good_enough_and_made_exact(tmp_path):
    rotation = from_axis_angle([0.3, -0.7, 1.1])
    for form, values in (
        ("rotation", rotation.round(4).tolist()),
        ("quaternion_wxyz", quaternion([0.3, -0.7, 1.1]).round(4).tolist()),
    ):
        changes = {"quaternion_wxyz": None, form: values}
        pose = CameraExtrinsics.load(written(tmp_path, **changes)).pose_camera_in_mount
        assert is_pose(pose, 1e-14)
        np.testing.assert_allclose(pose[:3, :3], rotation, atol=2e-4)


@given(pose=poses())
def test_what_is_saved_is_what_is_loaded(pose, tmp_path_factory):
    path = tmp_path_factory.mktemp("extrinsics") / "wrist.json"
    CameraExtrinsics("wrist", "link8", pose).save(path)
    loaded = CameraExtrinsics.load(path)
    assert (loaded.camera, loaded.mounted_on) == ("wrist", "link8")
    np.testing.assert_allclose(loaded.pose_camera_in_mount, pose, atol=1e-14)
    assert [entry.name for entry in path.parent.iterdir()] == ["wrist.json"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"quaternion_wxyz": [1, 0, 0, 1]}, ["quaternion_wxyz", "length 1", "1.41421"]),
        ({"quaternion_wxyz": [0, 0, 0, 0]}, ["quaternion_wxyz", "length 1", "got 0"]),
        ({"quaternion_wxyz": [1, 0, 0]}, ["quaternion_wxyz", "length 4"]),
        ({"quaternion_wxyz": None}, ["quaternion_wxyz or rotation", "neither"]),
        ({"rotation": FORWARD}, ["quaternion_wxyz or rotation", "both"]),
        ({"quaternion_wxyz": None, "rotation": (-np.eye(3)).tolist()}, ["rotation", "determinant -1", "mirrors"]),
        ({"quaternion_wxyz": None, "rotation": np.diag([1, 1, 1.01]).tolist()}, ["rotation", "not orthonormal"]),
        ({"quaternion_wxyz": None, "rotation": np.zeros((3, 3)).tolist()}, ["rotation", "not orthonormal"]),
        ({"quaternion_wxyz": None, "rotation": [[1, 0, 0], [0, 1, 0]]}, ["extrinsics.rotation", "length 3"]),
        ({"position": [60.0, 0.0, 450.0]}, ["position", "453", "at most 10 m", "millimetres"]),
        ({"position": [0.1, "far", 0.0]}, ["extrinsics.position[1]", "float", "str"]),
        ({"position": [0.1, 0.0]}, ["extrinsics.position", "length 3"]),
        ({"position": None}, ["position", "missing"]),
        ({"convention": "blender"}, ["extrinsics.convention", "blender"]),
        ({"camera": ""}, ["extrinsics.camera", "length >= 1"]),
        ({"mounted_on": 3}, ["extrinsics.mounted_on", "str", "int"]),
        ({"translation": [0, 0, 0]}, ["unknown field", "translation"]),
    ],
)
def test_a_bad_file_is_refused_with_the_field_in_the_message(tmp_path, changes, words):
    path = written(tmp_path, **changes)
    with refused(ExtrinsicsError, str(path), *words):
        CameraExtrinsics.load(path)


@pytest.mark.parametrize(
    "content", [b"", b"not json", b"[]", b'{"position": [NaN]}', b"\xff\xfe", b'{"camera": "\xff"}']
)
def test_what_is_no_json_object_is_refused(tmp_path, content):
    path = tmp_path / "head.json"
    path.write_bytes(content)
    with refused(ExtrinsicsError, str(path)):
        CameraExtrinsics.load(path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "-1e308"])
def test_numbers_that_are_none_are_refused(tmp_path, number):
    path = tmp_path / "head.json"
    path.write_text(json.dumps(GOOD).replace("0.06", number))
    with refused(ExtrinsicsError, str(path)):
        CameraExtrinsics.load(path)


def test_a_missing_file_is_named(tmp_path):
    with refused(ExtrinsicsError, str(tmp_path / "none.json"), "No such file"):
        CameraExtrinsics.load(tmp_path / "none.json")
    with refused(ExtrinsicsError, str(tmp_path), "cannot be read"):
        CameraExtrinsics.load(tmp_path)


@pytest.mark.parametrize("stage", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, stage):
    path = written(tmp_path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*{"fsync": (os, "fsync", fail), "replace": (Path, "replace", fail)}[stage])
    with refused(ExtrinsicsError, str(path), "cannot be written", "No space left"):
        CameraExtrinsics("head", "base", np.eye(4)).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("pose", [np.full((4, 4), math.nan), np.diag([1.0, 1, -1, 1]), np.eye(3)])
def test_what_could_not_be_read_again_is_not_written(tmp_path, pose):
    with refused(ExtrinsicsError, "not written", "expected a pose"):
        CameraExtrinsics("head", "base", pose).save(tmp_path / "head.json")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with refused(ExtrinsicsError, "none", "cannot be written"):
        CameraExtrinsics("head", "base", np.eye(4)).save(tmp_path / "none" / "head.json")
