"""Where joint targets come from: nowhere (hold), a ramp, or the ring buffer. The control loop follows one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from unichunk.runtime.interpolation import MovingAverage, weights
from unichunk.runtime.ring_buffer import RingBuffer, Row, RowStatus
from unichunk.runtime.tick_status import TickStatus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.runtime.ticks import Timebase


class Motion(Protocol):
    """A source of joint targets, asked once per control step."""

    def sample(self, step: int, target: NDArray[np.float64]) -> TickStatus:
        """Write the target of a control step, shape (n,), [rad]. HOLDING means: no target, brake."""
        ...


class Hold:
    """No target: brake and stay."""

    def sample(self, step: int, target: NDArray[np.float64]) -> TickStatus:  # noqa: ARG002  part of the protocol
        """Leave the target alone."""
        return TickStatus.HOLDING


class Ramp:
    """A straight line in joint space from rest to rest with the minimum-jerk profile 10 s^3 - 15 s^4 + 6 s^5.

    Its peak velocity is 15/8 of the mean, its peak acceleration 10/sqrt(3) times distance over duration squared, its
    peak jerk, at both ends, 60 times distance over duration cubed (Flash and Hogan, 1985).

    Args:
        start: Joint positions at the first step, shape (n,), [rad].
        goal: Joint positions at the end, shape (n,), [rad].
        velocity: Largest speed allowed, shape (n,), [rad/s].
        acceleration: Largest acceleration allowed, shape (n,), [rad/s^2].
        jerk: Largest jerk allowed, shape (n,), [rad/s^3]; None: not limited.
        command_hz: Control steps a second.
        shortest_s: Duration of a ramp that has nowhere to go, [s].
    """

    def __init__(
        self,
        start: NDArray[np.float64],
        goal: NDArray[np.float64],
        *,
        velocity: NDArray[np.float64],
        acceleration: NDArray[np.float64],
        command_hz: int,
        jerk: NDArray[np.float64] | None = None,
        shortest_s: float = 0.2,
    ) -> None:
        self._start = start.copy()
        self._way = goal - start
        distance = np.abs(self._way)
        duration = max(
            shortest_s,
            float(np.max(1.875 * distance / velocity)),
            float(np.sqrt(np.max(10 / np.sqrt(3) * distance / acceleration))),
            0.0 if jerk is None else float(np.cbrt(np.max(60.0 * distance / jerk))),
        )
        self.steps = int(np.ceil(duration * command_hz)) + 1
        self._done = 0

    @property
    def finished(self) -> bool:
        """True once the goal was the target."""
        return self._done >= self.steps

    def sample(self, step: int, target: NDArray[np.float64]) -> TickStatus:  # noqa: ARG002  a ramp counts by itself
        """The next point of the ramp; the goal once it is reached."""
        self._done = min(self._done + 1, self.steps)
        s = self._done / self.steps
        np.multiply(self._way, s * s * s * (10.0 - 15.0 * s + 6.0 * s * s), out=target)
        target += self._start
        return TickStatus.SYNCING


class RingMotion:
    """Rows of the ring buffer by tick, with the spline of `unichunk.runtime.interpolation` between them, smoothed.

    Args:
        ring: The buffer, started at `first_tick` with a resting row.
        timebase: Maps control steps to ticks.
        first_tick: The first tick to execute; until then the target is the resting row.
        rest: The resting row as joints, shape (n,), [rad].
        smoothing: Control steps that targets are averaged over (`interpolation.smoothing_steps`): half of them, less
            one half, is the lag that comes on top of the spline's half tick. 1: none.
    """

    def __init__(
        self, ring: RingBuffer, timebase: Timebase, first_tick: int, rest: NDArray[np.float64], smoothing: int = 1
    ) -> None:
        self._ring = ring
        self._timebase = timebase
        self._first_tick = first_tick
        self._rows = [Row(rest.copy()) for _ in range(3)]
        self._average = MovingAverage(smoothing, rest)
        self._tick = first_tick - 1
        self._status = RowStatus.SEED
        self.underruns = 0
        self.violations = 0
        self.policy_ticks = 0
        self.seam_chunk = -1
        """Number of the chunk that executes now."""

    @property
    def ticks(self) -> int:
        """Ticks begun."""
        return self._tick + 1 - self._first_tick

    def sample(self, step: int, target: NDArray[np.float64]) -> TickStatus:
        """Open new ticks as they come due and interpolate inside the current one."""
        tick = self._timebase.tick_of_step(step)
        while self._tick < tick:
            self._open(self._tick + 1)
        first, second, third = self._rows
        w_first, w_second, w_third = weights(self._timebase.phase_of_step(step))
        np.multiply(third.joints, w_third, out=target)
        target += w_second * second.joints
        target += w_first * first.joints
        self._average.smooth(target)
        if self._status is RowStatus.POLICY:
            return TickStatus.RUNNING
        return TickStatus.SEEDED if self._status is RowStatus.SEED else TickStatus.UNDERRUN

    def _open(self, tick: int) -> None:
        rows = self._rows
        rows.append(rows.pop(0))
        self._status = self._ring.read(tick, rows[-1])
        self._tick = tick
        self.underruns += self._status is RowStatus.UNDERRUN
        self.policy_ticks += self._status is RowStatus.POLICY
        self.violations += not rows[-1].intact
        self.seam_chunk = rows[-1].chunk
