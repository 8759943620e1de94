"""A stream that a strict controller accepts, made from commands that arrive as a network delivers them.

A driver plays arrived commands one per period through a `Guard` of its own: there is exactly one set-point a period
from the first command to rest, and the stream respects the joints' limits whatever arrives. A stream of regular
commands within the limits passes bit by bit, one period later: one command waits in reserve, so that the next may be
late. What else waits after a stall is played out, and if it still waits a moment later, skipped one by one.

A stream begins exactly where the robot stands, also where that is slightly outside the limits, which are narrower than
the controller's. It then first moves in, slowly, while commands wait.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from enum import Enum
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.runtime.guard import Guard
from unichunk.runtime.standing import OUTSIDE, STILL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from unichunk.embodiments.drivers.counters import Counters
    from unichunk.runtime.limits import JointLimits

MOST_WAITING: Final = 8
"""Commands that may wait to be played; older ones are skipped."""

DRAIN_S: Final = 0.5
"""While more than the reserve waited all this time, one command is skipped, [s]: it would be lag for good."""

COAST_S: Final = 0.02
"""How long the stream goes on at constant velocity without a command before it brakes, [s]."""

APART: Final = 0.1
"""A stream whose first command is further than this from where the robot stands is refused, [rad]: the robot would go
there at its limits, and whoever commands does not know where it stands."""

_MOVING_IN: Final = 0.1
"""Share of the velocity limits at which a stream that begins outside the position limits moves in."""


class _Phase(Enum):
    IDLE = "idle"
    MOVING_IN = "moving in"
    PLAYING = "playing"
    STOPPING = "stopping"


class StreamConditioner:
    """Makes one set-point a period. Knows no socket and no clock; used by the control loop only.

    Args:
        limits: The robot's.
        command_hz: Periods a second.
        counters: Counts what was conditioned, skipped and starved.
    """

    def __init__(self, limits: JointLimits, command_hz: int, counters: Counters) -> None:
        self._limits = limits
        self._guard = Guard(limits, command_hz)
        wide = replace(
            limits,
            lower=limits.lower - OUTSIDE,
            upper=limits.upper + OUTSIDE,
            velocity=_MOVING_IN * limits.velocity,
        )
        self._wide_guard = Guard(wide, command_hz)
        self._active = self._guard
        self._edge: NDArray[np.float64] = np.zeros(limits.size)
        self._period = 1.0 / command_hz
        self._coasting = round(COAST_S * command_hz)
        self._drain_periods = round(DRAIN_S * command_hz)
        self._counters = counters
        self._waiting: deque[NDArray[np.float64]] = deque()
        self._phase = _Phase.IDLE
        self._silent = 0
        self._played, self._least = 0, MOST_WAITING
        self.refused = False
        """True where commands speak of another place than the robot's: until `break_off`."""

    @property
    def idle(self) -> bool:
        """True where there is no stream: before the first command, and after a stop has come to rest."""
        return self._phase is _Phase.IDLE

    @property
    def stopping_s(self) -> float:
        """How long a stop takes at most, [s]: `JointLimits.stopping_s`."""
        return self._limits.stopping_s

    def offer(self, commands: Iterable[NDArray[np.float64]]) -> None:
        """Take what arrived in this period, oldest first, each shape (n,), [rad], within the limits."""
        self._waiting.extend(commands)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()
            self._counters.skipped += 1

    def stop(self) -> None:
        """Brake to rest within the limits, and end the stream there. What waits is forgotten."""
        self._waiting.clear()
        if not self.idle:
            self._phase = _Phase.STOPPING

    def break_off(self) -> None:
        """End the stream where it is, because periods went by without a set-point, or it was refused.

        What waits is forgotten. Whether the controller held the last set-point, extrapolated, or stopped the robot
        meanwhile is its own business. So there is no set-point that would go on from there: another stream must begin,
        at rest.
        """
        self._waiting.clear()
        self._phase = _Phase.IDLE
        self.refused = False

    def sample(self, q: NDArray[np.float64], dq: NDArray[np.float64]) -> NDArray[np.float64] | None:
        """The set-point of this period.

        Args:
            q: Where the robot stands, shape (n,), [rad]; a new stream begins there, at rest, with this pose as its
                first set-point.
            dq: Its velocities, shape (n,), [rad/s]; while it moves, no stream begins.

        Returns:
            Shape (n,), [rad], the caller's own; None where there is no stream.
        """
        match self._phase:
            case _Phase.IDLE:
                if not self._waiting or not self._begin(q, dq):
                    return None
            case _Phase.STOPPING:
                self._active.brake()
                self._counters.conditioned += 1
                if self._active.resting:
                    self._phase = _Phase.IDLE
            case _Phase.MOVING_IN:
                self._move_in()
            case _Phase.PLAYING if self._waiting:
                self._silent = 0
                self._counters.conditioned += self._guard.filter(self._waiting.popleft())
                self._drain()
            case _Phase.PLAYING:
                self._go_on()
        return self._active.command.copy()

    def _begin(self, q: NDArray[np.float64], dq: NDArray[np.float64]) -> bool:
        """Begin a stream where the robot stands; False where it must not begin there."""
        np.clip(q, self._limits.lower, self._limits.upper, out=self._edge)
        # Written so that what is not finite fails.
        inside = (np.abs(q - self._edge) <= OUTSIDE).all()
        if not inside or self._apart() or not (np.abs(dq) < STILL).all():
            self._counters.not_begun += 1
            return False
        self._silent = 0
        if np.array_equal(q, self._edge):
            self._phase, self._active = _Phase.PLAYING, self._guard
        else:
            self._phase, self._active = _Phase.MOVING_IN, self._wide_guard
        self._active.reset(q)
        return True

    def _apart(self) -> bool:
        """Whether the next command is far from where the robot stands; then there is no stream."""
        if not self._waiting or (np.abs(self._waiting[0] - self._edge) <= APART).all():
            return False
        self._waiting.clear()
        self._phase = _Phase.IDLE
        self.refused = True
        return True

    def _move_in(self) -> None:
        """From outside the limits to their edge; commands are played when the stream rests there."""
        self._active.filter(self._edge)
        self._counters.conditioned += 1
        if self._active.resting and np.array_equal(self._active.command, self._edge) and not self._apart():
            self._guard.reset(self._edge)
            self._phase, self._active = _Phase.PLAYING, self._guard

    def _drain(self) -> None:
        """Skip a command now and then where more than one has waited for long."""
        self._played += 1
        self._least = min(self._least, len(self._waiting))
        if self._played >= self._drain_periods:
            if self._least > 1:
                self._waiting.popleft()
                self._counters.skipped += 1
            self._played, self._least = 0, MOST_WAITING

    def _go_on(self) -> None:
        """Nothing to play: at constant velocity for a moment, then to rest."""
        guard = self._guard
        self._silent += 1
        self._least = 0
        self._counters.starved += 1
        self._counters.conditioned += 1
        if self._silent <= self._coasting:
            guard.filter(guard.command + guard.velocity * self._period)
        else:
            guard.brake()
