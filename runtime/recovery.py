"""Waiting, with the robot held, for a driver or a sensor to come back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from unichunk.runtime.outcome import ExitReason
from unichunk.runtime.sensor_health import SensorHealth

if TYPE_CHECKING:
    from collections.abc import Callable

    from unichunk.runtime.robot import RobotLink, RobotSettings


def wait_for_recovery(
    link: RobotLink, robot: RobotSettings, reason: ExitReason, within_s: float, pause: Callable[[], None]
) -> bool:
    """Say hello to the driver again; wait until it answers, states arrive and all cameras deliver changing pictures.

    Args:
        link: The way to the driver; its sensors and states must be free to use.
        robot: The robot's constants.
        reason: What was lost.
        within_s: How long to wait, [s].
        pause: Called in between; may raise.

    Returns:
        False where it did not come back in time.
    """
    deadline = time.monotonic() + within_s
    connected = False
    health = SensorHealth(robot.observation_max_age_s, robot.frozen_camera_s)
    since_ns = time.monotonic_ns()
    while (remaining_s := deadline - time.monotonic()) > 0:
        pause()
        if not connected:
            connected = link.reconnect(min(0.5, remaining_s)) is not None
            continue
        observation, state, now_ns = link.sensors.newest(), link.states.newest(), time.monotonic_ns()
        problem = health.problem(observation, now_ns, since_ns)
        seen = observation is not None and observation.stamp_ns > since_ns and problem is None
        felt = state is not None and state.stamp_ns > since_ns and link.states.commanding
        if state is not None and state.watchdog:
            connected = False  # the driver came to rest after our hello: say it again
        elif seen and felt and (reason is ExitReason.DRIVER_LOST or health.all_changed(since_ns)):
            return True
        link.sensors.wait(0.02)
    return False
