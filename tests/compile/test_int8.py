"""Bundles with weights in 8 bits: close to float32, small, and as strict about locked rows and neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from tests.compile.graph_runs import Bundle, RandomModel
from tests.compile.test_graphs_batch import requests, together
from tests.one_line import refused
from unichunk.runtime.compile.compile_plan import plan_compilation
from unichunk.runtime.compile.sizes import Sizes
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy.bundle import read_manifest

SIZES = Sizes(layers=2, steps=2, rows=6, width=64, expert_width=48, mpg_rounds=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RandomModel:
    return RandomModel.write(tmp_path_factory.mktemp("int8"), SIZES, 1)


@pytest.fixture(scope="module")
def bundles(model: RandomModel) -> dict[str, Bundle]:
    folder = model.directory.parent
    options: dict[str, Any] = {"instruction_tokens": 40, "batch": (2,)}
    return {name: model.compiled(folder / name, precision=name, **options) for name in ("fp32", "int8")}


@pytest.mark.parametrize("rounds", [0, 1])
def test_actions_are_close_and_locked_rows_keep_every_bit(
    model: RandomModel, bundles: dict[str, Bundle], rounds: int
) -> None:
    for given in requests(model, bundles["int8"], rounds):
        given["previous_chunk"][0, :2] = [-0.0, 1e-42]
        found, expected = (bundles[name].sample(given)["actions"] for name in ("int8", "fp32"))
        locked = int(given["delay"])
        assert found[:locked].tobytes() == given["previous_chunk"][:locked].tobytes()
        if locked < len(found):
            assert 1e-5 < np.abs(found - expected).max() < 0.1


def test_a_neighbour_changes_no_bit(model: RandomModel, bundles: dict[str, Bundle]) -> None:
    first, neighbour, other = requests(model, bundles["int8"], 0)
    before, after = (together(bundles["int8"], [first, beside])["actions"] for beside in (neighbour, other))
    assert before[0].tobytes() == after[0].tobytes()
    assert before[1].tobytes() != after[1].tobytes()


def test_matrices_are_in_8_bits_but_a_few_small_ones(bundles: dict[str, Bundle]) -> None:
    folder = bundles["int8"].folder
    gating = {"action_to_vlm_proj", "vlm_to_action_proj", "mpg"}
    edges = {"prefix.onnx": {"proprio_encoder_robot"}, "chunk_mpg.onnx": {"action_encoder", "action_decoder", *gating}}
    for file, expected in edges.items():
        graph = onnx.load(folder / file, load_external_data=False).graph
        kinds = {node.op_type for node in graph.node}
        assert "MatMulNBits" in kinds
        wide = {node.input[1].split(".")[0] for node in graph.node if node.op_type == "Gemm"}
        assert wide == expected
    sizes = {name: (bundle.folder / "weights.bin").stat().st_size for name, bundle in bundles.items()}
    assert sizes["int8"] < 0.7 * sizes["fp32"]
    manifest = read_manifest(folder)
    assert (manifest.precision, manifest.deviation) == ("int8", None)
    assert {tensor.dtype for tensor in manifest.graphs.prefix.outputs} == {"float32"}


def test_guidance_needs_the_matrices_the_other_way_round(model: RandomModel) -> None:
    with refused(CheckpointError, "--guided with precision int8", "another precision"):
        plan_compilation(model.directory, model.options(precision="int8", guided=True))
