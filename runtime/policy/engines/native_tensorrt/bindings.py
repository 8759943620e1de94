"""Which tensors an engine has, as numbers of bytes and as the bundle describes them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from unichunk.runtime.policy.bundle import REMEDY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from unichunk.runtime.policy.manifest import Tensor

TYPES: Final = {
    "FLOAT": "float32",
    "HALF": "float16",
    "BF16": "bfloat16",
    "INT64": "int64",
    "INT32": "int32",
    "INT8": "int8",
    "UINT8": "uint8",
    "BOOL": "bool",
}
"""TensorRT's names of types (`tensorrt.DataType`) -> the manifest's."""

_BYTES: Final = {"float32": 4, "float16": 2, "bfloat16": 2, "int64": 8}

Described = tuple[tuple[int, ...], str]
"""Shape and type of a tensor."""


@dataclass(frozen=True)
class Binding:
    """A tensor of an engine.

    Attributes:
        name: In the graph.
        shape: Fixed.
        dtype: As the manifest calls it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str

    @property
    def nbytes(self) -> int:
        """What it takes, [B]."""
        return math.prod(self.shape) * _BYTES[self.dtype]

    def encoded(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Values as the bytes that the engine reads, shape (nbytes,).

        Raises:
            ValueError: Another shape or type than the engine's, or float32 numbers that are no bfloat16 numbers.
        """
        expected = "float32" if self.dtype == "bfloat16" else self.dtype
        if values.shape != self.shape or values.dtype != expected:
            raise ValueError(
                f"input `{self.name}`: expected {self.shape} {self.dtype}, got {values.shape} {values.dtype.name}"
            )
        values = np.ascontiguousarray(values).reshape(-1)
        if self.dtype == "bfloat16":
            bits = values.view(np.uint32)
            if (bits & 0xFFFF).any():
                raise ValueError(f"input `{self.name}`: expected numbers that bfloat16 has, got others; round them")
            values = (bits >> 16).astype(np.uint16)
        return values.view(np.uint8)

    def decoded(self, content: NDArray[np.uint8]) -> NDArray[Any]:
        """An array of its own from the bytes that the engine wrote; bfloat16 as float32, which has all its numbers."""
        if self.dtype == "bfloat16":
            return (content.view(np.uint16).astype(np.uint32) << 16).view(np.float32).reshape(self.shape)
        return content.view(self.dtype).reshape(self.shape).copy()


def binding_table(tensors: Sequence[Tensor]) -> dict[str, Binding]:
    """Tensors of a manifest, by name."""
    return {tensor.name: Binding(tensor.name, tensor.shape, tensor.dtype) for tensor in tensors}


def signature_complaint(
    path: Path, kind: str, declared: Mapping[str, Binding], found: Mapping[str, Described]
) -> str | None:
    """What a graph has and its bundle does not say, or the other way round.

    Args:
        path: Of the graph.
        kind: `input` or `output`; a graph may have further outputs.
        declared: In the bundle.
        found: In the graph, shape and type by name.
    """
    for name, tensor in declared.items():
        if name not in found:
            return f"{path}: {kind} `{name}` is in bundle.json, the graph has {sorted(found)}; {REMEDY}"
        expected = (tensor.shape, tensor.dtype)
        if found[name] != expected:
            return f"{path}: {kind} `{name}` is {found[name]}, bundle.json says {expected}; {REMEDY}"
    extra = sorted(found.keys() - declared.keys())
    if extra and kind == "input":
        return f"{path}: the graph needs inputs {extra} that bundle.json does not describe; {REMEDY}"
    return None


def workspace_bytes(memory_gib: float | None, needed: int) -> int | None:
    """What is left of an engine's memory for what it computes in between, [B]; None for no limit.

    Args:
        memory_gib: All that the engine may take, [GiB]; None for no limit.
        needed: What weights, inputs and outputs take, [B].

    Returns:
        0 or less where these alone are too large.
    """
    return None if memory_gib is None else int(memory_gib * 2**30) - needed
