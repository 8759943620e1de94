"""Rotations in the forms robots give them, against plain matrices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from unichunk.runtime.policy.rotation import axis_angle, no_rotation, rotation_width

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import RotationInput

FORMS: tuple[RotationInput, ...] = ("quaternion_wxyz", "quaternion_xyzw", "euler_xyz", "rotation_6d", "matrix")

COMPONENT = st.floats(-1, 1)
AXES = st.tuples(COMPONENT, COMPONENT, COMPONENT).filter(lambda axis: np.linalg.norm(axis) > 1e-3)
ANGLES = st.one_of(
    st.floats(0, np.pi),
    st.sampled_from([0.0, 1e-300, 1e-12, 1e-8, 1e-4, np.pi / 2, np.pi - 1e-4, np.pi - 1e-8, np.pi]),
)


def matrix_of(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rodrigues' formula."""
    angle = float(np.linalg.norm(vector))
    x, y, z = vector / angle if angle else vector
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)


def quaternion_of(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    angle = float(np.linalg.norm(vector))
    axis = vector / angle if angle else vector
    return np.array([np.cos(angle / 2), *(np.sin(angle / 2) * axis)])


def euler_of(m: NDArray[np.float64]) -> NDArray[np.float64]:
    """a, b, c with m = Rx(a) Ry(b) Rz(c)."""
    b = np.arcsin(np.clip(m[0, 2], -1, 1))
    if np.hypot(m[0, 0], m[0, 1]) < 1e-8:  # locked: the first and the last axis are one, and only their sum is known
        return np.array([np.arctan2(m[2, 1], m[1, 1]), b, 0])
    return np.array([np.arctan2(-m[1, 2], m[2, 2]), b, np.arctan2(-m[0, 1], m[0, 0])])


def given_as(vector: NDArray[np.float64], form: RotationInput) -> NDArray[np.float64]:
    m = matrix_of(vector)
    return {
        "quaternion_wxyz": lambda: quaternion_of(vector),
        "quaternion_xyzw": lambda: np.roll(quaternion_of(vector), -1),
        "euler_xyz": lambda: euler_of(m),
        "rotation_6d": lambda: m[:2].reshape(6),
        "matrix": lambda: m.reshape(9),
    }[form]()


def converted(values: NDArray[np.float64], form: RotationInput) -> NDArray[np.float64]:
    return axis_angle(np.asarray(values, np.float64)[None], form)[0]


@pytest.mark.parametrize("form", FORMS)
@settings(deadline=None)
@given(axis=AXES, angle=ANGLES)
@example(axis=(1.0, 0.0, 1.0), angle=np.pi)
def test_the_same_rotation_comes_out(form: RotationInput, axis: tuple[float, float, float], angle: float) -> None:
    vector = angle * np.array(axis) / np.linalg.norm(axis)
    result = converted(given_as(vector, form), form)
    assert np.linalg.norm(result) <= np.pi + 1e-12
    # Angles of Euler near the lock of their middle one are known to half as many digits.
    np.testing.assert_allclose(matrix_of(result), matrix_of(vector), atol=1e-9 if form != "euler_xyz" else 1e-7)
    if form.startswith("quaternion") and angle < np.pi - 1e-6:
        np.testing.assert_allclose(result, vector, rtol=1e-9, atol=1e-15)


@settings(deadline=None)
@given(axis=AXES, angle=ANGLES, scale=st.sampled_from([-1.0, 1e-150, 0.3, -7.0, 1e150]))
def test_quaternions_of_any_length_and_both_signs(axis: tuple[float, float, float], angle: float, scale: float) -> None:
    quaternion = quaternion_of(angle * np.array(axis) / np.linalg.norm(axis))
    np.testing.assert_allclose(
        converted(scale * quaternion, "quaternion_wxyz"),
        converted(quaternion, "quaternion_wxyz"),
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, -1, 2), (-1, 1, 0), (1, 1, 1)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_half_turn_has_one_answer(axis: tuple[int, int, int], sign: int) -> None:
    unit = np.array(axis) / np.linalg.norm(axis)
    first = unit[np.flatnonzero(unit)[0]]
    result = converted(sign * np.array([0.0, *unit]), "quaternion_wxyz")
    np.testing.assert_allclose(result, np.pi * unit * np.sign(first), atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_no_rotation(form: RotationInput) -> None:
    identity = no_rotation(form)
    assert identity.shape == (rotation_width(form),)
    assert converted(identity, form).tolist() == [0, 0, 0]


def test_axis_angle_passes_as_it_is() -> None:
    values = np.array([[4.0, 0.0, -9.0]])
    np.testing.assert_array_equal(axis_angle(values, "axis_angle"), values)


def test_the_conventions() -> None:
    quarter = np.pi / 2
    np.testing.assert_allclose(converted(np.array([1, 0, 0, 1.0]), "quaternion_wxyz"), [0, 0, quarter])
    np.testing.assert_allclose(converted(np.array([1, 0, 0, 1.0]), "quaternion_xyzw"), [quarter, 0, 0])
    np.testing.assert_allclose(converted(np.array([0, 0, 0.3]), "euler_xyz"), [0, 0, 0.3])
    # About x first, then about the body's own z, which has become the world's -y.
    about = matrix_of(np.array([quarter, 0, 0])) @ matrix_of(np.array([0, 0, quarter]))
    np.testing.assert_allclose(matrix_of(converted(np.array([quarter, 0, quarter]), "euler_xyz")), about, atol=1e-12)
    # Rows, not columns: the first row of a quarter turn about z is (0, -1, 0).
    np.testing.assert_allclose(converted(np.array([0, -1, 0, 1, 0, 0.0]), "rotation_6d"), [0, 0, quarter], atol=1e-12)
    np.testing.assert_allclose(
        converted(np.array([0, -1, 0, 1, 0, 0, 0, 0, 1.0]), "matrix"), [0, 0, quarter], atol=1e-12
    )


def test_six_numbers_are_made_orthonormal() -> None:
    np.testing.assert_allclose(converted(np.array([3, 0, 0, 5, 0.1, 0.0]), "rotation_6d"), [0, 0, 0], atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_many_rows_at_once(form: RotationInput) -> None:
    vectors = np.random.default_rng(3).uniform(-1.5, 1.5, (20, 3))
    rows = np.stack([given_as(vector, form) for vector in vectors])
    np.testing.assert_allclose(axis_angle(rows, form), vectors, atol=1e-9)


@pytest.mark.parametrize(
    ("form", "values", "words"),
    [
        ("quaternion_wxyz", [0, 0, 0, 0], "quaternion that is not zero"),
        ("quaternion_xyzw", [0, 0, 0, 0], "quaternion that is not zero"),
        ("rotation_6d", [0, 0, 0, 0, 1, 0], "not zero"),
        ("rotation_6d", [np.inf, 0, 0, 0, 1, 0], "length that can be computed"),
        ("rotation_6d", [1, 0, 0, 0, 0, 0], "not zero"),
        ("rotation_6d", [1, 2, 0, 2, 4, 0], "not parallel"),
        ("matrix", [0] * 9, "rotation matrix"),
        ("matrix", [2, 0, 0, 0, 1, 0, 0, 0, 1], "rotation matrix"),
        ("matrix", [1, 0, 0, 0, 1, 0, 0, 0, -1], "determinant 1"),
    ],
)
def test_what_is_no_rotation(form: RotationInput, values: list[float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        converted(np.array(values, np.float64), form)
