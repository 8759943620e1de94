"""What a caller did wrong is said in one line."""

from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest

from unichunk.kinematics import FrameGoal, InverseKinematics, robot_model
from unichunk.kinematics.errors import KinematicsError


@pytest.fixture(scope="module")
def fr3() -> pin.Model:
    return robot_model("fr3")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frames": ["fr3_hand_tpc"]}, r"unknown frame 'fr3_hand_tpc' of fr3.*fr3_hand_tcp"),
        ({"frames": ["fr3_link0"]}, "frame fr3_link0: none of the joints that may move moves it"),
        ({"frames": ["fr3_hand_tcp"], "joints": ["fr3_joint8"]}, r"unknown joint 'fr3_joint8' of fr3.*fr3_joint"),
        ({"frames": ["fr3_link3"], "joints": ["fr3_joint7"]}, "frame fr3_link3: none of the joints"),
        ({"frames": []}, "frames: expected at least one"),
        ({"frames": ["fr3_link8"], "base_frame": "world"}, "unknown frame 'world'"),
        ({"frames": ["fr3_link8"], "position_tolerance": 0.0}, "position_tolerance: 0.0, expected a positive number"),
        ({"frames": ["fr3_link8"], "rotation_tolerance": np.nan}, "rotation_tolerance: nan, expected a positive"),
        ({"frames": ["fr3_link8"], "rotation_length": -1.0}, "rotation_length: -1.0, expected a positive number"),
        ({"frames": ["fr3_link8"], "attempts": 0}, "attempts: 0, expected a positive number"),
        ({"frames": ["fr3_link8"], "posture_gain": 1.5}, "posture_gain: 1.5, expected a number from 0 to 1"),
        ({"frames": ["fr3_link8"], "velocity_limit": np.ones(3)}, r"velocity_limit: shape \(3,\), expected \(7,\)"),
        ({"frames": ["fr3_link8"], "velocity_limit": -np.ones(7)}, "velocity_limit: .* not negative"),
    ],
)
def test_a_solver_that_cannot_be(fr3, arguments, message) -> None:
    with pytest.raises(KinematicsError, match=message) as caught:
        InverseKinematics(fr3, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": np.eye(4)}, r"targets: shape \(4, 4\), expected \(T, 1, 4, 4\)"),
        ({"targets": np.zeros((3, 2, 4, 4))}, r"targets: shape \(3, 2, 4, 4\), expected \(T, 1, 4, 4\)"),
        ({"q_start": np.zeros(6)}, r"q_start: shape \(6,\), expected \(7,\): fr3_joint1, "),
        ({"dt": 0.0}, "dt: 0.0, expected a positive number"),
        ({"dt": np.inf}, "dt: inf, expected a positive number"),
        ({"posture": np.full(7, np.nan)}, "posture: .*, expected finite numbers"),
        ({"posture": np.zeros(2)}, r"posture: shape \(2,\)"),
    ],
)
def test_a_question_that_cannot_be(fr3, arguments, message) -> None:
    ik = InverseKinematics(fr3, ["fr3_hand_tcp"])
    question = {"targets": np.eye(4)[None, None], "q_start": np.zeros(7)} | arguments
    with pytest.raises(KinematicsError, match=message) as caught:
        ik.solve(**question)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("goal", "message"),
    [
        ({"kind": "place"}, "goal of a: unknown kind 'place', expected one of pose, position, orientation"),
        ({"weight": 0.0}, "goal of a: weight 0.0 is not a positive number"),
        ({"weight": float("nan")}, "goal of a: weight nan is not a positive number"),
    ],
)
def test_a_goal_that_cannot_be(goal, message) -> None:
    with pytest.raises(KinematicsError, match=message):
        FrameGoal("a", **goal)


def test_a_model_with_a_continuous_joint_is_refused() -> None:
    model = pin.Model()
    model.addJoint(0, pin.JointModelRUBZ(), pin.SE3.Identity(), "wheel")
    with pytest.raises(KinematicsError, match="2 positions for 1 degrees of freedom"):
        InverseKinematics(model, ["wheel"])


def test_no_rows_are_no_rows(fr3) -> None:
    for dt in (None, 0.05):
        solution = InverseKinematics(fr3, ["fr3_hand_tcp"]).solve(np.zeros((0, 1, 4, 4)), np.zeros(7), dt=dt)
        assert solution.q.shape == (0, 7)
        assert solution.converged.shape == (0,)


def test_rotations_rounded_to_single_precision_are_reached_and_shears_are_not(fr3) -> None:
    ik = InverseKinematics(fr3, ["fr3_hand_tcp"], position_tolerance=1e-6, rotation_tolerance=1e-6)
    data = fr3.createData()
    q = np.array([0.1, -0.7, 0.2, -2.3, 0.1, 1.5, 0.8])
    pin.framesForwardKinematics(fr3, data, q)
    pose = data.oMf[fr3.getFrameId("fr3_hand_tcp")].homogeneous
    assert ik.solve(pose.astype(np.float32)[None, None], np.zeros(7)).converged[0]
    sheared, mirrored = pose.copy(), pose.copy()
    sheared[0, 1] += 0.1
    mirrored[:3, 0] *= -1.0
    assert not ik.solve(np.array([sheared, mirrored])[:, None], q).converged.any()


def test_a_start_outside_the_limits_is_brought_in(fr3) -> None:
    start = fr3.upperPositionLimit + 0.01
    data = fr3.createData()
    pin.framesForwardKinematics(fr3, data, fr3.upperPositionLimit)
    pose = data.oMf[fr3.getFrameId("fr3_hand_tcp")].homogeneous
    solution = InverseKinematics(fr3, ["fr3_hand_tcp"]).solve(pose[None, None], start, dt=0.01)
    assert solution.converged[0]
    np.testing.assert_allclose(solution.q[0], fr3.upperPositionLimit, atol=1e-6)
