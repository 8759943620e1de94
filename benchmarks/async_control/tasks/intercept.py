"""Intercept one of two moving targets with the tool of a simulated SO-101, and stay over it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from unichunk.benchmarks.async_control.task import Task

if TYPE_CHECKING:
    from numpy.typing import NDArray

TICK_S: Final = 0.05
ACTION_NOISE: Final = 0.1
WIND: Final = 0.1
"""Standard deviation of a force on the tool, in largest forces ..."""
WIND_S: Final = 0.3
"""... and how long it takes to change, [s]."""

HOMES: Final = np.array([[0.0, -0.09], [0.0, 0.09]])
"""What the targets wander about, from the tool's middle, shape (2 targets, 2), [m]."""
TARGET_SPEED: Final = np.array([0.03, 0.05])
"""Standard deviation of their velocities along each axis, [m/s]."""
TARGET_RATE: Final = 1.2
"""They swing about their homes, [rad/s] ..."""
TARGET_DAMPING: Final = 0.4
"""... with this much of critical damping, kicked at random all the time."""

NEAR: Final = 0.055
"""The tool is over a target where it is nearer than this, [m] ..."""
HOLD_TICKS: Final = 10
"""... and must be over the same one for this many last ticks."""

GAIN: Final = np.array([0.60, 0.53])
"""Acceleration of the tool under the largest force, forwards and sideways, [m/s^2]: a fit to the arm under
its expert, which explains about four fifths of the variance of its accelerations."""
OPEN: Final = 0.03
"""The expert takes the target it was told to only while it is not nearer to the other one by so much, [m]."""
STIFFNESS: Final = 6.0
"""Acceleration of the expert per distance to the target, [1/s^2] ..."""
DAMPING: Final = 4.5
"""... and per velocity relative to it, [1/s]."""
SCALE: Final = np.array([0.05, 0.1, 0.05, 0.08])
"""Of position and velocity in an observation."""


@dataclass(frozen=True)
class InterceptState:
    """Robots and their targets side by side.

    Attributes:
        physics: MuJoCo's states, shape (B, size).
        tool: Position from the middle and velocity, shape (B, 4), [m] and [m/s].
        targets: The same of both targets, shape (B, 2, 4).
        wind: Force on the tool, in largest forces, shape (B, 2).
        over: Ticks since the tool last was not over each target, shape (B, 2).
    """

    physics: NDArray[np.float64]
    tool: NDArray[np.float64]
    targets: NDArray[np.float64]
    wind: NDArray[np.float64]
    over: NDArray[np.float64]


