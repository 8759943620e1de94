"""What the policies learn from: episodes of the expert, with or without exploration noise in what it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from unichunk.benchmarks.async_control.task import Task

EXPLORATION: Final = 0.3
"""Standard deviation of the noise on the expert's actions, which is executed and recorded."""


@dataclass(frozen=True)
class Demonstrations:
    """Every observation with the chunk of actions that followed it.

    Attributes:
        observations: Shape (N, observations).
        chunks: What was executed from there on, shape (N, T, actions).
        success: Share of all episodes that succeeded; only those are kept.
        episodes: Number of episodes kept.
    """

    observations: NDArray[np.float32]
    chunks: NDArray[np.float32]
    success: float
    episodes: int


def demonstrate(
    task: Task[Any], chunk_length: int, episodes: int, random: np.random.Generator, exploration: float
) -> Demonstrations:
    """Run the expert, a way drawn for each episode, and cut what it did into chunks.

    Episodes go on for a chunk after their end, so that every observation up to there has a whole chunk.

    Args:
        task: What to do.
        chunk_length: T.
        episodes: How many to record.
        random: Draws everything.
        exploration: Standard deviation of the noise on the actions.
    """
    state = task.begin(random, episodes)
    mode = random.integers(task.modes, size=episodes)
    observations, actions = [], []
    success = np.zeros(episodes, np.bool_)
    for tick in range(task.ticks + chunk_length):
        if tick == task.ticks:
            success = task.success(state)
        if tick <= task.ticks:
            observations.append(task.observe(state))
        noise = exploration * random.standard_normal((episodes, task.actions))
        actions.append(np.clip(task.expert(state, mode) + noise, -1.0, 1.0))
        state = task.step(state, actions[-1], random)
    seen = np.stack(observations, axis=1)[success]
    done = np.stack(actions, axis=1)[success].astype(np.float32)
    chunks = np.moveaxis(sliding_window_view(done, chunk_length, axis=1), -1, 2)
    count = int(success.sum())
    return Demonstrations(
        seen.reshape(-1, task.observations),
        chunks.reshape(-1, chunk_length, task.actions),
        count / episodes,
        count,
    )
