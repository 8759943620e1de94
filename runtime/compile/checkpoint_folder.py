"""The folder of a checkpoint: weights in safetensors files, a tokenizer, metadata of its datasets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.runtime.compile.metadata import read_metadata
from unichunk.runtime.compile.shards import find_shards, open_shard
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from unichunk.runtime.compile.metadata import DatasetMetadata

TOKENIZER_FILE: Final = "tokenizer.json"
TYPES: Final = ("BF16", "F16", "F32")
"""Types of weights that are read, in safetensors' words."""


@dataclass(frozen=True)
class StoredTensor:
    """Where a weight lies, under which name, and what it is."""

    file: Path
    name: str
    shape: tuple[int, ...]
    type: str


@dataclass(frozen=True)
class CheckpointFolder:
    """What checkpoints of all models have in common.

    Attributes:
        directory: The folder.
        tokenizer_file: Its `tokenizer.json`.
    """

    directory: Path
    tokenizer_file: Path
    _stored: Mapping[str, StoredTensor]

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


def tokenizer_file(directory: Path) -> Path:
    """The tokenizer of a checkpoint.

    Raises:
        CheckpointError: There is none.
    """
    tokenizer = directory / TOKENIZER_FILE
    if not tokenizer.is_file():
        raise CheckpointError(
            f"{directory}: no {TOKENIZER_FILE}; save it with transformers' "
            f"Qwen2TokenizerFast.from_pretrained(folder).save_pretrained(folder)"
        )
    return tokenizer


def stored_tensors(directory: Path) -> dict[str, StoredTensor]:
    """Name -> place of all weights in a folder's files.

    Raises:
        CheckpointError: Files are missing, damaged, or hold a name twice.
    """
    stored: dict[str, StoredTensor] = {}
    for file in find_shards(directory):
        with open_shard(file) as shard:
            for name in shard.keys():  # noqa: SIM118  (a reader, not a dictionary)
                if name in stored:
                    raise CheckpointError(f"{file}: tensor {name} is in {stored[name].file.name} as well; keep one")
                view = shard.get_slice(name)
                stored[name] = StoredTensor(file, name, tuple(view.get_shape()), view.get_dtype())
    return stored


def check_tensors(directory: Path, stored: Mapping[str, StoredTensor], expected: Mapping[str, tuple[int, ...]]) -> None:
    """Refuses a folder without all tensors that are needed, whole, of their shapes and of a type that is read.

    Raises:
        CheckpointError: In one line, what is wrong.
    """
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
