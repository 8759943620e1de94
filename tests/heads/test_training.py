"""Training with locked prefixes: heads that denoise learn to go on from them, a regression cannot."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from tests.heads.loops import sampled
from tests.heads.models import head_config
from unichunk.runtime.compile.heads.ddim_schedule import CLEAN, ddim_steps, signal_products
from unichunk.runtime.compile.heads.head_config import DdimHead, FlowHead, RegressionHead, Transformer, VisionSizes
from unichunk.runtime.train.batches import Batch
from unichunk.runtime.train.heads.context import Observed
from unichunk.runtime.train.heads.head_policy import HeadPolicy
from unichunk.runtime.train.heads.head_training import train_head
from unichunk.runtime.train.heads.losses import head_losses
from unichunk.runtime.train.settings import TrainingSettings

if TYPE_CHECKING:
    from unichunk.runtime.compile.heads.head_config import HeadConfig

ROWS, SLOTS = 4, (50, 51)
SIZES = {"width": 24, "layers": 1, "heads": 2, "mlp": 32}
SETTINGS = TrainingSettings(
    minutes=1.0,
    image_mean=(0.5, 0.5, 0.5),
    image_std=(0.3, 0.3, 0.3),
    learning_rate=1.5e-2,
    warm_up_steps=10,
    average=0.95,
)


def tiny(head: FlowHead | DdimHead | RegressionHead, queries: int) -> HeadConfig:
    return head_config(
        "flow",
        head=head,
        queries=queries,
        vit=VisionSizes(**(SIZES | {"patch": 7, "width": 8}), image_size=14),
        context=Transformer(**SIZES),
        decoder=Transformer(**SIZES),
        max_text=2,
        rows=ROWS,
        locked_prefix=2,
        fields_of_view=False,
    )


class Levels:
    """Rows that stay where they began, at a level that only the prefix tells."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(4)

    def __call__(self, count: int = 32) -> Batch:
        level = self._random.choice([-1.0, 1.0], size=(count, 1, 1)).astype(np.float32)
        return Batch(
            images=torch.zeros(count, 1, 14, 14, 3, dtype=torch.uint8),
            tokens=torch.zeros(count, 2, dtype=torch.int64),
            state=torch.zeros(count, len(SLOTS)),
            own=torch.ones(count, len(SLOTS), dtype=torch.bool),
            places=(),
            delay=torch.from_numpy(self._random.integers(0, 3, count)),
            rows=torch.from_numpy(level).expand(-1, ROWS, len(SLOTS)).contiguous(),
        )


@pytest.mark.parametrize(
    ("head", "queries", "learns"),
    [
        (FlowHead(steps=4), 2, True),
        (DdimHead(steps=4, training_steps=20), 1, True),
        (RegressionHead(), ROWS, False),
    ],
    ids=["flow", "ddim", "regression"],
)
def test_a_locked_prefix_tells_what_follows_where_that_can_be_learned(
    head: FlowHead | DdimHead | RegressionHead, queries: int, *, learns: bool
) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(2)
    losses: list[float] = []
    levels = Levels()
    network = HeadPolicy(tiny(head, queries))
    policy = train_head(network, levels, SLOTS, SETTINGS, 50, report=lambda _, loss: losses.append(loss))
    assert np.isfinite(losses).all()
    batch = levels(128)
    with torch.no_grad():
        told, untold = (
            head_losses(policy, replace(batch, delay=torch.full_like(batch.delay, delay)), SLOTS, SETTINGS)
            .mean()
            .item()
            for delay in (2, 0)
        )
    if learns:
        assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:3])
        assert told < 0.85 * untold
    else:
        assert told > 0.9 * untold > 0.8
    if isinstance(head, FlowHead):
        assert continued(policy, levels(64)) > 0.85


def continued(policy: HeadPolicy, batch: Batch) -> float:
    """How many of the rows that a trained flow samples are at the level of the two that are locked."""
    count = len(batch.rows)
    noise, previous = torch.zeros(2, count, ROWS, 200)
    noise[..., list(SLOTS)] = torch.randn(count, ROWS, len(SLOTS))
    previous[..., list(SLOTS)] = batch.rows
    images, nothing = torch.full((count, 1, 3, 14, 14), -0.5 / 0.3), torch.zeros(count, 200)
    seen = Observed(images, batch.tokens, nothing, nothing, nothing, torch.zeros(count, 1, 2))
    rows = sampled(policy, seen, noise, previous, 2)[:, 2:, list(SLOTS)]
    return (rows.sign() == batch.rows[:, 2:]).float().mean().item()


@pytest.mark.parametrize("kind", ["flow", "ddim"])
def test_in_training_locked_rows_are_clean_and_say_so(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    head: FlowHead | DdimHead = FlowHead(steps=4, buckets=1000) if kind == "flow" else DdimHead(training_steps=50)
    policy, batch, given = HeadPolicy(tiny(head, 1)), Levels()(64), []

    def caught(rows: torch.Tensor, times: torch.Tensor, *others: torch.Tensor) -> torch.Tensor:
        given.extend([rows, times, *others])
        return torch.zeros_like(rows)

    monkeypatch.setattr(policy.decoder, "forward", caught)
    head_losses(policy, batch, SLOTS, SETTINGS)
    rows, times = given[0][..., list(SLOTS)], given[1]
    locked = torch.arange(ROWS) < batch.delay[:, None]
    assert torch.equal(rows[locked], batch.rows[locked])
    assert (times[locked] == (1000 if kind == "flow" else CLEAN)).all()
    free = times[~locked]
    assert (free >= 0).all()
    assert (free < (1000 if kind == "flow" else 50)).all()
    # The later the time of a flow, and the earlier that of a schedule, the nearer are its rows to the clean ones.
    near = (rows - batch.rows)[~locked].abs().mean(dim=1)
    early = free < free.float().median()
    assert bool(near[early].mean() > near[~early].mean()) is (kind == "flow")
    if kind == "ddim":
        assert torch.equal(given[2][:, None].expand(-1, ROWS)[~locked], free)
        hidden = (given[3] == policy.decoder.no_condition).all(dim=1).float().mean()
        assert 0 < hidden < 0.4


@pytest.mark.parametrize(("count", "steps"), [(100, 10), (100, 7), (50, 50), (4, 3)])
def test_the_schedule_takes_pure_noise_to_rows(count: int, steps: int) -> None:
    """Told the true noise, the steps give the true rows, whatever of the schedule is left out."""
    products, schedule = signal_products(count), ddim_steps(count, steps)
    assert np.all(np.diff(products) < 0)
    assert [step.time for step in schedule] == sorted({step.time for step in schedule}, reverse=True)
    clean, noise = 0.7, -1.3
    first = products[schedule[0].time]
    value = math.sqrt(first) * clean + math.sqrt(1 - first) * noise
    for step in schedule:
        value = step.keep * value + step.add * noise
    assert math.isclose(value, clean, abs_tol=1e-9)
    if (count, steps) == (100, 10):
        assert [step.time for step in schedule] == list(range(90, -1, -10))
