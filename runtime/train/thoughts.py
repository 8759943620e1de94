"""Teaches a trained policy to write text before it acts, without changing a single action.

Of the language model's last layer the actions see keys and values alone. So its queries, its output projection and its
feed-forward block, the norm behind it and the head that scores the vocabulary are free: they are all that is trained.
"""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from unichunk.runtime.train.being_h import BeingH

UNSAID = -100
"""Where nothing is to be said: left out of the loss."""


def free_parameters(policy: BeingH) -> dict[str, nn.Parameter]:
    """The parameters that no action depends on, by name."""
    last = f"language_model.model.layers.{policy.config.language.layers - 1}."
    parts = ("self_attn.q_proj.", "self_attn.q_norm.", "self_attn.o_proj.", "post_attention_layernorm.", "mlp.")
    prefixes = (*(last + part for part in parts), "language_model.model.norm.", "language_model.lm_head.")
    return {name: value for name, value in policy.named_parameters() if name.startswith(prefixes)}


def thought_batch(pairs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> tuple[Tensor, Tensor]:
    """Token ids and what is to be said behind each of them.

    Args:
        pairs: For each of B observations, the ids of the instruction in its prompt, and those of the thought with its
            end.

    Returns:
        Ids (B, L) padded at the end with -1, and the next ids (B, L), `UNSAID` where none is asked for.
    """
    longest = max(len(text) + len(thought) - 1 for text, thought in pairs)
    tokens = torch.full((len(pairs), longest), -1)
    said = torch.full((len(pairs), longest), UNSAID)
    for row, (text, thought) in enumerate(pairs):
        ids = [*text, *thought[:-1]]
        tokens[row, : len(ids)] = torch.tensor(ids)
        said[row, len(text) - 1 : len(ids)] = torch.tensor(thought)
    return tokens, said


def train_thoughts(
    policy: BeingH,
    batch: Callable[[], tuple[Tensor, Tensor, Tensor, Tensor]],
    *,
    steps: int,
    learning_rate: float,
    report: Callable[[str], None],
) -> None:
    """Train in place.

    Args:
        policy: A policy that thinks.
        batch: Gives images (B, V, 3, S, S), tokens and what is to be said (B, L), states (B, 200).
        steps: How many.
        learning_rate: The largest; it falls along a cosine to 0.
        report: Called with a line of progress now and then.
    """
    free = free_parameters(policy)
    policy.requires_grad_(requires_grad=False)
    for parameter in free.values():
        parameter.requires_grad_(requires_grad=True)
    optimizer = torch.optim.AdamW(free.values(), lr=learning_rate, weight_decay=1e-2)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / 20) * 0.5 * (1 + math.cos(math.pi * step / steps))
        images, tokens, said, state = batch()
        scores = policy.scores(policy.prefix(images, tokens, state), tokens.shape[1])
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), said.flatten(), ignore_index=UNSAID)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            right = share_right(policy, images, tokens, said, state)
            report(f"step {step}: loss {loss.item():.4f}, whole thoughts right {100 * right:.0f} %")


def share_right(policy: BeingH, images: Tensor, tokens: Tensor, said: Tensor, state: Tensor) -> float:
    """Share of a batch's thoughts that greedy writing gives from the first token to the end."""
    with torch.no_grad():
        scores = policy.scores(policy.prefix(images, tokens, state), tokens.shape[1])
    right = ((scores.argmax(dim=-1) == said) | (said == UNSAID)).all(dim=1)
    return float(right.float().mean())
