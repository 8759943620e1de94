"""A bundle in halves, as the compiler makes them, in the native TensorRT engine on the stand-ins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from tests.engines.tensorrt_stand_in import stand_in
from unichunk.runtime.compile.checkpoint_writer import random_checkpoint
from unichunk.runtime.compile.compile import compile_checkpoint
from unichunk.runtime.compile.compile_options import CompileOptions
from unichunk.runtime.compile.sizes import Sizes
from unichunk.runtime.policy import EngineOptions, Policy

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tensorrt")
    random_checkpoint(folder / "checkpoint", Sizes(steps=3))
    options = CompileOptions("libero_nonorm", "uni_posttrain", instruction_tokens=7, precision="fp16")
    compile_checkpoint(folder / "checkpoint", folder / "bundle", options)
    return folder / "bundle"


@pytest.mark.parametrize("rounds", [0, 1])
def test_float16_gives_what_it_gives_on_the_cpu(monkeypatch, tmp_path, bundle, rounds):
    tensorrt = stand_in(monkeypatch)
    options = EngineOptions(name="tensorrt", cache=tmp_path / "cache")
    here, there = (Policy.load(bundle, refinement_rounds=rounds, **chosen) for chosen in ({}, {"engine": options}))
    before = np.linspace(-1, 1, here.chunk_length * 200, dtype=np.float32).reshape(-1, 200)
    for delay in (0, 3):
        expected = here.infer(here.example_observation(), before, delay).unified
        np.testing.assert_array_equal(there.infer(there.example_observation(), before, delay).unified, expected)
        np.testing.assert_array_equal(expected[:delay], before[:delay])
    assert tensorrt.builds == 2


def test_products_of_halves_are_not_scaled(bundle):
    """TensorRT's parser scales a product with a float32 constant, which a typed network refuses of halves."""
    for path in sorted(bundle.glob("*.onnx")):
        graph = onnx.load(path, load_external_data=False).graph
        products = [node for node in graph.node if node.op_type == "Gemm"]
        assert products
        for node in products:
            assert {part.f for part in node.attribute if part.name in {"alpha", "beta"}} <= {1.0}
