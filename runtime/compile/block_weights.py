"""Matrices in 8 bits: each row in blocks of 32 values that share a scale."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnxruntime

from unichunk.runtime.compile.precision import converted
from unichunk.runtime.compile.weight_file import Weight, pieces
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from unichunk.runtime.compile.weight_file import WeightFile

BLOCK: Final = 32
"""Values that share a scale. Larger blocks gain a little speed and lose more accuracy."""

ZERO: Final = 128
"""What stands for 0: a value is scale * (stored - 128)."""


@dataclass(frozen=True)
class BlockWeight(Weight):
    """A matrix (outputs, inputs) in the weight file, stored as uint8 (outputs, blocks, 32).

    Attributes:
        scales: Of the blocks, (outputs, blocks) float32.
    """

    scales: Weight

    @property
    def dims(self) -> tuple[int, ...]:
        """Shape as stored."""
        return (self.shape[0], self.scales.shape[1], BLOCK)


def add_in_blocks(
    file: WeightFile, name: str, shape: tuple[int, int], blocks: Callable[[], Iterable[NDArray[Any]]]
) -> BlockWeight:
    """A matrix by name, in 8 bits; what is there already is not written again.

    Rows are quantized a few at a time, so that no tensor is in memory twice; only the scales are, until the last row.

    Args:
        file: Where it goes.
        name: Its name.
        shape: (outputs, inputs).
        blocks: Gives its values, in pieces along the first axis, of any float type.

    Raises:
        CheckpointError: Values that float32 cannot hold.
    """
    outputs, inputs = shape
    count = math.ceil(inputs / BLOCK)
    scales: list[NDArray[np.float32]] = []

    def values() -> Iterator[NDArray[np.uint8]]:
        for block in blocks():
            for piece in pieces(block):
                stored, scale = quantized(converted(piece, "float32", name))
                scales.append(scale)
                yield stored

    stored = file.add(f"{name}.int8", "uint8", (outputs, count, BLOCK), values)
    scale = file.add(f"{name}.scales", "float32", (outputs, count), lambda: scales)
    return BlockWeight(stored.name, stored.type, shape, stored.offset, stored.length, scale)


def quantized(matrix: NDArray[np.float32]) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Rows (n, inputs) as uint8 (n, blocks, 32) and scales (n, blocks), by ONNX Runtime's own quantizer.

    Symmetric, rounded to nearest: what its `MatMulNBitsQuantizer` makes of a weight with 8 bits, block size 32. The
    last block is filled up with zeros. A block of zeros has scale 0.

    Raises:
        CheckpointError: This ONNX Runtime has no such quantizer.
    """
    try:
        # Not at the top: who compiles in another precision may have an ONNX Runtime before 1.22.
        from onnxruntime.capi._pybind_state import quantize_matmul_8bits  # noqa: PLC0415
    except ImportError:
        raise CheckpointError(
            f"precision int8: onnxruntime {onnxruntime.__version__} cannot quantize to 8 bits; install 1.22 or newer, "
            "or choose another --precision"
        ) from None
    rows, inputs = matrix.shape
    count = math.ceil(inputs / BLOCK)
    padded = np.zeros((count * BLOCK, rows), np.float32)
    padded[:inputs] = matrix.T
    stored = np.zeros((rows, count, BLOCK), np.uint8)
    scales = np.zeros((rows, count), np.float32)
    unused = np.zeros((rows, count), np.uint8)
    quantize_matmul_8bits(stored, padded, scales, unused, BLOCK, rows, inputs, True)  # noqa: FBT003  (symmetric)
    return stored, scales
