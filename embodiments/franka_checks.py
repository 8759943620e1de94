"""What a Franka FR3 checks of a joint position stream, written a second time: an independent judge of recorded streams.

The robot's controller takes one set-point a millisecond, differentiates backwards (velocity, acceleration, jerk from
the last commanded values, all at rest at the start) and stops with an error where a limit is left. Sources:
frankarobotics/libfranka 0.21.2, include/franka/rate_limiting.h (limits, position-dependent velocity limits, margins)
and docs (first set-point, one every millisecond); frankarobotics/franka_description, robots/fr3/joint_limits.yaml
(position limits). Nothing of the runtime's guard is used here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

PERIOD_S: Final = 1e-3
"""Time between set-points, [s]."""

POSITION_LOWER: Final = (-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159)
POSITION_UPPER: Final = (2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159)
"""Joint position limits, [rad]: franka_description."""

VELOCITY: Final = (2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26)
"""Largest joint velocities, [rad/s]."""

VELOCITY_LOWER_END: Final = (-2.7501, -1.7918, -2.9065, -3.0481, -2.8101, 0.54092, -3.0196)
VELOCITY_UPPER_END: Final = (2.7501, 1.7918, 2.9065, -0.1458, 2.8101, 4.5205, 3.0196)
"""Where the position-dependent velocity limits end, [rad]."""

VELOCITY_SLOPE: Final = (12.0, 5.17, 7.0, 8.0, 34.0, 11.0, 34.0)
VELOCITY_OFFSET: Final = (0.30, 0.20, 0.20, 0.30, 0.35, 0.35, 0.35)
"""Their coefficients: sqrt(slope * distance to the end) - offset, [rad/s^2] and [rad/s]."""

ACCELERATION: Final = 10.0
"""Largest joint acceleration, [rad/s^2]."""

JERK: Final = 5000.0
"""Largest joint jerk, [rad/s^3]."""

MARGIN: Final = 1e-3
"""Subtracted from every limit of a derivative: kLimitEps of libfranka."""

START_TOLERANCE: Final = 1e-9
"""How far the first set-point may be from the start pose, [rad]; this project's choice: libfranka asks for equality."""


@dataclass(frozen=True)
class Check:
    """One check of a stream.

    Attributes:
        name: What is checked.
        worst: Largest value over its limit, 1 at the limit.
        sample: The first sample that exceeds it, None where none does.
        joint: That sample's joint, 1 to 7, None where none does.
        text: One line for people.
    """

    name: str
    worst: float
    sample: int | None
    joint: int | None
    text: str

    @property
    def passed(self) -> bool:
        """True where no sample exceeds the limit."""
        return self.sample is None


def velocity_limits(q: Array) -> tuple[Array, Array]:
    """Position-dependent velocity limits of libfranka's rate limiter.

    Args:
        q: Joint positions, shape (..., 7), [rad].

    Returns:
        Lower and upper velocity limits, each the shape of `q`, [rad/s], margins taken off.
    """
    most, slope, offset = (np.array(values) for values in (VELOCITY, VELOCITY_SLOPE, VELOCITY_OFFSET))
    above = np.sqrt(np.maximum(0.0, slope * (np.array(VELOCITY_UPPER_END) - q)))
    below = np.sqrt(np.maximum(0.0, slope * (q - np.array(VELOCITY_LOWER_END))))
    upper = np.minimum(most, np.maximum(0.0, above - offset)) - MARGIN
    lower = np.maximum(-most, np.minimum(0.0, offset - below)) + MARGIN
    return lower, upper


def check_stream(q: Array, start: Array | None = None) -> tuple[Check, ...]:
    """Check a recorded stream of set-points, one every millisecond from the start of a motion on.

    A velocity must respect the limits at the position it starts from and at the one it leads to: which of them the
    controller looks at is not published.

    Args:
        q: Set-points, shape (N, 7), [rad].
        start: The pose that the robot held before, at rest, shape (7,), [rad]; None: the first set-point's.

    Returns:
        Start pose, finite, position, velocity, acceleration and jerk, in this order.

    Raises:
        ValueError: Where the shapes are others or there is no set-point.
    """
    joints = len(VELOCITY)
    given = q[0] if start is None and q.ndim == 2 and len(q) else start
    start = np.zeros(joints) if given is None else given
    if q.ndim != 2 or q.shape[1] != joints or len(q) == 0 or start.shape != (joints,):
        raise ValueError(f"q, start: expected shapes (N, {joints}) and ({joints},), got {q.shape} and {start.shape}")
    finite = np.isfinite(q)
    checks = [_check("finite", np.where(finite, 0.0, np.inf))]
    if not finite.all():
        return tuple(checks)
    whole = np.concatenate([start[None], q])
    velocity = np.diff(whole, axis=0) / PERIOD_S
    rest = np.zeros((1, joints))
    acceleration = np.diff(velocity, axis=0, prepend=rest) / PERIOD_S
    jerk = np.diff(acceleration, axis=0, prepend=rest) / PERIOD_S
    lower, upper = np.array(POSITION_LOWER), np.array(POSITION_UPPER)
    fastest = np.maximum(_velocity_share(velocity, whole[:-1]), _velocity_share(velocity, whole[1:]))
    return (
        _check("start pose", np.abs(q[:1] - start) / START_TOLERANCE),
        *checks,
        _check("position", np.abs(q - (lower + upper) / 2) / ((upper - lower) / 2)),
        _check("velocity", fastest),
        _check("acceleration", np.abs(acceleration) / (ACCELERATION - MARGIN)),
        _check("jerk", np.abs(jerk) / (JERK - MARGIN)),
    )


def _velocity_share(velocity: Array, q: Array) -> Array:
    lower, upper = velocity_limits(q)
    limit = np.where(velocity > 0, upper, -lower)
    # At rest all is well, also where no velocity is allowed.
    share = np.full(velocity.shape, np.inf)
    np.divide(np.abs(velocity), limit, out=share, where=limit > 0)
    return np.where(velocity == 0, 0.0, share)


def _check(name: str, share: Array) -> Check:
    worst = float(share.max())
    exceeded = np.argwhere(share > 1.0)
    if len(exceeded) == 0:
        return Check(name, worst, None, None, f"{name}: at most {worst:.4f} of the limit")
    sample, joint = (int(index) for index in exceeded[0])
    text = f"{name}: {share[sample, joint]:.4f} of the limit at sample {sample}, joint {joint + 1} (worst {worst:.4f})"
    return Check(name, worst, sample, joint + 1, text)
