"""One node on the way back: what it took, what it gave, and the derivatives by what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnx import helper, numpy_helper

from unichunk.runtime.compile.precision import ONNX_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.value_types import ValueTypes


class Node:
    """A node that is differentiated.

    Args:
        graph: Where the derivative's nodes go.
        types: Of the graph's values.
        proto: The node.
        wanted: Names of values whose derivatives are wanted.
        derivatives: By each of its outputs, float32; None for those that the result does not depend on.
    """

    def __init__(
        self, graph: Graph, types: ValueTypes, proto: Any, wanted: set[str], derivatives: Sequence[str | None]
    ) -> None:
        self.graph = graph
        self.kind: str = proto.op_type
        self.inputs = tuple(proto.input)
        self.outputs = tuple(proto.output)
        self.derivatives = tuple(derivatives)
        self._types = types
        self._wanted = wanted
        self._attributes = {item.name: helper.get_attribute_value(item) for item in proto.attribute}

    @property
    def derivative(self) -> str:
        """By the only output."""
        assert self.derivatives[0] is not None
        return self.derivatives[0]

    def attribute(self, name: str, default: Any) -> Any:
        """Of the node."""
        return self._attributes.get(name, default)

    def wants(self, place: int) -> bool:
        """Whether the derivative by an input is wanted."""
        return place < len(self.inputs) and self.inputs[place] in self._wanted

    def shape(self, name: str) -> tuple[int, ...]:
        """Of a value."""
        return self._types[name].shape

    def constant(self, place: int) -> NDArray[Any]:
        """An input whose value is in the graph.

        Raises:
            NotImplementedError: It is computed, or in the weight file.
        """
        name = self.inputs[place]
        tensor = self.graph.initializers.get(name)
        if tensor is None or tensor.external_data:
            raise NotImplementedError(f"{self.kind}: expected a constant as input {place}, got {name}")
        values: NDArray[Any] = numpy_helper.to_array(tensor)
        return values

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """A node of the derivative."""
        return self.graph.op(kind, *inputs, **attributes)

    def fitted(self, part: str, shape: Sequence[int], place: int) -> str:
        """The derivative by an input that was broadcast to `shape`: summed over the axes along which it was."""
        wanted = self.shape(self.inputs[place])
        if wanted == tuple(shape):
            return part
        extra = len(shape) - len(wanted)
        padded = (1,) * extra + wanted
        axes = [axis for axis, (own, wide) in enumerate(zip(padded, shape, strict=True)) if own != wide]
        if axes:
            part = self.op("ReduceSum", part, self.graph.integers(axes), keepdims=1)
        return self.graph.reshape(part, *wanted) if extra else part

    def swapped(self, name: str) -> str:
        """The last two axes of a value swapped."""
        axes = list(range(len(self.shape(name))))
        return self.graph.transpose(name, *axes[:-2], axes[-1], axes[-2])

    def operand(self, part: str, like: str) -> str:
        """A derivative as an operand of a product with a value, of its type."""
        value = self._types[like]
        return part if value.wide else self.op("Cast", part, to=value.type)

    def product(self, kind: str, *operands: str, like: str, **attributes: Any) -> str:
        """A product in the type of a value, float32 in the end."""
        result = self.op(kind, *operands, **attributes)
        return result if self._types[like].wide else self.op("Cast", result, to=ONNX_TYPES["float32"])
