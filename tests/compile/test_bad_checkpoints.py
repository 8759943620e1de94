"""Damaged, incomplete and foreign checkpoints: one clear line each."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from tests.one_line import refused, refused_at_most
from unichunk.runtime.compile.checkpoint import Checkpoint
from unichunk.runtime.compile.checkpoint_writer import random_checkpoint
from unichunk.runtime.compile.shards import INDEX_FILE, SINGLE_FILE
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterator

NORM = "language_model.model.norm_mot_gen.weight"


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A checkpoint in one file."""
    random_checkpoint(tmp_path / "one")
    return tmp_path / "one"


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """The weight files of a checkpoint of several; the index is beside them."""
    random_checkpoint(tmp_path / "many", shard_bytes=100_000)
    return sorted((tmp_path / "many").glob("*.safetensors"))


def change(folder: Path, name: str, array: Any) -> None:
    """Replaces a weight, or removes it."""
    weights = load_file(folder / SINGLE_FILE)
    del weights[name]
    save_file(weights if array is None else {**weights, name: array}, folder / SINGLE_FILE)


def test_no_folder(tmp_path: Path) -> None:
    with refused(CheckpointError, str(tmp_path / "none"), "does not exist", "folder"):
        Checkpoint.open(tmp_path / "none")


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    with refused(CheckpointError, "x" * 300, "cannot be read", "too long"):
        Checkpoint.open(tmp_path / ("x" * 300))


@contextmanager
def without_rights(folder: Path) -> Iterator[None]:
    """The folder may not be entered within the block."""
    user = os.geteuid()
    folder.chmod(0)
    try:
        if user == 0:
            os.seteuid(65534)  # to the administrator, everything is open
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o700)


def test_a_folder_that_may_not_be_entered(one: Path) -> None:
    for directory in (one, one / "below"):
        with without_rights(one), refused(CheckpointError, str(directory), "cannot be read", "Permission denied"):
            Checkpoint.open(directory)


def test_a_file_that_may_not_be_read(one: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.open

    def opened(self: Path, *arguments: Any, **options: Any) -> Any:
        if self.name == SINGLE_FILE:
            raise PermissionError(13, "Permission denied", str(self))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", opened)
    with refused(CheckpointError, f"{one / SINGLE_FILE} cannot be read: Permission denied"):
        Checkpoint.open(one)


def test_a_tensor_in_two_files_of_any_names(one: Path) -> None:
    weights = load_file(one / SINGLE_FILE)
    save_file({NORM: weights[NORM]}, one / "model.fp16.safetensors")
    with refused(CheckpointError, NORM, SINGLE_FILE, "model.fp16.safetensors", "keep one"):
        Checkpoint.open(one)


def test_a_file(one: Path) -> None:
    with refused(CheckpointError, SINGLE_FILE, "is a file", "folder"):
        Checkpoint.open(one / SINGLE_FILE)


def test_an_empty_folder(tmp_path: Path) -> None:
    with refused(CheckpointError, str(tmp_path), "no config.json"):
        Checkpoint.open(tmp_path)


def test_no_weights(one: Path) -> None:
    (one / SINGLE_FILE).unlink()
    with refused(CheckpointError, str(one), "no weights", SINGLE_FILE):
        Checkpoint.open(one)


def test_no_tokenizer(one: Path) -> None:
    (one / "tokenizer.json").unlink()
    with refused(CheckpointError, str(one), "no tokenizer.json", "save_pretrained"):
        Checkpoint.open(one)


def test_no_metadata(one: Path) -> None:
    (one / "uni_posttrain_metadata.json").unlink()
    with refused(CheckpointError, "'uni_posttrain'", "this checkpoint has no metadata"):
        Checkpoint.open(one).metadata("uni_posttrain")


@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("number", [0, 1, -1])
def test_a_missing_shard(shards: list[Path], number: int, indexed: bool) -> None:
    if not indexed:
        (shards[0].parent / INDEX_FILE).unlink()
    shards[number].unlink()
    with refused(CheckpointError, shards[number].name, "missing", f"of {len(shards)}"):
        Checkpoint.open(shards[0].parent)


def test_several_missing_shards(shards: list[Path]) -> None:
    for file in shards[1:]:
        file.unlink()
    with refused(CheckpointError, shards[1].name, f"and {len(shards) - 2} more"):
        Checkpoint.open(shards[0].parent)


def test_shards_of_two_sets(shards: list[Path]) -> None:
    folder = shards[0].parent
    (folder / INDEX_FILE).unlink()
    shards[0].rename(folder / "model-00001-of-00099.safetensors")
    with refused(CheckpointError, f"{len(shards)} and 99"):
        Checkpoint.open(folder)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "not JSON"),
        (b"{}", "weight_map"),
        (b'{"weight_map": {}}', "got none"),
        (b'{"weight_map": {"a": "../model.safetensors"}}', "../model.safetensors"),
        (b'{"weight_map": {"a": 3}}', "weight_map"),
    ],
)
def test_a_damaged_index(shards: list[Path], content: bytes, words: str) -> None:
    (shards[0].parent / INDEX_FILE).write_bytes(content)
    with refused(CheckpointError, INDEX_FILE, words):
        Checkpoint.open(shards[0].parent)


