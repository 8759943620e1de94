"""The state at the takeover: what the joints will have reached when the committed rows have run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from unichunk.runtime.limits import JointLimits
from unichunk.runtime.observation import CameraFrame, Observation, RobotState
from unichunk.runtime.producer import Commitment
from unichunk.runtime.state_forward import expected_joints, told_observation

if TYPE_CHECKING:
    from numpy.typing import NDArray

N = 3
LIMITS = JointLimits.of(("a", "b", "c"), [-1.0, -2.0, 0.0], [1.0, 2.0, 0.5], [1.0] * N, [1.0] * N)
joints = arrays(np.float64, (N,), elements=st.floats(-3.0, 3.0))


@given(joints, joints)
def test_with_nothing_committed_the_observation_is_told_bit_by_bit(
    observed: NDArray[np.float64], row: NDArray[np.float64]
) -> None:
    """Whatever the robot measures, beyond its limits as well."""
    assert expected_joints(observed, row, row, LIMITS).tobytes() == observed.tobytes()


@given(joints, joints, joints)
def test_a_joint_goes_with_its_rows_as_far_as_it_can(
    observed: NDArray[np.float64], ran: NDArray[np.float64], last: NDArray[np.float64]
) -> None:
    told = expected_joints(observed, ran, last, LIMITS)
    free = observed + (last - ran)
    inside = (LIMITS.lower <= free) & (free <= LIMITS.upper)
    assert np.array_equal(told[inside], free[inside])
    assert (told >= np.minimum(LIMITS.lower, observed)).all()
    assert (told <= np.maximum(LIMITS.upper, observed)).all()
    assert ((told - observed) * (last - ran) >= 0.0).all(), "no joint goes the other way"


def test_it_is_exact_where_a_servo_stays_behind_by_as_much_as_before() -> None:
    """A ramp in steady state, at any phase of its ticks, and a first-order servo that has been on it for long."""
    speed, lag, phase = np.array([0.02, -0.03, 0.004]), 2.7, 0.3

    def row(tick: float) -> NDArray[np.float64]:
        return np.array([-0.4, 0.5, 0.1]) + speed * tick

    def reached(time: float) -> NDArray[np.float64]:
        return row(time - lag)

    for delay in range(12):
        told = expected_joints(reached(7 + phase), row(6), row(6 + delay), LIMITS)
        np.testing.assert_allclose(told, reached(7 + phase + delay), rtol=0, atol=1e-12)


def test_only_the_joint_positions_are_told_otherwise() -> None:
    state = RobotState(3, 4, np.array([0.1, 0.2, 0.3]), np.array([1.0, 2.0, 3.0]), watchdog=False)
    frame = CameraFrame(2, 1, np.zeros((2, 2, 3), np.uint8))
    observation = Observation(2, state, {"front": frame})
    ran, before = np.zeros(N), np.array([0.5, 3.0, 0.0])
    commitment = Commitment(0, 7, 2, np.zeros((8, 200), np.float32), ran, before, 0, 0, saturated=False)
    assert told_observation(observation, commitment, LIMITS, "observation") is observation
    told = told_observation(observation, commitment, LIMITS, "takeover")
    assert told.state.q.tolist() == [0.6, 2.0, 0.3], "the second stops at its end"
    assert replace(told, state=replace(told.state, q=state.q)) == observation
    assert state.q.tolist() == [0.1, 0.2, 0.3], "what was measured stays"
