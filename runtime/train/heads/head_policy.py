"""The whole network of a policy with action queries."""

# mypy: disallow-subclassing-any=False

from __future__ import annotations

from typing import TYPE_CHECKING

from unichunk.runtime.compile.heads.head_config import DdimHead, FlowHead
from unichunk.runtime.train.heads.context import Context
from unichunk.runtime.train.heads.diffusion import DdimDecoder, FlowDecoder
from unichunk.runtime.train.heads.regression import RegressionDecoder

if TYPE_CHECKING:
    from unichunk.runtime.compile.heads.head_config import HeadConfig


class HeadPolicy(Context):
    """Context and head; its state dictionary is a checkpoint.

    Args:
        config: Sizes, and which head.
    """

    decoder: FlowDecoder | DdimDecoder | RegressionDecoder

    def __init__(self, config: HeadConfig) -> None:
        super().__init__(config)
        if isinstance(config.head, FlowHead):
            self.decoder = FlowDecoder(config)
        elif isinstance(config.head, DdimHead):
            self.decoder = DdimDecoder(config)
        else:
            self.decoder = RegressionDecoder(config)
