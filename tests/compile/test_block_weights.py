"""Matrices in 8 bits: how far they are from what they were, and what products with them are."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.one_line import refused
from unichunk.runtime.compile.block_weights import BLOCK, ZERO, BlockWeight, add_in_blocks, quantized
from unichunk.runtime.compile.graph import Graph
from unichunk.runtime.compile.precision import PRECISIONS
from unichunk.runtime.compile.weight_file import WEIGHT_FILE, WeightFile
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray


def restored(stored: NDArray[np.uint8], scales: NDArray[np.float32], inputs: int) -> NDArray[np.float32]:
    values = (stored.astype(np.float32) - ZERO) * scales[..., None]
    return np.asarray(values.reshape(len(stored), -1)[:, :inputs])


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 5),
    inputs=st.integers(1, 100),
    seed=st.integers(0, 2**16),
    size=st.sampled_from([0, 1e-6, 1, 1e4]),
)
def test_no_value_moves_by_more_than_its_blocks_step_allows(rows: int, inputs: int, seed: int, size: float) -> None:
    matrix = (size * np.random.default_rng(seed).standard_normal((rows, inputs))).astype(np.float32)
    stored, scales = quantized(matrix)
    assert stored.shape == (rows, -(-inputs // BLOCK), BLOCK)
    steps = np.repeat(np.abs(scales), BLOCK, axis=1)[:, :inputs]
    apart = np.abs(restored(stored, scales, inputs) - matrix)
    # 0 to 255 is one step shorter on the side that has not the block's largest number.
    cut_off = stored.reshape(rows, -1)[:, :inputs] == 255
    assert (apart <= np.where(cut_off, 1.0, 0.5) * steps * 1.0001).all()
    padded = np.zeros((rows, scales.shape[1] * BLOCK), np.float32)
    padded[:, :inputs] = matrix
    largest = np.abs(padded).reshape(rows, -1, BLOCK).max(axis=2)
    np.testing.assert_allclose(np.abs(scales), largest / 128, rtol=1e-5)


def test_an_older_onnxruntime_cannot_quantize_and_can_all_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("onnxruntime.capi._pybind_state.quantize_matmul_8bits")
    monkeypatch.setattr(onnxruntime, "__version__", "1.20.1")
    # A second time, beside the one that all use.
    spec = importlib.util.find_spec("unichunk.runtime.compile.block_weights")
    assert spec is not None
    assert spec.loader is not None
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    with refused(CheckpointError, "precision int8: onnxruntime 1.20.1 cannot quantize to 8 bits"):
        quantized(np.ones((2, 40), np.float32))


def run(
    folder: Path,
    matrix: NDArray[Any],
    build: Callable[[Graph, BlockWeight], str],
    given: NDArray[Any],
    shape: tuple[int, ...],
) -> NDArray[Any]:
    """The output (shape) of a graph with one matrix and the input `x`."""
    with (folder / WEIGHT_FILE).open("wb") as stream:
        file = WeightFile(stream)
        graph = Graph("test", PRECISIONS["int8"], file)
        graph.input("x", given.shape, given.dtype.name)
        outputs, inputs = matrix.shape
        weight = add_in_blocks(file, "matrix", (outputs, inputs), lambda: [matrix[:2], matrix[2:]])
        graph.output("y", build(graph, weight), shape, "float32")
        place = stream.tell()
        assert add_in_blocks(file, "matrix", (outputs, inputs), list) == weight
        assert stream.tell() == place
    graph.save(folder / "test.onnx")
    session = onnxruntime.InferenceSession(str(folder / "test.onnx"), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": given})[0])


@pytest.mark.parametrize("width", [32, 48, 200])
def test_a_product_is_that_of_the_stored_values(width: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(width)
    matrix = rng.standard_normal((20, width)).astype(np.float32)
    bias = rng.standard_normal(20).astype(np.float32)
    x = rng.standard_normal((6, width)).astype(np.float32)

    def product(graph: Graph, weight: BlockWeight) -> str:
        return graph.linear("x", weight, graph._file.add("bias", "float32", (20,), lambda: [bias]), scale=0.5)

    found = run(tmp_path, matrix, product, x, (6, 20))
    expected = 0.5 * (x @ restored(*quantized(matrix), width).T + bias)
    # The operand is rounded as well, to a 127th of the largest of 32 numbers.
    assert np.abs(found - expected).max() < 0.02 * np.sqrt(width)
    assert np.abs(found - expected).mean() < 0.005 * np.sqrt(width)


@pytest.mark.parametrize("width", [64, 40])
def test_rows_that_are_looked_up_are_the_stored_ones(width: int, tmp_path: Path) -> None:
    table = np.random.default_rng(1).standard_normal((9, width)).astype(np.float32)
    expected = restored(*quantized(table), width)
    for ids in (np.array([8, 0, 3, 3]), np.array([[8, 0], [3, 1]])):
        axes = ids.ndim
        found = run(
            tmp_path,
            table,
            lambda graph, weight, axes=axes: graph.looked_up(weight, "x", axes),
            ids,
            (*ids.shape, width),
        )
        assert found.tobytes() == expected[ids].tobytes()


def test_no_row_depends_on_another(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    matrix, x = rng.standard_normal((20, 64)).astype(np.float32), rng.standard_normal((5, 64)).astype(np.float32)
    before = run(tmp_path, matrix, lambda graph, weight: graph.linear("x", weight), x, (5, 20))
    x[1:] *= 1e3
    after = run(tmp_path, matrix, lambda graph, weight: graph.linear("x", weight), x, (5, 20))
    assert before[0].tobytes() == after[0].tobytes()
    assert before[1].tobytes() != after[1].tobytes()


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "weights").open("wb") as stream, refused(CheckpointError, "some.weight", "NaN"):
        add_in_blocks(WeightFile(stream), "some.weight", (1, 2), lambda: [np.array([[1.0, np.nan]], np.float32)])
