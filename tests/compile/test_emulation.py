"""Half precision on a machine without it: rounded where a device with it rounds, and nowhere else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest

from tests.compile.graph_runs import Bundle, RandomModel, run
from unichunk.runtime.compile.emulation import emulated, write_emulated
from unichunk.runtime.compile.graph import Graph
from unichunk.runtime.compile.precision import ONNX_TYPES, PRECISIONS
from unichunk.runtime.compile.sizes import Sizes
from unichunk.runtime.compile.weight_file import WEIGHT_FILE, WeightFile
from unichunk.runtime.policy.bundle import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

TYPES: dict[str, Any] = {"fp16": np.float16, "bf16": ml_dtypes.bfloat16}


@pytest.mark.parametrize("name", TYPES)
def test_a_chain_of_products_is_rounded_after_each(name: str, tmp_path: Path) -> None:
    precision, half, rng = PRECISIONS[name], TYPES[name], np.random.default_rng(3)
    first, second = (rng.standard_normal((8, 8)).astype(np.float32) for _ in range(2))
    x = rng.standard_normal((4, 8)).astype(np.float32)
    with (tmp_path / WEIGHT_FILE).open("wb") as stream:
        file = WeightFile(stream)
        graph = Graph("test", precision, file)
        graph.input("x", (4, 8), "float32")
        graph.input("y", (8, 4), precision.type)
        weights = [file.add(f"w{i}", precision.type, (8, 8), lambda w=w: [w]) for i, w in enumerate((first, second))]  # type: ignore[misc]
        product = graph.project("x", weights[0])
        moved = graph.transpose(graph.transpose(product, 1, 0), 1, 0)
        graph.output("z", graph.op("MatMul", moved, "y"), (4, 4), precision.type)
        graph.output("w", graph.linear_onto(graph.wide(product), weights[1], "x"), (4, 8), "float32")
        graph.save(tmp_path / "half.onnx")
    model = emulated(onnx.load(tmp_path / "half.onnx", load_external_data=False), ONNX_TYPES[precision.type])
    (tmp_path / "wide.onnx").write_bytes(model.SerializeToString())
    session = onnxruntime.InferenceSession(str(tmp_path / "wide.onnx"), providers=["CPUExecutionProvider"])
    y = rng.standard_normal((8, 4)).astype(half).astype(np.float32)
    z, w = session.run(None, {"x": x, "y": y})

    def rounded(values: Any) -> Any:
        return values.astype(half).astype(np.float32)

    product_expected = rounded(rounded(x) @ rounded(first).T)
    step = float(ml_dtypes.finfo(half).eps)
    # Another order of the sum may tip a number over to the next one of the half type.
    np.testing.assert_allclose(z, rounded(product_expected @ y), rtol=step, atol=step)
    np.testing.assert_allclose(w, x + rounded(product_expected @ rounded(second).T), rtol=step, atol=step)
    assert z.tobytes() == rounded(z).tobytes()
    assert np.abs(z - (x @ first.T) @ y).max() > 0.1 * step


def unlinkable(*_: Any) -> None:
    raise OSError(1, "Operation not permitted")


@pytest.mark.parametrize("name", TYPES)
def test_a_bundle_as_it_would_be_on_a_device(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = Sizes(layers=2, steps=2, rows=6, mpg_rounds=1)
    model = RandomModel.write(tmp_path, sizes, 1)
    wide, half = (model.compiled(tmp_path / kind, precision=kind, instruction_tokens=24) for kind in ("fp32", name))
    (tmp_path / "emulated").mkdir()
    if name == "bf16":  # on a disk without links
        monkeypatch.setattr(os, "link", unlinkable)
    manifest = write_emulated(half.folder, read_manifest(half.folder), tmp_path / "emulated")
    assert manifest.precision == "fp32"
    assert {tensor.dtype for tensor in manifest.graphs.prefix.outputs} == {"float32"}
    assert (tmp_path / "emulated" / WEIGHT_FILE).stat().st_nlink == (1 if name == "bf16" else 2)
    like = Bundle(tmp_path / "emulated")
    given = model.inputs(1) | {"tokens": half.padded(model.prompt.text_ids("pick up")), "delay": np.array(2, np.int64)}
    prefix = run(like.session("prefix.onnx"), given)
    exact = prefix["keys_1"].astype(TYPES[name]).astype(np.float32)
    assert prefix["keys_1"].tobytes() == exact.tobytes()
    found = run(like.session("chunk_mpg.onnx"), given | prefix)["actions"]
    expected = wide.sample(given)["actions"]
    assert found[:2].tobytes() == given["previous_chunk"][:2].tobytes()
    largest = {"fp16": 0.02, "bf16": 0.15}[name]
    assert largest / 1000 < np.abs(found - expected).max() < largest
