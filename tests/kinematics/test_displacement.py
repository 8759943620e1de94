"""Displacements: their definition, their inverses, chunks of them, and changes of frame."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kinematics.poses import axis_angles, coordinates, matrix, poses, rotations
from tests.one_line import refused
from unichunk.kinematics.displacement import (
    apply_displacement,
    displacement_between,
    displacement_from_rpy,
    displacement_in,
    displacements_from_anchor,
    poses_from_anchor,
    poses_from_steps,
    steps_from_poses,
)
from unichunk.kinematics.errors import WrongShape
from unichunk.kinematics.transforms import inverse, pose_distance, pose_from


@st.composite
def displacements(draw):
    """Six numbers: a translation [m] and a turn of less than pi [rad]."""
    return np.array([*draw(st.tuples(*[coordinates] * 3)), *draw(axis_angles())])


def chunks(length=5):
    return st.lists(displacements(), min_size=length, max_size=length).map(np.array)


@given(poses(), displacements())
def test_the_translation_is_added_and_the_turn_comes_from_the_left(pose, displacement):
    moved = apply_displacement(pose, displacement)
    np.testing.assert_allclose(moved[:3, 3], pose[:3, 3] + displacement[:3], atol=1e-15)
    np.testing.assert_allclose(moved[:3, :3], matrix(displacement[3:]) @ pose[:3, :3], atol=1e-14)
    np.testing.assert_array_equal(moved[3], [0, 0, 0, 1])


def test_a_turn_about_the_worlds_z_is_one_whatever_the_pose():
    pose = pose_from(matrix([math.pi / 2, 0, 0]), [1, 0, 0])
    moved = apply_displacement(pose, [0, 0, 0.1, 0, 0, math.pi / 2])
    # The x axis of the pose was the world's x, and is its y now; the position did not swing about the origin.
    np.testing.assert_allclose(moved[:3, 0], [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(moved[:3, 3], [1, 0, 0.1])


@given(poses(), displacements())
def test_what_lies_between_is_what_was_applied(pose, displacement):
    between = displacement_between(pose, apply_displacement(pose, displacement))
    np.testing.assert_allclose(between, displacement, atol=1e-13)


@given(poses(), poses())
def test_applying_what_lies_between_leads_there(pose, other):
    arrived = apply_displacement(pose, displacement_between(pose, other))
    np.testing.assert_allclose(arrived, other, atol=1e-13)


@given(poses(), displacements(), poses())
def test_another_world_turns_the_displacement_and_moves_nothing(pose_in_world, displacement_in_world, pose_world_in_a):
    """The same motion, written down in another fixed frame."""
    moved_in_a = pose_world_in_a @ apply_displacement(pose_in_world, displacement_in_world)
    displacement_in_a = displacement_in(pose_world_in_a[:3, :3], displacement_in_world)
    np.testing.assert_allclose(
        apply_displacement(pose_world_in_a @ pose_in_world, displacement_in_a), moved_in_a, atol=1e-13
    )


@given(poses(), displacements())
def test_a_displacement_along_the_tools_axes_is_a_product_from_the_right(pose_tool_in_world, displacement_in_tool):
    step = pose_from(matrix(displacement_in_tool[3:]), displacement_in_tool[:3])
    displacement_in_world = displacement_in(pose_tool_in_world[:3, :3], displacement_in_tool)
    np.testing.assert_allclose(
        apply_displacement(pose_tool_in_world, displacement_in_world), pose_tool_in_world @ step, atol=1e-13
    )


@given(rotations(), displacements())
def test_a_change_of_frame_is_undone_by_its_inverse(rotation, displacement):
    np.testing.assert_allclose(
        displacement_in(rotation.T, displacement_in(rotation, displacement)), displacement, atol=1e-14
    )


@given(poses(), chunks())
def test_steps_are_applied_one_after_the_other(start, steps):
    rows, pose = poses_from_steps(start, steps), start
    for row, step in zip(rows, steps, strict=True):
        pose = apply_displacement(pose, step)
        np.testing.assert_allclose(row, pose, atol=1e-13)
    np.testing.assert_allclose(steps_from_poses(start, rows), steps, atol=1e-12)


@given(poses(), chunks())
def test_rows_from_an_anchor_know_nothing_of_each_other(anchor, displacements):
    rows = poses_from_anchor(anchor, displacements)
    for row, displacement in zip(rows, displacements, strict=True):
        np.testing.assert_allclose(row, apply_displacement(anchor, displacement), atol=1e-14)
    np.testing.assert_allclose(displacements_from_anchor(anchor, rows), displacements, atol=1e-13)


@given(poses(), chunks(length=3))
def test_both_forms_describe_the_same_chunk(start, steps):
    rows = poses_from_steps(start, steps)
    again = poses_from_anchor(start, displacements_from_anchor(start, rows))
    distance = pose_distance(rows, again)
    np.testing.assert_allclose(distance.position, 0, atol=1e-13)
    np.testing.assert_allclose(distance.rotation, 0, atol=1e-13)


def test_a_long_chunk_stays_a_chunk_of_poses():
    steps = np.random.default_rng(5).normal(size=(2000, 6))
    last = poses_from_steps(np.eye(4), steps)[-1, :3, :3]
    np.testing.assert_allclose(last @ last.T, np.eye(3), atol=1e-12)


def test_batches_of_chunks_equal_their_members():
    random = np.random.default_rng(2)
    starts = apply_displacement(np.eye(4), random.normal(size=(3, 2, 6)))
    steps = random.normal(size=(3, 2, 7, 6))
    for forward, back in ((poses_from_steps, steps_from_poses), (poses_from_anchor, displacements_from_anchor)):
        rows = forward(starts, steps)
        assert rows.shape == (3, 2, 7, 4, 4)
        np.testing.assert_allclose(rows[2, 1], forward(starts[2, 1], steps[2, 1]), atol=1e-14)
        np.testing.assert_allclose(back(starts, rows)[2, 1], back(starts[2, 1], rows[2, 1]), atol=1e-14)
        assert forward(starts, steps[0, 0]).shape == (3, 2, 7, 4, 4)
        assert back(starts[0, 0], rows).shape == (3, 2, 7, 6)
        assert forward(starts, steps[..., :0, :]).shape == (3, 2, 0, 4, 4)


@given(displacements())
def test_euler_angles_become_the_same_turn(values):
    roll, pitch, yaw = (matrix(angle * axis) for angle, axis in zip(values[3:], np.eye(3), strict=True))
    displacement = displacement_from_rpy(values)
    np.testing.assert_array_equal(displacement[:3], values[:3])
    np.testing.assert_allclose(matrix(displacement[3:]), yaw @ pitch @ roll, atol=1e-13)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_bad_step_spoils_itself_and_what_follows(bad):
    steps = np.zeros((4, 6))
    steps[2] = bad
    finite = np.isfinite(poses_from_steps(np.eye(4), steps)).all(axis=(1, 2))
    np.testing.assert_array_equal(finite, [True, True, False, False])
    finite = np.isfinite(poses_from_anchor(np.eye(4), steps)).all(axis=(1, 2))
    np.testing.assert_array_equal(finite, [True, True, False, True])
    finite = np.isfinite(displacement_in(np.eye(3), steps)).all(axis=1)
    np.testing.assert_array_equal(finite, [True, True, False, True])


def test_wrong_shapes_are_refused():
    with refused(WrongShape, "displacement_in_world", "(..., 6)", "(7,)"):
        apply_displacement(np.eye(4), np.zeros(7))
    with refused(WrongShape, "steps_in_world", "(..., T, 6)", "(6,)"):
        poses_from_steps(np.eye(4), np.zeros(6))
    with refused(WrongShape, "poses_in_world", "(..., T, 4, 4)", "(4, 4)"):
        steps_from_poses(np.eye(4), np.eye(4))
    with refused(WrongShape, "(2,) of pose_start_in_world", "(3,) of steps_in_world"):
        poses_from_steps(np.zeros((2, 4, 4)), np.zeros((3, 5, 6)))


@given(poses(), poses())
def test_pinocchio_agrees_on_the_turn_between(pose, other):
    pinocchio = pytest.importorskip("pinocchio")
    turn = displacement_between(pose, other)[3:]
    if np.linalg.norm(turn) < math.pi - 1e-3:
        between = pinocchio.SE3(other) * pinocchio.SE3(inverse(pose))
        np.testing.assert_allclose(turn, pinocchio.log3(between.rotation), atol=1e-9)
