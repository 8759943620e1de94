"""From demonstrations to training batches: observations, instructions, executed prefixes, planned postfixes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from unichunk.runtime.train.delays import DelayDistribution

OTHER_GOAL: Final = 0.3
"""How often the instruction names another goal than the one the prefix went for: else the prefix would tell it all."""


@dataclass(frozen=True)
class TrainingData:
    """N observations from E episodes, in the policy's normalized values (n in use), with G goals to choose from.

    Attributes:
        images: Shape (N, H, W, 3), uint8, one view.
        state: Shape (N, n).
        goals: What the image shows, as actions, shape (N, G, n).
        followed: The goal that was followed at the observation's tick, shape (N,).
        rows: Executed rows, shape (E, R, n); row 0 stands for what came before tick 0, tick k executed row k + 1.
        episode: Shape (N,).
        tick: Tick of the observation, shape (N,).
        most_locked: Longest prefix that may be locked there, shape (N,).
        tokens: Instructions for each goal, shape (G, I, L), int64, padded with -1.
        plan: How the demonstrator goes on from a row towards a goal: (B, n), (B, n) -> (B, T, n).
    """

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


@dataclass(frozen=True)
class Batch:
    """B observations with R draws of delay each; sample b * R + r belongs to observation b.

    Attributes:
        images: Shape (B, 1, H, W, 3), uint8.
        tokens: Shape (B, L), int64.
        state: Shape (B, n).
        goals: Shape (B, G, n).
        delay: Shape (B R,), int64.
        rows: Executed prefix, then planned postfix, shape (B R, T, n).
    """

    images: Tensor
    tokens: Tensor
    state: Tensor
    goals: Tensor
    delay: Tensor
    rows: Tensor


class BatchSampler:
    """Draws batches.

    A delay is drawn first and then an observation where a prefix that long may be locked, so that every delay comes
    with the kind of prefix that it has at run time. The postfix is what the expert would do from the last locked row
    towards the goal that the instruction names, knowing what the image shows and nothing else: neither noise nor the
    goal's future are to be learned.

    Args:
        data: The demonstrations.
        delays: Distribution of delays.
        observations: B.
        draws: R, delays drawn for each observation, which is encoded once.
        random: Source of randomness.
    """

    def __init__(
        self,
        data: TrainingData,
        delays: DelayDistribution,
        observations: int,
        draws: int,
        random: np.random.Generator,
    ) -> None:
        self._data, self._delays, self._random = data, delays, random
        self._observations, self._draws = observations, draws
        self._eligible = [np.flatnonzero(data.most_locked >= delay) for delay in range(delays.max_delay + 1)]

    def batch(self) -> Batch:
        """The next batch."""
        data, random = self._data, self._random
        first = self._delays.sample(random, self._observations)
        index = np.array([random.choice(self._eligible[delay]) for delay in first])
        delay = self._delays.sample(random, self._observations * self._draws).reshape(self._observations, -1)
        delay[:, 0] = first
        delay = np.where(delay <= data.most_locked[index][:, None], delay, first[:, None])
        flat = delay.reshape(-1)
        goals, instructions = data.tokens.shape[:2]
        turned = random.random(len(index)) < OTHER_GOAL
        asked = (data.followed[index] + turned * random.integers(1, goals, size=len(index))) % goals
        repeated, goal = np.repeat(index, self._draws), np.repeat(asked, self._draws)
        return Batch(
            images=torch.from_numpy(data.images[index][:, None]),
            tokens=torch.from_numpy(data.tokens[asked, random.integers(instructions, size=len(index))]),
            state=torch.from_numpy(data.state[index]),
            goals=torch.from_numpy(data.goals[index]),
            delay=torch.from_numpy(flat),
            rows=torch.from_numpy(training_rows(data, repeated, goal, flat)),
        )


def training_rows(
    data: TrainingData, index: NDArray[np.int64], goal: NDArray[np.int64], delay: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Rows t0 .. t0 + T - 1: executed before the delay, planned from there.

    Args:
        data: The demonstrations.
        index: Observations, shape (B,).
        goal: Which goal each plan goes for, shape (B,).
        delay: Length of each prefix, shape (B,).

    Returns:
        Shape (B, T, n).
    """
    episode, tick = data.episode[index], data.tick[index]
    plan = data.plan(data.rows[episode, tick + delay], data.goals[index, goal])
    steps = np.arange(plan.shape[1])
    executed = data.rows[episode[:, None], np.minimum(tick[:, None] + 1 + steps, data.rows.shape[1] - 1)]
    # The plan's first row is row t0 + d.
    planned = plan[np.arange(len(index))[:, None], np.maximum(steps - delay[:, None], 0)]
    rows: NDArray[np.float32] = np.where((steps < delay[:, None])[..., None], executed, planned)
    return rows
