"""What inverse kinematics promises, for every arm, hand and body alike; judged by forward kinematics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kinematics.limbs import ARMS, BODIES, HANDS, LIMBS
from unichunk.kinematics import RowStatus

DT = 0.05
COARSE = {"position_tolerance": 1e-3, "rotation_tolerance": 1e-2}
FINE = {"position_tolerance": 1e-5, "rotation_tolerance": 1e-5}
SEEDS = st.integers(0, 2**32 - 1)

every_limb = pytest.mark.parametrize("name", LIMBS)


def check_honest(limb, ik, solution, targets, valid=None) -> None:
    """Finite, within the limits, and every error and status true."""
    lower, upper = limb.model.lowerPositionLimit, limb.model.upperPositionLimit
    assert np.isfinite(solution.q).all()
    assert (solution.q >= lower).all()
    assert (solution.q <= upper).all()
    for row, q in enumerate(solution.q):
        if valid is not None and not valid[row]:
            assert solution.status[row] == RowStatus.INVALID_INPUT
            continue
        distances, angles = limb.errors(q, targets[row])
        np.testing.assert_allclose(solution.position_error[row], distances, atol=1e-9)
        np.testing.assert_allclose(solution.rotation_error[row], angles, atol=1e-7)
        reached = (distances <= 1.0001e-4).all() and (angles <= 1.0001e-3).all()
        assert solution.converged[row] == reached
    still = np.setdiff1d(np.arange(limb.model.nq), limb.columns)
    assert (solution.q[:, still] == solution.q[0, still]).all()


def scattered_targets(limb, rng, count):
    """Some that can be reached, some that cannot, some farther away than the robot is long."""
    targets = np.array([limb.poses(limb.random(rng)) for _ in range(count)])
    kinds = rng.integers(0, 3, count)
    targets[kinds == 1, :, :3, 3] += rng.normal(0, 0.2, (np.count_nonzero(kinds == 1), len(limb.goals), 3))
    turns = np.linalg.qr(rng.normal(size=(count, len(limb.goals), 3, 3)))[0]
    turns *= np.sign(np.linalg.det(turns))[..., None, None]
    targets[kinds == 2, :, :3, :3] = turns[kinds == 2]
    targets[kinds == 2, :, :3, 3] *= 3.0
    return targets


@every_limb
@pytest.mark.parametrize("tolerance", [COARSE, FINE], ids=["1e-3", "1e-5"])
def test_reachable_targets_are_reached_from_the_middle_of_the_range(name, tolerance) -> None:
    limb, rng = LIMBS[name], np.random.default_rng(1)
    targets = np.array([limb.poses(limb.random(rng)) for _ in range(40)])
    ik = limb.solver(**tolerance)
    solved = 0
    for target in targets:
        solution = ik.solve(target[None], limb.middle())
        distances, angles = limb.errors(solution.q[0], target)
        reached = (distances <= 1.0001 * tolerance["position_tolerance"]).all()
        reached &= (angles <= 1.0001 * tolerance["rotation_tolerance"]).all()
        assert solution.converged[0] == reached
        solved += reached
    assert solved >= (40 if name in ARMS or name in HANDS else 38)


@every_limb
@settings(max_examples=3, deadline=None)
@given(seed=SEEDS, timed=st.booleans(), with_posture=st.booleans())
def test_whatever_the_targets_the_answer_is_within_the_limits_and_honest(name, seed, timed, with_posture) -> None:
    limb, rng = LIMBS[name], np.random.default_rng(seed)
    ik = limb.solver(attempts=4)
    targets = scattered_targets(limb, rng, 5)
    start = limb.random(rng)
    posture = limb.random(rng) if with_posture else None
    solution = ik.solve(targets, start, dt=DT if timed else None, posture=posture)
    check_honest(limb, ik, solution, targets)
    if timed:
        steps = np.abs(np.diff(solution.q, axis=0, prepend=start[None]))
        assert (steps <= limb.model.velocityLimit * DT).all()


@every_limb
@settings(max_examples=5, deadline=None)
@given(seed=SEEDS)
def test_slow_motion_is_followed_all_the_way(name, seed) -> None:
    """From any configuration a tenth of the limits' speed in any direction: no row is missed."""
    limb, rng = LIMBS[name], np.random.default_rng(seed)
    start = limb.random(rng, size=0.6)
    step = np.zeros_like(start)
    step[limb.columns] = 0.1 * DT * rng.uniform(-1, 1, len(limb.columns)) * limb.model.velocityLimit[limb.columns]
    joints = np.clip(
        start + step * np.arange(1, 9)[:, None], limb.model.lowerPositionLimit, limb.model.upperPositionLimit
    )
    targets = np.array([limb.poses(q) for q in joints])
    solution = limb.solver().solve(targets, start, dt=DT)
    check_honest(limb, limb.solver(), solution, targets)
    assert solution.converged.all()


