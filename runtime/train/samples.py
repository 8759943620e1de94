"""From one robot's demonstrations to samples: observations, instructions, executed prefixes, planned postfixes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unichunk.runtime.train.delays import DelayDistribution

OTHER_GOAL: Final = 0.3
"""How often the instruction names another place, and how often another posture, than the prefix went for: else the
prefix would tell it all."""


@dataclass(frozen=True)
class TrainingData:
    """N observations of one robot from E episodes, in its normalized values (n in use).

    A goal is one of A places with one of P postures of the hand.

    Attributes:
        slots: Slot of the unified space of each value, length n.
        images: Shape (N, H, W, 3), uint8, one view.
        state: Shape (N, n).
        goals: What the image shows, as actions, shape (N, A, P, n).
        followed: The place and the posture that were gone for at the observation's tick, shape (N, 2).
        rows: Executed rows, shape (E, R, n); row 0 stands for what came before tick 0, tick k executed row k + 1.
        episode: Shape (N,).
        tick: Tick of the observation, shape (N,).
        most_locked: Longest prefix that may be locked there, shape (N,).
        tokens: Instructions for each goal, shape (A, P, I, L), int64, padded with -1.
        plan: How the demonstrator goes on from a row towards a goal: (B, n), (B, n) -> (B, T, n).
        expected: The state that was to be expected after a delay, of observations (B,), delays (B,) -> (B, n); None
            where the policy is told the observation's (`runtime.state_forward`).
    """

    slots: tuple[int, ...]
    images: NDArray[np.uint8]
    state: NDArray[np.float32]
    goals: NDArray[np.float32]
    followed: NDArray[np.int64]
    rows: NDArray[np.float32]
    episode: NDArray[np.int64]
    tick: NDArray[np.int64]
    most_locked: NDArray[np.int64]
    tokens: NDArray[np.int64]
    plan: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]
    expected: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]] | None = None


@dataclass(frozen=True)
class Samples:
    """B observations of one robot with R draws of delay each; row b * R + r belongs to observation b.

    Attributes:
        images: Shape (B, H, W, 3), uint8.
        tokens: Shape (B, L), int64.
        state: Shape (B, n).
        places: The goals of all places in the first posture, shape (B, A, n).
        delay: Shape (B R,), int64.
        rows: Executed prefix, then planned postfix, shape (B R, T, n).
    """

    images: NDArray[np.uint8]
    tokens: NDArray[np.int64]
    state: NDArray[np.float32]
    places: NDArray[np.float32]
    delay: NDArray[np.int64]
    rows: NDArray[np.float32]


class RobotSampler:
    """Draws samples of one robot.

    A delay is drawn first and then an observation where a prefix that long may be locked, so that every delay comes
    with the kind of prefix that it has at run time. The postfix is what the expert would do from the last locked row
    towards the goal that the instruction names, knowing what the image shows and nothing else: neither noise nor the
    goal's future are to be learned.

    An observation is encoded once, its state with it: where the state is the one expected after the delay, all draws of
    an observation share their delay.

    Args:
        data: The demonstrations.
        delays: Distribution of delays.
        random: Source of randomness.
    """

    def __init__(self, data: TrainingData, delays: DelayDistribution, random: np.random.Generator) -> None:
        self.data = data
        self._delays, self._random = delays, random
        longest = min(delays.max_delay, int(data.most_locked.max()))
        self._eligible = [np.flatnonzero(data.most_locked >= delay) for delay in range(longest + 1)]

    def draw(self, observations: int, draws: int) -> Samples:
        """The next samples: B observations, R delays for each, which is encoded once."""
        data, random = self.data, self._random
        first = np.minimum(self._delays.sample(random, observations), len(self._eligible) - 1)
        index = np.array([random.choice(self._eligible[delay]) for delay in first])
        drawn = self._delays.sample(random, observations * draws).reshape(observations, -1)
        drawn[:, 0] = first
        if data.expected is not None:
            drawn[:] = first[:, None]
        delay = np.where(drawn <= data.most_locked[index][:, None], drawn, first[:, None]).reshape(-1)
        place, posture = self._asked(index)
        text = random.integers(data.tokens.shape[2], size=observations)
        goal = np.repeat(data.goals[index, place, posture], draws, axis=0)
        return Samples(
            images=data.images[index],
            tokens=data.tokens[place, posture, text],
            state=data.state[index] if data.expected is None else data.expected(index, first),
            places=data.goals[index, :, 0],
            delay=delay,
            rows=training_rows(data, np.repeat(index, draws), goal, delay),
        )

    def _asked(self, index: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Place and posture that the instruction names; each is at times another one than was followed."""
        asked = []
        for factor, choices in enumerate(self.data.tokens.shape[:2]):
            turned = self._random.random(len(index)) < OTHER_GOAL
            turn = self._random.integers(1, choices, size=len(index)) if choices > 1 else 0
            asked.append((self.data.followed[index, factor] + turned * turn) % choices)
        return asked[0], asked[1]


def training_rows(
    data: TrainingData, index: NDArray[np.int64], goal: NDArray[np.float32], delay: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Rows t0 .. t0 + T - 1: executed before the delay, planned from there.

    Args:
        data: The demonstrations.
        index: Observations, shape (B,).
        goal: What each plan goes for, shape (B, n).
        delay: Length of each prefix, shape (B,).

    Returns:
        Shape (B, T, n).
    """
    episode, tick = data.episode[index], data.tick[index]
    plan = data.plan(data.rows[episode, tick + delay], goal)
    steps = np.arange(plan.shape[1])
    executed = data.rows[episode[:, None], np.minimum(tick[:, None] + 1 + steps, data.rows.shape[1] - 1)]
    # The plan's first row is row t0 + d.
    planned = plan[np.arange(len(index))[:, None], np.maximum(steps - delay[:, None], 0)]
    rows: NDArray[np.float32] = np.where((steps < delay[:, None])[..., None], executed, planned)
    return rows
