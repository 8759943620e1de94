"""Batches that mix robots, in the slots that any of them uses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from unichunk.runtime.train.samples import RobotSampler, Samples

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from unichunk.runtime.train.delays import DelayDistribution
    from unichunk.runtime.train.samples import TrainingData


@dataclass(frozen=True)
class Source:
    """One robot's part of the training.

    Attributes:
        name: The robot.
        data: Its demonstrations.
        delays: Its delays.
        share: Of the observations of a batch, relative to the other robots'.
    """

    name: str
    data: TrainingData
    delays: DelayDistribution
    share: float = 1.0


@dataclass(frozen=True)
class Batch:
    """B observations, robot after robot, with R draws of delay each; sample b * R + r belongs to observation b.

    Values lie in the U slots that any robot uses; they are zero in those that their own robot does not use.

    Attributes:
        images: Shape (B, 1, H, W, 3), uint8.
        tokens: Shape (B, L), int64.
        state: Shape (B, U).
        own: Which slots are the robot's own, shape (B, U), bool.
        places: For each robot, its observations' goals at all places in its own values, shape (B_r, A, n_r).
        delay: Shape (B R,), int64.
        rows: Executed prefix, then planned postfix, shape (B R, T, U).
    """

    images: Tensor
    tokens: Tensor
    state: Tensor
    own: Tensor
    places: tuple[Tensor, ...]
    delay: Tensor
    rows: Tensor


class BatchSampler:
    """Draws batches: from every robot its share of the observations, the same number each time.

    Args:
        sources: The robots.
        observations: B.
        draws: R, delays drawn for each observation, which is encoded once.
        random: Source of randomness.

    Attributes:
        slots: The U slots that any robot uses, ascending.
        counts: Observations of each robot in a batch.
        names: The robots.
    """

    def __init__(self, sources: Sequence[Source], observations: int, draws: int, random: np.random.Generator) -> None:
        self.names = tuple(source.name for source in sources)
        self.slots = tuple(sorted({slot for source in sources for slot in source.data.slots}))
        self.counts = apportioned([source.share for source in sources], observations)
        self._draws = draws
        self._samplers = [RobotSampler(source.data, source.delays, random) for source in sources]
        self._columns = [[self.slots.index(slot) for slot in source.data.slots] for source in sources]
        self._longest = max(source.data.tokens.shape[-1] for source in sources)

    def batch(self) -> Batch:
        """The next batch."""
        drawn = [sampler.draw(count, self._draws) for sampler, count in zip(self._samplers, self.counts, strict=True)]
        return Batch(
            images=torch.from_numpy(np.concatenate([samples.images for samples in drawn])[:, None]),
            tokens=torch.from_numpy(np.concatenate([self._padded(samples) for samples in drawn])),
            state=self._joined([samples.state for samples in drawn]),
            own=self._joined([np.ones_like(samples.state) for samples in drawn]).bool(),
            places=tuple(torch.from_numpy(samples.places) for samples in drawn),
            delay=torch.from_numpy(np.concatenate([samples.delay for samples in drawn])),
            rows=self._joined([samples.rows for samples in drawn]),
        )

    def _padded(self, samples: Samples) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        """Token ids of all robots at one length."""
        missing = self._longest - samples.tokens.shape[1]
        return np.pad(samples.tokens, ((0, 0), (0, missing)), constant_values=-1)

    def _joined(self, parts: Sequence[np.ndarray[tuple[int, ...], np.dtype[np.float32]]]) -> Tensor:
        """Values (B_r, ..., n_r) of each robot in the slots of all, shape (B, ..., U)."""
        shape = (sum(len(part) for part in parts), *parts[0].shape[1:-1], len(self.slots))
        joined = np.zeros(shape, dtype=np.float32)
        start = 0
        for part, columns in zip(parts, self._columns, strict=True):
            joined[start : start + len(part), ..., columns] = part
            start += len(part)
        return torch.from_numpy(joined)


def apportioned(shares: Sequence[float], whole: int) -> tuple[int, ...]:
    """Whole numbers in the proportion of the shares that add up to `whole` (largest remainders), each at least 1.

    Raises:
        ValueError: A share is not positive, or there are more shares than `whole`.
    """
    if min(shares) <= 0 or len(shares) > whole:
        raise ValueError(
            f"shares {tuple(shares)} of {whole} observations: expected positive numbers, no more than observations"
        )
    exact = np.asarray(shares) / sum(shares) * whole
    counts = np.maximum(np.floor(exact).astype(int), 1)
    while counts.sum() != whole:
        step = 1 if counts.sum() < whole else -1
        able = counts + step >= 1
        counts[np.argmax(np.where(able, step * (exact - counts), -np.inf))] += step
    return tuple(counts.tolist())
