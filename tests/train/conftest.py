"""A tiny untrained policy for the tests that need PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from unichunk.runtime.train.model import FlowPolicy


@pytest.fixture(scope="session")
def tiny_policy() -> FlowPolicy:
    torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")
    from unichunk.runtime.train.model import FlowPolicy, PolicyShape

    torch.set_num_threads(1)  # more only get in each other's way on networks this small
    torch.manual_seed(0)
    policy = FlowPolicy(PolicyShape(8, (50, 51, 18), (0.5, 0.5, 1.0), 3, 16, 24, 2, 10, features=24))
    for parameter in policy.parameters():  # the last layer starts at zero, which would hide what comes before it
        torch.nn.init.normal_(parameter, std=0.2)
    return policy.eval()
