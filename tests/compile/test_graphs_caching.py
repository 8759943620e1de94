"""Caching changes nothing: compiled graphs against the whole sequence in every step, on other checkpoints."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.compile.graph_runs import Bundle, RandomModel, run, session, unit_directions
from tests.compile.reference_model import ReferenceModel
from unichunk.benchmarks.uncached_graph import write_uncached
from unichunk.runtime.compile.compile_options import CompileOptions
from unichunk.runtime.compile.sample_metadata import DATASET
from unichunk.runtime.compile.sizes import Sizes
from unichunk.runtime.policy.bundle import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

MODELS: dict[str, tuple[Sizes, int, dict[str, Any]]] = {
    "one view, one kv head, head width not that of the model": (
        Sizes(
            layers=1,
            kv_heads=1,
            head_dim=24,
            rows=8,
            steps=5,
            mpg_rounds=2,
            expert_width=40,
            norm_eps=1e-5,
            rope_theta=1e4,
        ),
        1,
        {},
    ),
    "three views, rms vision with q/k norms, resized positions, no grouping": (
        Sizes(
            vision_norm="rms_norm",
            vision_norm_eps=1e-3,  # far from the usual, so that a fixed one shows
            vision_qk_normalization=True,
            vision_qkv_bias=False,
            vision_layers=3,
            select_layer=-2,
            vision_image_size=70,
            image_size=56,
            heads=2,
            kv_heads=2,
            layers=3,
            rows=8,
            steps=5,
            mpg_strength=0.7,
            mpg_temperature=0.5,
        ),
        3,
        {},
    ),
    "wide groups, enlarged positions, other K and N than the checkpoint's": (
        Sizes(heads=8, kv_heads=2, vision_image_size=28, image_size=84, width=64, expert_width=24, rows=5, patch=14),
        2,
        {"steps": (3,), "refinement_rounds": 2},
    ),
}


@pytest.fixture(scope="module", params=MODELS, ids=lambda name: name.split(",")[0])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[RandomModel, Bundle]:
    sizes, views, options = MODELS[request.param]
    folder = tmp_path_factory.mktemp("model")
    model = RandomModel.write(folder, sizes, views, expert_eps=0.03 if views == 1 else None)
    np.save(folder / "directions.npy", unit_directions(sizes.mpg_projections, sizes.width))
    options = {"directions": folder / "directions.npy", "instruction_tokens": 40} | options
    return model, model.compiled(folder / "bundle", **options)


def reference(model: RandomModel, values: dict[str, Any], text: tuple[int, ...], delay: int, steps: int) -> Any:
    config = replace(model.checkpoint.config, denoising_steps=steps)
    mpg = config.mpg
    assert mpg is not None
    return ReferenceModel(config, model.checkpoint.tensor, "float64").sample(
        model.sequence(text),
        values["images"],
        values["state"],
        values["noise"],
        values["previous_chunk"],
        delay,
        unit_directions(mpg.projections, config.language.width),
    )


def steps_of(bundle: Bundle) -> int:
    return read_manifest(bundle.folder).denoising_steps


@pytest.mark.parametrize("refined", [False, True], ids=["plain", "mpg"])
@pytest.mark.parametrize(("instruction", "delay"), [("", 0), ("follow the blue block", 3), ("put the bowl", "all")])
def test_cached_equals_uncached(
    model: tuple[RandomModel, Bundle], instruction: str, delay: int | str, *, refined: bool
) -> None:
    random, bundle = model
    rows = random.checkpoint.config.rows
    locked = rows if delay == "all" else int(delay)
    chunks = [name for name in ("chunk.onnx", "chunk_mpg.onnx") if (bundle.folder / name).is_file()]
    assert len(chunks) == 2
    rounds = 0 if not refined else bundle.session("chunk_mpg.onnx").get_inputs()[0].shape[0] - 1
    text = random.prompt.text_ids(instruction)
    values = random.inputs(rounds, seed=len(instruction))
    given = values | {"tokens": bundle.padded(text), "delay": np.array(locked, np.int64)}
    result = bundle.sample(given)
    expected = reference(random, values, text, locked, steps_of(bundle))
    assert np.abs(result["actions"] - expected.actions).max() < 5e-5
    assert result["actions"][:locked].tobytes() == values["previous_chunk"][:locked].tobytes()
    if refined:
        assert result["gates"].shape == (rounds, steps_of(bundle))
        np.testing.assert_allclose(result["gates"], expected.gates, atol=1e-5)
        np.testing.assert_allclose(result["discrepancies"], expected.discrepancies, rtol=1e-4)


def test_the_uncached_graph_of_the_benchmark_is_the_same_policy(
    model: tuple[RandomModel, Bundle], tmp_path: Path
) -> None:
    random, bundle = model
    rounds = bundle.session("chunk_mpg.onnx").get_inputs()[0].shape[0] - 1
    options = CompileOptions(
        random.data_config,
        DATASET,
        steps=(steps_of(bundle),),
        refinement_rounds=rounds,
        directions=bundle.folder.parent / "directions.npy",
        instruction_tokens=40,
    )
    uncached = session(write_uncached(random.directory, tmp_path, options))
    given = random.inputs(rounds) | {"delay": np.array(2, np.int64)}
    given["tokens"] = bundle.padded(random.prompt.text_ids("follow the blue block"))
    cached, whole = bundle.sample(given), run(uncached, given)
    for name in ("actions", "gates", "discrepancies"):
        np.testing.assert_allclose(cached[name], whole[name], atol=2e-5)
