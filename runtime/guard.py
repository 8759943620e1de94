"""The guard: the last word on every joint command before it leaves.

Position, velocity and acceleration limits hold for the stream of commands itself (differences of consecutive commands
over the control period), whatever comes in. A command within the limits passes bit by bit. One that is not is followed
as closely as the limits allow: the command accelerates towards the target and brakes in time, both for the target and
for the joint's end.

The braking law is exact in discrete time. With acceleration a and period h, a joint that brakes from v covers
sum_i max(0, v - i a h) h; the largest v that stops within a distance s is (s + a h^2 n (n+1) / 2) / ((n+1) h) with
n = floor((sqrt(1 + 8 s / (a h^2)) - 1) / 2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.limits import JointLimits

TOLERANCE = 1e-9
"""Differences smaller than this, [rad], are rounding, not interventions."""


class Guard:
    """Holds the state of the command stream: last command, its velocity, the last target.

    Args:
        limits: The joints' limits.
        command_hz: Commands a second.
    """

    def __init__(self, limits: JointLimits, command_hz: int) -> None:
        n = limits.size
        self._limits = limits
        self._period = 1.0 / command_hz
        self._reach = limits.acceleration * self._period
        quantum = limits.acceleration * self._period**2
        self._eight_per_quantum = 8.0 / quantum
        self._half_quantum = 0.5 * quantum
        self._command: NDArray[np.float64] = np.zeros(n)
        self._velocity: NDArray[np.float64] = np.zeros(n)
        # The last target, drawn into the position limits: what lies outside cannot be followed, however far it is.
        self._target: NDArray[np.float64] = np.zeros(n)
        self._correction: NDArray[np.float64] = np.zeros(n)
        self._last_command: NDArray[np.float64] = np.zeros(n)
        self._last_velocity: NDArray[np.float64] = np.zeros(n)
        self._goal: NDArray[np.float64] = np.zeros(n)
        self._amount: NDArray[np.float64] = np.zeros(n)
        self._rooms: NDArray[np.float64] = np.zeros((3, n))
        self.rejected = 0
        """Targets that were not finite and were replaced by the last good one."""

    @property
    def command(self) -> NDArray[np.float64]:
        """The last command, shape (n,), [rad]. Owned by the guard: copy to keep."""
        return self._command

    @property
    def velocity(self) -> NDArray[np.float64]:
        """Velocity of the command stream, shape (n,), [rad/s]. Owned by the guard: copy to keep."""
        return self._velocity

    @property
    def correction(self) -> NDArray[np.float64]:
        """What the last filtering changed: command - target, shape (n,), [rad]; zero where the target passed."""
        return self._correction

    def reset(self, q: NDArray[np.float64]) -> None:
        """Start the command stream at rest where the robot stands.

        Args:
            q: Measured joint positions, shape (n,), finite, [rad]; what is outside the limits is drawn in.
        """
        self._command[:] = np.clip(q, self._limits.lower, self._limits.upper)
        self._velocity[:] = 0.0
        self._target[:] = self._command
        self._correction[:] = 0.0

    def filter(self, target: NDArray[np.float64]) -> bool:
        """Compute the next command from a target; read it from `command`.

        Args:
            target: Joint target, shape (n,), [rad].

        Returns:
            True where the guard had to change it; by how much is in `correction`.
        """
        if target.shape != self._command.shape or not np.isfinite(target).all():
            self.rejected += 1
            self._advance(self._target)
            self._correction[:] = self._command - self._target
            return True
        self._advance(target)
        np.subtract(self._command, target, out=self._correction)
        np.abs(self._correction, out=self._amount)
        changed = not self._amount.max() <= TOLERANCE
        if not changed:
            # The last target is this one, drawn into the limits by a rounding error at most.
            self._command[:] = self._target
            self._correction[:] = 0.0
        return bool(changed)

    def brake(self) -> None:
        """Compute the next command of a stop: each joint slows down as fast as it may, then stays."""
        self._remember()
        self.coast(1)
        self._command += self._velocity * self._period
        np.clip(self._command, self._limits.lower, self._limits.upper, out=self._command)
        self._target[:] = self._command
        self._correction[:] = 0.0

    def coast(self, periods: int) -> None:
        """Account for periods in which no command left: the robot, at its last command, slows down meanwhile."""
        most = periods * self._reach
        self._velocity -= np.clip(self._velocity, -most, most)

    def withdraw(self) -> None:
        """Take back the last command, which did not leave: the stream stays at the one before and slows down there."""
        self._command[:] = self._last_command
        self._velocity[:] = self._last_velocity
        self._target[:] = self._command
        self.coast(1)

    def _remember(self) -> None:
        self._last_command[:] = self._command
        self._last_velocity[:] = self._velocity

    def _advance(self, target: NDArray[np.float64]) -> None:
        limits, h, command, velocity, goal = self._limits, self._period, self._command, self._velocity, self._goal
        self._remember()
        np.maximum(target, limits.lower, out=goal)
        np.minimum(goal, limits.upper, out=goal)
        error = self._target - command
        # One evaluation for the way to the target and to both ends: a call costs more than the arithmetic.
        rooms = self._rooms
        np.abs(error, out=rooms[0])
        np.subtract(limits.upper, command, out=rooms[1])
        np.subtract(command, limits.lower, out=rooms[2])
        catch_up, up, down = self._stopping(rooms)
        wanted = (goal - self._target) / h + np.copysign(catch_up, error)
        np.maximum(wanted, velocity - self._reach, out=wanted)
        np.minimum(wanted, velocity + self._reach, out=wanted)
        np.maximum(wanted, -np.minimum(limits.velocity, down), out=wanted)
        np.minimum(wanted, np.minimum(limits.velocity, up), out=velocity)
        command += velocity * h
        np.maximum(command, limits.lower, out=command)
        np.minimum(command, limits.upper, out=command)
        self._target[:] = goal

    def _stopping(self, room: NDArray[np.float64]) -> NDArray[np.float64]:
        """Largest velocities from which joints stop within distances >= 0, shape (..., n), [rad/s]."""
        n = np.floor((np.sqrt(1.0 + self._eight_per_quantum * room) - 1.0) * 0.5)
        following = n + 1.0
        return (room + self._half_quantum * n * following) / (following * self._period)
