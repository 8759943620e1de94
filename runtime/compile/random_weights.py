"""Random weights that behave like those of an initialised network: finite activations, outputs that follow inputs."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import ml_dtypes
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

BLOCK: Final = 1 << 20
"""Numbers drawn at a time."""


def random_weights(
    shapes: Mapping[str, tuple[int, ...]], seed: int, scale: float
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yields weights one at a time, each in bfloat16; each depends on its own name, shape and the seed alone.

    Args:
        shapes: Name -> shape.
        seed: Of all of them.
        scale: Of the matrices, relative to 1 / sqrt(inputs).
    """
    for name, shape in shapes.items():
        mean, std = _distribution(name, shape, scale)
        generator = np.random.Generator(np.random.SFC64([seed, zlib.crc32(name.encode())]))
        array = np.empty(shape, ml_dtypes.bfloat16)
        flat = array.reshape(-1)
        for start in range(0, flat.size, BLOCK):
            block = generator.standard_normal(min(BLOCK, flat.size - start), np.float32)
            block *= np.float32(std)
            block += np.float32(mean)
            flat[start : start + block.size] = block
        yield name, array


def _distribution(name: str, shape: tuple[int, ...], scale: float) -> tuple[float, float]:
    """Mean and standard deviation of a weight's numbers."""
    if name.endswith((".ls1", ".ls2")):
        return 0.5, 0.1
    if name.endswith("bias"):
        return 0.0, 0.05
    if len(shape) == 1:  # a norm's weight
        return 1.0, 0.1
    return 0.0, scale / float(np.sqrt(np.prod(shape[1:])))
