"""The one file of weights that all graphs of a bundle point into."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np
from onnx import TensorProto

from unichunk.runtime.compile.precision import ONNX_TYPES, converted, numpy_type

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

WEIGHT_FILE: Final = "weights.bin"

PAGE: Final = 4096
"""Alignment of what is large enough to be mapped into memory, [B]."""

LINE: Final = 64
"""Alignment of the rest, [B]."""

BLOCK_VALUES: Final = 1 << 23
"""Values converted at a time."""


@dataclass(frozen=True)
class Weight:
    """A tensor in the weight file.

    Attributes:
        name: Its name, in all graphs.
        type: float32, float16, bfloat16, uint8.
        shape: Its shape.
        offset, length: Where it is in the file, [B].
    """

    name: str
    type: str
    shape: tuple[int, ...]
    offset: int
    length: int

    @property
    def dims(self) -> tuple[int, ...]:
        """Shape as stored."""
        return self.shape

    def reference(self) -> TensorProto:
        """The initializer of a graph that stands for it."""
        tensor = TensorProto(name=self.name, data_type=ONNX_TYPES[self.type], dims=self.dims)
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", WEIGHT_FILE), ("offset", self.offset), ("length", self.length)):
            tensor.external_data.add(key=key, value=str(value))
        return tensor


class WeightFile:
    """Takes tensors in the order they are asked for, each name once, and holds none of them.

    Args:
        file: Open for writing, empty.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._weights: dict[str, Weight] = {}

    @property
    def weights(self) -> tuple[Weight, ...]:
        """All tensors so far, in the order of the file."""
        return tuple(self._weights.values())

    def add(
        self, name: str, type_name: str, shape: tuple[int, ...], blocks: Callable[[], Iterable[NDArray[Any]]]
    ) -> Weight:
        """A tensor by name; what is there already is not written again.

        Args:
            name: Its name.
            type_name: Type to be stored in.
            shape: Its shape.
            blocks: Gives its values, in pieces along the first axes, of any float type.

        Raises:
            CheckpointError: Values that the type cannot hold.
        """
        if name not in self._weights:
            length = math.prod(shape) * numpy_type(type_name).itemsize
            self._file.write(b"\0" * (-self._file.tell() % (PAGE if length >= PAGE else LINE)))
            offset = self._file.tell()
            for block in blocks():
                for piece in pieces(block):
                    self._file.write(np.ascontiguousarray(converted(piece, type_name, name)).view(np.uint8).data)
            assert self._file.tell() == offset + length, name
            self._weights[name] = Weight(name, type_name, shape, offset, length)
        return self._weights[name]

    def constant(self, values: NDArray[np.float32]) -> Weight:
        """A computed table; named after its content, so that equal ones are one."""
        digest = hashlib.sha256(values.tobytes()).hexdigest()[:16]
        name = f"constant.{'x'.join(map(str, values.shape))}.{digest}"
        return self.add(name, "float32", values.shape, lambda: [values])


def pieces(block: NDArray[Any]) -> Iterable[NDArray[Any]]:
    """A tensor in parts along its first axis that are small enough to be converted."""
    rows = max(1, BLOCK_VALUES * len(block) // max(1, block.size)) if block.ndim else 1
    return (block[start : start + rows] for start in range(0, len(block), rows)) if block.ndim else (block,)
