"""A few steps of training learn a toy: the goal is where the spot of the colour asked for is."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from unichunk.runtime.compile.config import config_of  # noqa: E402
from unichunk.runtime.compile.config_document import parse_config  # noqa: E402
from unichunk.runtime.compile.sizes import Sizes, config_document  # noqa: E402
from unichunk.runtime.train.batches import BatchSampler, Source  # noqa: E402
from unichunk.runtime.train.being_h import BeingH, ConstantTokens  # noqa: E402
from unichunk.runtime.train.delays import DelayDistribution  # noqa: E402
from unichunk.runtime.train.losses import GoalHeads, losses  # noqa: E402
from unichunk.runtime.train.samples import TrainingData  # noqa: E402
from unichunk.runtime.train.settings import TrainingSettings  # noqa: E402
from unichunk.runtime.train.training import _set_gradients, train  # noqa: E402

SIZES = Sizes(patch=8, image_size=32, vision_image_size=32, rows=6)


def source(slots: tuple[int, ...], random: np.random.Generator) -> Source:
    """Two spots, red and blue; the first value goes to the column of the one that the first token names."""
    count, width = 200, len(slots)
    columns = random.integers(2, 30, (count, 2))
    images = np.zeros((count, 32, 32, 3), dtype=np.uint8)
    for image, spots in zip(images, columns, strict=True):
        for colour, spot in enumerate(spots):
            image[6 + 12 * colour : 14 + 12 * colour, spot - 2 : spot + 2, 2 * colour] = 255
    goals = np.zeros((count, 2, 1, width), dtype=np.float32)
    goals[:, :, 0, 0] = columns / 16.0 - 1.0
    data = TrainingData(
        slots=slots,
        images=images,
        state=np.zeros((count, width), dtype=np.float32),
        goals=goals,
        followed=np.stack([random.integers(0, 2, count), np.zeros(count, dtype=np.int64)], axis=1),
        rows=np.zeros((1, 20, width), dtype=np.float32),
        episode=np.zeros(count, dtype=np.int64),
        tick=np.zeros(count, dtype=np.int64),
        most_locked=np.full(count, 3),
        tokens=np.array([[[[5, 7, -1]]], [[[6, 7, 8]]]]),
        plan=lambda last, goal: np.linspace(last, goal, 6, axis=1, dtype=np.float32),
    )
    return Source(f"robot{width}", data, DelayDistribution(20, max_delay=3))


@pytest.fixture
def samplers() -> list[BatchSampler]:
    random = np.random.default_rng(0)
    sources = [source((50, 18), random), source((50, 51, 20), random)]
    return [BatchSampler(sources, 8, 2, np.random.default_rng(seed)) for seed in (1, 2)]


def new_policy() -> BeingH:
    torch.manual_seed(0)
    config = config_of(parse_config(json.dumps(config_document(SIZES)).encode(), "here"))
    return BeingH(config, ConstantTokens((1, 2), (3,), (4,)))


SETTINGS = TrainingSettings(
    minutes=5.0,
    image_mean=(0.5, 0.5, 0.5),
    image_std=(0.25, 0.25, 0.25),
    most_steps=80,
    warm_up_steps=5,
    learning_rate=3e-3,
    report_every_s=0.0,
    keep_every_s=0.0,
)


@pytest.mark.parametrize("half", [False, True])
def test_the_loss_of_every_robot_falls_and_slots_that_nobody_uses_stay_silent(samplers, half):
    policy, settings = new_policy(), replace(SETTINGS, half=half)
    heads = GoalHeads(policy, [4, 6])

    def loss(policy: BeingH) -> np.ndarray:
        with torch.no_grad():
            found = [losses(policy, heads, samplers[0].batch(), samplers[0].slots, settings) for _ in range(10)]
        return np.mean([each.flow.reshape(2, -1).mean(dim=1).numpy() for each in found], axis=0)

    before = loss(policy)
    lines: list[str] = []
    kept: list[BeingH] = []
    averaged, steps = train(policy, samplers, settings, lines.append, kept.append)
    assert steps == len(lines) == len(kept) == 80
    assert "robot2 0." in lines[-1]
    assert "robot3 0." in lines[-1]
    assert (loss(averaged) < 0.85 * before).all()  # 0.2 to 0.7: the workers share one source of noise
    others = np.delete(np.arange(200), samplers[0].slots)
    assert (averaged.action_encoder.W1.weight[:, others] == 0.0).all()
    assert (averaged.proprio_encoder_robot.layer1.weight[:, others] == 0.0).all()
    assert (averaged.action_decoder.layer2.weight[others] == 0.0).all()
    assert (averaged.action_decoder.layer2.bias[others] == 0.0).all()


def test_what_the_network_sees_is_zero_in_the_slots_of_other_robots(samplers):
    """Noise, clean rows, anchors and state: what a weight of these slots would do makes no difference."""
    policy = new_policy()
    heads = GoalHeads(policy, [4, 6])
    batch, slots = samplers[0].batch(), samplers[0].slots
    first = batch.own[0]
    assert [slot for slot, own in zip(slots, first.tolist(), strict=True) if own] == [18, 50]

    def found() -> torch.Tensor:
        torch.manual_seed(3)
        with torch.no_grad():
            return losses(policy, heads, batch, slots, SETTINGS).flow

    before = found()
    with torch.no_grad():
        for encoder in (policy.action_encoder.W1, policy.proprio_encoder_robot.layer1):
            encoder.weight[:, [20, 51]] += 7.0
    after = found()
    torch.testing.assert_close(after[:8], before[:8])
    assert (after[8:] != before[8:]).all()


def test_two_workers_take_the_step_of_one_with_both_their_batches(samplers):
    """The gradients of two batches give the mean's step."""
    policy = new_policy()
    parameters = list(policy.parameters())
    parts = [tuple(torch.full_like(each, value) for each in parameters) for value in (1.0, 3.0)]
    _set_gradients(parameters, [(None, *parts[0][1:]), (None, *parts[1][1:])])
    assert parameters[0].grad is None
    assert all((each.grad == 2.0).all() for each in parameters[1:])
