"""Inverse kinematics does not care where the base is, nor which base frame the targets are given in."""

from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given, settings

from tests.kinematics.limbs import ARMS, BODIES
from tests.kinematics.poses import poses
from unichunk.kinematics import FrameGoal, InverseKinematics, RowStatus
from unichunk.kinematics.errors import KinematicsError
from unichunk.kinematics.robot_model import frame_index, joint_names


def moved_base(model: pin.Model, pose_old_in_new: np.ndarray) -> pin.Model:
    """The same robot, bolted down elsewhere."""
    moved = model.copy()
    placement = pin.SE3(pose_old_in_new)
    for joint in range(1, moved.njoints):
        if moved.parents[joint] == 0:
            moved.jointPlacements[joint] = placement * moved.jointPlacements[joint]
    for frame in moved.frames:
        if frame.parentJoint == 0:
            frame.placement = placement * frame.placement
    return moved


@pytest.mark.parametrize("name", [*ARMS, "g1_with_waist"])
@settings(max_examples=6, deadline=None)
@given(base=poses())
def test_moving_the_base_moves_nothing_else(name, base) -> None:
    limb, rng = (ARMS | BODIES)[name], np.random.default_rng(1)
    elsewhere = InverseKinematics(moved_base(limb.model, base), list(limb.goals), joints=limb.joints)
    here = limb.solver()
    start = limb.random(rng, 0.6)
    path = np.array([limb.poses(start + step * (limb.random(rng, 0.3) - start)) for step in (0.02, 0.04, 0.06)])
    for dt in (0.05, None):
        one, other = here.solve(path, start, dt=dt), elsewhere.solve(base @ path, start, dt=dt)
        np.testing.assert_array_equal(one.status, other.status)
        np.testing.assert_allclose(one.q, other.q, atol=1e-6)


def test_targets_in_the_torso_s_frame_with_a_turned_waist() -> None:
    limb, rng = ARMS["g1_left"], np.random.default_rng(2)
    model = limb.model
    q = limb.random(rng, 0.6)
    q[:3] = 0.3, -0.1, 0.2
    torso, hand = (pin.SE3(_pose(model, q, frame)) for frame in ("torso_link", "L_ee"))
    in_torso = torso.actInv(hand).homogeneous[None, None]
    start = limb.random(rng, 0.6)
    start[:3] = q[:3]
    found = limb.solver(base_frame="torso_link").solve(in_torso, start)
    same = limb.solver().solve(hand.homogeneous[None, None], start)
    assert found.status[0] == same.status[0] == RowStatus.CONVERGED
    np.testing.assert_allclose(found.q, same.q, atol=1e-9)
    start[:3] = 0.0
    other_waist = limb.solver(base_frame="torso_link").solve(in_torso, start)
    np.testing.assert_allclose(other_waist.q[0, 3:], found.q[0, 3:], atol=1e-6)


def test_a_base_frame_on_a_joint_that_may_move_is_refused() -> None:
    with pytest.raises(KinematicsError, match="base frame torso_link is moved by joints that may move"):
        BODIES["g1_with_waist"].solver(base_frame="torso_link")


@pytest.mark.parametrize("name", ["fr3", "g1_left"])
def test_a_locked_joint_stays_and_the_others_do_its_part(name) -> None:
    limb, rng = ARMS[name], np.random.default_rng(3)
    names = joint_names(limb.model)
    locked = limb.columns[2]
    free = [names[column] for column in limb.columns if column != locked]
    ik = InverseKinematics(limb.model, list(limb.goals), joints=free)
    for _ in range(20):
        goal, start = limb.random(rng, 0.8), limb.random(rng, 0.8)
        start[locked] = goal[locked]
        solution = ik.solve(limb.poses(goal)[None], start)
        assert solution.converged[0]
        assert solution.q[0, locked] == goal[locked]


def test_the_last_row_of_a_target_is_not_looked_at_whatever_the_base() -> None:
    limb, rng = ARMS["g1_left"], np.random.default_rng(4)
    ik = limb.solver(base_frame="torso_link")
    start = limb.random(rng, 0.5)
    target = limb.solver().solve(limb.poses(start)[None], start)
    assert target.converged[0]
    in_torso = np.linalg.inv(_pose(limb.model, start, "torso_link")) @ limb.poses(start)[None]
    expected = ik.solve(in_torso, start, dt=0.05)
    for last_row in (0.0, np.nan, np.inf, 1e200):
        odd = in_torso.copy()
        odd[..., 3, :] = last_row
        np.testing.assert_array_equal(ik.solve(odd, start, dt=0.05).q, expected.q)


def test_what_a_goal_does_not_ask_for_may_be_anything() -> None:
    limb = ARMS["fr3"]
    start = limb.random(np.random.default_rng(5), 0.5)
    for kind in ("position", "orientation"):
        ik = InverseKinematics(limb.model, [FrameGoal("fr3_hand_tcp", kind)], base_frame="fr3_link0")
        target = limb.poses(start)[None]
        if kind == "position":
            target[..., :3, :3] = np.nan
        else:
            target[..., :3, 3] = np.inf
        for dt in (None, 0.05):
            assert ik.solve(target, start, dt=dt).converged[0]


def test_a_turned_waist_does_not_change_how_an_arm_is_searched() -> None:
    """The table of starts is looked up in the frame of the joint that carries the arm."""
    limb, rng = ARMS["g1_left"], np.random.default_rng(6)
    ik = limb.solver()
    for _ in range(20):
        goal = limb.random(rng)
        start, turned, turned_goal = limb.middle(), limb.middle(), goal.copy()
        turned[:3] = turned_goal[:3] = 0.8, -0.3, 0.4
        one = ik.solve(limb.poses(goal)[None], start)
        other = ik.solve(limb.poses(turned_goal)[None], turned)
        assert one.attempts[0] == other.attempts[0]
        np.testing.assert_allclose(one.q[0, 3:], other.q[0, 3:], atol=1e-6)


def _pose(model, q, frame):
    data = model.createData()
    pin.framesForwardKinematics(model, data, q)
    return data.oMf[frame_index(model, frame)].homogeneous
