"""Guided graphs of flow heads against a plain loop in PyTorch, whose derivative is autograd's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")

from tests.heads.models import ROWS, SLOTS  # noqa: E402
from tests.heads.test_golden import observed  # noqa: E402
from unichunk.benchmarks.async_control.guidance import guidance_weight, soft_mask  # noqa: E402
from unichunk.runtime.compile.heads.head_config import FlowHead  # noqa: E402
from unichunk.runtime.policy import Policy  # noqa: E402
from unichunk.runtime.train.heads.diffusion import FlowDecoder  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from torch import Tensor

    from tests.heads.models import Case
    from unichunk.runtime.train.heads.context import Observed
    from unichunk.runtime.train.heads.head_policy import HeadPolicy


def steered(policy: HeadPolicy, seen: Observed, noise: Tensor, plan: Tensor, delay: int, overlap: int) -> Tensor:
    """A chunk (1, T, 200) from noise, steered towards a plan of that shape."""
    decoder, head = policy.decoder, policy.config.head
    assert isinstance(decoder, FlowDecoder)
    assert isinstance(head, FlowHead)
    own = seen.action_mask[:, None] if policy.config.action_mask else torch.ones(1)
    # Only what is the robot's own steers, whether or not the network is told what that is.
    mask = torch.from_numpy(soft_mask(ROWS, delay, overlap))[:, None] * seen.action_mask[:, None]
    queried, rows = policy.queried(seen).detach(), noise * own
    for step in range(head.steps):
        time = step / head.steps
        rows = rows.detach().requires_grad_()
        velocity = own * decoder(rows, torch.full((1, ROWS), int(time * head.buckets)), queried, seen.action_mask)
        estimate = rows + (1.0 - time) * velocity
        (pull,) = torch.autograd.grad(estimate, rows, (mask * (plan - estimate)).detach())
        rows = own * (rows + (velocity + guidance_weight(time) * pull) / head.steps)
    return rows.detach()


@pytest.mark.parametrize("kind", ["flow", "masked"])
@pytest.mark.parametrize(("delay", "overlap"), [(0, 5), (3, 6), (5, ROWS)])
def test_a_guided_flow_head_follows_autograd(
    cases: Callable[[str], Case], tmp_path: Path, kind: str, delay: int, overlap: int
) -> None:
    case = cases(kind)
    assert case.noise is not None
    bundle = case.model.compiled(tmp_path / "guided", guided=True)
    policy = Policy.load(bundle, guided=True)
    plan = np.zeros((ROWS, 200), np.float32)
    plan[:, SLOTS] = case.previous[:, SLOTS]
    rows = policy.infer(case.observation, plan[:overlap], delay, case.noise).unified
    noise = torch.zeros(1, ROWS, 200)
    noise[..., SLOTS] = torch.from_numpy(case.noise[:, SLOTS])
    expected = steered(case.model.network, observed(case), noise, torch.from_numpy(plan)[None], delay, overlap)[0]
    np.testing.assert_array_equal(rows[:delay], plan[:delay])
    np.testing.assert_allclose(
        rows[delay:, SLOTS], expected[delay:, SLOTS].numpy(), atol=1e-5 * float(expected.abs().max())
    )
    assert [graph.file for graph in policy.manifest.graphs.chunks] == ["chunk.onnx", "chunk_guided.onnx"]
