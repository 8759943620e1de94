"""Reverse-mode differentiation of a graph that is being built: a vector-Jacobian product as more nodes of it.

    gradient = vector_jacobian(graph, types, value, at, seed)

gives d(sum of seed * value) / d(at), of the shape of `at`. The nodes come from the same `Graph`, so what the forward
nodes have computed is used again, and what does not depend on a denoising step (transposed keys, say) is computed once.

Derivatives are float32 throughout; only as operands of a product are they narrowed to the graph's precision, as
everything is in the forward direction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unichunk.runtime.compile.reverse_node import Node
from unichunk.runtime.compile.reverse_rules import RULES

if TYPE_CHECKING:
    from unichunk.runtime.compile.graph import Graph
    from unichunk.runtime.compile.value_types import ValueTypes


def vector_jacobian(graph: Graph, types: ValueTypes, value: str, at: str, seed: str) -> str:
    """Derivative of sum(seed * value) by another value that it was computed from.

    Args:
        graph: Holds both, and gets the nodes of the derivative.
        types: Of its values.
        value: Float32.
        at: Float32; what is differentiated by. What it was computed from itself counts as constant.
        seed: Of the shape of `value`, float32.

    Returns:
        Of the shape of `at`, float32.

    Raises:
        NotImplementedError: An operation between the two that has no rule.
        ValueError: `value` does not depend on `at`.
    """
    # A copy: the derivative's own nodes come on top.
    between = _between(list(graph.nodes), value, at)
    if value != at and not between:
        raise ValueError(f"{value} does not depend on {at}: there is no derivative")
    derivatives = {value: seed}
    wanted = {at} | {name for node in between for name in node.output}
    for proto in reversed(between):
        outputs = [derivatives.get(name) for name in proto.output]
        for name, part in _rule(proto)(Node(graph, types, proto, wanted, outputs)):
            derivatives[name] = graph.op("Add", derivatives[name], part) if name in derivatives else part
    return derivatives[at]


def _between(nodes: list[Any], value: str, at: str) -> list[Any]:
    """Nodes that lie on a way from `at` to `value`, in order."""
    reached = {at}
    behind = []
    for node in nodes:
        if reached.intersection(node.input):
            reached.update(node.output)
            behind.append(node)
    needed = {value}
    between = []
    for node in reversed(behind):
        if needed.intersection(node.output):
            needed.update(node.input)
            between.append(node)
    return between[::-1]


def _rule(proto: Any) -> Any:
    try:
        return RULES[proto.op_type]
    except KeyError:
        known = ", ".join(sorted(RULES))
        raise NotImplementedError(f"{proto.op_type} has no derivative here; there are rules for {known}") from None
