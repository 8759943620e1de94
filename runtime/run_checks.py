"""What the supervisor looks at while a robot moves. Each check raises `Trouble` or returns."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from unichunk.runtime.outcome import ExitReason
from unichunk.runtime.trouble import Trouble

if TYPE_CHECKING:
    from unichunk.runtime.control_thread import ControlThread
    from unichunk.runtime.inference_thread import InferenceThread
    from unichunk.runtime.robot import RobotSettings, StateSource


class RunChecks:
    """Threads, driver, sensors, policy, and whether somebody asked to stop.

    Args:
        robot: The robot's constants.
        states: Joint states, for this thread alone.
        control: The control thread.
        inference: The inference thread.
        rejected_chunks: Chunks in a row that the policy may spoil.
    """

    def __init__(
        self,
        robot: RobotSettings,
        states: StateSource,
        control: ControlThread,
        inference: InferenceThread,
        rejected_chunks: int,
    ) -> None:
        self._robot = robot
        self._states = states
        self._threads = (control, inference)
        self._inference = inference
        self._rejected_chunks = rejected_chunks
        self._stop = threading.Event()
        self._stop_reason = ExitReason.INTERRUPTED

    def request_stop(self, reason: ExitReason) -> None:
        """Make `stop` raise from now on; the first reason counts."""
        if not self._stop.is_set():
            self._stop_reason = reason
            self._stop.set()

    def stop(self) -> None:
        """Did somebody ask to stop?"""
        if self._stop.is_set():
            raise Trouble(self._stop_reason, "stopped on request")

    def threads(self) -> None:
        """Are both threads alive?"""
        for thread in self._threads:
            if not thread.is_alive():
                raise Trouble(ExitReason.INTERNAL_FAULT, f"the {thread.name} thread ended: {thread.failure!r}")

    def driver(self) -> None:
        """Does the driver still report joint states?"""
        state = self._states.newest()
        # As patient as the driver's own watchdog, and less than with the cameras: those fall silent with the driver.
        limit_s = self._robot.watchdog_s
        age_s = limit_s + 1.0 if state is None else (time.monotonic_ns() - state.stamp_ns) / 1e9
        if age_s > limit_s:
            raise Trouble(
                ExitReason.DRIVER_LOST,
                f"no joint state from the {self._robot.name} driver for {age_s:.1f} s: did it die?",
                recoverable=True,
            )
        if not self._states.commanding:
            raise Trouble(
                ExitReason.DRIVER_LOST,
                f"the {self._robot.name} driver does not follow this runtime any more: it was started anew",
                recoverable=True,
            )
        if state is not None and state.watchdog:
            raise Trouble(
                ExitReason.DRIVER_LOST,
                f"the {self._robot.name} driver's watchdog stopped the robot: no command reached it in time",
                recoverable=True,
            )

    def sensors(self) -> None:
        """Are the observations fit to act on?"""
        if self._inference.problem is not None:
            raise Trouble(ExitReason.SENSOR_FAULT, self._inference.problem, recoverable=True)

    def policy(self) -> None:
        """Does the policy answer what may reach a robot?"""
        telemetry = self._inference.telemetry
        if telemetry.rejected_in_a_row >= self._rejected_chunks:
            raise Trouble(
                ExitReason.POLICY_FAULT,
                f"{telemetry.rejected_in_a_row} chunks in a row were dropped; {telemetry.last_rejection}",
            )
