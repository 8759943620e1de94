"""A vision tower that has learned to look already: taken from a checkpoint and kept, while the rest is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from unichunk.runtime.compile.checkpoint import Checkpoint
    from unichunk.runtime.train.being_h import BeingH

PARTS: Final = ("vit_model.", "connector.")


def keep_vision(policy: BeingH, checkpoint: Checkpoint) -> None:
    """Take the vision transformer and the connector from a checkpoint; they get no gradients any more.

    Args:
        policy: The policy to be trained.
        checkpoint: Whose vision tower to take.

    Raises:
        CheckpointError: Its images, vision tower or language width are of another size.
    """
    found, wanted = checkpoint.config, policy.config
    if (found.vision, found.image_size, found.language.width) != (
        wanted.vision,
        wanted.image_size,
        wanted.language.width,
    ):
        raise CheckpointError(
            f"{checkpoint.directory}: expected the vision tower, images ({wanted.image_size} px) and language width "
            f"({wanted.language.width}) of the policy to be trained; take a checkpoint of the same recipe"
        )
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if name.startswith(PARTS):
                parameter.copy_(torch.from_numpy(checkpoint.tensor(name).astype(np.float32)))
                parameter.requires_grad_(requires_grad=False)
