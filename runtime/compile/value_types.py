"""Shapes and types of a graph's values while it is being built, for what needs to know them to build on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from onnx import helper, shape_inference

from unichunk.runtime.compile.graph import OPSET
from unichunk.runtime.compile.precision import ONNX_TYPES

if TYPE_CHECKING:
    from unichunk.runtime.compile.graph import Graph


class ValueType(NamedTuple):
    """Shape of a value, and its type as ONNX numbers it."""

    shape: tuple[int, ...]
    type: int

    @property
    def wide(self) -> bool:
        """Whether it is float32."""
        return self.type == ONNX_TYPES["float32"]


class ValueTypes:
    """Shapes and types of all values of a graph, found by ONNX's own inference; each node is looked at once.

    Args:
        graph: May grow meanwhile.
    """

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._known: dict[str, ValueType] = {}
        self._seen = 0

    def __getitem__(self, name: str) -> ValueType:
        if name not in self._known:
            self._look()
        return self._known[name]

    def _look(self) -> None:
        """Infer what the nodes give that came since the last time."""
        graph = self._graph
        for tensor in graph.inputs:
            self._known[tensor.name] = ValueType(tensor.shape, ONNX_TYPES[tensor.dtype])
        nodes = graph.nodes[self._seen :]
        self._seen = len(graph.nodes)
        taken = {name for node in nodes for name in node.input if name}
        constants = [graph.initializers[name] for name in taken if name in graph.initializers]
        for tensor in constants:
            self._known[tensor.name] = ValueType(tuple(tensor.dims), tensor.data_type)
        given = {name for node in nodes for name in node.output}
        before = sorted(taken - given - graph.initializers.keys())
        part = helper.make_graph(nodes, "part", [_info(name, self._known[name]) for name in before], [], constants)
        model = helper.make_model(part, opset_imports=[helper.make_opsetid("", OPSET)])
        inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        for value in inferred.graph.value_info:
            tensor = value.type.tensor_type
            self._known[value.name] = ValueType(tuple(axis.dim_value for axis in tensor.shape.dim), tensor.elem_type)


def _info(name: str, value: ValueType) -> Any:
    return helper.make_tensor_value_info(name, value.type, value.shape)
