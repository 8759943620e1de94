"""Rotations in all their forms, against quaternions and against Pinocchio."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tests.kinematics.poses import ANGLES, angles, axes, axis_angles, matrix, quaternion, rotations
from tests.one_line import refused
from unichunk.kinematics.errors import WrongShape
from unichunk.kinematics.rotation import (
    from_axis_angle,
    from_columns_6d,
    from_quaternion_wxyz,
    from_rows_6d,
    from_rpy,
    is_rotation,
    nearest_rotation,
    rotation_angle,
    to_axis_angle,
    to_quaternion_wxyz,
)


@given(axis_angles())
def test_the_exponential_turns_as_a_quaternion_does(axis_angle):
    np.testing.assert_allclose(from_axis_angle(axis_angle), matrix(axis_angle), atol=1e-15)


@given(axis_angles())
def test_axis_angle_round_trip(axis_angle):
    """Absolutely to rounding, and relative to the angle where it is tiny."""
    back = to_axis_angle(from_axis_angle(axis_angle))
    np.testing.assert_allclose(back, axis_angle, atol=1e-14)


@pytest.mark.parametrize("angle", ANGLES)
def test_angles_are_exact_near_zero_and_near_a_half_turn(angle):
    rotation = from_axis_angle(angle * np.array([2.0, -1.0, 2.0]) / 3)
    assert rotation_angle(rotation) == pytest.approx(angle, abs=2e-15)


@given(axes())
@example(np.array([0.0, -7e-9, 1.0]))
@example(np.array([0.0, -7e-10, 1.0]))
def test_a_half_turn_has_its_first_component_positive(axis):
    """To the last bit: whatever the rounding of the matrix, both signs come out as the same vector."""
    size = np.abs(axis) / 1e-9
    assume(not ((size > 0.5) & (size < 2.0)).any())
    for sign in (1, -1):
        vector = to_axis_angle(from_axis_angle(sign * math.pi * axis))
        np.testing.assert_allclose(np.linalg.norm(vector), math.pi, atol=1e-14)
        assert vector[np.argmax(size > 1.0)] > 0


def test_the_sign_changes_at_a_half_turn_and_nowhere_else():
    axis = np.array([0.0, 0.6, -0.8])
    turned = to_axis_angle(from_axis_angle(np.linspace(0, 2 * math.pi, 401)[:, None] * axis))
    jumps = np.linalg.norm(np.diff(turned, axis=0), axis=1) > 0.1
    assert jumps.sum() == 1
    assert jumps[199] or jumps[200]


@given(rotations())
def test_long_vectors_turn_further(rotation):
    vector = to_axis_angle(rotation)
    for turns in (1, 3):
        longer = vector + 2 * math.pi * turns * np.array([0.0, 0.0, 1.0])
        if np.linalg.norm(vector[:2]) == 0:
            np.testing.assert_allclose(from_axis_angle(longer), rotation, atol=1e-13)
        assert is_rotation(from_axis_angle(longer), 1e-13)


@given(axis_angles(), st.floats(1e-3, 1e3))
def test_quaternions_of_any_length_and_sign(axis_angle, scale):
    q = quaternion(axis_angle)
    np.testing.assert_allclose(from_quaternion_wxyz(scale * q), matrix(axis_angle), atol=1e-14)
    np.testing.assert_allclose(from_quaternion_wxyz(-scale * q), matrix(axis_angle), atol=1e-14)
    np.testing.assert_allclose(to_quaternion_wxyz(matrix(axis_angle)), q, atol=1e-14)


@given(st.tuples(*[st.floats(-4, 4)] * 3))
def test_roll_pitch_yaw_is_about_fixed_axes_in_this_order(rpy):
    x, y, z = (matrix(angle * axis) for angle, axis in zip(rpy, np.eye(3), strict=True))
    np.testing.assert_allclose(from_rpy(rpy), z @ y @ x, atol=1e-14)


@given(rotations(), st.floats(0.1, 10), st.floats(0.1, 10), st.floats(-5, 5))
def test_six_numbers_are_made_orthonormal(rotation, first, second, skew):
    """Length and skew of what a policy regresses do not matter, and rows are not columns."""
    vectors = np.concatenate([first * rotation[0], second * rotation[1] + skew * rotation[0]])
    np.testing.assert_allclose(from_rows_6d(vectors), rotation, atol=1e-12)
    np.testing.assert_allclose(from_columns_6d(vectors), rotation.T, atol=1e-12)


@given(rotations(), st.tuples(*[st.floats(-1e-3, 1e-3)] * 9))
def test_the_nearest_rotation_is_one_and_none_is_nearer(rotation, noise):
    noisy = rotation + np.reshape(noise, (3, 3))
    nearest = nearest_rotation(noisy)
    assert is_rotation(nearest, 1e-14)
    distance = np.linalg.norm(nearest - noisy)
    assert distance <= np.linalg.norm(rotation - noisy) + 1e-15
    for axis in np.eye(3):
        for step in (1e-3, -1e-3):
            assert np.linalg.norm(from_axis_angle(step * axis) @ nearest - noisy) >= distance


@given(rotations())
def test_the_nearest_rotation_of_a_mirror_is_no_mirror(rotation):
    assert is_rotation(nearest_rotation(rotation @ np.diag([1.0, 1.0, -0.9])), 1e-14)


@given(rotations())
def test_what_is_a_rotation(rotation):
    assert is_rotation(rotation)
    assert not is_rotation(-rotation)
    assert not is_rotation(rotation * (1 + 1e-5))
    assert is_rotation(rotation * (1 + 1e-5), tolerance=1e-4)
    bent = rotation.copy()
    bent[1, 2] += 1e-5
    assert not is_rotation(bent)


NOT_FINITE = (math.nan, math.inf, -math.inf)


@pytest.mark.parametrize("bad", NOT_FINITE)
@pytest.mark.parametrize(
    ("function", "good"),
    [
        (from_axis_angle, np.ones(3)),
        (from_rpy, np.ones(3)),
        (from_quaternion_wxyz, np.ones(4)),
        (from_rows_6d, np.arange(6.0)),
        (from_columns_6d, np.arange(6.0)),
        (to_axis_angle, np.eye(3)),
        (rotation_angle, np.eye(3)),
        (to_quaternion_wxyz, np.eye(3)),
        (nearest_rotation, np.eye(3)),
    ],
)
def test_a_row_that_is_not_finite_is_not_finite_and_spoils_no_other(function, good, bad):
    expected = function(good)
    batch = np.stack([good, good, good])
    batch[1].flat[0] = bad
    result = function(batch)
    np.testing.assert_array_equal(result[0], expected)
    np.testing.assert_array_equal(result[2], expected)
    assert not np.isfinite(result[1]).all()
    assert not is_rotation(np.full((3, 3), bad))


@pytest.mark.parametrize("six", [[0, 0, 0, 0, 1, 0], [1, 2, 3, 2, 4, 6], [1, 0, 0, 0, 0, 0], [1, 0, 0, 1, 1e-9, 0]])
def test_six_numbers_without_a_rotation_in_them_give_none(six):
    assert np.isnan(from_rows_6d(six)).any()
    assert np.isnan(from_columns_6d(six)).any()


def test_a_zero_quaternion_gives_no_rotation():
    assert np.isnan(from_quaternion_wxyz(np.zeros(4))).all()


def test_wrong_shapes_are_refused_with_both():
    with refused(WrongShape, "axis_angle", "(..., 3)", "(2, 4)"):
        from_axis_angle(np.zeros((2, 4)))
    with refused(WrongShape, "rotation", "(..., 3, 3)", "(3,)"):
        to_axis_angle(np.zeros(3))
    with refused(WrongShape, "rows", "(..., 6)", "could not convert"):
        from_rows_6d(["a"] * 6)


@given(axes(), angles)
def test_pinocchio_agrees(axis, angle):
    pinocchio = pytest.importorskip("pinocchio")
    np.testing.assert_allclose(from_axis_angle(angle * axis), pinocchio.exp3(angle * axis), atol=1e-12)
    if angle < math.pi - 1e-3:  # nearer, its logarithm is the less exact of the two
        rotation = from_axis_angle(angle * axis)
        np.testing.assert_allclose(to_axis_angle(rotation), pinocchio.log3(rotation), atol=1e-9)
