"""What may leave towards the robot: within the limits, and the spline of the rows that run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unichunk.runtime.guard import TOLERANCE, Guard
from unichunk.runtime.ring_buffer import FALLBACK_CHUNK
from unichunk.runtime.tick_status import TickStatus

if TYPE_CHECKING:
    from tests.runtime.fake_policy import Joints
    from unichunk.runtime.control_telemetry import ControlTelemetry
    from unichunk.runtime.limits import JointLimits

RELATIVE = 1e-9
"""Share of a limit that rounding may exceed it by."""

ADDED_UP = 1e-12
"""What rounding may add to the way of one period, [rad]."""


def check_limits(commands: Joints, start: Joints, limits: JointLimits, command_hz: int) -> None:
    """Check a command stream (m, n) [rad] that begins at rest at `start`."""
    h = 1.0 / command_hz
    # What the difference of two commands may be off by, and the slack of as much that a command passes with.
    rounding = 16 * np.finfo(float).eps * np.maximum(np.maximum(np.abs(limits.lower), np.abs(limits.upper)), 1e-3)
    assert np.isfinite(commands).all(), "a command is not finite"
    assert (commands >= limits.lower).all(), "a command is below the lower limit"
    assert (commands <= limits.upper).all(), "a command is above the upper limit"
    stream = np.concatenate([start[None], start[None], start[None], commands])
    change = np.diff(stream, axis=0)
    # Rounding adds up while an acceleration is taken back.
    limit = limits.velocity * h * (1 + RELATIVE) + rounding + ADDED_UP
    assert (np.abs(change) <= limit).all(), "faster than allowed"
    bend = np.diff(change, axis=0)
    excess = np.abs(bend) - limits.acceleration * h**2 * (1 + RELATIVE) - 2 * rounding
    assert (excess <= 0).all(), f"acceleration exceeded by {excess.max() / h**2} rad/s^2"
    limited = np.isfinite(limits.jerk)
    excess = np.abs(np.diff(bend, axis=0)) - np.where(limited, limits.jerk, 0.0) * h**3 * (1 + RELATIVE) - 4 * rounding
    assert (excess[:, limited] <= 0).all(), f"jerk exceeded by {excess[:, limited].max() / h**3} rad/s^3"


class CommandChecker:
    """The sink of a control loop."""

    def __init__(self, limits: JointLimits, command_hz: int, start: Joints) -> None:
        self._limits = limits
        self._command_hz = command_hz
        self._start = start
        self._sent: list[Joints] = []
        self._interventions = 0
        self._corrected = np.zeros(limits.size)

    def send(self, tick: int, q: Joints) -> bool:
        self._sent.append(q.copy())
        return True

    def check(self, guard: Guard, rows: list[Joints], phase: float, status: TickStatus, chunk: int | None) -> None:
        """Check the newest command against the rows k-2, k-1, k and the phase inside tick k."""
        assert 0.0 < phase <= 1.0
        older, old, new = rows
        target = 0.5 * ((1 - phase) ** 2 * older + (1 + 2 * phase * (1 - phase)) * old + phase**2 * new)
        command = self._sent[-1]
        assert (np.abs(command - guard.correction - target) <= TOLERANCE).all(), (
            "the command is not the spline's, corrected"
        )
        self._interventions += bool(guard.correction.any())
        self._corrected = np.maximum(self._corrected, np.abs(guard.correction))
        if chunk is None or chunk == -1:
            assert status is TickStatus.SEEDED
        else:
            assert status is (TickStatus.UNDERRUN if chunk == FALLBACK_CHUNK else TickStatus.RUNNING)

    def check_stream(self, telemetry: ControlTelemetry) -> None:
        commands = np.array(self._sent)
        check_limits(commands, self._start, self._limits, self._command_hz)
        assert telemetry.steps == len(commands)
        assert telemetry.interventions == self._interventions
        assert (telemetry.largest_correction == self._corrected).all()
        steps = np.abs(np.diff(commands, axis=0))
        assert (telemetry.largest_step == steps.max(axis=0, initial=0.0)).all()
