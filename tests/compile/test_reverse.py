"""Derivatives of graphs against finite differences, operation by operation and in chains."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unichunk.runtime.compile.graph import Graph
from unichunk.runtime.compile.precision import PRECISIONS
from unichunk.runtime.compile.reverse import vector_jacobian
from unichunk.runtime.compile.reverse_rules import RULES
from unichunk.runtime.compile.value_types import ValueTypes
from unichunk.runtime.compile.weight_file import WeightFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

SHAPE = (3, 4)
STEP = 1e-3


class Built:
    """A function of x (3, 4) as a graph, with its derivative for any seed."""

    def __init__(self, function: Callable[[Graph, str], str], precision: str = "fp32") -> None:
        self.graph = graph = Graph("test", PRECISIONS[precision], WeightFile(io.BytesIO()))
        graph.input("x", SHAPE, "float32")
        x = graph.op("Identity", "x")
        value = function(graph, x)
        types = ValueTypes(graph)
        shape = types[value].shape
        seed = graph.input("seed", shape, "float32")
        graph.output("value", value, shape, "float32")
        self.forward = {node.op_type for node in graph.nodes}
        graph.output("gradient", vector_jacobian(graph, types, value, x, seed), SHAPE, "float32")
        self.shape = shape
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            graph.model().SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, x: NDArray[Any], seed: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
        given = {"x": x.astype(np.float32), "seed": seed.astype(np.float32)}
        value, gradient = self._session.run(["value", "gradient"], given)
        return value, gradient

    def agrees(self, x: NDArray[Any], random: np.random.Generator, tolerance: float = 3e-3) -> None:
        """Along random directions, with a random seed."""
        seed = random.normal(size=self.shape)
        gradient = self(x, seed)[1].astype(np.float64)
        assert gradient.shape == SHAPE
        for _ in range(4):
            along = random.normal(size=SHAPE)
            ahead, behind = (self(x + sign * STEP * along, seed)[0].astype(np.float64) for sign in (1, -1))
            found = float(((ahead - behind) * seed).sum() / (2 * STEP))
            scale = np.abs(gradient * along).sum() + np.abs(seed).sum() * 1e-2
            # Values are float32, and a difference of two of them is divided by a small step.
            rounding = np.finfo(np.float32).eps * (np.abs(ahead) * np.abs(seed)).sum() / STEP
            assert float((gradient * along).sum()) == pytest.approx(found, abs=tolerance * scale + rounding)


def matrix(graph: Graph, rows: int, columns: int) -> str:
    return graph.floats(np.random.default_rng([rows, columns]).normal(size=(rows, columns)))


def flat(graph: Graph, values: list[float]) -> str:
    return graph.floats(np.array(values))


def gemm(graph: Graph, x: str, *, transposed: int) -> str:
    weight = matrix(graph, *((5, 4) if transposed else (4, 5)))
    base = graph.op("ReduceSum", x, graph.integers([0, 1]), keepdims=1)
    return graph.op("Gemm", x, weight, base, transB=transposed, alpha=0.7, beta=1.3)


def attention(graph: Graph, x: str) -> str:
    """Two products of batches, one operand of each being broadcast."""
    heads = graph.reshape(x, 1, 3, 4)
    keys = graph.floats(np.random.default_rng(3).normal(size=(2, 4, 5)))
    shares = graph.op("Softmax", graph.op("MatMul", heads, keys), axis=-1)
    values = graph.transpose(graph.op("MatMul", graph.transpose(heads, 0, 2, 1), shares), 0, 2, 1)
    return graph.op("MatMul", shares, values)


def split(graph: Graph, x: str) -> str:
    """One part is used twice, one not at all."""
    first, second, _ = graph.split(x, [1, 2, 1], axis=1)
    return graph.concat([second, flat(graph, [[1.0], [2.0], [3.0]]), first, second], axis=1)


def layer_norm(graph: Graph, x: str) -> str:
    return graph.layer_norm(x, flat(graph, [1.0, 2.0, -1.0, 0.5]), flat(graph, [0.1, 0.2, 0.3, 0.4]), 1e-5)


def where(graph: Graph, x: str) -> str:
    condition = graph.op("Less", flat(graph, [[0.5], [-0.5], [2.0]]), graph.floats(1.0))
    return graph.op("Where", condition, x, graph.op("Where", condition, graph.floats(0.0), graph.op("Neg", x)))


def row(graph: Graph, x: str) -> str:
    """Something of shape (1, 4) that depends on x, to be broadcast."""
    return graph.op("ReduceMean", x, graph.integers([0]), keepdims=1)


FUNCTIONS: dict[str, Callable[[Graph, str], str]] = {
    "Add": lambda g, x: g.op("Add", g.op("Add", x, row(g, x)), flat(g, [1.0, 2.0, 3.0, 4.0])),
    "Sub": lambda g, x: g.op("Sub", row(g, x), g.op("Sub", x, g.floats(1.0))),
    "Mul": lambda g, x: g.op("Mul", g.op("Mul", x, x), row(g, x)),
    "Div": lambda g, x: g.op("Div", g.op("Div", x, flat(g, [1.0, 2.0, 3.0, 4.0])), g.op("Exp", row(g, x))),
    "Neg": lambda g, x: g.op("Neg", x),
    "Pow": lambda g, x: g.op("Pow", g.op("Pow", x, g.floats(2.0)), g.floats(1.5)),
    "Sqrt": lambda g, x: g.op("Sqrt", g.op("Add", g.op("Mul", x, x), g.floats(0.3))),
    "Exp": lambda g, x: g.op("Exp", x),
    "Relu": lambda g, x: g.op("Relu", x),
    "Sigmoid": lambda g, x: g.swish(x),
    "Tanh": lambda g, x: g.op("Tanh", x),
    "Erf": lambda g, x: g.gelu(x),
    "Softmax": lambda g, x: g.op("Softmax", x, axis=-1),
    "LayerNormalization": layer_norm,
    "rms_norm": lambda g, x: g.rms_norm(x, flat(g, [1.0, 2.0, -1.0, 0.5]), 1e-6),
    "MatMul": attention,
    "Gemm": lambda g, x: g.op("Add", gemm(g, x, transposed=0), gemm(g, x, transposed=1)),
    "Reshape": lambda g, x: g.op("Mul", g.reshape(x, 2, 6), g.reshape(g.op("Neg", x), 2, 6)),
    "Transpose": lambda g, x: g.op("Exp", g.transpose(g.reshape(x, 3, 2, 2), 2, 0, 1)),
    "Expand": lambda g, x: g.op("Exp", g.op("Expand", row(g, x), g.integers([2, 3, 4]))),
    "Concat": split,
    "Split": split,
    "ReduceSum": lambda g, x: g.op("Exp", g.op("ReduceSum", x, g.integers([-1]), keepdims=0)),
    "ReduceMean": lambda g, x: g.op("Exp", row(g, x)),
    "ReduceSumSquare": lambda g, x: g.op("ReduceSumSquare", x, g.integers([0, 1]), keepdims=0),
    "Where": where,
    "Identity": lambda g, x: g.op("Identity", x),
    "Cast": lambda g, x: g.op("Cast", x, to=1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives_agree_with_differences(name: str) -> None:
    random = np.random.default_rng(sum(name.encode()))
    built = Built(FUNCTIONS[name])
    assert name in built.forward | {"rms_norm"}
    # Away from the kinks.
    x = random.normal(size=SHAPE)
    built.agrees(np.where(np.abs(x) < 0.05, 0.3, x), random)


def test_every_rule_is_tried() -> None:
    assert set(RULES) == set(FUNCTIONS) - {"rms_norm"}


SMOOTH = ["Add", "Sub", "Mul", "Div", "Neg", "Sqrt", "Sigmoid", "Tanh", "Erf", "Softmax", "LayerNormalization", "Where"]


@settings(max_examples=12, deadline=None)
@given(st.lists(st.sampled_from(SMOOTH), min_size=2, max_size=5), st.integers(0, 2**16))
def test_chains_with_residuals_agree_too(names: list[str], seed: int) -> None:
    def chain(graph: Graph, x: str) -> str:
        for name in names:
            # Far from its ends, where values differ by little more than their rounding.
            bounded = graph.op("Tanh", graph.op("Mul", x, graph.floats(0.2)))
            x = graph.op("Add", bounded, FUNCTIONS[name](graph, bounded))
        return x

    random = np.random.default_rng(seed)
    Built(chain).agrees(random.normal(size=SHAPE), random, 1e-2)


def test_what_comes_before_counts_as_constant() -> None:
    def function(graph: Graph, x: str) -> str:
        return graph.op("Mul", x, graph.op("Exp", "x"))

    x = np.random.default_rng(0).normal(size=SHAPE)
    assert Built(function)(x, np.ones(SHAPE))[1] == pytest.approx(np.exp(x), rel=1e-5)


def test_the_derivative_uses_what_is_there() -> None:
    """The forward nodes are not built anew, and asking twice builds nothing."""
    graph = Graph("test", PRECISIONS["fp32"], WeightFile(io.BytesIO()))
    x = graph.op("Identity", graph.input("x", SHAPE, "float32"))
    value, types = graph.op("Exp", x), ValueTypes(graph)
    seed = graph.input("seed", SHAPE, "float32")
    first = vector_jacobian(graph, types, value, x, seed)
    assert [node.op_type for node in graph.nodes] == ["Identity", "Exp", "Mul"]
    assert vector_jacobian(graph, types, value, x, seed) == first
    assert len(graph.nodes) == 3
    assert vector_jacobian(graph, types, x, x, seed) == seed


def test_half_products_get_half_operands_and_give_float32() -> None:
    """Elementwise operations of a half graph, and of its derivative, are float32."""
    graph = Graph("test", PRECISIONS["bf16"], file := WeightFile(io.BytesIO()))
    weight = file.add("w", "bfloat16", (4, 4), lambda: [np.eye(4, dtype=np.float32)])
    x = graph.op("Identity", graph.input("x", SHAPE, "float32"))
    hidden = graph.swish(graph.linear(x, weight))
    value = graph.wide(graph.op("MatMul", graph.narrow(hidden), graph.transpose(graph.narrow(hidden), 1, 0)))
    types = ValueTypes(graph)
    seed = graph.input("seed", (3, 3), "float32")
    gradient = vector_jacobian(graph, types, value, x, seed)
    assert types[gradient].wide
    products = 0
    for node in graph.nodes:
        half = not types[node.output[0]].wide
        assert not half or node.op_type in {"Gemm", "MatMul", "Cast", "Transpose"}, node.op_type
        if node.op_type in {"Gemm", "MatMul"}:
            assert half
            assert not any(types[name].wide for name in node.input)
            products += 1
    assert products == 2 + 3


def test_what_has_no_derivative_is_refused() -> None:
    graph = Graph("test", PRECISIONS["fp32"], WeightFile(io.BytesIO()))
    x = graph.op("Identity", graph.input("x", SHAPE, "float32"))
    types = ValueTypes(graph)
    with pytest.raises(NotImplementedError, match="Floor has no derivative here; there are rules for Add, Cast"):
        vector_jacobian(graph, types, graph.op("Floor", x), x, "seed")
    with pytest.raises(ValueError, match="does not depend on"):
        vector_jacobian(graph, types, graph.floats(np.zeros(SHAPE)), x, "seed")
    product = graph.op("Gemm", graph.floats(np.ones((2, 3))), x)
    with pytest.raises(NotImplementedError, match="Gemm: a transposed first operand, or a matrix"):
        vector_jacobian(graph, types, product, x, graph.floats(np.ones((2, 4))))
    with pytest.raises(NotImplementedError, match="Pow: expected a constant as input 1"):
        vector_jacobian(graph, types, graph.op("Pow", graph.floats(2.0), x), x, graph.floats(np.ones(SHAPE)))
