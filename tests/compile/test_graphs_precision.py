"""Half precisions: what is half, what stays float32, how far the actions move; and another engine than ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from tests.compile.graph_runs import Bundle, RandomModel, run
from tests.one_line import refused
from unichunk.runtime.compile.precision import converted
from unichunk.runtime.compile.sizes import Sizes
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy.bundle import read_manifest

if TYPE_CHECKING:
    from numpy.typing import NDArray

HALF = {"fp16": "float16", "bf16": "bfloat16"}
ONLY_FLOAT32 = {
    *("Add", "Sub", "Mul", "Div", "Pow", "Sqrt", "Exp", "Erf", "Sigmoid", "Relu", "Softmax", "LayerNormalization"),
    *("ReduceMean", "ReduceSum", "ReduceSumSquare", "Neg", "Max", "Min"),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RandomModel:
    sizes = Sizes(vision_norm="rms_norm", vision_qk_normalization=True, layers=2, steps=2, rows=6, head_dim=8)
    return RandomModel.write(tmp_path_factory.mktemp("precision"), sizes, 1)


@pytest.fixture(scope="module")
def bundles(model: RandomModel) -> dict[str, Bundle]:
    folder = model.directory.parent
    return {
        name: model.compiled(folder / name, precision=name, instruction_tokens=24, guided=True)
        for name in ("fp32", "fp16", "bf16")
    }


def inputs(model: RandomModel, bundle: Bundle) -> dict[str, Any]:
    tokens = bundle.padded(model.prompt.text_ids("pick up"))
    mask = (np.arange(200) < 40).astype(np.float32)[None]
    conditioning = {"delay": np.array(2, np.int64), "overlap": np.array(5, np.int64), "action_mask": mask}
    return model.inputs(1) | {"tokens": tokens, **conditioning}


def in_the_standards_own_engine(bundle: Bundle, values: dict[str, Any], chunk: str) -> dict[str, NDArray[Any]]:
    known = dict(values)
    for file in ("prefix.onnx", chunk):
        engine = ReferenceEvaluator(onnx.load(bundle.folder / file))
        results = engine.run(None, {name: known[name] for name in engine.input_names})
        known |= dict(zip(engine.output_names, results, strict=True))
    return known


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize(("name", "tolerance"), [("fp32", 1e-5), ("bf16", 0.1)])
def test_another_engine_gives_the_same(
    model: RandomModel, bundles: dict[str, Bundle], name: str, tolerance: float, guided: bool
) -> None:
    """ONNX Runtime's CPU provider has no bfloat16 products; the reference evaluator of the standard has."""
    expected = bundles["fp32"].sample(inputs(model, bundles["fp32"]), guided=guided)
    chunk = "chunk_mpg_guided.onnx" if guided else "chunk_mpg.onnx"
    found = in_the_standards_own_engine(bundles[name], inputs(model, bundles[name]), chunk)
    assert np.abs(found["actions"] - expected["actions"]).max() < tolerance
    assert np.abs(found["gates"] - expected["gates"]).max() < tolerance
    assert found["actions"].dtype == np.float32
    assert found["actions"][:2].tobytes() == expected["actions"][:2].tobytes()
    half = {"fp32": np.dtype(np.float32), "bf16": np.dtype(ml_dtypes.bfloat16)}[name]
    assert found["keys_1"].dtype == found["values_0"].dtype == half


@pytest.mark.parametrize("guided", [False, True])
def test_float16_runs_on_the_cpu(model: RandomModel, bundles: dict[str, Bundle], guided: bool) -> None:
    expected = bundles["fp32"].sample(inputs(model, bundles["fp32"]), guided=guided)
    found = bundles["fp16"].sample(inputs(model, bundles["fp16"]), guided=guided)
    assert 1e-6 < np.abs(found["actions"] - expected["actions"]).max() < 0.02
    assert found["actions"][:2].tobytes() == expected["actions"][:2].tobytes()
    prefix = run(bundles["fp16"].session("prefix.onnx"), inputs(model, bundles["fp16"]))
    assert prefix["keys_0"].dtype == np.float16


@pytest.mark.parametrize("name", HALF)
def test_sums_norms_and_softmax_are_float32(bundles: dict[str, Bundle], name: str) -> None:
    for file in ("prefix.onnx", "chunk_mpg.onnx", "chunk_mpg_guided.onnx"):
        graph = onnx.shape_inference.infer_shapes(onnx.load(bundles[name].folder / file), strict_mode=True).graph
        types = {value.name: value.type.tensor_type.elem_type for value in (*graph.value_info, *graph.output)}
        products = 0
        for node in graph.node:
            found = types[node.output[0]]
            if node.op_type in ONLY_FLOAT32:
                assert found in {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}, node.op_type
            products += node.op_type == "Gemm" and found != onnx.TensorProto.FLOAT
        assert products == sum(node.op_type == "Gemm" for node in graph.node)


@pytest.mark.parametrize("name", HALF)
def test_half_the_bytes(bundles: dict[str, Bundle], name: str) -> None:
    sizes = {key: (bundle.folder / "weights.bin").stat().st_size for key, bundle in bundles.items()}
    assert sizes[name] < 0.75 * sizes["fp32"]
    manifest = read_manifest(bundles[name].folder)
    assert manifest.precision == name
    cached = [tensor.dtype for tensor in manifest.graphs.prefix.outputs if tensor.name.startswith(("keys", "values"))]
    assert set(cached) == {HALF[name]}
    given = [tensor.dtype for tensor in manifest.graphs.prefix.inputs]
    assert given == ["float32", "int64", "float32"]


def test_numbers_that_a_type_cannot_hold_are_refused() -> None:
    with refused(CheckpointError, "a.weight", "float16", "bf16"):
        converted(np.array([1.0, 1e5], np.float32), "float16", "a.weight")
    with refused(CheckpointError, "a.weight", "NaN"):
        converted(np.array([1.0, np.nan], ml_dtypes.bfloat16), "float32", "a.weight")
    assert converted(np.array([1e5], ml_dtypes.bfloat16), "bfloat16", "a").dtype == ml_dtypes.bfloat16
