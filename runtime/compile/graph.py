"""A graph under construction: a thin layer over `onnx.helper` that names things and keeps them single."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from onnx import helper, numpy_helper

from unichunk.runtime.compile.block_weights import BLOCK, ZERO, BlockWeight
from unichunk.runtime.compile.each_request import EachRequest
from unichunk.runtime.compile.precision import ONNX_TYPES
from unichunk.runtime.policy.manifest import Tensor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from unichunk.runtime.compile.precision import Precision
    from unichunk.runtime.compile.weight_file import Weight, WeightFile

OPSET: Final = 18
IR_VERSION: Final = 9
MICROSOFT: Final = "com.microsoft"
"""Operations of ONNX Runtime's own."""
INLINE_VALUES: Final = 64
"""Constants up to this size are kept in the graph, larger ones in the weight file."""


class Graph:
    """Nodes, constants and references to weights; values are known by their names.

    The same operation on the same values is one node, so what does not depend on a denoising step is computed once
    although the builders ask for it in every step.

    Args:
        name: Of the graph.
        precision: Type of the operands of its matrix products.
        file: Where large constants go.
        batch: B, requests that it computes at once.

    Attributes:
        each: Moves of data inside each of the requests.
    """

    def __init__(self, name: str, precision: Precision, file: WeightFile, batch: int = 1) -> None:
        self.name = name
        self.precision = precision
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.each = EachRequest(self, batch)
        self._file = file
        self._nodes: list[Any] = []
        self._initializers: dict[str, Any] = {}
        self._known: dict[tuple[Any, ...], tuple[str, ...]] = {}
        self._constants: dict[tuple[Any, ...], str] = {}

    @property
    def nodes(self) -> Sequence[Any]:
        """All nodes so far; each follows those that it takes something from."""
        return self._nodes

    @property
    def initializers(self) -> Mapping[str, Any]:
        """Constants and references to weights so far, by name."""
        return self._initializers

    def input(self, name: str, shape: Sequence[int], type_name: Any) -> str:
        """Declare an input; one that is there already is the same."""
        tensor = Tensor(name=name, shape=tuple(shape), dtype=type_name)
        if tensor not in self.inputs:
            self.inputs.append(tensor)
        return name

    def output(self, name: str, value: str, shape: Sequence[int], type_name: Any) -> None:
        """Give a value out under a name of its own."""
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(Tensor(name=name, shape=tuple(shape), dtype=type_name))

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """An operation with one output."""
        return self._node(kind, inputs, 1, attributes)[0]

    def split(self, value: str, sizes: Sequence[int], axis: int) -> tuple[str, ...]:
        """Cut along an axis."""
        if len(sizes) == 1:
            return (value,)
        return self._node("Split", (value, self.integers(sizes)), len(sizes), {"axis": axis})

    def _node(self, kind: str, inputs: tuple[str, ...], count: int, attributes: dict[str, Any]) -> tuple[str, ...]:
        key = (kind, inputs, count, tuple(sorted((name, repr(value)) for name, value in attributes.items())))
        if key not in self._known:
            start = len(self._known)
            names = tuple(f"v{start}" if count == 1 else f"v{start}.{index}" for index in range(count))
            self._nodes.append(helper.make_node(kind, inputs, names, **attributes))
            self._known[key] = names
        return self._known[key]

    def largest(self, value: str, count: int) -> tuple[str, str]:
        """The largest values along the last axis, largest first, and their places; of equal ones the first."""
        values, places = self._node("TopK", (value, self.integers([count])), 2, {"axis": -1})
        return values, places

    # Constants

    def weight(self, weight: Weight) -> str:
        """A tensor of the weight file."""
        if weight.name not in self._initializers:
            self._initializers[weight.name] = weight.reference()
        return weight.name

    def integers(self, values: ArrayLike) -> str:
        """An int64 constant."""
        return self._inline(np.asarray(values, np.int64))

    def floats(self, values: ArrayLike) -> str:
        """A float32 constant."""
        array = np.asarray(values, np.float32)
        return self._inline(array) if array.size <= INLINE_VALUES else self.weight(self._file.constant(array))

    def _inline(self, values: NDArray[Any]) -> str:
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._constants:
            self._constants[key] = name = f"c{len(self._constants)}"
            self._initializers[name] = numpy_helper.from_array(values, name)
        return self._constants[key]

    # Moves of data

    def reshape(self, value: str, *shape: int) -> str:
        """The same values in another shape."""
        return self.op("Reshape", value, self.integers(shape))

    def transpose(self, value: str, *axes: int) -> str:
        """The same values with other axes first."""
        return self.op("Transpose", value, perm=list(axes))

    def concat(self, values: Sequence[str], axis: int) -> str:
        """Several values as one."""
        return values[0] if len(values) == 1 else self.op("Concat", *values, axis=axis)

    # Precision

    def wide(self, value: str) -> str:
        """A half value as float32; nothing to do in fp32."""
        return self.op("Cast", value, to=ONNX_TYPES["float32"]) if self.precision.half else value

    def narrow(self, value: str) -> str:
        """A float32 value as an operand of a matrix product; nothing to do in fp32."""
        return self.op("Cast", value, to=ONNX_TYPES[self.precision.type]) if self.precision.half else value

    # Products, float32 in and out

    def project(self, x: str, weight: Weight, bias: Weight | None = None, scale: float = 1.0) -> str:
        """Product scale (x W^T + b), x (n, inputs) float32, W (outputs, inputs); in the graph's precision."""
        if isinstance(weight, BlockWeight):
            return self._block_product(x, weight, bias, scale)
        operands = [self.narrow(x), self.weight(weight)]
        if bias is not None:
            operands.append(self.weight(bias))
        return self.op("Gemm", *operands, transB=1, alpha=scale, beta=scale if bias is not None else 1.0)

    def linear(self, x: str, weight: Weight, bias: Weight | None = None, scale: float = 1.0) -> str:
        """Product scale (x W^T + b), float32 (n, outputs)."""
        if self.precision.half and scale != 1.0:
            # TensorRT's parser multiplies the product with a float32 constant, which a typed network refuses of halves.
            return self.op("Mul", self.wide(self.project(x, weight, bias)), self.floats(scale))
        return self.wide(self.project(x, weight, bias, scale))

    def linear_onto(self, x: str, weight: Weight, base: str) -> str:
        """Sum base + x W^T, float32; base (n, outputs) or one that can be broadcast to it."""
        if self.precision.half or isinstance(weight, BlockWeight):
            return self.op("Add", base, self.linear(x, weight))
        return self.op("Gemm", x, self.weight(weight), base, transB=1)

    def _block_product(self, x: str, weight: BlockWeight, bias: Weight | None, scale: float) -> str:
        """The same with a matrix in 8 bits: ONNX Runtime's `MatMulNBits`, float32 in and out.

        Accuracy level 4 lets the CPU round x to 8 bits as well, in blocks of 32 values of one row with a scale of
        their own: that is what makes it faster than float32, and no row depends on another.
        """
        outputs, inputs = weight.shape
        sizes = {"K": inputs, "N": outputs, "bits": 8, "block_size": BLOCK, "accuracy_level": 4}
        operands = [x, self.weight(weight), self.weight(weight.scales)]
        product = self.op("MatMulNBits", *operands, domain=MICROSOFT, **sizes)
        if bias is not None:
            product = self.op("Add", product, self.weight(bias))
        return product if scale == 1.0 else self.op("Mul", product, self.floats(scale))

    def looked_up(self, table: Weight, ids: str, axes: int = 1) -> str:
        """Rows of a table (rows, width) by their numbers, which have so many axes; float32 (..., width)."""
        if not isinstance(table, BlockWeight):
            return self.wide(self.op("Gather", self.weight(table), ids, axis=0))
        stored = self.op("Cast", self.op("Gather", self.weight(table), ids, axis=0), to=ONNX_TYPES["float32"])
        scales = self.op("Gather", self.weight(table.scales), ids, axis=0)
        scales = self.op("Unsqueeze", scales, self.integers([-1]))
        values = self.op("Mul", self.op("Sub", stored, self.floats(float(ZERO))), scales)
        stored_width, width = table.dims[1] * BLOCK, table.shape[1]
        values = self.reshape(values, *[0] * axes, stored_width)
        return values if width == stored_width else self.split(values, [width, stored_width - width], axis=axes)[0]

    # Norms and activations, float32

    def rms_norm(self, x: str, weight: str, eps: float) -> str:
        """RMS norm: x / sqrt(mean of x^2 over the last axis + eps) * weight."""
        square = self.op("Pow", x, self.floats(2.0))
        mean = self.op("ReduceMean", square, self.integers([-1]), keepdims=1)
        root = self.op("Sqrt", self.op("Add", mean, self.floats(eps)))
        return self.op("Mul", self.op("Div", x, root), weight)

    def layer_norm(self, x: str, weight: str, bias: str | None, eps: float) -> str:
        """Layer norm over the last axis."""
        operands = [x, weight] if bias is None else [x, weight, bias]
        return self.op("LayerNormalization", *operands, axis=-1, epsilon=eps)

    def gelu(self, x: str) -> str:
        """GELU: x (1 + erf(x / sqrt(2))) / 2."""
        erf = self.op("Erf", self.op("Div", x, self.floats(np.sqrt(2.0))))
        return self.op("Mul", self.op("Mul", x, self.op("Add", erf, self.floats(1.0))), self.floats(0.5))

    def swish(self, x: str) -> str:
        """SiLU: x sigmoid(x)."""
        return self.op("Mul", x, self.op("Sigmoid", x))

    def model(self) -> Any:
        """The finished model; weights are references."""
        graph = helper.make_graph(
            self._nodes,
            self.name,
            [_info(tensor) for tensor in self.inputs],
            [_info(tensor) for tensor in self.outputs],
            list(self._initializers.values()),
        )
        opsets = [helper.make_opsetid("", OPSET)]
        if any(node.domain == MICROSOFT for node in self._nodes):
            opsets.append(helper.make_opsetid(MICROSOFT, 1))
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="unichunk")

    def save(self, path: Path) -> None:
        """Write the graph; the weight file is expected beside it."""
        path.write_bytes(self.model().SerializeToString())


def _info(tensor: Tensor) -> Any:
    return helper.make_tensor_value_info(tensor.name, ONNX_TYPES[tensor.dtype], tensor.shape)
