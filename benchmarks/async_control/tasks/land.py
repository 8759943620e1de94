"""Land on one of two pads in a gusty wind that also turns the lander over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.benchmarks.async_control.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

TICK_S: Final = 0.05
SUBSTEPS: Final = 2
GRAVITY: Final = 4.0
"""[m/s^2]"""
THRUST: Final = 1.6 * GRAVITY
"""Most thrust over mass, [m/s^2]; an action of -1 is none, 1 is all, 0.25 carries the weight."""
TURN: Final = 14.0
"""Most torque over inertia, [rad/s^2]."""
DRAG: Final = 6.0
"""Damping of turning by the air over inertia, [1/s]."""
TOPPLE: Final = 2.0
"""The lander is top-heavy: torque over inertia that turns it further, [rad/s^2 per rad]."""

ACTION_NOISE: Final = 0.1
GUST: Final = 0.3
"""Standard deviation of the wind's push, [m/s^2] ..."""
GUST_TURN: Final = 0.4
"""... of the torque that comes with it, [rad/s^2] ..."""
GUST_S: Final = 0.4
"""... and how long a gust lasts, [s]."""

PAD: Final = 1.2
"""The pads' centres are this far to the left and right, [m] ..."""
PAD_HALF: Final = 0.5
"""... and this is half of a pad's width, [m]."""
OPEN: Final = 0.12
"""The expert takes the pad it was told to only while it is not already on its way to one by so much, [m]."""
SLOW: Final = np.array([0.7, 0.8, 0.3, 1.2])
"""At touch-down: speed sideways and down [m/s], tilt [rad], rate of turning [rad/s] at most."""

SCALE: Final = np.array([1.5, 2.0, 1.0, 1.0, 0.3, 1.0])
"""Of position, velocity, tilt and turning in an observation."""


@dataclass(frozen=True)
class LandState:
    """Landers side by side.

    Attributes:
        body: Sideways position and height [m], their velocities [m/s], tilt to the right [rad], turning [rad/s]; shape
            (B, 6). It stays as it is from touch-down on.
        gust: The wind's push to the right, in its standard deviations, shape (B,).
        down: Whether it has touched the ground, shape (B,).
    """

    body: NDArray[np.float64]
    gust: NDArray[np.float64]
    down: NDArray[np.bool_]


class Land(Task[LandState]):
    """A lander with an engine and a torque, over two pads; it must be down on one of them, slowly and upright, in time.

    It is top-heavy, and gravity never rests: neither no action nor the last one holds it. An observation is the body's
    scaled state and the wind.
    """

    name = "land"
    action_hz = 20
    ticks = 100
    actions = 2
    observations = 7
    modes = 2
    version = 1

    def begin(self, random: np.random.Generator, count: int) -> LandState:
        """Start `count` episodes: above the middle, falling slowly."""
        draws = random.standard_normal((count, 7))
        start = np.array([0.0, 2.5, 0.0, -0.3, 0.0, 0.0])
        spread = np.array([0.1, 0.2, 0.1, 0.2, 0.05, 0.15])
        return LandState(body=start + spread * draws[:, :6], gust=draws[:, 6], down=np.zeros(count, dtype=bool))

    def observe(self, state: LandState) -> NDArray[np.float32]:
        """The body's state and the wind, shape (B, 7)."""
        return np.concatenate([_seen(state.body), state.gust[:, None]], axis=1).astype(np.float32)

    def step(self, state: LandState, action: NDArray[np.float64], random: np.random.Generator) -> LandState:
        """One tick on; noise on thrust and torque, and gusts."""
        draws = random.standard_normal((len(action), 3))
        action = np.clip(action, -1.0, 1.0) + ACTION_NOISE * draws[:, :2]
        body, down = _fly(state.body, state.down, action, state.gust)
        keep = np.exp(-TICK_S / GUST_S)
        return LandState(body=body, gust=keep * state.gust + np.sqrt(1.0 - keep**2) * draws[:, 2], down=down)

    def expert(self, state: LandState, mode: NDArray[np.int64]) -> NDArray[np.float64]:
        """Fly to the left pad (mode 0) or the right one, and sink the slower the lower."""
        x, z, vx, vz, tilt, turning = state.body.T
        leaning = x + 0.5 * vx + 0.5 * tilt + 0.1 * turning
        away = PAD * np.where(np.abs(leaning) < OPEN, 2.0 * mode - 1.0, np.sign(leaning)) - x
        most = 0.4 + np.clip(z, 0.0, 1.5)
        sideways = np.clip(1.5 * away - 2.2 * vx - GUST * state.gust, -most, most)
        sink = (0.45 + 0.6 * np.clip(z, 0.0, 2.0)) * np.clip(1.2 - 1.2 * np.abs(away), 0.0, 1.0)
        upwards = GRAVITY + 4.0 * (-sink - vz)
        wanted = np.arctan2(sideways, GRAVITY)
        turn = 20.0 * (wanted - tilt) - 2.0 * turning - TOPPLE * tilt - GUST_TURN * state.gust
        action = np.stack([2.0 * upwards / (THRUST * np.cos(tilt)) - 1.0, turn / TURN], axis=1)
        clipped: NDArray[np.float64] = np.clip(action, -1.0, 1.0)
        return clipped

    def success(self, state: LandState) -> NDArray[np.bool_]:
        """Whether it is down on a pad, and came down well."""
        on_pad = np.abs(np.abs(state.body[:, 0]) - PAD) <= PAD_HALF
        landed: NDArray[np.bool_] = state.down & on_pad & (np.abs(state.body[:, 2:]) <= SLOW).all(axis=1)
        return landed

    def roll_forward(self, observation: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The body's state after the rows, without noise, while the gust that is seen dies down."""
        body = observation[:, :6].astype(np.float64) * SCALE + np.array([0.0, 2.0, 0.0, 0.0, 0.0, 0.0])
        down = body[:, 1] <= 0.0
        gust, keep = observation[:, 6].astype(np.float64), np.exp(-TICK_S / GUST_S)
        for action in np.clip(rows, -1.0, 1.0).astype(np.float64).transpose(1, 0, 2):
            body, down = _fly(body, down, action, gust)
            gust = keep * gust
        return np.concatenate([_seen(body), observation[:, 6:]], axis=1).astype(np.float32)


def _seen(body: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled: NDArray[np.float64] = (body - np.array([0.0, 2.0, 0.0, 0.0, 0.0, 0.0])) / SCALE
    return scaled


def _fly(
    body: NDArray[np.float64], down: NDArray[np.bool_], action: NDArray[np.float64], gust: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The body's state a tick later, and whether it has touched the ground."""
    thrust, turn = 0.5 * THRUST * (np.maximum(action[:, 0], -1.0) + 1.0), TURN * action[:, 1]
    step = TICK_S / SUBSTEPS
    for _ in range(SUBSTEPS):
        tilt = body[:, 4]
        push = np.stack(
            [
                thrust * np.sin(tilt) + GUST * gust,
                thrust * np.cos(tilt) - GRAVITY,
                turn + TOPPLE * tilt - DRAG * body[:, 5] + GUST_TURN * gust,
            ],
            axis=1,
        )
        velocity = body[:, [2, 3, 5]] + step * push
        moved = np.concatenate(
            [
                body[:, :2] + step * velocity[:, :2],
                velocity[:, :2],
                (tilt + step * velocity[:, 2])[:, None],
                velocity[:, 2:],
            ],
            axis=1,
        )
        body = np.where(down[:, None], body, moved)
        down = down | (body[:, 1] <= 0.0)
    return body, down
