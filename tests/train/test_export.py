"""The exported graphs are the model, lock the prefix bit by bit, and hold no control flow and no paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs PyTorch: pip install 'unichunk[train]'")
onnx = pytest.importorskip("onnx", reason="exporting needs onnx: pip install 'unichunk[train]'")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript: pip install 'unichunk[train]'")

import onnxruntime  # noqa: E402

from unichunk.runtime.train.export import CONTROL_FLOW, export_graphs  # noqa: E402
from unichunk.runtime.train.model import ChunkGraph, PrefixGraph  # noqa: E402

if TYPE_CHECKING:
    from pathlib import Path

SLOTS = [50, 51, 18]


@pytest.fixture(scope="module")
def folder(tiny_policy, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("graphs")
    export_graphs(tiny_policy, folder)
    return folder


@pytest.fixture(scope="module")
def sessions(folder):
    return [onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("prefix", "chunk")]


def prefix_inputs(seed: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "images": random.standard_normal((2, 3, 16, 24), dtype=np.float32),
        "tokens": random.integers(0, 257, (1, 10)),
        "state": random.standard_normal((1, 200), dtype=np.float32),
    }


def chunk_inputs(seed: int, delay: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "noise": random.standard_normal((1, 8, 200), dtype=np.float32),
        "previous_chunk": random.standard_normal((8, 200), dtype=np.float32),
        "delay": np.array(delay),
    }


def tensors(inputs: dict[str, np.ndarray]) -> list:
    return [torch.from_numpy(value) for value in inputs.values()]


@pytest.mark.parametrize("delay", [0, 1, 5, 7])
def test_the_graphs_compute_what_the_model_computes(tiny_policy, sessions, delay):
    inputs = prefix_inputs(1)
    (features,) = sessions[0].run(["features"], inputs)
    with torch.no_grad():
        np.testing.assert_allclose(features, PrefixGraph(tiny_policy)(*tensors(inputs)), atol=1e-4)
        chunk = chunk_inputs(2, delay) | {"features": features}
        (actions,) = sessions[1].run(["actions"], chunk)
        np.testing.assert_allclose(actions, ChunkGraph(tiny_policy)(*tensors(chunk)), atol=1e-4)


@pytest.mark.parametrize("delay", range(8))
def test_locked_rows_come_back_bit_by_bit_and_unused_slots_are_zero(sessions, delay):
    (features,) = sessions[0].run(["features"], prefix_inputs(1))
    inputs = chunk_inputs(3, delay)
    # A value that arithmetic would not keep: the lock must copy, not compute.
    inputs["previous_chunk"][:, 7] = np.float32(-0.0)
    inputs["previous_chunk"][delay:] = np.nan  # rows that are not locked must not be looked at
    (actions,) = sessions[1].run(["actions"], inputs | {"features": features})
    assert actions[:delay].tobytes() == inputs["previous_chunk"][:delay].tobytes()
    free = np.delete(actions[delay:], SLOTS, axis=1)
    assert (free == 0.0).all()
    assert np.isfinite(actions[delay:]).all()
    assert (actions[delay:, SLOTS] != 0.0).all()


def test_noise_in_locked_rows_has_no_influence_on_free_ones(sessions):
    (features,) = sessions[0].run(["features"], prefix_inputs(1))
    inputs = chunk_inputs(4, 3) | {"features": features}
    (before,) = sessions[1].run(["actions"], inputs)
    inputs["noise"][:, :3] = 100.0
    (after,) = sessions[1].run(["actions"], inputs)
    np.testing.assert_array_equal(before, after)


def test_free_rows_depend_on_the_prefix_the_image_and_the_noise(sessions):
    (features,) = sessions[0].run(["features"], prefix_inputs(1))
    (other,) = sessions[0].run(["features"], prefix_inputs(2))
    inputs = chunk_inputs(4, 3) | {"features": features}
    (before,) = sessions[1].run(["actions"], inputs)
    changes = [{"features": other}, {"noise": inputs["noise"] + 1}, {"previous_chunk": inputs["previous_chunk"] + 1}]
    for change in changes:
        (after,) = sessions[1].run(["actions"], inputs | change)
        assert np.abs(after - before)[3:, SLOTS].max() > 1e-3


def test_graphs_hold_no_control_flow_and_no_trace_of_the_machine_that_made_them(folder):
    for name in ("prefix", "chunk"):
        model = onnx.load(folder / f"{name}.onnx")
        assert not {node.op_type for node in model.graph.node} & CONTROL_FLOW
        assert all(
            dimension.dim_value > 0 for value in model.graph.input for dimension in value.type.tensor_type.shape.dim
        )
        content = (folder / f"{name}.onnx").read_bytes()
        assert b".py" not in content
        assert b"/site-packages" not in content
