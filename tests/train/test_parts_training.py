"""Training of adapters and mixtures: whose gradients go where, and where post-training begins."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from tests.one_line import refused  # noqa: E402
from tests.train.test_training import SETTINGS, SIZES, samplers  # noqa: E402, F401  (a fixture)
from unichunk.runtime.compile.checkpoint import Checkpoint  # noqa: E402
from unichunk.runtime.compile.checkpoint_writer import random_checkpoint  # noqa: E402
from unichunk.runtime.compile.config import MixtureConfig, config_of  # noqa: E402
from unichunk.runtime.compile.config_document import parse_config  # noqa: E402
from unichunk.runtime.compile.sizes import config_document  # noqa: E402
from unichunk.runtime.errors import CheckpointError  # noqa: E402
from unichunk.runtime.train.being_h import BeingH, ConstantTokens, SlotMasks  # noqa: E402
from unichunk.runtime.train.losses import GoalHeads, losses  # noqa: E402
from unichunk.runtime.train.routing import Router  # noqa: E402
from unichunk.runtime.train.starting import start_from  # noqa: E402
from unichunk.runtime.train.training import train  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.runtime.compile.sizes import Sizes

PARTS = replace(SIZES, adapter_rank=3, experts=3, top_k=2, shared_layers=1, experts_mlp=48, router_width=8)


def policy_of(sizes: Sizes) -> BeingH:
    torch.manual_seed(0)
    config = config_of(parse_config(json.dumps(config_document(sizes)).encode(), "here"))
    return BeingH(config, ConstantTokens((1, 2), (3,), (4,)))


def test_a_robots_samples_move_the_adapters_of_its_own_slots_alone(samplers):  # noqa: F811
    """Equation 12: no update of W[k] where k is not among the embodiment's slots; shared slots get both."""
    policy, batch, slots = policy_of(PARTS), samplers[0].batch(), samplers[0].slots
    bank = policy.adapters.action_decoder.layer2.weight
    found = losses(policy, GoalHeads(policy, [4, 6]), batch, slots, SETTINGS)
    for part, own in ((slice(0, 8), {18, 50}), (slice(8, None), {20, 50, 51})):
        (gradient,) = torch.autograd.grad(found.flow[part].sum(), bank, retain_graph=True)
        assert set(gradient.abs().flatten(1).sum(dim=1).nonzero()[:, 0].tolist()) == own


def test_training_with_both_parts_leaves_other_slots_alone(samplers):  # noqa: F811
    averaged, steps = train(policy_of(PARTS), samplers, replace(SETTINGS, most_steps=6), [].append)
    assert steps == 6
    others = np.delete(np.arange(200), samplers[0].slots)
    assert all((bank[others] == 0.0).all() for bank in averaged.adapters.parameters())
    assert (averaged.router.layer1.weight[:, others] == 0.0).all()
    assert averaged.adapters.action_encoder.layer2.weight.abs().max() > 0.0


def test_imbalance_is_zero_where_all_experts_are_worth_the_same():
    router = Router(MixtureConfig(shared_layers=1, experts=4, top_k=2, mlp=8, router_width=8), words=6).eval()
    state, text, words = torch.zeros(2, 200), torch.zeros(2, 1, dtype=torch.int64), torch.zeros(2, 1, 6)
    assert router(state, words, text).imbalance.item() >= 1.0, "both take the same two of four"
    with torch.no_grad():
        for parameter in router.parameters():
            parameter.zero_()
        router.layer1.weight[0, 0] = router.layer1.weight[1, 1] = 9.0
        router.layer2.weight[:2, 0] = router.layer2.weight[2:, 1] = 1.0
        state[0, 0] = state[1, 1] = 1.0
    choice = router(state, words, text)
    assert [sorted(experts) for experts in choice.experts.tolist()] == [[0, 1], [2, 3]]
    assert choice.imbalance.item() == pytest.approx(0.0, abs=1e-6)


def test_padding_does_not_reach_the_router():
    router = Router(MixtureConfig(shared_layers=1, experts=4, top_k=2, mlp=8, router_width=8), words=6).eval()
    state, words = torch.randn(1, 200), torch.randn(1, 5, 6)
    text = torch.tensor([[3, 4, 5, -1, -1]])
    padded, alone = router(state, words, text), router(state, words[:, :3], text[:, :3])
    torch.testing.assert_close(padded.gates, alone.gates)
    assert padded.experts.tolist() == alone.experts.tolist()


def test_post_training_begins_as_the_policy_that_it_comes_from(tmp_path: Path):
    """Adapters add nothing yet, and experts are copies whose shares add up to one."""
    random_checkpoint(tmp_path / "checkpoint", SIZES, scale=2.0)
    checkpoint = Checkpoint.open(tmp_path / "checkpoint")
    plain, parts = policy_of(SIZES).eval(), policy_of(PARTS).eval()
    for policy in (plain, parts):
        start_from(policy, checkpoint)
        assert not any(one.requires_grad for one in policy.vit_model.parameters())
        assert all(one.requires_grad for one in policy.action_decoder.parameters())
    images, state = torch.randn(2, 1, 3, 32, 32), torch.randn(2, 200)
    text, mask = torch.tensor([[5, 7, -1], [6, 7, 8]]), torch.arange(200).expand(2, -1) % 3 == 0
    rows, buckets = torch.randn(2, 6, 200), torch.full((2, 6), 300)
    with torch.no_grad():
        answers = [
            policy.velocity(rows, buckets, policy.prefix(images, text, state, SlotMasks(mask, mask)))
            for policy in (plain, parts)
        ]
    torch.testing.assert_close(answers[1], answers[0], atol=1e-5, rtol=1e-5)
    with refused(CheckpointError, "checkpoint", "expected", "same recipe"):
        start_from(policy_of(replace(SIZES, expert_width=36)), checkpoint)
