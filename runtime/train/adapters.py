"""Embodiment-specific adaptation in PyTorch: a bank of adapters, one for each slot of the unified space.

The Being-H0.5 paper (arXiv 2601.12993, section 5.3.1, equation 12) has a bank W of shape (K, d_out, d_in), K slots, of
which an embodiment uses and trains those of its own slots alone: W[k], k in I_e. Embodiments that have slots in common
share these adapters. The published code has none, so where the bank sits is this project's reading: beside the three
layers that lead from unified vectors to the action expert and back (state encoder, action encoder, action decoder), in
the place of heads for each embodiment. A slot is one of the 200 dimensions, and its adapter a network of two layers,
whose second one begins at zero. The paper trains adapters after the rest; here they are trained together with it.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from unichunk.runtime.train.slots import spread
from unichunk.runtime.unified import UNIFIED_WIDTH


class OwnSlots(NamedTuple):
    """Which slots each robot has for its own.

    Attributes:
        index: The n slots that any of the robots has, ascending, shape (n,), int64.
        own: 1 where it is the robot's, else 0, shape (B, n), float32.
    """

    index: Tensor
    own: Tensor

    @classmethod
    def of(cls, mask: Tensor) -> OwnSlots:
        """From masks (B, 200), bool."""
        index = mask.any(dim=0).nonzero()[:, 0]
        return cls(index, mask[:, index].float())

    def repeated(self, count: int) -> OwnSlots:
        """The same for each of `count` chunks of a robot, one after the other."""
        return OwnSlots(self.index, self.own.repeat_interleave(count, dim=0))


class SlotLinear(nn.Module):
    """A linear layer for each slot: weight (K, d_out, d_in) and bias (K, d_out)."""

    def __init__(self, outside: int, inside: int, *, bias: bool) -> None:
        super().__init__()
        bound = inside**-0.5
        self.weight = nn.Parameter(torch.empty(UNIFIED_WIDTH, outside, inside).uniform_(-bound, bound))
        if bias:
            self.bias = nn.Parameter(torch.empty(UNIFIED_WIDTH, outside).uniform_(-bound, bound))


class SlotEncoders(nn.Module):
    """Slots to channels: the sum over the robot's own slots k of W2[k] swish(W1[k] value + b[k]).

    Args:
        width: Number of channels, e.
        rank: r, hidden values of a slot.
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.layer1 = SlotLinear(rank, 1, bias=True)
        self.layer2 = SlotLinear(width, rank, bias=False)
        nn.init.zeros_(self.layer2.weight)

    def forward(self, values: Tensor, slots: OwnSlots) -> Tensor:
        """Unified vectors (B, m, 200) to (B, m, e)."""
        first, second = self.layer1.weight[slots.index, :, 0], self.layer2.weight[slots.index]
        hidden = functional.silu(values[..., slots.index, None] * first + self.layer1.bias[slots.index])
        hidden = hidden * slots.own[:, None, :, None]
        return hidden.flatten(2) @ second.transpose(1, 2).flatten(0, 1)


class SlotDecoders(nn.Module):
    """Channels to slots: W2[k] swish(W1[k] x + b[k]) in each of the robot's own slots k, zero in the others.

    Args:
        width: Number of channels, e.
        rank: r, hidden values of a slot.
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.layer1 = SlotLinear(rank, width, bias=True)
        self.layer2 = SlotLinear(1, rank, bias=False)
        nn.init.zeros_(self.layer2.weight)

    def forward(self, features: Tensor, slots: OwnSlots) -> Tensor:
        """Channels (B, m, e) to unified vectors (B, m, 200)."""
        first, second = self.layer1.weight[slots.index], self.layer2.weight[slots.index, 0]
        hidden = functional.linear(features, first.flatten(0, 1), self.layer1.bias[slots.index].flatten())
        values = (functional.silu(hidden).unflatten(-1, second.shape) * second).sum(dim=-1)
        return spread(values * slots.own[:, None], slots.index.tolist())


class Adapters(nn.Module):
    """The bank. Its parameters are the checkpoint's `adapters.*`.

    Args:
        width: Of the action expert, e.
        rank: r, hidden values of a slot.
    """

    def __init__(self, width: int, rank: int) -> None:
        super().__init__()
        self.state_encoder = SlotEncoders(width, rank)
        self.action_encoder = SlotEncoders(width, rank)
        self.action_decoder = SlotDecoders(width, rank)

    def silence(self, slots: list[int]) -> None:
        """Set the adapters of slots that no robot has to zero; their gradient is zero, so they stay so."""
        with torch.no_grad():
            for parameter in self.parameters():
                parameter[slots] = 0.0
