"""Where a robot stands before it is commanded."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.runtime.outcome import ExitReason
from unichunk.runtime.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unichunk.runtime.limits import JointLimits
    from unichunk.runtime.robot import StateSource

OUTSIDE: Final = 0.05
"""How far outside its limits a joint may stand (sensor zero, sag) and still be drawn in, [rad].

The driver begins the stream where the joint stands and moves it in (`embodiments.drivers.stream_conditioner`).
"""

STILL: Final = 0.2
"""Below this speed a joint counts as standing, [rad/s]; above it a command stream at rest would jerk it."""

SETTLING_S: Final = 3.0
"""How long the robot may take to stand still, [s]."""


def standing_pose(states: StateSource, limits: JointLimits, pause: Callable[[], None]) -> NDArray[np.float64]:
    """Wait until the robot stands still; return where, drawn into its limits: where its guard begins.

    Args:
        states: Joint states.
        limits: The joints' limits.
        pause: Called in between; may raise.

    Returns:
        Joint positions, shape (n,), [rad].

    Raises:
        Trouble: Where it does not stand still in time, or stands too far outside its limits.
    """
    deadline = time.monotonic() + SETTLING_S
    while True:
        pause()
        state = states.newest()
        if state is not None and np.isfinite(state.q).all() and (np.abs(state.dq) < STILL).all():
            break
        if time.monotonic() > deadline:
            speeds = "unknown" if state is None else np.round(state.dq, 2).tolist()
            raise Trouble(
                ExitReason.ROBOT_FAULT,
                f"the robot does not stand still: joint speeds {speeds} rad/s, expected below {STILL:g}",
            )
        time.sleep(0.01)
    drawn_in = np.clip(state.q, limits.lower, limits.upper)
    excess = np.abs(state.q - drawn_in)
    joint = int(np.argmax(excess))
    if excess[joint] > OUTSIDE:
        raise Trouble(
            ExitReason.ROBOT_FAULT,
            f"{limits.names[joint]} stands at {state.q[joint]:.3f} rad, {excess[joint]:.3f} outside its limits "
            f"{limits.lower[joint]:g} to {limits.upper[joint]:g}: move it inside first, or check its calibration",
        )
    return drawn_in
