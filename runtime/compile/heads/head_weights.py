"""The weights of a policy with action queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unichunk.runtime.compile.heads.head_tensors import head_tensors
from unichunk.runtime.compile.named_weights import NamedWeights

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from unichunk.runtime.compile.heads.head_config import HeadConfig
    from unichunk.runtime.compile.precision import Precision
    from unichunk.runtime.compile.weight_file import WeightFile


class HeadWeights(NamedWeights):
    """Weights by the checkpoint's names; see `NamedWeights`.

    Args:
        config: Of the checkpoint; gives the shapes.
        tensor: Reads a tensor, of any float type.
        file: Where the graphs' weights go.
        precision: Of the operands of matrix products.
    """

    # Where numbers of the robot come in and go out, see `CheckpointWeights`.
    kept = ("state_encoder.", "field_of_view_encoder.", "decoder.embed.0.", "decoder.embed.2.", "decoder.out.")

    def __init__(
        self, config: HeadConfig, tensor: Callable[[str], NDArray[Any]], file: WeightFile, precision: Precision
    ) -> None:
        super().__init__(head_tensors(config), tensor, file, precision)
        self.config = config
