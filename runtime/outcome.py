"""How a run can be going, and how it can end."""

from __future__ import annotations

import enum


class RunState(enum.Enum):
    """States of the supervisor."""

    CONNECTING = "connecting"
    """Waiting for the driver, warming up, checking that the latency can be covered; the robot does not move."""
    SYNCING = "syncing"
    """On the ramp from where the robot stands to the first command."""
    RUNNING = "running"
    """Executing the policy."""
    HOLDING = "holding"
    """Braked to rest; something is wrong or the run is ending."""
    STOPPED = "stopped"
    """Over."""


class ExitReason(enum.Enum):
    """Why a run ended. The exit status of the command is in `exit_status`."""

    COMPLETED = "completed"
    """It ran as long as was asked."""
    INTERRUPTED = "interrupted"
    """SIGINT."""
    TERMINATED = "terminated"
    """SIGTERM."""
    REFUSED = "refused"
    """Something did not fit; the robot was never moved."""
    DRIVER_LOST = "driver_lost"
    """The driver was absent, or died and did not come back."""
    DRIVER_STOPPED = "driver_stopped"
    """Somebody told the driver to stop the robot."""
    ROBOT_FAULT = "robot_fault"
    """A joint does not go where it is told, or stands outside its limits."""
    SENSOR_FAULT = "sensor_fault"
    """A camera or the joint state stopped, or a camera froze."""
    POLICY_FAULT = "policy_fault"
    """The policy kept answering what must not reach a robot."""
    INTERNAL_FAULT = "internal_fault"
    """A thread of the runtime failed."""


EXIT_STATUS = {
    ExitReason.COMPLETED: 0,
    ExitReason.REFUSED: 3,
    ExitReason.DRIVER_LOST: 4,
    ExitReason.DRIVER_STOPPED: 4,
    ExitReason.ROBOT_FAULT: 9,
    ExitReason.SENSOR_FAULT: 5,
    ExitReason.POLICY_FAULT: 6,
    ExitReason.INTERNAL_FAULT: 7,
    ExitReason.INTERRUPTED: 130,
    ExitReason.TERMINATED: 143,
}
"""Exit status of `unichunk run`; 2 is left to the command line's own usage errors,
8 to a report that could not be written."""


def exit_status(reason: ExitReason, *, open_ended: bool) -> int:
    """Exit status of a run.

    Args:
        reason: Why it ended.
        open_ended: True where no duration was asked for: then being interrupted is ending as asked.
    """
    if open_ended and reason in {ExitReason.INTERRUPTED, ExitReason.TERMINATED}:
        return 0
    return EXIT_STATUS[reason]
