"""A few steps of training learn a toy: the goal is where the bright spot is."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from unichunk.runtime.train.delays import DelayDistribution  # noqa: E402
from unichunk.runtime.train.model import FlowPolicy, PolicyShape  # noqa: E402
from unichunk.runtime.train.samples import BatchSampler, TrainingData  # noqa: E402
from unichunk.runtime.train.training import TrainingSettings, losses, train  # noqa: E402


def sampler() -> BatchSampler:
    random = np.random.default_rng(0)
    count = 200
    column = random.integers(2, 22, count)
    images = np.zeros((count, 16, 24, 3), dtype=np.uint8)
    for image, spot in zip(images, column, strict=True):
        image[6:10, spot - 1 : spot + 2] = 255
    goal = np.stack([column / 12.0 - 1.0, np.zeros(count)], axis=1).astype(np.float32)
    data = TrainingData(
        images=images,
        state=np.zeros((count, 2), dtype=np.float32),
        goal=goal,
        rows=np.zeros((1, 20, 2), dtype=np.float32),
        episode=np.zeros(count, dtype=np.int64),
        tick=np.zeros(count, dtype=np.int64),
        most_locked=np.full(count, 3),
        tokens=np.ones((1, 4), dtype=np.int64),
        plan=lambda last, goal: np.linspace(last, goal, 6, axis=1, dtype=np.float32),
    )
    return BatchSampler(data, DelayDistribution(20, max_delay=3), 16, 2, random)


def test_the_loss_falls():
    torch.set_num_threads(1)  # more only get in each other's way on networks this small
    torch.manual_seed(0)
    policy = FlowPolicy(PolicyShape(6, (50, 18), (1.0, 1.0), 3, 16, 24, 1, 4, features=32))
    settings = TrainingSettings(minutes=5.0, most_steps=60, warm_up_steps=5, learning_rate=3e-3, report_every_s=0.0)
    batches = sampler()
    with torch.no_grad():
        before = np.mean([losses(policy, batches.batch(), settings)[0].item() for _ in range(10)])
    lines: list[str] = []
    averaged, steps = train(policy, batches, settings, lines.append)
    with torch.no_grad():
        after = np.mean([losses(averaged, batches.batch(), settings)[0].item() for _ in range(10)])
    assert steps == len(lines) == 60
    assert after < 0.7 * before
