"""The damped step in a box against every possible choice of faces."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unichunk.kinematics.inverse.box_step import LARGEST_TURN, box_step
from unichunk.kinematics.inverse.symmetric import solve_block_chain, solve_symmetric


def by_trying_all_faces(jacobian, error, damping, lower, upper, preferred):
    """The least cost over all choices of joints at their lower or upper face and the others free."""
    best = np.inf

    def cost(step):
        return ((error - jacobian @ step) ** 2).sum() + damping * ((step - preferred) ** 2).sum()

    for faces in itertools.product((-1, 0, 1), repeat=len(lower)):
        face = np.array(faces)
        free = face == 0
        step = np.where(face < 0, lower, upper)
        if free.any():
            part = jacobian[:, free]
            right = part.T @ (error - jacobian[:, ~free] @ step[~free]) + damping * preferred[free]
            step[free] = np.linalg.solve(part.T @ part + damping * np.eye(free.sum()), right)
        if (step >= lower - 1e-12).all() and (step <= upper + 1e-12).all():
            best = min(best, cost(step))
    return best, cost


@settings(max_examples=300, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(1, 6),
    joints=st.integers(1, 5),
    damping=st.sampled_from([1e-6, 1e-3, 1.0]),
    with_preference=st.booleans(),
)
def test_no_other_step_in_the_box_is_better(seed, rows, joints, damping, with_preference) -> None:
    rng = np.random.default_rng(seed)
    jacobian, error = rng.normal(size=(rows, joints)), 0.3 * rng.normal(size=rows)
    lower, upper = -rng.uniform(0, 0.3, joints), rng.uniform(0, 0.3, joints)
    lower[rng.random(joints) < 0.2] = 0.0  # joints at their limits
    preferred = 0.2 * rng.normal(size=joints) if with_preference else None
    step = box_step(jacobian, error, damping, lower, upper, preferred)
    assert (step >= lower).all()
    assert (step <= upper).all()
    best, cost = by_trying_all_faces(
        jacobian, error, damping, lower, upper, np.zeros(joints) if preferred is None else preferred
    )
    # A free step longer than the trust region is shortened, not solved again.
    assert cost(step) <= best * (1 + 1e-6) + 1e-12 or np.abs(step).max() == pytest.approx(LARGEST_TURN)


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0, 1e6))
def test_no_joint_turns_far_whatever_the_error(seed, scale) -> None:
    rng = np.random.default_rng(seed)
    step = box_step(rng.normal(size=(6, 7)), scale * rng.normal(size=6), 1e-8, np.full(7, -np.inf), np.full(7, np.inf))
    assert np.abs(step).max() <= LARGEST_TURN * (1 + 1e-12)


def test_at_a_singular_configuration_the_step_is_bounded() -> None:
    jacobian = np.zeros((6, 7))
    jacobian[0, 0] = 1e-9
    step = box_step(jacobian, np.full(6, 1e-3), 1e-8, np.full(7, -1.0), np.full(7, 1.0))
    assert np.abs(step).max() < 1e-3


def test_the_preference_is_followed_in_the_null_space_only() -> None:
    rng = np.random.default_rng(0)
    jacobian = rng.normal(size=(3, 6))
    preferred = 0.1 * rng.normal(size=6)
    step = box_step(jacobian, np.zeros(3), 1e-9, np.full(6, -1.0), np.full(6, 1.0), preferred)
    np.testing.assert_allclose(jacobian @ step, 0.0, atol=1e-8)
    projector = np.eye(6) - np.linalg.pinv(jacobian) @ jacobian
    np.testing.assert_allclose(step, projector @ preferred, atol=1e-6)


@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 8), size=st.integers(1, 5))
def test_block_chains_are_solved_as_the_whole_system_is(seed, count, size) -> None:
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(count, size, size))
    couplings = rng.normal(size=(count - 1, size))
    blocks = roots @ np.swapaxes(roots, 1, 2) + 3.0 * np.abs(couplings).sum() * np.eye(size) + np.eye(size)
    right = rng.normal(size=(count, size))
    whole = np.zeros((count, size, count, size))
    for row in range(count):
        whole[row, :, row] = blocks[row]
        if row:
            whole[row, :, row - 1] = whole[row - 1, :, row] = np.diag(couplings[row - 1])
    expected = np.linalg.solve(whole.reshape(count * size, -1), right.ravel()).reshape(count, size)
    np.testing.assert_allclose(solve_block_chain(blocks, couplings, right), expected, atol=1e-9)


def test_symmetric_systems_of_every_shape() -> None:
    for size in (1, 2, 6):
        matrix = np.diag(np.arange(1.0, size + 1))
        for right in (np.ones(size), np.ones((size, 1)), np.ones((size, 3))):
            solved = solve_symmetric(matrix, right)
            assert solved.shape == right.shape
            np.testing.assert_allclose(matrix @ solved, right)
