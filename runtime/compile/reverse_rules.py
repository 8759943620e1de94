"""Derivatives of the operations that our builders emit, by what they take, given those by what they give.

Each rule gives pairs: an input's name, and its part of that input's derivative.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from unichunk.runtime.compile.reverse_node import Node

Parts: TypeAlias = "Iterator[tuple[str, str]]"
Rule: TypeAlias = "Callable[[Node], Parts]"


def _elementwise(node: Node, *parts: Callable[[], str]) -> Parts:
    """Parts of inputs that were broadcast to the output's shape; a part is built where it is wanted."""
    for place, part in enumerate(parts):
        if node.wants(place):
            yield node.inputs[place], node.fitted(part(), node.shape(node.outputs[0]), place)


def _same(node: Node) -> Parts:
    yield node.inputs[0], node.derivative


def _add(node: Node) -> Parts:
    return _elementwise(node, lambda: node.derivative, lambda: node.derivative)


def _sub(node: Node) -> Parts:
    return _elementwise(node, lambda: node.derivative, lambda: node.op("Neg", node.derivative))


def _mul(node: Node) -> Parts:
    left, right = node.inputs
    return _elementwise(
        node, lambda: node.op("Mul", node.derivative, right), lambda: node.op("Mul", node.derivative, left)
    )


def _div(node: Node) -> Parts:
    below = node.inputs[1]

    def by_below() -> str:
        slope = node.op("Div", node.op("Neg", node.outputs[0]), below)
        return node.op("Mul", node.derivative, slope)

    return _elementwise(node, lambda: node.op("Div", node.derivative, below), by_below)


def _where(node: Node) -> Parts:
    condition, nothing = node.inputs[0], node.graph.floats(0.0)
    return _elementwise(
        node,
        lambda: "",
        lambda: node.op("Where", condition, node.derivative, nothing),
        lambda: node.op("Where", condition, nothing, node.derivative),
    )


def _neg(node: Node) -> Parts:
    yield node.inputs[0], node.op("Neg", node.derivative)


def _pow(node: Node) -> Parts:
    exponent = float(node.constant(1))
    slope = node.inputs[0]
    if exponent != 2.0:
        slope = node.op("Pow", slope, node.graph.floats(exponent - 1.0))
    scaled = node.op("Mul", slope, node.graph.floats(exponent))
    yield node.inputs[0], node.op("Mul", node.derivative, scaled)


def _sqrt(node: Node) -> Parts:
    yield node.inputs[0], node.op("Div", node.op("Mul", node.derivative, node.graph.floats(0.5)), node.outputs[0])


def _exp(node: Node) -> Parts:
    yield node.inputs[0], node.op("Mul", node.derivative, node.outputs[0])


def _relu(node: Node) -> Parts:
    nothing = node.graph.floats(0.0)
    yield node.inputs[0], node.op("Where", node.op("Greater", node.inputs[0], nothing), node.derivative, nothing)


def _sigmoid(node: Node) -> Parts:
    slope = node.op("Mul", node.outputs[0], node.op("Sub", node.graph.floats(1.0), node.outputs[0]))
    yield node.inputs[0], node.op("Mul", node.derivative, slope)


def _tanh(node: Node) -> Parts:
    slope = node.op("Sub", node.graph.floats(1.0), node.op("Mul", node.outputs[0], node.outputs[0]))
    yield node.inputs[0], node.op("Mul", node.derivative, slope)


def _erf(node: Node) -> Parts:
    square = node.op("Mul", node.inputs[0], node.inputs[0])
    slope = node.op("Mul", node.op("Exp", node.op("Neg", square)), node.graph.floats(2.0 / math.sqrt(math.pi)))
    yield node.inputs[0], node.op("Mul", node.derivative, slope)


def _softmax(node: Node) -> Parts:
    """Shares s (g - sum of s g), the sum over the axis of the softmax."""
    shares, axis = node.outputs[0], node.attribute("axis", -1)
    weighted = node.op("Mul", node.derivative, shares)
    total = node.op("ReduceSum", weighted, node.graph.integers([axis]), keepdims=1)
    yield node.inputs[0], node.op("Sub", weighted, node.op("Mul", shares, total))


def _layer_normalization(node: Node) -> Parts:
    """With n = (x - mean) / deviation and h = g * weight: (h - mean of h - n mean of h n) / deviation."""
    if node.wants(1) or node.wants(2):
        raise NotImplementedError("LayerNormalization: weight and bias that depend on what is differentiated by")
    graph, x = node.graph, node.inputs[0]
    last = graph.integers([-1])
    centred = node.op("Sub", x, node.op("ReduceMean", x, last, keepdims=1))
    variance = node.op("ReduceMean", node.op("Mul", centred, centred), last, keepdims=1)
    deviation = node.op("Sqrt", node.op("Add", variance, graph.floats(node.attribute("epsilon", 1e-5))))
    normed = node.op("Div", centred, deviation)
    weighted = node.op("Mul", node.derivative, node.inputs[1])
    mean = node.op("ReduceMean", weighted, last, keepdims=1)
    along = node.op("ReduceMean", node.op("Mul", weighted, normed), last, keepdims=1)
    inside = node.op("Sub", node.op("Sub", weighted, mean), node.op("Mul", normed, along))
    yield x, node.op("Div", inside, deviation)


