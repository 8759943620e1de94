"""Mixture of Flow in PyTorch: upper layers of the action expert with parallel experts, of which a router picks some.

The Being-H0.5 paper (arXiv 2601.12993, section 5.1.2): the first layers of the action expert are shared by all, the
upper ones have a pool of specialized experts behind a learned gate, which picks the top k for the given state and
instruction, as in Shazeer et al. 2017 (arXiv 1701.06538). The published code has none, so this is this project's
reading: an expert is the feed-forward blocks of all upper layers, attention stays shared; there is one choice for a
whole chunk, made before the first layer from the unified state and the mean of the instruction's token embeddings, so
it holds for all layers, rows and denoising steps, and for the STATE token as well. Gates are the softmax over the
chosen scores; noise on the scores and the loss on their imbalance are Shazeer's, the noise of a fixed size.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from unichunk.runtime.unified import UNIFIED_WIDTH

if TYPE_CHECKING:
    from unichunk.runtime.compile.config import MixtureConfig

ROUTER_NOISE: Final = 0.5
"""Standard deviation of what is added to scores in training: without, experts that are not chosen never would be."""


class Choice(NamedTuple):
    """The experts of B observations.

    Attributes:
        experts: The k best, best first, shape (B, k), int64.
        gates: Their shares, which add up to 1, shape (B, k).
        imbalance: Squared coefficient of variation of what the experts are worth in the batch, scalar (Shazeer et al.,
            equations 6 and 7): 0 where all are worth the same.
    """

    experts: Tensor
    gates: Tensor
    imbalance: Tensor


class Router(nn.Module):
    """State and instruction to the experts that shall act.

    Args:
        config: How many.
        words: Width of the token embeddings, h.
    """

    def __init__(self, config: MixtureConfig, words: int) -> None:
        super().__init__()
        self.config = config
        self.layer1 = nn.Linear(UNIFIED_WIDTH + words, config.router_width)
        self.layer2 = nn.Linear(config.router_width, config.experts)

    def forward(self, state: Tensor, written: Tensor, text: Tensor) -> Choice:
        """Choose.

        Args:
            state: Unified, normalized, shape (B, 200).
            written: Embeddings of the text behind the state, shape (B, L, h).
            text: Its token ids, shape (B, L), -1 where it is padded.
        """
        given = (text >= 0).float()[..., None]
        mean = (written.float() * given).sum(dim=1) / given.sum(dim=1)
        # In float32 whatever else is not: a choice must not depend on rounding.
        with torch.autocast(state.device.type, enabled=False):
            inputs = torch.cat([state, mean], dim=-1).to(self.layer1.weight.dtype)
            scores = self.layer2(functional.silu(self.layer1(inputs)))
        if self.training:
            scores = scores + ROUTER_NOISE * torch.randn_like(scores)
        best, experts = scores.topk(self.config.top_k, dim=-1)
        gates = best.softmax(dim=-1)
        worth = torch.zeros_like(scores).scatter(1, experts, gates).sum(dim=0)
        return Choice(experts, gates, worth.var(unbiased=False) / worth.mean().square())


class Experts(nn.Module):
    """One layer's parallel feed-forward blocks.

    Args:
        experts: The blocks, each (..., e) to (..., e).
    """

    def __init__(self, experts: list[nn.Module]) -> None:
        super().__init__()
        self.experts = nn.ModuleList(experts)

    def forward(self, hidden: Tensor, choice: Choice) -> Tensor:
        """The chosen blocks' outputs, weighted by their gates; shape (B R, m, e) for B choices."""
        rows = hidden.unflatten(0, (len(choice.experts), -1))
        mixed = torch.zeros_like(rows)
        for number, expert in enumerate(self.experts):
            observations, places = (choice.experts == number).nonzero(as_tuple=True)
            if len(observations):
                gates = choice.gates[observations, places][:, None, None, None]
                part = gates.to(rows.dtype) * expert(rows[observations])
                mixed = mixed.index_add(0, observations, part.to(mixed.dtype))
        return mixed.flatten(0, 1)
