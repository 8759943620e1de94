"""A few steps of training learn a toy: the goal is where the spot of the colour asked for is."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from unichunk.runtime.compile.config import config_of  # noqa: E402
from unichunk.runtime.compile.config_document import parse_config  # noqa: E402
from unichunk.runtime.compile.sizes import Sizes, config_document  # noqa: E402
from unichunk.runtime.train.being_h import BeingH, ConstantTokens  # noqa: E402
from unichunk.runtime.train.delays import DelayDistribution  # noqa: E402
from unichunk.runtime.train.samples import BatchSampler, TrainingData  # noqa: E402
from unichunk.runtime.train.training import GoalHead, TrainingSettings, losses, train  # noqa: E402

SLOTS = (50, 18)
SIZES = Sizes(patch=8, image_size=32, vision_image_size=32, rows=6)


def sampler() -> BatchSampler:
    random = np.random.default_rng(0)
    count = 200
    columns = random.integers(2, 30, (count, 2))
    images = np.zeros((count, 32, 32, 3), dtype=np.uint8)
    for image, spots in zip(images, columns, strict=True):
        for colour, spot in enumerate(spots):
            image[6 + 12 * colour : 14 + 12 * colour, spot - 2 : spot + 2, 2 * colour] = 255
    goals = np.stack([columns / 16.0 - 1.0, np.zeros((count, 2))], axis=2).astype(np.float32)
    data = TrainingData(
        images=images,
        state=np.zeros((count, 2), dtype=np.float32),
        goals=goals,
        followed=random.integers(0, 2, count),
        rows=np.zeros((1, 20, 2), dtype=np.float32),
        episode=np.zeros(count, dtype=np.int64),
        tick=np.zeros(count, dtype=np.int64),
        most_locked=np.full(count, 3),
        tokens=np.array([[[5, 7, -1]], [[6, 7, 8]]]),
        plan=lambda last, goal: np.linspace(last, goal, 6, axis=1, dtype=np.float32),
    )
    return BatchSampler(data, DelayDistribution(20, max_delay=3), 16, 2, random)


def test_the_loss_falls_and_slots_that_are_not_in_use_stay_silent():
    torch.set_num_threads(1)  # more only get in each other's way on networks this small
    torch.manual_seed(0)
    config = config_of(parse_config(json.dumps(config_document(SIZES)).encode(), "here"))
    policy = BeingH(config, ConstantTokens((1, 2), (3,), (4,)))
    settings = TrainingSettings(
        minutes=5.0,
        slots=SLOTS,
        image_mean=(0.5, 0.5, 0.5),
        image_std=(0.25, 0.25, 0.25),
        most_steps=80,
        warm_up_steps=5,
        learning_rate=3e-3,
        report_every_s=0.0,
    )
    batches = sampler()
    head = GoalHead(policy, 4)

    def loss(policy: BeingH) -> float:
        with torch.no_grad():
            return float(np.mean([losses(policy, head, batches.batch(), settings)[0].item() for _ in range(10)]))

    before = loss(policy)
    lines: list[str] = []
    averaged, steps = train(policy, batches, settings, lines.append)
    assert steps == len(lines) == 80
    assert loss(averaged) < 0.7 * before
    others = np.delete(np.arange(200), SLOTS)
    assert (averaged.action_encoder.W1.weight[:, others] == 0.0).all()
    assert (averaged.proprio_encoder_robot.layer1.weight[:, others] == 0.0).all()
    assert (averaged.action_decoder.layer2.weight[others] == 0.0).all()
    assert (averaged.action_decoder.layer2.bias[others] == 0.0).all()
