"""Graphs for several requests: each request's numbers are those it gets alone, whoever is beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.compile.graph_runs import Bundle, RandomModel, run, unit_directions
from tests.compile.test_graphs_caching import MODELS
from tests.one_line import refused
from unichunk.runtime.compile.compile_plan import MOST_BATCH, plan_compilation
from unichunk.runtime.compile.sizes import Sizes
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy.bundle import file_hash, read_manifest
from unichunk.runtime.policy.engines.onnx_runtime import OnnxRuntimeEngine

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SIZES = (2, 3)
TEXTS = ("", "follow the blue block", "put the bowl")


@pytest.fixture(scope="module", params=MODELS, ids=lambda name: name.split(",")[0])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[RandomModel, Bundle]:
    sizes, views, options = MODELS[request.param]
    folder = tmp_path_factory.mktemp("model")
    model = RandomModel.write(folder, sizes, views, expert_eps=0.03 if views == 1 else None)
    np.save(folder / "directions.npy", unit_directions(sizes.mpg_projections, sizes.width))
    options = {"directions": folder / "directions.npy", "instruction_tokens": 40} | options
    return model, model.compiled(folder / "bundle", batch=SIZES, **options)


def requests(model: RandomModel, bundle: Bundle, rounds: int) -> list[dict[str, Any]]:
    """Three that have nothing in common: texts of other lengths, nothing locked, some rows, all."""
    delays = (0, 3, model.checkpoint.config.rows)
    return [
        model.inputs(rounds, seed=seed)
        | {"tokens": bundle.padded(model.prompt.text_ids(text)), "delay": np.array(delay, np.int64)}
        for seed, (text, delay) in enumerate(zip(TEXTS, delays, strict=True))
    ]


def together(bundle: Bundle, given: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """Through the graphs for as many."""
    graphs = read_manifest(bundle.folder).graphs
    batch = next(batch for batch in graphs.batched if batch.size == len(given))
    rounds = [graph.refinement_rounds for graph in graphs.chunks]
    chunk = batch.chunks[rounds.index(len(given[0]["noise"]) - 1)]
    stacked: dict[str, Any] = {name: np.stack([one[name] for one in given]) for name in given[0]}
    return run(bundle.session(chunk), stacked | run(bundle.session(batch.prefix), stacked))


def rounds_of(bundle: Bundle) -> list[int]:
    return [graph.refinement_rounds for graph in read_manifest(bundle.folder).graphs.chunks]


def test_together_is_as_alone(model: tuple[RandomModel, Bundle]) -> None:
    random, bundle = model
    for rounds in rounds_of(bundle):
        given = requests(random, bundle, rounds)
        alone = [bundle.sample(one) for one in given]
        for size in SIZES:
            for first in range(len(given) - size + 1):
                outputs = together(bundle, given[first : first + size])
                for place in range(size):
                    one, expected = given[first + place], alone[first + place]
                    for name, values in expected.items():
                        np.testing.assert_allclose(outputs[name][place], values, rtol=0, atol=1e-5)
                    locked = int(one["delay"])
                    assert outputs["actions"][place][:locked].tobytes() == one["previous_chunk"][:locked].tobytes()


def test_a_neighbour_changes_no_bit_even_one_gone_wrong(model: tuple[RandomModel, Bundle]) -> None:
    random, bundle = model
    rounds = rounds_of(bundle)[-1]
    first, neighbour, other = requests(random, bundle, rounds)
    before = together(bundle, [first, neighbour])
    for name in ("state", "images", "noise", "previous_chunk"):
        wrong = neighbour | {name: np.full_like(neighbour[name], np.nan)}
        after = together(bundle, [first, wrong])
        for output, values in before.items():
            assert after[output][0].tobytes() == values[0].tobytes(), (name, output)
    after = together(bundle, [first, other])
    assert after["actions"][0].tobytes() == before["actions"][0].tobytes()
    assert after["actions"][1].tobytes() != before["actions"][1].tobytes()


def test_locked_rows_keep_every_bit(model: tuple[RandomModel, Bundle]) -> None:
    random, bundle = model
    given = requests(random, bundle, 0)
    for one in given:
        one["previous_chunk"][0, :3] = [-0.0, 1e-42, -1e-42]
        one["previous_chunk"].view(np.uint32)[1, 7] = 0x7FC12345
    outputs = together(bundle, given)
    for place, one in enumerate(given):
        locked = int(one["delay"])
        assert outputs["actions"][place][:locked].tobytes() == one["previous_chunk"][:locked].tobytes()


def test_signatures_have_one_more_axis(model: tuple[RandomModel, Bundle]) -> None:
    """The engine compares each graph with what the manifest says of it."""
    _, bundle = model
    graphs = read_manifest(bundle.folder).graphs
    assert [batch.size for batch in graphs.batched] == list(SIZES)
    for batch in graphs.batched:
        singles = (graphs.prefix, *graphs.chunks)
        for single, file in zip(singles, (batch.prefix, *batch.chunks), strict=True):
            OnnxRuntimeEngine(bundle.folder / file, batch.of(single, file))


def test_the_graphs_for_one_request_are_those_of_a_bundle_without_batches(tmp_path: Path) -> None:
    model = RandomModel.write(tmp_path, Sizes(steps=1), 2)
    plain, batched = model.compiled(tmp_path / "plain"), model.compiled(tmp_path / "batched", batch=(4,))
    for file in ("prefix.onnx", "chunk.onnx", "chunk_mpg.onnx"):
        assert file_hash(plain.folder / file) == file_hash(batched.folder / file)
    weights, more = ((bundle.folder / "weights.bin").read_bytes() for bundle in (plain, batched))
    assert more.startswith(weights)
    assert len(more) - len(weights) < 4096
    assert "batched" not in (plain.folder / "bundle.json").read_text()


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_half_precisions_have_batches_too(precision: str, tmp_path: Path) -> None:
    model = RandomModel.write(tmp_path, Sizes(steps=1), 1)
    bundle = model.compiled(tmp_path / "bundle", batch=(2,), precision=precision, instruction_tokens=40)
    if precision == "bf16":  # which no engine here runs
        return
    given = requests(model, bundle, 1)[:2]
    alone = [bundle.sample(one)["actions"] for one in given]
    np.testing.assert_allclose(together(bundle, given)["actions"], np.stack(alone), rtol=0, atol=2e-3)


@pytest.mark.parametrize("size", [1, 0, -2, MOST_BATCH + 1])
def test_sizes_that_are_none(size: int, tmp_path: Path) -> None:
    model = RandomModel.write(tmp_path, Sizes(steps=1), 1)
    with refused(CheckpointError, f"batch: expected 2 to {MOST_BATCH} requests, got {size}"):
        model.compiled(tmp_path / "bundle", batch=(size,))


def test_sizes_are_taken_once_and_in_order(tmp_path: Path) -> None:
    model = RandomModel.write(tmp_path, Sizes(steps=1), 1)
    options = model.options(batch=(8, 2, 8))
    assert plan_compilation(model.directory, options).batches == (2, 8)