@pytest.mark.parametrize("size", [0, 1, 7, 8, 9, 100, -1, -2, -1000])
def test_truncated(one: Path, size: int) -> None:
    file = one / SINGLE_FILE
    file.write_bytes(file.read_bytes()[:size])
    with refused(CheckpointError, str(file), "truncated"):
        Checkpoint.open(one)


def test_a_truncated_shard(shards: list[Path]) -> None:
    shards[-1].write_bytes(shards[-1].read_bytes()[:-2])
    with refused(CheckpointError, str(shards[-1]), "truncated"):
        Checkpoint.open(shards[0].parent)


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 a zip of PyTorch",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4000000000\n",
        b"\xff" * 64,
        b"\x08\0\0\0\0\0\0\0not json",
    ],
)
def test_a_foreign_file(one: Path, content: bytes) -> None:
    (one / SINGLE_FILE).write_bytes(content)
    with refused(CheckpointError, str(one / SINGLE_FILE), "not a safetensors file"):
        Checkpoint.open(one)


def test_a_missing_tensor(one: Path) -> None:
    change(one, NORM, None)
    with refused(CheckpointError, f"tensor {NORM} missing"):
        Checkpoint.open(one)


def test_many_missing_tensors(one: Path) -> None:
    weights = load_file(one / SINGLE_FILE)
    save_file({name: array for name, array in weights.items() if not name.startswith("mpg.")}, one / SINGLE_FILE)
    with refused(CheckpointError, "tensor mpg.obs_proj.weight and 5 more missing", "config.json"):
        Checkpoint.open(one)


def test_a_wrong_shape(one: Path) -> None:
    change(one, NORM, np.ones((1, 32), np.float32))
    with refused(CheckpointError, NORM, "1 x 32", "expected 32"):
        Checkpoint.open(one)


@pytest.mark.parametrize(("dtype", "word"), [(np.float64, "F64"), (np.int8, "I8"), (np.uint16, "U16")])
def test_a_wrong_type(one: Path, dtype: Any, word: str) -> None:
    change(one, NORM, np.ones(32, dtype))
    with refused(CheckpointError, NORM, f"is {word}", "BF16, F16, F32"):
        Checkpoint.open(one)


def test_a_tensor_in_two_shards(shards: list[Path]) -> None:
    first, second = load_file(shards[0]), load_file(shards[1])
    name = next(iter(first))
    save_file({**second, name: first[name]}, shards[1])
    with refused(CheckpointError, shards[1].name, name, shards[0].name):
        Checkpoint.open(shards[0].parent)


def test_a_config_of_other_sizes(one: Path) -> None:
    document = json.loads((one / "config.json").read_bytes())
    document["llm_config"]["intermediate_size"] = 65
    (one / "config.json").write_text(json.dumps(document))
    with refused(CheckpointError, "mlp.gate_proj.weight", "64 x 48", "65 x 48"):
        Checkpoint.open(one)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 12_000), st.binary(min_size=1, max_size=8))
def test_a_damaged_header_is_refused_or_harmless(one: Path, place: int, patch: bytes) -> None:
    file = one / SINGLE_FILE
    whole = file.read_bytes()
    try:
        file.write_bytes(whole[:place] + patch + whole[place + len(patch) :])
        with refused_at_most(CheckpointError):
            Checkpoint.open(one).tensor(NORM)
    finally:
        file.write_bytes(whole)