def _matmul(node: Node) -> Parts:
    left, right = node.inputs
    batch = node.shape(node.outputs[0])[:-2]
    given = node.operand(node.derivative, left)
    if node.wants(0):
        part = node.product("MatMul", given, node.swapped(right), like=left)
        yield left, node.fitted(part, (*batch, *node.shape(left)[-2:]), 0)
    if node.wants(1):
        part = node.product("MatMul", node.swapped(left), given, like=left)
        yield right, node.fitted(part, (*batch, *node.shape(right)[-2:]), 1)


def _gemm(node: Node) -> Parts:
    """Of alpha x W + beta c, with W as it is or transposed; W is a weight."""
    if node.attribute("transA", 0) or node.wants(1):
        raise NotImplementedError("Gemm: a transposed first operand, or a matrix that is differentiated by")
    x, weight = node.inputs[:2]
    if node.wants(0):
        given = node.operand(node.derivative, x)
        alpha, transposed = node.attribute("alpha", 1.0), 1 - node.attribute("transB", 0)
        yield x, node.product("Gemm", given, weight, like=x, alpha=alpha, transB=transposed)
    if node.wants(2):
        beta, part = node.attribute("beta", 1.0), node.derivative
        if beta != 1.0:
            part = node.op("Mul", part, node.graph.floats(beta))
        yield node.inputs[2], node.fitted(part, node.shape(node.outputs[0]), 2)


def _reshape(node: Node) -> Parts:
    yield node.inputs[0], node.graph.reshape(node.derivative, *node.shape(node.inputs[0]))


def _transpose(node: Node) -> Parts:
    yield node.inputs[0], node.graph.transpose(node.derivative, *np.argsort(node.attribute("perm", None)).tolist())


def _expand(node: Node) -> Parts:
    yield node.inputs[0], node.fitted(node.derivative, node.shape(node.outputs[0]), 0)


def _concat(node: Node) -> Parts:
    axis = node.attribute("axis", 0)
    sizes = [node.shape(name)[axis] for name in node.inputs]
    parts = node.graph.split(node.derivative, sizes, axis)
    for place, (name, part) in enumerate(zip(node.inputs, parts, strict=True)):
        if node.wants(place):
            yield name, part


def _split(node: Node) -> Parts:
    graph = node.graph
    parts = [
        graph.op("ConstantOfShape", graph.integers(node.shape(name))) if part is None else part
        for name, part in zip(node.outputs, node.derivatives, strict=True)
    ]
    yield node.inputs[0], graph.concat(parts, axis=node.attribute("axis", 0))


def _spread(node: Node) -> tuple[str, int]:
    """The derivative by a reduction's output, along the axes that it summed over, and how many values a sum has."""
    graph, before = node.graph, node.shape(node.inputs[0])
    axes = [int(axis) % len(before) for axis in node.constant(1)]
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(before))
    derivative = node.derivative
    if node.shape(node.outputs[0]) != kept:
        derivative = graph.reshape(derivative, *kept)
    return node.op("Expand", derivative, graph.integers(before)), math.prod(before[axis] for axis in axes)


def _reduce_sum(node: Node) -> Parts:
    yield node.inputs[0], _spread(node)[0]


def _reduce_mean(node: Node) -> Parts:
    spread, count = _spread(node)
    yield node.inputs[0], node.op("Mul", spread, node.graph.floats(1.0 / count))


def _reduce_sum_square(node: Node) -> Parts:
    slope = node.op("Mul", node.inputs[0], node.graph.floats(2.0))
    yield node.inputs[0], node.op("Mul", _spread(node)[0], slope)


RULES: Final[Mapping[str, Rule]] = {
    "Add": _add,
    "Cast": _same,
    "Concat": _concat,
    "Div": _div,
    "Erf": _erf,
    "Exp": _exp,
    "Expand": _expand,
    "Gemm": _gemm,
    "Identity": _same,
    "LayerNormalization": _layer_normalization,
    "MatMul": _matmul,
    "Mul": _mul,
    "Neg": _neg,
    "Pow": _pow,
    "ReduceMean": _reduce_mean,
    "ReduceSum": _reduce_sum,
    "ReduceSumSquare": _reduce_sum_square,
    "Relu": _relu,
    "Reshape": _reshape,
    "Sigmoid": _sigmoid,
    "Softmax": _softmax,
    "Split": _split,
    "Sqrt": _sqrt,
    "Sub": _sub,
    "Tanh": _tanh,
    "Transpose": _transpose,
    "Where": _where,
}
"""Kind of operation -> its derivative."""
