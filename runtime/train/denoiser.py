"""The chunk network: noisy rows, each with its own time, to clean rows."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Block(nn.Module):
    """Attention over rows and an MLP, both modulated by the features.

    Args:
        hidden: Width of a row.
        heads: Attention heads.
        features: Width of the conditioning vector.
    """

    def __init__(self, hidden: int, heads: int, features: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(hidden, elementwise_affine=False)
        self.norm_mlp = nn.LayerNorm(hidden, elementwise_affine=False)
        self.modulation = nn.Linear(features, 4 * hidden)
        self.query_key_value = nn.Linear(hidden, 3 * hidden)
        self.project = nn.Linear(hidden, hidden)
        self.mlp = nn.Sequential(nn.Linear(hidden, 2 * hidden), nn.SiLU(), nn.Linear(2 * hidden, hidden))

    def forward(self, rows: Tensor, condition: Tensor) -> Tensor:
        """Rows (B, T, hidden) under a condition (B, features)."""
        scale_a, shift_a, scale_m, shift_m = self.modulation(condition)[:, None, :].chunk(4, dim=-1)
        rows = rows + self._attend(self.norm_attention(rows) * (1.0 + scale_a) + shift_a)
        mixed: Tensor = rows + self.mlp(self.norm_mlp(rows) * (1.0 + scale_m) + shift_m)
        return mixed

    def _attend(self, rows: Tensor) -> Tensor:
        batch, length, hidden = rows.shape
        split = self.query_key_value(rows).reshape(batch, length, 3, self.heads, hidden // self.heads)
        query, key, value = split.permute(2, 0, 3, 1, 4).unbind(0)
        scores = query @ key.transpose(-1, -2) / math.sqrt(hidden // self.heads)
        attended: Tensor = self.project((scores.softmax(dim=-1) @ value).transpose(1, 2).reshape(batch, length, hidden))
        return attended


class Denoiser(nn.Module):
    """Predicts clean rows, as an offset from where the prefix ends.

    That anchor is the last locked row, or the measured state where nothing is locked: what comes next starts there. The
    i-th row after it is no further away than i steps of the demonstrator, so that no seam is ever a leap, not even for
    inputs unlike any in training.

    Args:
        rows: T.
        reach: Largest step of the demonstrator from row to row, normalized, length n: the number of action values in
            use; the state has as many, in the same order.
        features: Width of the encoder's features, without the state that is appended to them.
        hidden: Width of a row inside.
        blocks: Number of blocks.
        heads: Attention heads.
    """

    def __init__(
        self, rows: int, reach: tuple[float, ...], features: int, hidden: int = 96, blocks: int = 3, heads: int = 4
    ) -> None:
        super().__init__()
        width = len(reach)
        self.rows, self.width = rows, width
        self.register_buffer("reach", torch.tensor(reach), persistent=False)
        self.take_rows = nn.Linear(2 * width + 1, hidden)
        self.take_time = nn.Sequential(nn.Linear(16, hidden), nn.SiLU(), nn.Linear(hidden, hidden))
        self.take_features = nn.Linear(features + width, features)
        self.place = nn.Embedding(rows, hidden)
        self.distance = nn.Embedding(rows + 1, hidden)
        self.blocks = nn.ModuleList(Block(hidden, heads, features) for _ in range(blocks))
        self.norm = nn.LayerNorm(hidden)
        self.give_rows = nn.Linear(hidden, width)
        nn.init.zeros_(self.give_rows.weight)
        self.register_buffer("frequencies", 2.0 ** torch.arange(8) * math.pi / 2, persistent=False)

    def forward(self, noisy: Tensor, time: Tensor, prefix: Tensor, delay: Tensor, features: Tensor) -> Tensor:
        """Predict the clean rows.

        Args:
            noisy: x_t, shape (B, T, n), normalized; locked rows clean.
            time: Time of each row, shape (B, T).
            prefix: Rows of the previous chunk, shape (B, T, n); only those before the delay are looked at.
            delay: Length of the prefix, shape (B,), int64.
            features: The encoder's result, shape (B, features + n).

        Returns:
            Shape (B, T, n); what it says about locked rows means nothing.
        """
        index = torch.arange(self.rows, device=noisy.device)
        last = torch.where((index[None, :] == delay[:, None] - 1)[..., None], prefix, 0.0).sum(dim=1)
        anchor = torch.where(delay[:, None] > 0, last, features[:, -self.width :])
        locked = (index[None, :] < delay[:, None]).to(noisy.dtype)[..., None]
        behind = (index[None, :] - delay[:, None] + 1).clamp(min=0)
        angle = time[..., None] * self.frequencies
        hidden = self.take_rows(torch.cat([noisy, noisy - anchor[:, None, :], locked], dim=-1))
        hidden = hidden + self.take_time(torch.cat([angle.sin(), angle.cos()], dim=-1))
        hidden = hidden + self.place(index)[None] + self.distance(behind)
        condition = self.take_features(torch.cat([features[:, : -self.width], anchor], dim=-1))
        for block in self.blocks:
            hidden = block(hidden, condition)
        reach = behind[..., None].to(noisy.dtype) * self.reach
        offset: Tensor = torch.minimum(torch.maximum(self.give_rows(self.norm(hidden)), -reach), reach)
        return anchor[:, None, :] + offset
