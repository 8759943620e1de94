"""Poses: the laws of the group, batches, and what is no pose."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.kinematics.poses import coordinates, poses, quaternion, turn
from tests.one_line import refused
from unichunk.kinematics.errors import WrongShape
from unichunk.kinematics.rotation import from_axis_angle
from unichunk.kinematics.transforms import inverse, is_pose, pose_between, pose_distance, pose_from, transform_points

points = st.tuples(*[coordinates] * 3).map(np.array)


@given(poses(), poses(), poses())
def test_composition_is_associative(a, b, c):
    np.testing.assert_allclose((a @ b) @ c, a @ (b @ c), atol=1e-13)


@given(poses())
def test_the_inverse_undoes(pose):
    np.testing.assert_allclose(pose @ inverse(pose), np.eye(4), atol=1e-14)
    np.testing.assert_allclose(inverse(pose) @ pose, np.eye(4), atol=1e-14)


@given(poses(), poses())
def test_a_pose_between_leads_from_one_to_the_other(pose_a_in_world, pose_b_in_world):
    pose_b_in_a = pose_between(pose_a_in_world, pose_b_in_world)
    np.testing.assert_allclose(pose_a_in_world @ pose_b_in_a, pose_b_in_world, atol=1e-13)


@given(poses(), poses(), points)
def test_points_go_through_a_chain_of_frames(pose_b_in_a, pose_c_in_b, point_in_c):
    through_b = transform_points(pose_b_in_a, transform_points(pose_c_in_b, point_in_c))
    np.testing.assert_allclose(transform_points(pose_b_in_a @ pose_c_in_b, point_in_c), through_b, atol=1e-13)


def test_points_turn_first_and_move_then():
    axis_angle, position, point = np.array([0.3, -1.0, 0.5]), np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.2, 0.3])
    expected = turn(quaternion(axis_angle), point) + position
    np.testing.assert_allclose(
        transform_points(pose_from(from_axis_angle(axis_angle), position), point), expected, atol=1e-15
    )


@given(poses(), poses(), poses())
def test_distances_do_not_depend_on_the_world(pose_a, pose_b, pose_world_in_other):
    here, there = (
        pose_distance(pose_a, pose_b),
        pose_distance(pose_world_in_other @ pose_a, pose_world_in_other @ pose_b),
    )
    np.testing.assert_allclose(here.position, there.position, atol=1e-13)
    np.testing.assert_allclose(here.rotation, there.rotation, atol=1e-13)
    back = pose_distance(pose_b, pose_a)
    np.testing.assert_allclose(here.rotation, back.rotation, atol=1e-14)
    np.testing.assert_allclose(here.position, np.linalg.norm(pose_a[:3, 3] - pose_b[:3, 3]), atol=1e-14)


@given(poses(), st.sampled_from([0.0, 1e-12, 1e-7, 1.0, math.pi - 1e-9, math.pi]))
def test_a_distance_is_the_angle_of_the_turn(pose, angle):
    turned = pose @ pose_from(from_axis_angle([0, 0, angle]), [0, 0, 0])
    np.testing.assert_allclose(pose_distance(pose, turned).rotation, angle, atol=3e-15)


def test_batches_equal_their_members():
    random = np.random.default_rng(1)
    vectors, positions = random.normal(size=(5, 4, 3)), random.normal(size=(5, 4, 3))
    batch = pose_from(from_axis_angle(vectors), positions)
    assert batch.shape == (5, 4, 4, 4)
    one = pose_from(from_axis_angle(vectors[2, 3]), positions[2, 3])
    np.testing.assert_array_equal(batch[2, 3], one)
    np.testing.assert_array_equal(inverse(batch)[2, 3], inverse(one))
    np.testing.assert_allclose(pose_between(batch[0, 0], batch)[2, 3], pose_between(batch[0, 0], one), atol=1e-15)
    np.testing.assert_allclose(pose_distance(batch, one).rotation[2, 3], 0, atol=1e-15)
    np.testing.assert_allclose(
        transform_points(one, positions)[1, 1], transform_points(one, positions[1, 1]), atol=1e-15
    )
    assert pose_from(np.eye(3), positions).shape == (5, 4, 4, 4)


@given(poses())
def test_what_is_a_pose(pose):
    assert is_pose(pose)
    for row, column, change in [(0, 0, 1e-3), (3, 0, 1e-3), (3, 3, -1.0), (0, 3, math.nan), (1, 1, math.inf)]:
        broken = pose.copy()
        broken[row, column] += change
        assert not is_pose(broken)
    mirrored = pose.copy()
    mirrored[:3, 0] *= -1
    assert not is_pose(mirrored)


def test_each_pose_of_a_batch_is_judged_by_itself():
    batch = np.stack([np.eye(4)] * 3)
    batch[1, 0, 3] = math.nan
    np.testing.assert_array_equal(is_pose(batch), [True, False, True])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_what_is_not_finite_stays_with_its_row(bad):
    batch = np.stack([np.eye(4)] * 3)
    batch[1, 0, 0] = bad
    for result in (inverse(batch), pose_between(batch, batch), transform_points(batch, np.ones(3))):
        np.testing.assert_array_equal(np.isfinite(result.reshape(3, -1)).all(axis=1), [True, False, True])
    distance = pose_distance(batch, np.eye(4))
    np.testing.assert_array_equal(distance.rotation[[0, 2]], 0)
    assert not np.isfinite(distance.rotation[1])


def test_wrong_shapes_are_refused():
    with refused(WrongShape, "pose_b_in_a", "(..., 4, 4)", "(3, 4)"):
        inverse(np.zeros((3, 4)))
    with refused(WrongShape, "points_in_b", "(..., 3)", "(2,)"):
        transform_points(np.eye(4), np.zeros(2))
    with refused(WrongShape, "(2,) of pose_a_in_world", "(3,) of pose_b_in_world"):
        pose_between(np.zeros((2, 4, 4)), np.zeros((3, 4, 4)))
    with refused(WrongShape, "(5,) of points_in_b"):
        transform_points(np.zeros((2, 4, 4)), np.zeros((5, 3)))
