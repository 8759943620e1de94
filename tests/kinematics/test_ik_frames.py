"""Inverse kinematics does not care where the base is, nor which base frame the targets are given in."""

from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest
from hypothesis import given, settings

from tests.kinematics.limbs import ARMS, BODIES
from tests.kinematics.poses import poses
from unichunk.kinematics import InverseKinematics, RowStatus
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
    data = model.createData()
    pin.framesForwardKinematics(model, data, q)
    torso, hand = (data.oMf[frame_index(model, frame)] for frame in ("torso_link", "L_ee"))
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
