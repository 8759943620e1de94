"""Catch: a force-controlled cart must be under one of two falling balls that the wind carries about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.benchmarks.async_control.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

TICK_S: Final = 0.05
FORCE: Final = 12.0
"""Acceleration of the cart at full force, [m/s^2]."""
FORCE_NOISE: Final = 0.1
WIND: Final = 1.0
"""Standard deviation of the balls' sideways acceleration, [m/s^2]."""
WIND_S: Final = 0.25
"""Correlation time of the wind, [s]."""
DRAG: Final = 2.0
"""Of the balls, per their speed, [1/s]."""
WIDTH: Final = 0.12
"""Half the width of the cart, [m]."""
STIFFNESS: Final = 1.5
"""Force of the expert per metre off the ball, [1/m]."""
DAMPING: Final = 0.5
"""Force of the expert per speed relative to the ball, [s/m]."""


@dataclass(frozen=True)
class CatchState:
    """Positions and speeds along the track, [m] and [m/s].

    Attributes:
        cart: Position and speed of the cart, shape (B, 2).
        balls: Positions of both balls, shape (B, 2).
        speeds: Their speeds sideways, shape (B, 2).
        wind: Their accelerations, shape (B, 2).
        tick: How many ticks have passed.
    """

    cart: NDArray[np.float64]
    balls: NDArray[np.float64]
    speeds: NDArray[np.float64]
    wind: NDArray[np.float64]
    tick: int


class Catch(Task[CatchState]):
    """Two seconds; caught where the cart is under either ball at their end."""

    name = "catch"
    action_hz = 20
    ticks = 40
    actions = 1
    observations = 7
    modes = 2
    version = 1

    def begin(self, random: np.random.Generator, count: int) -> CatchState:
        """The cart near the middle, one ball on either side."""
        cart = random.normal(0.0, 0.1, (count, 2))
        balls = random.uniform(0.2, 0.7, (count, 2)) * np.array([-1.0, 1.0])
        speeds = random.normal(0.0, 0.3, (count, 2))
        return CatchState(cart, balls, speeds, random.normal(0.0, WIND, (count, 2)), 0)

    def observe(self, state: CatchState) -> NDArray[np.float32]:
        """Cart (2), balls relative to it (2), their speeds (2), time left (1); the wind cannot be seen."""
        left = np.full((len(state.cart), 1), 1.0 - state.tick / self.ticks)
        return np.concatenate([state.cart, state.balls, state.speeds, left], axis=1).astype(np.float32)

    def step(self, state: CatchState, action: NDArray[np.float64], random: np.random.Generator) -> CatchState:
        """Forces with noise, wind as a process that forgets."""
        noise = random.standard_normal((len(action), 3))
        cart = _push(state.cart, np.clip(action[:, 0], -1.0, 1.0) + FORCE_NOISE * noise[:, 0])
        keep = np.exp(-TICK_S / WIND_S)
        wind = keep * state.wind + WIND * np.sqrt(1.0 - keep**2) * noise[:, 1:]
        speeds = state.speeds + TICK_S * (wind - DRAG * state.speeds)
        return CatchState(cart, state.balls + TICK_S * speeds, speeds, wind, state.tick + 1)

    def expert(self, state: CatchState, mode: NDArray[np.int64]) -> NDArray[np.float64]:
        """A spring and a damper to the chosen ball."""
        rows = np.arange(len(mode))
        off = state.balls[rows, mode] - state.cart[:, 0]
        closing = state.speeds[rows, mode] - state.cart[:, 1]
        return np.clip(STIFFNESS * off + DAMPING * closing, -1.0, 1.0)[:, None]

    def success(self, state: CatchState) -> NDArray[np.bool_]:
        """Under a ball."""
        off = np.abs(state.balls - state.cart[:, :1])
        return np.asarray(off.min(axis=1) < WIDTH)

    def roll_forward(self, observation: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The cart after the rows; balls and time as they were seen."""
        cart = observation[:, :2].astype(np.float64)
        for row in range(rows.shape[1]):
            cart = _push(cart, np.clip(rows[:, row, 0], -1.0, 1.0))
        rolled = observation.copy()
        rolled[:, :2] = cart
        return rolled


def _push(cart: NDArray[np.float64], force: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cart (B, 2) one tick on under a force (B,)."""
    speed = cart[:, 1] + TICK_S * FORCE * force
    return np.stack([cart[:, 0] + TICK_S * speed, speed], axis=1)
