"""The weights of a Being-H0.5 checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unichunk.runtime.compile.named_weights import NamedWeights
from unichunk.runtime.compile.tensors import expected_tensors

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unichunk.runtime.compile.config import BeingHConfig
    from unichunk.runtime.compile.precision import Precision
    from unichunk.runtime.compile.weight_file import WeightFile


class CheckpointWeights(NamedWeights):
    """Weights by the checkpoint's names; see `NamedWeights`.

    Args:
        config: Of the checkpoint; gives the shapes.
        tensor: Reads a tensor, of any float type.
        file: Where the graphs' weights go.
        precision: Of the operands of matrix products.
    """

    # Where numbers of the robot come in and go out, and what gating sends the actions through: a small part of the
    # weights, and a large part of the deviation.
    kept = (
        "action_encoder.",
        "action_decoder.",
        "proprio_encoder_robot.",
        "action_to_vlm_proj.",
        "vlm_to_action_proj.",
        "mpg.",
    )

    def __init__(
        self, config: BeingHConfig, tensor: Callable[[str], NDArray[Any]], file: WeightFile, precision: Precision
    ) -> None:
        super().__init__(expected_tensors(config), tensor, file, precision)
        self.config = config
