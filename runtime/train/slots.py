"""Between the values in use and the 200 wide unified vectors, in PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.runtime.train.being_h import BeingH


def spread(values: Tensor, slots: Sequence[int]) -> Tensor:
    """Values in use (..., n) to unified vectors (..., 200); other slots are zero."""
    unified = values.new_zeros((*values.shape[:-1], UNIFIED_WIDTH))
    unified[..., list(slots)] = values
    return unified


def silence_other_slots(policy: BeingH, slots: Sequence[int]) -> None:
    """Take the slots that are not in use out of the network: nothing they hold matters, nothing is predicted for them.

    Their weights are zero and stay so in training, because the training data holds zeros there: no gradient.
    """
    others = sorted(set(range(UNIFIED_WIDTH)) - set(slots))
    with torch.no_grad():
        policy.action_encoder.W1.weight[:, others] = 0.0
        policy.proprio_encoder_robot.layer1.weight[:, others] = 0.0
        policy.action_decoder.layer2.weight[others] = 0.0
        policy.action_decoder.layer2.bias[others] = 0.0
        if policy.config.mixture is not None:
            policy.router.layer1.weight[:, others] = 0.0
    if policy.config.adapter_rank:
        policy.adapters.silence(others)
