"""A Being-H0.5 checkpoint on disk: checked as a whole when opened, its weights read one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.runtime.compile.config import read_config
from unichunk.runtime.compile.metadata import read_metadata
from unichunk.runtime.compile.shards import find_shards, open_shard
from unichunk.runtime.compile.tensors import expected_tensors
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from unichunk.runtime.compile.config import BeingHConfig
    from unichunk.runtime.compile.metadata import DatasetMetadata

TOKENIZER_FILE: Final = "tokenizer.json"
EMBEDDING: Final = "language_model.model.embed_tokens.weight"
HEAD: Final = "language_model.lm_head.weight"
"""Stands for the embedding where they are tied and a file holds one of them only."""
TYPES: Final = ("BF16", "F16", "F32")
"""Types of weights that are read, in safetensors' words."""


@dataclass(frozen=True)
class _Stored:
    """Where a weight lies, under which name, and what it is."""

    file: Path
    name: str
    shape: tuple[int, ...]
    type: str


@dataclass(frozen=True)
class Checkpoint:
    """An opened checkpoint.

    Attributes:
        directory: Its folder.
        config: What its `config.json` says.
        tokenizer_file: Its `tokenizer.json`.
    """

    directory: Path
    config: BeingHConfig
    tokenizer_file: Path
    _stored: Mapping[str, _Stored]

    @classmethod
    def open(cls, directory: Path) -> Checkpoint:
        """Opens a checkpoint and checks that everything the graphs read is there, whole, of its shape and type.

        Raises:
            CheckpointError: In one line, what is wrong.
        """
        try:
            return cls._open(directory)
        except OSError as error:
            raise CheckpointError(f"{directory} cannot be read: {error.strerror or error}") from error

    @classmethod
    def _open(cls, directory: Path) -> Checkpoint:
        if not directory.is_dir():
            what = "is a file" if directory.exists() else "does not exist"
            raise CheckpointError(f"{directory} {what}; expected the folder of a Being-H0.5 checkpoint")
        config = read_config(directory)
        tokenizer = directory / TOKENIZER_FILE
        if not tokenizer.is_file():
            raise CheckpointError(
                f"{directory}: no {TOKENIZER_FILE}; save it with transformers' "
                f"Qwen2TokenizerFast.from_pretrained(folder).save_pretrained(folder)"
            )
        stored = _contents(find_shards(directory))
        if config.tied_embeddings and EMBEDDING not in stored and HEAD in stored:
            stored[EMBEDDING] = stored[HEAD]
        _check(directory, stored, expected_tensors(config))
        return cls(directory, config, tokenizer, stored)

    def tensor(self, name: str) -> NDArray[Any]:
        """Reads a weight from its file; nothing is kept.

        Returns:
            The array in the checkpoint's own type: `ml_dtypes.bfloat16`, float16 or float32.
        """
        try:
            stored = self._stored[name]
        except KeyError:
            raise CheckpointError(f"{self.directory}: no tensor {name}") from None
        with open_shard(stored.file) as shard:
            array: NDArray[Any] = shard.get_tensor(stored.name)
        return array

    @property
    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every stored weight, those that no graph reads included."""
        return {stored.name: stored.shape for stored in self._stored.values()}

    def metadata(self, dataset: str, variant: str = "merged") -> DatasetMetadata:
        """Statistics and modalities of a dataset; see `read_metadata`."""
        return read_metadata(self.directory, dataset, variant)


def _contents(shards: list[Path]) -> dict[str, _Stored]:
    """Name -> place of all weights in the files."""
    stored: dict[str, _Stored] = {}
    for file in shards:
        with open_shard(file) as shard:
            for name in shard.keys():  # noqa: SIM118  (a reader, not a dictionary)
                if name in stored:
                    raise CheckpointError(f"{file}: tensor {name} is in {stored[name].file.name} as well; keep one")
                view = shard.get_slice(name)
                stored[name] = _Stored(file, name, tuple(view.get_shape()), view.get_dtype())
    return stored


def _check(directory: Path, stored: Mapping[str, _Stored], expected: Mapping[str, tuple[int, ...]]) -> None:
    missing = [name for name in expected if name not in stored]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise CheckpointError(f"{directory}: tensor {missing[0]}{more} missing, which config.json asks for")
    for name, shape in expected.items():
        found = stored[name]
        if found.shape != shape:
            raise CheckpointError(
                f"{found.file}: tensor {name} has shape {_sizes(found.shape)}, expected {_sizes(shape)} by config.json"
            )
        if found.type not in TYPES:
            raise CheckpointError(f"{found.file}: tensor {name} is {found.type}, expected one of {', '.join(TYPES)}")


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "()"