class Intercept(Task[InterceptState]):
    """Two targets wander over the table; the tool, which only forces move, must come over either and stay with it.

    The robot is the project's own model of the SO-101 in MuJoCo: the action is a force at its tool, forwards and to the
    left. Nothing but the height is held: the tool coasts, and a wind pushes it. An observation has positions and
    velocities of the tool and of both targets.

    Raises:
        SimulatorUnavailable: Where MuJoCo is not installed.
    """

    name = "intercept"
    action_hz = 20
    ticks = 60
    actions = 2
    observations = 12
    modes = 2
    version = 1

    def __init__(self) -> None:
        from unichunk.benchmarks.async_control.tasks.intercept_twin import InterceptTwin  # noqa: PLC0415  (an extra)

        self._twin = InterceptTwin()

    def begin(self, random: np.random.Generator, count: int) -> InterceptState:
        """Start `count` episodes: the tool at rest near the middle, a target on either side."""
        physics, tool = self._twin.begin(0.04 * random.standard_normal((count, 3)))
        targets = random.standard_normal((count, 2, 4)) * np.tile(TARGET_SPEED, 2)
        targets[..., :2] = HOMES + targets[..., :2] / TARGET_RATE
        wind = WIND * random.standard_normal((count, 2))
        return InterceptState(physics, self._from_middle(tool), targets, wind, np.zeros((count, 2)))

    def observe(self, state: InterceptState) -> NDArray[np.float32]:
        """Tool (4) and targets (8), shape (B, 12)."""
        seen: NDArray[np.float64] = np.concatenate([state.tool[:, None], state.targets], axis=1) / SCALE
        return seen.reshape(len(seen), -1).astype(np.float32)

    def step(self, state: InterceptState, action: NDArray[np.float64], random: np.random.Generator) -> InterceptState:
        """One tick on; noise on the forces, wind, and kicks for the targets."""
        draws = random.standard_normal((len(action), 8))
        forces = np.clip(action, -1.0, 1.0) + ACTION_NOISE * draws[:, :2] + state.wind
        physics, tool = self._twin.push(state.physics, forces, TICK_S)
        tool = self._from_middle(tool)
        targets = _wander(state.targets, draws[:, 2:6].reshape(-1, 2, 2))
        keep = np.exp(-TICK_S / WIND_S)
        near = np.linalg.norm(targets[..., :2] - tool[:, None, :2], axis=2) < NEAR
        return InterceptState(
            physics,
            tool,
            targets,
            wind=keep * state.wind + WIND * np.sqrt(1.0 - keep**2) * draws[:, 6:],
            over=np.where(near, state.over + 1.0, 0.0),
        )

    def expert(self, state: InterceptState, mode: NDArray[np.int64]) -> NDArray[np.float64]:
        """A spring and a damper to the target, the one that `mode` says while both are as near."""
        off = state.targets - state.tool[:, None]
        distance = np.linalg.norm(off[..., :2] + 0.25 * off[..., 2:], axis=2)
        nearer = distance.argmin(axis=1)
        chosen = np.where(np.abs(distance[:, 0] - distance[:, 1]) < OPEN, mode, nearer)
        rows = np.arange(len(off))
        off, pull = off[rows, chosen], _pull(state.targets)[rows, chosen]
        wanted = STIFFNESS * off[:, :2] + DAMPING * off[:, 2:] + pull
        action: NDArray[np.float64] = np.clip(wanted / GAIN, -1.0, 1.0)
        return action

    def success(self, state: InterceptState) -> NDArray[np.bool_]:
        """Whether the tool stayed over one target to the end."""
        stayed: NDArray[np.bool_] = state.over.max(axis=1) >= HOLD_TICKS
        return stayed

    def roll_forward(self, observation: NDArray[np.float32], rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The tool after the rows; the targets as they were seen.

        The model is a mass that slides freely, the same everywhere; the arm's grows as it reaches out and turns.
        """
        tool = observation[:, :4].astype(np.float64) * SCALE
        position, velocity = tool[:, :2], tool[:, 2:]
        for row in np.clip(rows, -1.0, 1.0).astype(np.float64).transpose(1, 0, 2):
            position = position + TICK_S * velocity + 0.5 * TICK_S**2 * GAIN * row
            velocity = velocity + TICK_S * GAIN * row
        rolled = observation.copy()
        rolled[:, :4] = np.concatenate([position, velocity], axis=1) / SCALE
        return rolled

    def _from_middle(self, tool: NDArray[np.float64]) -> NDArray[np.float64]:
        tool[:, :2] -= self._twin.middle
        return tool


def _wander(targets: NDArray[np.float64], kicks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Targets (B, 2, 4) a tick later, after kicks (B, 2, 2) in standard deviations."""
    position, velocity = targets[..., :2], targets[..., 2:]
    kick = 2.0 * TARGET_SPEED * np.sqrt(TARGET_DAMPING * TARGET_RATE * TICK_S)
    velocity = velocity + TICK_S * _pull(targets) + kick * kicks
    return np.concatenate([position + TICK_S * velocity, velocity], axis=2)


def _pull(targets: NDArray[np.float64]) -> NDArray[np.float64]:
    """Accelerations (B, 2, 2) of targets (B, 2, 4) but for the kicks: a spring to their homes and a damper, [m/s^2]."""
    away, velocity = targets[..., :2] - HOMES, targets[..., 2:]
    pull: NDArray[np.float64] = -(TARGET_RATE**2) * away - 2.0 * TARGET_DAMPING * TARGET_RATE * velocity
    return pull
