"""Post-training: a policy begins with the weights of another one, and its vision tower stays as it is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from unichunk.runtime.compile.tensors import expected_tensors
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from unichunk.runtime.compile.checkpoint import Checkpoint
    from unichunk.runtime.train.being_h import BeingH

KEPT: Final = ("vit_model.", "connector.")
NEW: Final = ("adapters.", "router.")
"""What a checkpoint without these parts has no weights for; they begin as they are."""

UNUSED: Final = ("language_model.model.norm.",)
"""What nothing reads, and checkpoints may leave out."""


def start_from(policy: BeingH, checkpoint: Checkpoint) -> None:
    """Take the weights of a checkpoint; vision transformer and connector get no gradients any more.

    Where the policy has parallel experts and the checkpoint has one block, each of them begins as a copy of it ("sparse
    upcycling", Komatsuzaki et al. 2022): the shares add up to 1, so a mixture begins as the policy that it comes from,
    as adapters do, whose second layers begin at zero.

    Args:
        policy: The policy to be trained.
        checkpoint: Where it begins.

    Raises:
        CheckpointError: The checkpoint has no weights for a part, or of another size.
    """
    known = expected_tensors(checkpoint.config)
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            source = name if name in known else re.sub(r"\.experts\.\d+\.", ".", name)
            if known.get(source) == tuple(parameter.shape):
                parameter.copy_(torch.from_numpy(checkpoint.tensor(source).astype(np.float32)))
            elif not name.startswith((*NEW, *UNUSED)):
                raise CheckpointError(
                    f"{checkpoint.directory}: {source} is {known.get(source, 'missing')}, expected "
                    f"{tuple(parameter.shape)}; start from a checkpoint of the same recipe"
                )
            if name.startswith(KEPT):
                parameter.requires_grad_(requires_grad=False)
