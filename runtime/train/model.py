"""A small flow policy: its sizes, its two networks, and the two graphs it becomes."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from unichunk.runtime.train.denoiser import Denoiser
from unichunk.runtime.train.encoder import Encoder
from unichunk.runtime.unified import UNIFIED_WIDTH


@dataclass(frozen=True)
class PolicyShape:
    """Sizes of a flow policy.

    Attributes:
        rows: T, rows of a chunk.
        slots: Slots of the unified space in use, by state and action alike.
        reach: Largest step of the demonstrator from row to row in each slot, normalized.
        denoising_steps: K, Euler steps.
        image_height, image_width: Image size in pixels.
        views: Number of cameras.
        max_tokens: Length of the token sequence.
        features: Width of the features.
    """

    rows: int
    slots: tuple[int, ...]
    reach: tuple[float, ...]
    denoising_steps: int
    image_height: int
    image_width: int
    views: int
    max_tokens: int
    features: int = 192


class FlowPolicy(nn.Module):
    """Encoder and denoiser, and a head that says where the goal is (used in training only).

    Args:
        shape: Sizes.
    """

    def __init__(self, shape: PolicyShape) -> None:
        super().__init__()
        self.shape = shape
        width = len(shape.slots)
        self.encoder = Encoder(shape.image_height, shape.image_width, shape.views, width, shape.features)
        self.denoiser = Denoiser(shape.rows, shape.reach, shape.features)
        self.goal_head = nn.Linear(128, width)


class PrefixGraph(nn.Module):
    """`images` (V, 3, H, W), `tokens` (1, L), `state` (1, 200) -> `features` (1, F)."""

    def __init__(self, policy: FlowPolicy) -> None:
        super().__init__()
        self.encoder = policy.encoder
        self.register_buffer("slots", torch.tensor(policy.shape.slots), persistent=False)

    def forward(self, images: Tensor, tokens: Tensor, state: Tensor) -> Tensor:
        """Encode one observation."""
        features: Tensor = self.encoder(images[None], tokens, state.index_select(1, self.slots))[0]
        return features


class ChunkGraph(nn.Module):
    """K Euler steps from noise to rows, the prefix locked before, between and after them.

    `noise` (1, T, 200), `previous_chunk` (T, 200), `delay` (), `features` (1, F) -> `actions` (T, 200). Rows before the
    delay are the previous chunk's in all slots, bit by bit; other rows are zero in slots that are not in use.
    """

    def __init__(self, policy: FlowPolicy) -> None:
        super().__init__()
        self.denoiser = policy.denoiser
        self.steps = policy.shape.denoising_steps
        slots = policy.shape.slots
        # Column of each unified slot in the compact rows; the column after the last holds zeros.
        spread = [slots.index(slot) if slot in slots else len(slots) for slot in range(UNIFIED_WIDTH)]
        self.register_buffer("slots", torch.tensor(slots), persistent=False)
        self.register_buffer("spread", torch.tensor(spread), persistent=False)

    def forward(self, noise: Tensor, previous_chunk: Tensor, delay: Tensor, features: Tensor) -> Tensor:
        """Predict one chunk."""
        locked = (torch.arange(previous_chunk.shape[0]) < delay)[:, None]
        prefix = previous_chunk.index_select(1, self.slots)
        rows = torch.where(locked, prefix, noise[0].index_select(1, self.slots))
        for step in range(self.steps):
            time = torch.where(locked[:, 0], 1.0, step / self.steps)
            clean = self.denoiser(rows[None], time[None], prefix[None], delay[None], features)[0]
            # dt / (1 - t) with t = step / K: the last step lands on the prediction.
            rows = torch.where(locked, prefix, rows + (clean - rows) / (self.steps - step))
        spread = torch.cat([rows, torch.zeros_like(rows[:, :1])], dim=1).index_select(1, self.spread)
        # The last lock picks whole rows: the `Where` of some engines turns -0.0 into 0.0, a copy keeps every bit.
        own = torch.arange(len(spread))
        picked = torch.where(locked[:, 0], own + len(spread), own)
        return torch.cat([spread, previous_chunk]).index_select(0, picked)