@every_limb
def test_where_the_limb_is_already_it_stays(name) -> None:
    limb = LIMBS[name]
    q = limb.random(np.random.default_rng(2))
    for dt in (None, DT):
        solution = limb.solver().solve(limb.poses(q)[None], q, dt=dt)
        np.testing.assert_allclose(solution.q[0], q, atol=1e-9)


@every_limb
def test_the_same_question_has_the_same_answer_whatever_was_asked_between(name) -> None:
    limb, rng = LIMBS[name], np.random.default_rng(3)
    ik = limb.solver(attempts=4)
    targets, start = scattered_targets(limb, rng, 4), limb.random(rng)
    first = ik.solve(targets, start)
    # Other joints' values, too: the table of starts is made for them.
    ik.solve(scattered_targets(limb, rng, 2), rng.uniform(limb.model.lowerPositionLimit, limb.model.upperPositionLimit))
    again = ik.solve(targets, start)
    np.testing.assert_array_equal(first.q, again.q)


@every_limb
def test_bad_rows_do_not_harm_good_ones(name) -> None:
    limb, rng = LIMBS[name], np.random.default_rng(4)
    start = limb.random(rng, size=0.5)
    targets = np.repeat(limb.poses(start)[None], 8, axis=0)
    targets[1] = np.nan
    targets[2, :, :3, 3] = np.inf
    targets[2, :, :3, :3] = -np.eye(3)
    targets[3] *= 1e200
    targets[4, :, :3, :3] *= 1.2
    targets[4, :, :3, 3] = -np.inf
    targets[5] = 0.0
    targets[5, :, 0, 3] = 1e9
    valid = np.array([True, False, False, False, False, False, True, True])
    for dt in (None, DT):
        solution = limb.solver().solve(targets, start, dt=dt)
        check_honest(limb, limb.solver(), solution, targets, valid)
        assert (solution.status == np.where(valid, RowStatus.CONVERGED, RowStatus.INVALID_INPUT)).all()
        np.testing.assert_array_equal(solution.q[1:6], np.repeat(solution.q[:1], 5, axis=0))
        for place, goal in enumerate(limb.goals):
            asked = solution.position_error if goal.has_position else solution.rotation_error
            assert np.isinf(asked[~valid, place]).all()


@every_limb
def test_a_start_that_is_not_finite_is_said_so(name) -> None:
    limb = LIMBS[name]
    start = limb.middle()
    start[limb.columns[0]] = np.nan
    solution = limb.solver().solve(np.repeat(limb.poses(limb.middle())[None], 3, axis=0), start, dt=DT)
    assert (solution.status == RowStatus.INVALID_INPUT).all()
    assert np.isfinite(solution.q).all()


