"""Swing a pendulum up with less torque than it takes to lift it, and keep it up, pushed about by a wind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.benchmarks.async_control.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

TICK_S: Final = 0.05
SUBSTEPS: Final = 5
RATE: Final = 2.5
"""What an upright pendulum falls with, sqrt(gravity / length), [1/s]."""
TORQUE: Final = 0.6 * RATE**2
"""Largest torque over inertia, [rad/s^2]: six tenths of what lifts it from the horizontal."""
FRICTION: Final = 0.05
"""Damping over inertia, [1/s]."""

ACTION_NOISE: Final = 0.1
WIND: Final = 0.1
"""Standard deviation of the wind's torque, in largest torques ..."""
WIND_S: Final = 0.3
"""... and how long it takes to change, [s]."""

UPRIGHT: Final = 0.45
"""How far from upright it may be, [rad] ..."""
HOLD_TICKS: Final = 20
"""... in all of this many last ticks."""


@dataclass(frozen=True)
class SwingUpState:
    """Pendulums side by side.

    Attributes:
        angle: From upright, shape (B,), [rad].
        speed: Shape (B,), [rad/s].
        wind: Its torque, in largest torques, shape (B,).
        upright: Ticks since it last was not upright, shape (B,).
    """

    angle: NDArray[np.float64]
    speed: NDArray[np.float64]
    wind: NDArray[np.float64]
    upright: NDArray[np.float64]


class SwingUp(Task[SwingUpState]):
    """A pendulum hangs; it must be swung up, to either side first, and balance to the end.

    The upright position is unstable: whoever acts on what was seen some ticks ago loses it. An observation is the
    cosine and sine of the angle from upright and the scaled speed; the wind is not seen.
    """

    name = "swing_up"
    action_hz = 20
    ticks = 100
    actions = 1
    observations = 3
    modes = 2
    version = 1

    def begin(self, random: np.random.Generator, count: int) -> SwingUpState:
        """Start `count` episodes: hanging, nearly at rest."""
        angle, speed, wind = random.standard_normal((3, count))
        return SwingUpState(
            angle=np.pi + 0.1 * angle, speed=0.1 * RATE * speed, wind=WIND * wind, upright=np.zeros(count)
        )

    def observe(self, state: SwingUpState) -> NDArray[np.float32]:
        """Cosine and sine of the angle, speed: shape (B, 3)."""
        columns = np.cos(state.angle), np.sin(state.angle), state.speed / (2.0 * RATE)
        return np.stack(columns, axis=1).astype(np.float32)

    def step(self, state: SwingUpState, action: NDArray[np.float64], random: np.random.Generator) -> SwingUpState:
        """One tick on; noise on the torque, and a wind that comes and goes."""
        noise, gust = random.standard_normal((2, len(state.angle)))
        torque = np.clip(action[:, 0], -1.0, 1.0) + ACTION_NOISE * noise + state.wind
        angle, speed = _swing(state.angle, state.speed, torque)
        upright = np.abs(_wrapped(angle)) <= UPRIGHT
        keep = np.exp(-TICK_S / WIND_S)
        return SwingUpState(
            angle=angle,
            speed=speed,
            wind=keep * state.wind + WIND * np.sqrt(1.0 - keep**2) * gust,
            upright=np.where(upright, state.upright + 1.0, 0.0),
        )

    def expert(self, state: SwingUpState, mode: NDArray[np.int64]) -> NDArray[np.float64]:
        """Pump energy, first towards the side that `mode` says; where it can be caught, balance."""
        angle, speed = _wrapped(state.angle), state.speed / RATE
        energy = 0.5 * speed**2 + np.cos(angle) - 1.0  # nought of a pendulum that comes to rest upright
        side = 0.2 * (2.0 * mode - 1.0)
        pump = np.clip(-4.0 * energy, -1.0, 1.0) * np.tanh(5.0 * (speed + side * (np.cos(angle) < 0)))
        falling = angle + speed
        balance = -2.0 * falling * RATE**2 / TORQUE
        share = np.where(np.cos(angle) > 0.0, 1.0 / (1.0 + np.exp((np.abs(falling) - 0.4) / 0.05)), 0.0)
        action: NDArray[np.float64] = np.clip(share * balance + (1.0 - share) * pump, -1.0, 1.0)[:, None]
        return action

    def success(self, state: SwingUpState) -> NDArray[np.bool_]:
        """Whether it was upright in all the last ticks."""
        held: NDArray[np.bool_] = state.upright >= HOLD_TICKS
        return held

    def roll_forward(self, observation: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Angle and speed after the rows, without noise and wind."""
        angle = np.arctan2(observation[:, 1], observation[:, 0]).astype(np.float64)
        speed = observation[:, 2].astype(np.float64) * 2.0 * RATE
        for torque in np.clip(rows[:, :, 0], -1.0, 1.0).T:
            angle, speed = _swing(angle, speed, torque)
        return np.stack([np.cos(angle), np.sin(angle), speed / (2.0 * RATE)], axis=1).astype(np.float32)


def _swing(
    angle: NDArray[np.float64], speed: NDArray[np.float64], torque: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Angle and speed a tick later."""
    step = TICK_S / SUBSTEPS
    for _ in range(SUBSTEPS):
        speed = speed + step * (RATE**2 * np.sin(angle) + TORQUE * torque - FRICTION * speed)
        angle = angle + step * speed
    return angle, speed


def _wrapped(angle: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same angle in [-pi, pi)."""
    wrapped: NDArray[np.float64] = (angle + np.pi) % (2.0 * np.pi) - np.pi
    return wrapped
