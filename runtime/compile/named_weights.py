"""A checkpoint's tensors on their way into the weight file: as they are, stacked, or folded into others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from unichunk.runtime.compile.block_weights import add_in_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from unichunk.runtime.compile.precision import Precision
    from unichunk.runtime.compile.weight_file import Weight, WeightFile


class NamedWeights:
    """Weights by the checkpoint's names; read when first asked for, one at a time, and not kept.

    Args:
        shapes: Name -> shape of everything that the graphs read.
        tensor: Reads a tensor, of any float type.
        file: Where the graphs' weights go.
        precision: Of the operands of matrix products.

    Attributes:
        kept: Beginnings of the names of matrices that int8 leaves in float32.
    """

    kept: tuple[str, ...] = ()

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        tensor: Callable[[str], NDArray[Any]],
        file: WeightFile,
        precision: Precision,
    ) -> None:
        self.file = file
        self.precision = precision
        self.tensor = tensor
        self._shapes = shapes

    def operand(self, name: str) -> Weight:
        """A matrix or bias of a product, in the graph's precision; higher axes are flattened to (outputs, inputs)."""
        shape = self._shapes[name]
        flat = (shape[0], int(np.prod(shape[1:]))) if len(shape) > 1 else shape
        return self._add(name, flat, lambda: [self.tensor(name).reshape(flat)])

    def linear(self, name: str) -> tuple[Weight, Weight]:
        """Matrix (outputs, inputs) and bias (outputs,) of a linear layer."""
        return self.operand(f"{name}.weight"), self.operand(f"{name}.bias")

    def vector(self, name: str) -> Weight:
        """Factors or offsets of channels, float32."""
        return self.file.add(name, "float32", self._shapes[name], lambda: [self.tensor(name)])

    def stacked(self, name: str, parts: Sequence[str], groups: int = 1) -> Weight:
        """Matrices of the same inputs as one, so that one product does for all.

        Args:
            name: Of the result.
            parts: Names of (outputs, inputs) matrices.
            groups: The outputs are those of the first group of each part, then those of the second, ...
        """
        outputs = sum(self._shapes[part][0] for part in parts)
        inputs = self._shapes[parts[0]][1]

        def blocks() -> Iterator[NDArray[Any]]:
            if groups == 1:
                for part in parts:
                    yield self.tensor(part)
                return
            tensors = [self.tensor(part).reshape(groups, -1, inputs) for part in parts]
            for group in range(groups):
                yield from (tensor[group] for tensor in tensors)

        return self._add(name, (outputs, inputs), blocks)

    def computed(self, name: str, shape: tuple[int, ...], values: Callable[[], NDArray[Any]]) -> Weight:
        """An operand of products that is computed at compile time, when it is first asked for."""
        return self._add(name, shape, lambda: [values()])

    def _add(self, name: str, shape: tuple[int, ...], blocks: Callable[[], Iterable[NDArray[Any]]]) -> Weight:
        """An operand in the graph's precision; in int8 only matrices are in 8 bits, and not all of them."""
        if self.precision.blocks and len(shape) == 2 and not name.startswith(self.kept):
            return add_in_blocks(self.file, name, (shape[0], shape[1]), blocks)
        return self.file.add(name, self.precision.type, shape, blocks)

    def exact(self, name: str) -> NDArray[np.float64]:
        """A tensor for arithmetic at compile time."""
        return self.tensor(name).astype(np.float64)