@pytest.mark.parametrize("name", [*ARMS, *HANDS])
def test_out_of_reach_the_answer_is_nearer_than_any_of_many(name) -> None:
    limb, rng = LIMBS[name], np.random.default_rng(5)
    ik = limb.solver(rotation_length=0.2)
    others = [limb.random(rng) for _ in range(500)]
    target = limb.poses(limb.random(rng))
    target[:, :3, 3] += np.array([0.4, -0.3, 0.5])

    def cost(q):
        distances, angles = limb.errors(q, target)
        return (distances**2).sum() + ((0.2 * angles) ** 2).sum()

    solution = ik.solve(target[None], limb.middle())
    assert solution.status[0] == RowStatus.UNREACHABLE
    assert cost(solution.q[0]) <= min(cost(q) for q in others)


@pytest.mark.parametrize("name", [*ARMS, "g1_with_waist"])
def test_too_far_for_one_row_the_answer_is_the_nearest_within_the_velocity_limits(name) -> None:
    limb, rng = LIMBS[name], np.random.default_rng(6)
    ik = limb.solver()
    for _ in range(4):
        start, goal = limb.random(rng, 0.8), limb.random(rng, 0.8)
        target = limb.poses(goal)
        solution = ik.solve(target[None], start, dt=0.02)
        assert solution.status[0] == RowStatus.VELOCITY_LIMITED
        reach = 0.02 * limb.model.velocityLimit
        lower = np.maximum(limb.model.lowerPositionLimit, start - reach)
        upper = np.minimum(limb.model.upperPositionLimit, start + reach)

        def cost(q, target=target):
            distances, angles = limb.errors(q, target)
            return (distances**2).sum() + ((0.2 * angles) ** 2).sum()

        found = cost(solution.q[0])
        assert found < cost(start)
        for _ in range(60):
            # Corners of the box matter most: there the nearest configurations are.
            corner = np.where(rng.random(len(lower)) < 0.5, lower, upper)
            other = np.where(rng.random(len(lower)) < 0.5, corner, rng.uniform(lower, upper))
            q = start.copy()
            q[limb.columns] = other[limb.columns]
            assert found <= cost(q) + 1e-6


@pytest.mark.parametrize("name", ["fr3", "g1_left", "rm75"])
@pytest.mark.parametrize("dt", [DT, None])
def test_a_posture_draws_the_elbow_and_leaves_the_hand(name, dt) -> None:
    """The posture is another configuration with the hand in the same place, made by moving the elbow."""
    limb, rng = LIMBS[name], np.random.default_rng(7)
    start = limb.random(rng, 0.4)
    target = np.repeat(limb.poses(start)[None], 40, axis=0)
    ik = limb.solver()
    turned = start.copy()
    turned[limb.columns[2]] += 0.5
    posture = ik.solve(target[:1], turned).q[0]
    alone = ik.solve(target, start, dt=dt)
    drawn = ik.solve(target, start, dt=dt, posture=posture)
    assert alone.converged.all()
    assert drawn.converged.all()
    assert np.linalg.norm(alone.q[-1] - posture) > 0.05
    assert np.linalg.norm(drawn.q[-1] - posture) < 0.2 * np.linalg.norm(alone.q[-1] - posture)


def test_two_arms_are_two_times_one_arm() -> None:
    both, rng = BODIES["g1_two_arms"], np.random.default_rng(8)
    start, goal = both.random(rng, 0.5), both.random(rng, 0.8)
    target = both.poses(goal)
    together = both.solver().solve(target[None], start)
    left = ARMS["g1_left"].solver().solve(target[None, :1], start)
    right = ARMS["g1_right"].solver().solve(target[None, 1:], start)
    np.testing.assert_allclose(together.q[0], left.q[0] + right.q[0] - start, atol=1e-12)
    assert together.iterations[0] == left.iterations[0] + right.iterations[0]


def test_the_waist_reaches_what_arms_alone_cannot() -> None:
    arms, body = BODIES["g1_two_arms"], BODIES["g1_with_waist"]
    bent = body.middle()
    bent[2] = 0.5
    target = body.poses(bent)
    target[:, 0, 3] += 0.1
    with_waist = body.solver().solve(target[None], body.middle())
    without = arms.solver().solve(target[None], body.middle())
    assert with_waist.converged[0]
    assert with_waist.position_error.sum() < without.position_error.sum()
