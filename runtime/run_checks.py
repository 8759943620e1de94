"""What the supervisor looks at while a robot moves. Each check raises `Trouble` or returns."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.outcome import ExitReason
from unichunk.runtime.trouble import Trouble

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.control_loop import ControlLoop
    from unichunk.runtime.control_thread import ControlThread
    from unichunk.runtime.inference_thread import InferenceThread
    from unichunk.runtime.robot import RobotSettings, StateSource
    from unichunk.runtime.run_options import RunOptions


class RunChecks:
    """Threads, driver, robot, sensors, policy, and whether somebody asked to stop.

    Args:
        robot: The robot's constants.
        states: Joint states, for this thread alone.
        loop: What commands the robot.
        control: The control thread.
        inference: The inference thread.
        options: What was asked for.
    """

    def __init__(
        self,
        robot: RobotSettings,
        states: StateSource,
        loop: ControlLoop,
        control: ControlThread,
        inference: InferenceThread,
        options: RunOptions,
    ) -> None:
        self._robot = robot
        self._states = states
        self._loop = loop
        self._threads = (control, inference)
        self._inference = inference
        self._options = options
        self._stop_reason: ExitReason | None = None
        self._astray_since: NDArray[np.float64] = np.full(robot.limits.size, np.inf)

    def request_stop(self, reason: ExitReason) -> None:
        """Make `stop` raise from now on; the first reason counts. Takes no lock: signal handlers call it."""
        self._stop_reason = self._stop_reason or reason

    def stop(self) -> None:
        """Did somebody ask to stop?"""
        if self._stop_reason is not None:
            raise Trouble(self._stop_reason, "stopped on request")

    def threads(self) -> None:
        """Are both threads alive?"""
        for thread in self._threads:
            if not thread.is_alive():
                raise Trouble(ExitReason.INTERNAL_FAULT, f"the {thread.name} thread ended: {thread.failure!r}")

    def driver(self) -> None:
        """Does the driver still report joint states, and follow us?"""
        state = self._states.newest()
        # As patient as the driver's own watchdog, and less than with the cameras: those fall silent with the driver.
        limit_s = self._robot.watchdog_s
        age_s = limit_s + 1.0 if state is None else (time.monotonic_ns() - state.stamp_ns) / 1e9
        if state is None or age_s > limit_s:
            raise self._lost(f"no joint state from the {self._robot.name} driver for {age_s:.1f} s: did it die?")
        if not self._states.commanding:
            raise self._lost(
                f"the {self._robot.name} driver does not follow this runtime any more: was it started anew?"
            )
        if state.stopped:
            raise Trouble(ExitReason.DRIVER_STOPPED, f"somebody told the {self._robot.name} driver to stop the robot")
        if state.watchdog:
            raise self._lost(
                f"the {self._robot.name} driver's watchdog stopped the robot: no command came in time, or the stream "
                "did not begin where it stands"
            )

    def begin_following(self) -> None:
        """A new command stream begins: what joints did in an older one does not count."""
        self._astray_since[:] = np.inf

    def following(self) -> None:
        """Does every joint go where it is told?"""
        state = self._states.newest()
        if state is None or not self._loop.taken_up:
            return
        error = np.abs(state.q - self._loop.guard.command)
        now = time.monotonic()
        astray = error > self._robot.following_error
        self._astray_since = np.where(astray, np.minimum(self._astray_since, now), np.inf)
        joint = int(np.argmin(self._astray_since))
        if now - self._astray_since[joint] > self._robot.following_error_s:
            raise Trouble(
                ExitReason.ROBOT_FAULT,
                f"{self._robot.limits.names[joint]} is {error[joint]:.2f} rad from its command for more than "
                f"{self._robot.following_error_s:g} s (at most {self._robot.following_error:g} is expected): is it "
                "blocked, overloaded or without torque?",
            )

    def sensors(self) -> None:
        """Are the observations fit to act on?"""
        if self._inference.problem is not None:
            raise Trouble(ExitReason.SENSOR_FAULT, self._inference.problem, recoverable=True)

    def policy(self) -> None:
        """Does the policy answer in time what may reach a robot?"""
        telemetry = self._inference.telemetry
        if telemetry.rejected_in_a_row >= self._options.rejected_chunks:
            raise Trouble(
                ExitReason.POLICY_FAULT,
                f"{telemetry.rejected_in_a_row} chunks in a row were dropped; {telemetry.last_rejection}",
            )
        waited_s = (time.monotonic_ns() - self._inference.used_ns) / 1e9
        limit_s = max(self._options.starved_s, self._options.outage_s)
        if waited_s > limit_s and telemetry.missed_in_a_row:
            raise Trouble(
                ExitReason.POLICY_FAULT,
                f"no chunk for {waited_s:.1f} s, an outage of {limit_s:g} s is ridden out; {telemetry.last_miss}",
            )
        if waited_s > limit_s:
            raise Trouble(
                ExitReason.POLICY_FAULT,
                f"no chunk could be used for {waited_s:.1f} s, {telemetry.lost_chunks} came wholly too late: "
                "is the policy stuck, or too slow by now?",
            )

    def _lost(self, detail: str) -> Trouble:
        return Trouble(ExitReason.DRIVER_LOST, detail, recoverable=True)
