"""What a caller did wrong is said in one line."""

from __future__ import annotations

import numpy as np
import pinocchio as pin
import pytest

from unichunk.kinematics import FrameGoal, InverseKinematics, RowStatus, robot_model
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
        ({"frames": ["fr3_link8"], "position_tolerance": 0.0}, "position_tolerance: 0.0, expected a number from"),
        ({"frames": ["fr3_link8"], "rotation_tolerance": np.nan}, "rotation_tolerance: nan, expected a number from"),
        (
            {"frames": ["fr3_link8"], "rotation_length": -1.0},
            "rotation_length: -1.0, expected a number from 0.01 to 10",
        ),
        ({"frames": ["fr3_link8"], "attempts": 0}, "attempts: 0, expected a number from 1 to"),
        ({"frames": ["fr3_link8"], "attempts": "2"}, "attempts: '2', expected a number from 1 to"),
        ({"frames": ["fr3_link8"], "posture_gain": 1.5}, "posture_gain: 1.5, expected a number from 0 to 1"),
        ({"frames": ["fr3_link8"], "velocity_limit": np.ones(3)}, r"velocity_limit: expected shape .*7.*got \(3,\)"),
        (
            {"frames": ["fr3_link8"], "velocity_limit": -np.ones(7)},
            "velocity_limit of fr3_joint1: -1, expected a number",
        ),
        (
            {"frames": ["fr3_link8"], "velocity_limit": np.full(7, np.nan)},
            "velocity_limit of fr3_joint1: nan, expected",
        ),
        (
            {"frames": [FrameGoal("fr3_link8"), FrameGoal("fr3_link4", weight=1e-3)]},
            "goal of fr3_link4: weight 0.001 beside 1 of fr3_link8; expected a factor of 100 at most",
        ),
    ],
)
def test_a_solver_that_cannot_be(fr3, arguments, message) -> None:
    with pytest.raises(KinematicsError, match=message) as caught:
        InverseKinematics(fr3, **arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"targets": np.eye(4)}, r"targets: expected shape .*1, 4, 4\), got \(4, 4\)"),
        ({"targets": np.zeros((3, 2, 4, 4))}, r"targets: expected shape .*1, 4, 4\), got \(3, 2, 4, 4\)"),
        ({"targets": np.zeros((2, 3, 1, 4, 4))}, r"targets: shape \(2, 3, 1, 4, 4\), expected \(T, 1, 4, 4\)"),
        ({"targets": [[1.0], [2.0, 3.0]]}, "targets: expected numbers of shape"),
        ({"targets": "far"}, "targets: expected numbers of shape"),
        ({"q_start": np.zeros(6)}, r"q_start: expected shape .*7.*got \(6,\)"),
        ({"q_start": np.zeros((2, 7))}, r"q_start: shape \(2, 7\), expected \(7,\): fr3_joint1, "),
        ({"dt": 0.0}, "dt: 0.0, expected a number from 1e-06 to 1000"),
        ({"dt": np.inf}, "dt: inf, expected a number"),
        ({"dt": "0.1"}, "dt: '0.1', expected a number"),
        ({"posture": np.full(7, np.nan)}, "posture: .*, expected finite numbers"),
        ({"posture": np.zeros(2)}, r"posture: expected shape .*got \(2,\)"),
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
    with pytest.raises(KinematicsError, match="2 positions and 1 velocities of 1 joints; expected one each"):
        InverseKinematics(model, ["wheel"])


def test_a_model_with_a_joint_of_three_is_refused() -> None:
    model = pin.Model()
    model.addJoint(0, pin.JointModelTranslation(), pin.SE3.Identity(), "slide")
    with pytest.raises(KinematicsError, match="3 positions and 3 velocities of 1 joints"):
        InverseKinematics(model, ["slide"])


def one_joint(lower: float, upper: float) -> pin.Model:
    model = pin.Model()
    joint = model.addJoint(
        0, pin.JointModelRZ(), pin.SE3.Identity(), "hinge", np.ones(1), np.ones(1), np.array([lower]), np.array([upper])
    )
    model.addFrame(pin.Frame("tip", joint, 0, pin.SE3(np.eye(3), np.array([0.3, 0.0, 0.0])), pin.FrameType.BODY))
    return model


@pytest.mark.parametrize(("lower", "upper"), [(-np.inf, 1.0), (-1.0, np.nan), (1.0, -1.0), (-1e300, 1e300)])
def test_a_joint_without_sensible_limits_is_refused(lower, upper) -> None:
    with pytest.raises(KinematicsError, match=r"hinge has position limits .*, expected numbers from -1000 to 1000"):
        InverseKinematics(one_joint(lower, upper), ["tip"])


def test_one_joint_is_enough() -> None:
    target = np.eye(4)
    target[:3, 3] = 0.3 * np.cos(0.5), 0.3 * np.sin(0.5), 0.0
    ik = InverseKinematics(one_joint(-1.0, 1.0), [FrameGoal("tip", "position")])
    for dt in (None, 1.0):
        assert ik.solve(target[None, None], np.zeros(1), dt=dt).q[0] == pytest.approx([0.5], abs=1e-3)


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
    start = fr3.upperPositionLimit + 0.09
    data = fr3.createData()
    pin.framesForwardKinematics(fr3, data, fr3.upperPositionLimit)
    pose = data.oMf[fr3.getFrameId("fr3_hand_tcp")].homogeneous
    solution = InverseKinematics(fr3, ["fr3_hand_tcp"]).solve(pose[None, None], start, dt=0.01)
    assert solution.converged[0]
    np.testing.assert_allclose(solution.q[0], fr3.upperPositionLimit, atol=1e-6)


@pytest.mark.parametrize("start", [np.full(7, 100.0), np.rad2deg(np.array([0.0, -0.7, 0.0, -2.3, 0.0, 1.5, 0.8]))])
def test_a_start_far_outside_the_limits_is_none(fr3, start) -> None:
    solution = InverseKinematics(fr3, ["fr3_hand_tcp"]).solve(np.eye(4)[None, None], start, dt=0.01)
    assert solution.status[0] == RowStatus.INVALID_INPUT
    assert (solution.q[0] <= fr3.upperPositionLimit).all()
