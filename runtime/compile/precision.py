"""The number types that weights and matrix products can be compiled to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import ml_dtypes
import numpy as np
from onnx import TensorProto

from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import PrecisionName

ONNX_TYPES: Final[Mapping[str, int]] = {
    "float32": TensorProto.FLOAT,
    "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
}
"""Name of a type in manifests and in numpy -> its number in ONNX."""


@dataclass(frozen=True)
class Precision:
    """Type of the weights and of the operands of matrix products.

    Everything between the products (norms, softmax, rotary embedding, activations, residual streams, gates) is float32
    in all precisions; so only Gemm, MatMul, Cast and moves of data ever see a half type.

    Attributes:
        name: As in the manifest.
        type: Name of the numpy and ONNX type.
        blocks: Whether matrices are stored in 8 bits, see `block_weights`; the type is that of all else then.
    """

    name: PrecisionName
    type: Literal["float32", "float16", "bfloat16"]
    blocks: bool = False

    @property
    def half(self) -> bool:
        """Whether products need casts."""
        return self.type != "float32"


FP32: Final = Precision("fp32", "float32")
PRECISIONS: Final[Mapping[str, Precision]] = {
    "fp32": FP32,
    "fp16": Precision("fp16", "float16"),
    "bf16": Precision("bf16", "bfloat16"),
    "int8": Precision("int8", "float32", blocks=True),
}


def numpy_type(name: str) -> np.dtype[Any]:
    """The numpy type of that name; bfloat16 is ml_dtypes'."""
    return np.dtype(ml_dtypes.bfloat16) if name == "bfloat16" else np.dtype(name)


def converted(values: NDArray[Any], type_name: str, name: str) -> NDArray[Any]:
    """Values in another float type.

    Raises:
        CheckpointError: A number in them is beyond its range, or was none to begin with.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        result = values.astype(numpy_type(type_name), copy=False)
    if not np.isfinite(result).all():
        if np.isfinite(values).all():
            raise CheckpointError(f"{name}: holds numbers beyond the range of {type_name}; compile with bf16 or fp32")
        raise CheckpointError(f"{name}: holds NaN or infinite numbers; the checkpoint is damaged, fetch it again")
    return result
