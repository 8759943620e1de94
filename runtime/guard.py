"""The guard: the last word on every joint command before it leaves.

Position, velocity, acceleration and jerk limits hold for the stream of commands itself (differences of consecutive
commands over the control period), whatever comes in. A command within the limits passes bit by bit. One that is not is
followed as closely as the limits allow: the command accelerates towards the target and brakes in time, both for the
target and for the joint's end. `guard_bounds` says what is within the limits, `guard_laws` how a stop is timed.

Catching up, the command aims at the target's velocity plus what a soft landing on the target allows, and takes the
difference back with half of the jerk, so that the landing has the other half.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.runtime.guard_bounds import AccelerationBounds, end_deceleration
from unichunk.runtime.guard_laws import LandingLaw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.limits import JointLimits

TOLERANCE = 1e-9
"""Differences smaller than this, [rad], are rounding, not interventions."""

_ROUNDING: Final = 8 * np.finfo(np.float64).eps
"""Share of the largest position that the difference of two commands may be off by."""


_TINY: Final = 1e-30
"""Keeps a quotient finite, [rad/s]."""

_ALL_BUT_ROUNDING: Final = 1.0 - 1e-6
"""Share of the acceleration that catching up plans with where jerk is free: the rest corrects rounding."""


class Guard:
    """Holds the state of the command stream: last command, its velocity and acceleration, the last target.

    Args:
        limits: The joints' limits.
        command_hz: Commands a second.
    """

    def __init__(self, limits: JointLimits, command_hz: int) -> None:
        n = limits.size
        h = 1.0 / command_hz
        self._limits = limits
        self._period = h
        soft = np.minimum(end_deceleration(limits, h), 0.5 * limits.acceleration)
        catch_up = np.where(np.isinf(limits.jerk), _ALL_BUT_ROUNDING * limits.acceleration, soft)
        self._landing = LandingLaw(catch_up, 0.5 * limits.jerk, h)
        self._bounds = AccelerationBounds(limits, h, catch_up, 0.5 * limits.jerk)
        self._near = np.minimum(limits.jerk * h, limits.acceleration) * h**2
        scale = np.maximum(np.maximum(np.abs(limits.lower), np.abs(limits.upper)), limits.velocity * h)
        self._slack = _ROUNDING * scale / h**2
        self._command: NDArray[np.float64] = np.zeros(n)
        self._velocity: NDArray[np.float64] = np.zeros(n)
        self._acceleration: NDArray[np.float64] = np.zeros(n)
        # The last target, drawn into the position limits: what lies outside cannot be followed, however far it is.
        self._target: NDArray[np.float64] = np.zeros(n)
        self._correction: NDArray[np.float64] = np.zeros(n)
        self._last: NDArray[np.float64] = np.zeros((3, n))
        self._goal: NDArray[np.float64] = np.zeros(n)
        self._behind: NDArray[np.float64] = np.zeros(n)
        self._error: NDArray[np.float64] = np.zeros(n)
        self._pace: NDArray[np.float64] = np.zeros(n)
        self._speed: NDArray[np.float64] = np.zeros(n)
        self._fall: NDArray[np.float64] = np.zeros(n)
        self._direct: NDArray[np.float64] = np.zeros(n)
        self._next: NDArray[np.float64] = np.zeros(n)
        self._amount: NDArray[np.float64] = np.zeros(n)
        self._passes: NDArray[np.bool_] = np.zeros(n, dtype=bool)
        self._yes: NDArray[np.bool_] = np.zeros(n, dtype=bool)
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
    def acceleration(self) -> NDArray[np.float64]:
        """Acceleration of the command stream, shape (n,), [rad/s^2]. Owned by the guard: copy to keep."""
        return self._acceleration

    @property
    def resting(self) -> bool:
        """True where the command stream has come to rest: neither velocity nor acceleration."""
        return not (self._velocity.any() or self._acceleration.any())

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
        self._acceleration[:] = 0.0
        self._target[:] = self._command
        self._correction[:] = 0.0
        self._remember()

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
            np.subtract(self._command, self._target, out=self._correction)
            return True
        self._advance(target)
        np.subtract(self._command, target, out=self._correction)
        np.abs(self._correction, out=self._amount)
        return bool(self._amount.max() > TOLERANCE)

    def brake(self) -> None:
        """Compute the next command of a stop: each joint slows down as fast as it may, then stays."""
        self._remember()
        self._slow_down()
        self._passes[:] = False
        self._move()
        self._target[:] = self._command
        self._correction[:] = 0.0

    def coast(self, periods: int) -> None:
        """Account for periods in which no command left: the robot, at its last command, slows down meanwhile.

        The velocity that the next command goes on with is what a stop would have left by then; the place is the last
        command's. Every period costs as much as a command, until the stop is complete.
        """
        for _ in range(periods):
            if self.resting:
                return
            self._slow_down()
            self._velocity += self._next * self._period
            self._acceleration[:] = self._next
            self._velocity[np.abs(self._velocity) <= self._slack * self._period] = 0.0
            self._acceleration[np.abs(self._acceleration) <= self._slack] = 0.0

    def withdraw(self) -> None:
        """Take back the last command, which did not leave: the stream stays at the one before and slows down there."""
        self._command[:], self._velocity[:], self._acceleration[:] = self._last
        self._target[:] = self._command
        self.coast(1)

    def _remember(self) -> None:
        self._last[0] = self._command
        self._last[1] = self._velocity
        self._last[2] = self._acceleration

    def _slow_down(self) -> None:
        """The next acceleration of a stop, into `_next`."""
        bounds, velocity, following = self._bounds, self._velocity, self._next
        bounds.own[:] = 0.0
        bounds.distances(self._command)
        np.abs(velocity, out=bounds.own)
        bounds.evaluate(velocity, self._acceleration)
        np.copysign(bounds.own, velocity, out=following)
        np.negative(following, out=following)
        np.maximum(following, bounds.low, out=following)
        np.minimum(following, bounds.high, out=following)

    def _advance(self, target: NDArray[np.float64]) -> None:
        limits, h, bounds = self._limits, self._period, self._bounds
        velocity, goal, error, speed = self._velocity, self._goal, self._error, self._speed
        self._remember()
        np.maximum(target, limits.lower, out=goal)
        np.minimum(goal, limits.upper, out=goal)
        np.subtract(self._target, self._command, out=self._behind)
        # The target's own velocity, and how far the command is behind a target that has always had it.
        pace = self._pace
        np.subtract(goal, self._target, out=pace)
        pace /= h
        np.maximum(pace, -limits.velocity, out=pace)
        np.minimum(pace, limits.velocity, out=pace)
        direct = self._direct
        np.subtract(goal, self._command, out=direct)
        np.multiply(pace, -h, out=error)
        error += direct
        # The acceleration that leads to the goal at once.
        direct /= h
        direct -= velocity
        direct /= h
        # How much faster than the target the command shall be to land on it softly.
        np.abs(error, out=self._amount)
        np.subtract(self._amount, self._landing.shift, out=bounds.own)
        np.maximum(bounds.own, 0.0, out=bounds.own)
        bounds.distances(self._command)
        self._landing(self._amount, bounds.own, self._fall)
        np.copysign(bounds.own, error, out=speed)
        # That velocity falls as the distance does: fully where the command already has it, not at all at rest.
        share = self._next
        np.subtract(velocity, pace, out=share)
        speed -= share
        np.add(bounds.own, _TINY, out=self._amount)
        np.copysign(self._amount, error, out=self._amount)
        share /= self._amount
        np.maximum(share, 0.0, out=share)
        np.minimum(share, 1.0, out=share)
        np.copysign(self._fall, error, out=self._fall)
        self._fall *= share
        np.multiply(self._fall, h, out=self._next)
        speed += self._next
        np.abs(speed, out=bounds.own)
        bounds.evaluate(velocity, self._acceleration)
        following = self._next
        np.copysign(bounds.own, speed, out=following)
        following -= self._fall
        np.maximum(following, bounds.low, out=following)
        np.minimum(following, bounds.high, out=following)
        self._judge()
        np.copyto(following, direct, where=self._passes)
        self._move()
        self._target[:] = goal

    def _judge(self) -> None:
        """Which joints take the goal as it is: it can be reached, and the stream was or can stay on the target."""
        passes, yes, amount, bounds = self._passes, self._yes, self._amount, self._bounds
        h = self._period
        np.abs(self._error, out=amount)
        # Coming from elsewhere, the next acceleration must be able to take the relative velocity error / h back.
        np.less_equal(amount, self._near, out=passes)
        np.divide(self._error, h * h, out=amount)
        amount += self._direct
        np.abs(amount, out=amount)
        amount -= bounds.reach
        np.less_equal(amount, 0.0, out=yes)
        passes &= yes
        np.equal(self._behind, 0.0, out=yes)
        passes |= yes
        np.subtract(self._direct, bounds.high, out=amount)
        np.less_equal(amount, self._slack, out=yes)
        passes &= yes
        np.subtract(bounds.low, self._direct, out=amount)
        np.less_equal(amount, self._slack, out=yes)
        passes &= yes

    def _move(self) -> None:
        """Take the next acceleration: velocity and acceleration are what the commands' own differences say."""
        limits, h, command, velocity, acceleration = (
            self._limits,
            self._period,
            self._command,
            self._velocity,
            self._acceleration,
        )
        following, speed = self._next, self._speed
        following *= h
        following += velocity
        following *= h
        command += following
        np.maximum(command, limits.lower, out=command)
        np.minimum(command, limits.upper, out=command)
        np.copyto(command, self._goal, where=self._passes)
        np.subtract(command, self._last[0], out=speed)
        speed /= h
        np.subtract(speed, velocity, out=acceleration)
        acceleration /= h
        velocity[:] = speed
