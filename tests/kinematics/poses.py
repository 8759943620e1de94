"""Poses and rotations for property tests, and SE(3) written down a second time, in quaternions."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

ANGLES = (0.0, 1e-300, 1e-12, 1e-8, 1e-4, 1.0, math.pi - 1e-4, math.pi - 1e-9, math.pi - 1e-12)
"""Angles at which conversions like to fail, [rad]; all of them in [0, pi)."""

coordinates = st.floats(-3, 3)
angles = st.sampled_from(ANGLES) | st.floats(0, math.pi - 1e-12)


@st.composite
def axes(draw):
    """Unit vectors, those along a coordinate axis more often than chance would have it."""
    if draw(st.booleans()):
        return draw(st.sampled_from([1.0, -1.0])) * np.eye(3)[draw(st.integers(0, 2))]
    vector = np.array(draw(st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda v: np.linalg.norm(v) > 0.1)))
    return vector / np.linalg.norm(vector)


@st.composite
def axis_angles(draw):
    """Axis-angle vectors of angles below pi, [rad]."""
    return draw(angles) * draw(axes())


@st.composite
def rotations(draw):
    """Rotation matrices, made of quaternions."""
    return matrix(draw(axis_angles()))


@st.composite
def poses(draw):
    """Poses, (4, 4), [m]."""
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = draw(rotations()), draw(st.tuples(*[coordinates] * 3))
    return pose


def quaternion(axis_angle):
    """Unit quaternion w x y z of an axis-angle vector."""
    angle = math.hypot(*axis_angle)
    if angle == 0:
        return np.array([1.0, 0.0, 0.0, 0.0])
    return np.array([math.cos(angle / 2), *(math.sin(angle / 2) * np.asarray(axis_angle) / angle)])


def product(p, q):
    """Product of two quaternions w x y z."""
    return np.array([p[0] * q[0] - p[1:] @ q[1:], *(p[0] * q[1:] + q[0] * p[1:] + np.cross(p[1:], q[1:]))])


def turn(q, vector):
    """A vector turned by a unit quaternion w x y z."""
    conjugate = q * np.array([1, -1, -1, -1])
    return product(product(q, np.array([0.0, *vector])), conjugate)[1:]


def matrix(axis_angle):
    """Rotation matrix of an axis-angle vector, column by column."""
    q = quaternion(axis_angle)
    return np.stack([turn(q, axis) for axis in np.eye(3)], axis=1)
