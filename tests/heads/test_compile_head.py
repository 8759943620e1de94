"""Compiling: graphs of other steps and precisions, and everything that is refused in one line."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.heads.models import ROWS, Model, data_config, head_config
from tests.one_line import refused
from unichunk.runtime.compile.heads.head_checkpoint import HeadCheckpoint, write_head_checkpoint
from unichunk.runtime.errors import CheckpointError
from unichunk.runtime.policy import Policy
from unichunk.runtime.policy.bundle import read_manifest
from unichunk.runtime.policy.manifest import Ddim, RectifiedFlow, Regression

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.heads.models import Case


@pytest.fixture
def checkpoint(cases: Callable[[str], Case], tmp_path: Path) -> Path:
    """A copy to be spoiled."""
    return shutil.copytree(cases("ddim").model.checkpoint, tmp_path / "checkpoint")


def compile_it(checkpoint: Path, cases: Callable[[str], Case], **changes: Any) -> Path:
    model = Model(checkpoint, cases("ddim").model.network, cases("ddim").model.options)
    return model.compiled(checkpoint.with_name("bundle"), **changes)


def spoil(checkpoint: Path, **changes: Any) -> None:
    path = checkpoint / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_the_manifest_says_what_the_head_is(cases: Callable[[str], Case]) -> None:
    flow, ddim, regression = (read_manifest(cases(kind).bundle) for kind in ("flow", "ddim", "regression"))
    assert flow.sampler == RectifiedFlow()
    assert ddim.sampler == Ddim(guidance_scale=5.0, training_steps=100)
    assert regression.sampler == Regression()
    assert [manifest.denoising_steps for manifest in (flow, ddim, regression)] == [3, 5, 1]
    assert [manifest.locks for manifest in (flow, ddim, regression)] == [True, True, False]
    assert [manifest.robots["so101"].max_delay for manifest in (flow, regression)] == [5, ROWS - 1]
    assert ddim.robots["so101"].fields_of_view == ((0.9, 0.7),)
    assert "DDIM head" in ddim.description
    assert ddim.provenance["locked_prefixes"] == "trained with 0 to 5 rows"
    assert regression.provenance["locked_prefixes"] == "stitched in front: nothing is denoised"


def test_other_numbers_of_steps_are_further_graphs(cases: Callable[[str], Case], tmp_path: Path) -> None:
    case = cases("ddim")
    bundle = case.model.compiled(tmp_path / "bundle", steps=(2, 5))
    own = case.rows(3)
    again = Policy.load(bundle, steps=5)
    np.testing.assert_array_equal(again.infer(case.observation, case.previous, 3, case.noise).unified, own)
    fewer = Policy.load(bundle).infer(case.observation, case.previous, 3, case.noise).unified
    assert read_manifest(bundle).denoising_steps == 2
    assert np.abs(fewer - own).max() > 1e-3


def test_half_precision_is_near(case: Case, tmp_path: Path) -> None:
    half = Policy.load(case.model.compiled(tmp_path / "bundle", precision="fp16"))
    rows = half.infer(case.observation, case.previous, 2, case.noise).unified
    np.testing.assert_array_equal(rows[:2].view(np.int32), case.previous[:2].view(np.int32))
    error = np.abs(rows - case.rows(2)).max()
    assert 0 < error < 0.03 * np.abs(case.rows(2)).max()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"head": {"kind": "ddim", "steps": 101}}, ("head.steps is 101, expected at most 100",)),
        ({"head": {"kind": "ddim", "guidance_scale": -1.0}}, ("head.guidance_scale is -1.0", "0 or more")),
        ({"head": {"kind": "diffusion"}}, ("config.json", "'diffusion'", "$.head")),
        ({"queries": 2}, ("queries is 2, expected 1: a ddim head has one condition",)),
        ({"head": {"kind": "regression"}, "queries": 9}, ("queries is 9, expected as many for each of the 8 rows",)),
        ({"head": {"kind": "regression"}, "queries": 8}, ("causal and action_mask are for heads that denoise",)),
        ({"locked_prefix": 8}, ("locked_prefix is 8, expected less than rows (8)",)),
        ({"prompt": "go"}, ("prompt is 'go', expected {task_description} in it",)),
        ({"vit": {"width": 16, "layers": 1, "heads": 2, "mlp": 24, "patch": 14, "image_size": 42}}, ("two patches",)),
        ({"context": {"width": 24, "layers": 2, "heads": 5, "mlp": 32}}, ("context.width is 24", "5 heads")),
        ({"rows": 0}, ("config.json", "$.rows")),
        ({"layers": 3}, ("config.json", "unknown field `layers`")),
        ({"rows": 9}, ("tensor decoder.positions has shape 10 x 20, expected 11 x 20",)),
        ({"vocabulary": 300}, ("tensor embed_tokens.weight has shape 400 x 24, expected 300 x 24",)),
        ({"prompt": "x y z " * 12 + "{task_description}"}, ("prompt is", "max_text is 24", "no room")),
        ({"views": 2}, ("tensor positions has shape",)),
    ],
)
def test_a_configuration_that_cannot_be(
    checkpoint: Path, cases: Callable[[str], Case], changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    spoil(checkpoint, **changes)
    with refused(CheckpointError, *words):
        compile_it(checkpoint, cases)
    assert not checkpoint.with_name("bundle").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"refinement_rounds": 1}, ("refinement rounds: expected 0", "DDIM", "got 1")),
        ({"guided": True}, ("guided graphs are for rectified flows", "DDIM")),
        ({"instruction_tokens": 50}, ("instruction tokens", "24 tokens, got 50")),
        ({"steps": (101,)}, ("denoising steps: expected 1 to 100, got 101",)),
        ({"steps": (2, 2)}, ("each number once, got 2, 2",)),
        ({"max_delay": 8}, ("longest delay: expected 0 to 7",)),
        ({"precision": "fp8"}, ("unknown precision 'fp8'",)),
    ],
)
def test_options_that_cannot_be(
    checkpoint: Path, cases: Callable[[str], Case], changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    with refused(CheckpointError, *words):
        compile_it(checkpoint, cases, **changes)


def test_a_regression_has_one_step(cases: Callable[[str], Case], tmp_path: Path) -> None:
    with refused(CheckpointError, "denoising steps: expected 1 to 1, got 4"):
        cases("regression").model.compiled(tmp_path / "bundle", steps=(4,))


def test_weights_that_are_missing(checkpoint: Path, cases: Callable[[str], Case]) -> None:
    tensors = load_file(checkpoint / "model.safetensors")
    del tensors["decoder.no_condition"]
    save_file(tensors, checkpoint / "model.safetensors")
    with refused(CheckpointError, "tensor decoder.no_condition missing"):
        compile_it(checkpoint, cases)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fields_of_view": {}}, ("data configuration arm has no fields_of_view, which this model takes",)),
        ({"fields_of_view": {"third_person": [0.9, 4.0]}}, ("fields_of_view of 'third_person' are [0.9, 4.0]",)),
        ({"fields_of_view": {"head": [0.9, 0.7]}}, ("fields_of_view are of head, expected of all views",)),
        ({"views": ["third_person", "wrist"], "fields_of_view": {}}, ("has 2 views", "expected 1")),
    ],
)
def test_a_robot_that_does_not_fit(
    checkpoint: Path, cases: Callable[[str], Case], tmp_path: Path, changes: dict[str, Any], words: tuple[str, ...]
) -> None:
    data = tmp_path / "data.json"
    data.write_text(json.dumps(data_config(head_config("ddim")) | changes))
    with refused(CheckpointError, *words):
        compile_it(checkpoint, cases, data_config=data)


def test_nothing_is_left_of_a_checkpoint_that_was_not_written(cases: Callable[[str], Case], tmp_path: Path) -> None:
    network = cases("flow").model.network
    tensors = {name: values.numpy() for name, values in network.state_dict().items()}
    del tensors["queries"]
    with refused(CheckpointError, "tensor queries missing"):
        write_head_checkpoint(tmp_path / "new", network.config, tensors, metadata={}, tokenizer={})
    assert not list(tmp_path.iterdir())
    with refused(CheckpointError, "exists already"):
        write_head_checkpoint(tmp_path, network.config, tensors, metadata={}, tokenizer={})


def test_weights_come_back_as_they_were_written(cases: Callable[[str], Case]) -> None:
    model = cases("masked").model
    read = HeadCheckpoint.open(model.checkpoint)
    assert read.config == model.network.config
    for name, values in model.network.state_dict().items():
        np.testing.assert_array_equal(read.tensor(name), values.numpy())
