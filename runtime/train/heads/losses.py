"""What the heads are trained to: velocity, noise or rows behind a locked prefix.

A head that denoises meets in training what it meets in the sampler: rows before a drawn delay are clean and say so by
their own time, and only what is behind them counts (Being-H0.5's training; for DDIM the same in a discrete schedule).
A regression cannot be told of a prefix, so all of its rows count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from unichunk.runtime.compile.heads.ddim_schedule import CLEAN, signal_products
from unichunk.runtime.compile.heads.head_config import DdimHead, FlowHead
from unichunk.runtime.train.flow import flow_errors, locked_rows, noisy_rows, row_errors, sample_times
from unichunk.runtime.train.heads.context import Observed
from unichunk.runtime.train.heads.diffusion import DdimDecoder, FlowDecoder
from unichunk.runtime.train.losses import augmented
from unichunk.runtime.train.slots import spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from unichunk.runtime.train.batches import Batch
    from unichunk.runtime.train.heads.head_policy import HeadPolicy
    from unichunk.runtime.train.settings import TrainingSettings

WITHOUT_CONDITION: Final = 0.1
"""How often a DDIM head does not see its condition, so that it can be guided (VITRA)."""


def head_losses(
    policy: HeadPolicy,
    batch: Batch,
    slots: Sequence[int],
    settings: TrainingSettings,
    fields_of_view: Tensor | None = None,
) -> Tensor:
    """The loss of each sample, shape (B R,).

    Args:
        policy: The policy.
        batch: B observations with R draws of delay each; its texts are as long as the policy's.
        slots: Where its values lie.
        settings: How to train.
        fields_of_view: Of the observations' cameras, shape (B, V, 2), [rad]; needed where the policy takes them.
    """
    seen = observed(batch, slots, settings, fields_of_view)
    repeats = len(batch.delay) // len(batch.own)
    own = batch.own.repeat_interleave(repeats, dim=0)
    queried = policy.queried(seen).repeat_interleave(repeats, dim=0)
    masks = seen.action_mask.repeat_interleave(repeats, dim=0)
    if isinstance(policy.decoder, FlowDecoder):
        return _flow_loss(policy, queried, masks, batch, own, slots)
    if isinstance(policy.decoder, DdimDecoder):
        state = policy.state_encoder(seen).repeat_interleave(repeats, dim=0)
        return _ddim_loss(policy, queried, state, masks, batch, own, slots)
    rows = policy.decoder(queried)[..., list(slots)]
    return row_errors((rows - batch.rows).abs(), torch.zeros_like(batch.delay), own)[0]


def observed(
    batch: Batch, slots: Sequence[int], settings: TrainingSettings, fields_of_view: Tensor | None = None
) -> Observed:
    """The observations of a batch, under random light and noise."""
    mask = spread(batch.own.float(), slots)
    state = batch.state + settings.state_noise * torch.randn_like(batch.state) * batch.own
    views = batch.images.shape[1]
    return Observed(
        images=augmented(batch.images, settings),
        text=batch.tokens,
        state=spread(state, slots),
        state_mask=mask,
        action_mask=mask,
        fields_of_view=mask.new_zeros(len(mask), views, 2) if fields_of_view is None else fields_of_view,
    )


def _flow_loss(
    policy: HeadPolicy, queried: Tensor, masks: Tensor, batch: Batch, own: Tensor, slots: Sequence[int]
) -> Tensor:
    head, decoder = policy.config.head, policy.decoder
    assert isinstance(head, FlowHead)
    time = sample_times(len(own), head.steps)
    noise = torch.randn_like(batch.rows) * own[:, None]
    locked = locked_rows(batch.delay, batch.rows.shape[1])
    noisy, row_time = noisy_rows(batch.rows, noise, time, locked)
    buckets = (row_time * head.buckets + 1e-3).long()
    velocity = decoder(spread(noisy, slots), buckets, queried, masks)[..., list(slots)]
    return flow_errors(velocity, batch.rows, noise, batch.delay, own)[0]


def _ddim_loss(
    policy: HeadPolicy,
    queried: Tensor,
    state: Tensor,
    masks: Tensor,
    batch: Batch,
    own: Tensor,
    slots: Sequence[int],
) -> Tensor:
    head, decoder = policy.config.head, policy.decoder
    assert isinstance(head, DdimHead)
    assert isinstance(decoder, DdimDecoder)
    now = torch.randint(head.training_steps, (len(own),))
    signal = torch.from_numpy(signal_products(head.training_steps))[now].float()[:, None, None]
    noise = torch.randn_like(batch.rows) * own[:, None]
    locked = locked_rows(batch.delay, batch.rows.shape[1])
    noisy = torch.where(locked[..., None], batch.rows, signal.sqrt() * batch.rows + (1 - signal).sqrt() * noise)
    times = torch.where(locked, CLEAN, now[:, None])
    dropped = torch.rand(len(own), 1) < WITHOUT_CONDITION
    said = torch.where(dropped, decoder.no_condition, queried[:, 0])
    found = decoder(spread(noisy, slots), times, now, said, state, masks)[..., list(slots)]
    return row_errors((found - noise).square(), batch.delay, own)[0]
