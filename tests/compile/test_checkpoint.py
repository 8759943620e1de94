"""Reading checkpoints: the golden, every type of weights, one file and shards."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from tests.compile.golden_files import GOLDEN, put
from tests.one_line import refused
from unichunk.runtime.compile.checkpoint import EMBEDDING, HEAD, Checkpoint
from unichunk.runtime.compile.checkpoint_writer import random_checkpoint
from unichunk.runtime.compile.config import read_config
from unichunk.runtime.compile.shards import INDEX_FILE, SINGLE_FILE
from unichunk.runtime.compile.tensors import expected_tensors
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def bits(array: NDArray[Any]) -> bytes:
    return np.ascontiguousarray(array).tobytes()


def test_the_golden() -> None:
    checkpoint = Checkpoint.open(GOLDEN)
    assert checkpoint.directory == GOLDEN
    assert checkpoint.config == read_config(GOLDEN)
    assert checkpoint.tokenizer_file == GOLDEN / "tokenizer.json"
    assert checkpoint.metadata("uni_posttrain").stats_level == "merged"
    assert checkpoint.metadata("uni_posttrain", "task_a").stats_level == "task"
    weights = load_file(GOLDEN / SINGLE_FILE)
    assert set(checkpoint.tensors) == set(weights)
    for name, shape in expected_tensors(checkpoint.config).items():
        array = checkpoint.tensor(name)
        assert array.dtype == ml_dtypes.bfloat16
        assert array.shape == shape
        assert bits(array) == bits(weights[name])


def test_an_unknown_tensor() -> None:
    with refused(CheckpointError, str(GOLDEN), "no tensor mpg.none"):
        Checkpoint.open(GOLDEN).tensor("mpg.none")


def test_nothing_is_kept_between_readings() -> None:
    checkpoint = Checkpoint.open(GOLDEN)
    first = checkpoint.tensor("mpg.obs_proj.bias")
    first[:] = 0
    assert checkpoint.tensor("mpg.obs_proj.bias").astype(np.float32).any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, ml_dtypes.bfloat16])
def test_types_of_weights(tmp_path: Path, dtype: Any) -> None:
    random_checkpoint(tmp_path / "some")
    file = tmp_path / "some" / SINGLE_FILE
    weights = {name: array.astype(dtype) for name, array in load_file(file).items()}
    save_file(weights, file)
    checkpoint = Checkpoint.open(tmp_path / "some")
    for name, array in weights.items():
        read = checkpoint.tensor(name)
        assert read.dtype == dtype
        assert bits(read) == bits(array)


def test_weights_that_no_graph_reads_may_be_of_any_shape_and_type(tmp_path: Path) -> None:
    random_checkpoint(tmp_path / "some")
    file = tmp_path / "some" / SINGLE_FILE
    save_file({**load_file(file), "position_ids": np.arange(7)}, file)
    assert Checkpoint.open(tmp_path / "some").tensors["position_ids"] == (7,)


@pytest.mark.parametrize("indexed", [True, False])
def test_shards_with_and_without_index(tmp_path: Path, indexed: bool) -> None:
    random_checkpoint(tmp_path / "one")
    random_checkpoint(tmp_path / "many", shard_bytes=60_000)
    if not indexed:
        (tmp_path / "many" / INDEX_FILE).unlink()
    one, many = Checkpoint.open(tmp_path / "one"), Checkpoint.open(tmp_path / "many")
    assert len(list((tmp_path / "many").glob("*.safetensors"))) > 3
    assert one.tensors == many.tensors
    assert all(bits(one.tensor(name)) == bits(many.tensor(name)) for name in one.tensors)


def test_files_of_any_names_without_index(tmp_path: Path) -> None:
    random_checkpoint(tmp_path / "one")
    shutil.copytree(tmp_path / "one", tmp_path / "some")
    weights = load_file(tmp_path / "one" / SINGLE_FILE)
    (tmp_path / "some" / SINGLE_FILE).unlink()
    names = sorted(weights)
    for number, file in enumerate(("model-vision.safetensors", "model.1.safetensors", "model_rest.safetensors")):
        save_file({name: weights[name] for name in names[number::3]}, tmp_path / "some" / file)
    one, some = Checkpoint.open(tmp_path / "one"), Checkpoint.open(tmp_path / "some")
    assert some.tensors == one.tensors
    assert all(bits(some.tensor(name)) == bits(one.tensor(name)) for name in one.tensors)
    (tmp_path / "some" / "model_rest.safetensors").unlink()
    with refused(CheckpointError, "tensor", "missing"):
        Checkpoint.open(tmp_path / "some")


def test_numbered_files_and_others(tmp_path: Path) -> None:
    """The numbered ones must be a whole set all the same; beside a single file they are left from another download."""
    folder = tmp_path / "some"
    random_checkpoint(folder, shard_bytes=60_000)
    (folder / INDEX_FILE).unlink()
    shards = sorted(folder.glob("*.safetensors"))
    expected = Checkpoint.open(folder).tensors
    first = load_file(shards[0])
    moved = next(iter(first))
    save_file({moved: first.pop(moved)}, folder / "model-first.safetensors")
    save_file(first, shards[0])
    assert Checkpoint.open(folder).tensors == expected
    (shards[1]).rename(folder / "kept")
    with refused(CheckpointError, shards[1].name, "missing", f"of {len(shards) + 1}"):
        Checkpoint.open(folder)
    shutil.copy(GOLDEN / SINGLE_FILE, folder / SINGLE_FILE)
    (folder / "model-first.safetensors").unlink()
    shutil.copy(GOLDEN / "config.json", folder / "config.json")
    assert Checkpoint.open(folder).tensors == Checkpoint.open(GOLDEN).tensors


def test_tied_embeddings_are_read_from_the_head(tmp_path: Path) -> None:
    random_checkpoint(tmp_path / "some")
    file, config = tmp_path / "some" / SINGLE_FILE, tmp_path / "some" / "config.json"
    weights = load_file(file)
    expected = weights[EMBEDDING]
    weights[HEAD] = weights.pop(EMBEDDING)
    save_file(weights, file)
    document = json.loads(config.read_bytes())
    with refused(CheckpointError, EMBEDDING, "missing"):
        Checkpoint.open(tmp_path / "some")
    for path in ("tie_word_embeddings", "llm_config.tie_word_embeddings"):
        config.write_text(json.dumps(put(json.loads(json.dumps(document)), path, value=True)))
        checkpoint = Checkpoint.open(tmp_path / "some")
        assert bits(checkpoint.tensor(EMBEDDING)) == bits(expected)
        assert set(checkpoint.tensors) == set(weights)
    # Where there are both, each is read under its own name.
    save_file({**weights, EMBEDDING: np.zeros_like(expected)}, file)
    assert not Checkpoint.open(tmp_path / "some").tensor(EMBEDDING).astype(np.float32).any()


def test_an_index_of_one_file(tmp_path: Path) -> None:
    folder = tmp_path / "some"
    shutil.copytree(GOLDEN, folder)
    names = Checkpoint.open(folder).tensors
    (folder / INDEX_FILE).write_text(json.dumps({"metadata": {}, "weight_map": dict.fromkeys(names, SINGLE_FILE)}))
    assert Checkpoint.open(folder).tensors == names
