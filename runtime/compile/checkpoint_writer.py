"""Writes checkpoints in the published format: bfloat16 shards, configuration, tokenizer, metadata."""

from __future__ import annotations

import json
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import ml_dtypes
import msgspec
import numpy as np

from unichunk.runtime.compile.checkpoint import Checkpoint
from unichunk.runtime.compile.config import config_of
from unichunk.runtime.compile.config_document import CONFIG_FILE, parse_config
from unichunk.runtime.compile.metadata import FILE_SUFFIX, check_metadata
from unichunk.runtime.compile.random_weights import random_weights
from unichunk.runtime.compile.sample_metadata import LIBERO_METADATA, SAMPLE_TEXTS
from unichunk.runtime.compile.shards import INDEX_FILE, SINGLE_FILE, shard_name
from unichunk.runtime.compile.sizes import Sizes, config_document
from unichunk.runtime.compile.tensors import expected_tensors
from unichunk.runtime.compile.tokenizer_training import train_tokenizer
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

SHARD_BYTES: Final = 2_000_000_000


def write_checkpoint(
    directory: Path,
    *,
    config: Mapping[str, Any],
    tensors: Iterable[tuple[str, ArrayLike]],
    metadata: Mapping[str, Mapping[str, Any]],
    tokenizer: Mapping[str, str],
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Writes a checkpoint; of the weights, no more than one shard's are in memory.

    Args:
        directory: Where; must not exist yet. Appears only when everything is written.
        config: Content of `config.json`, see `sizes.config_document`; the readers' checks apply.
        tensors: Names and values, which are rounded to bfloat16 (to the nearest, ties to even).
        metadata: Dataset -> content of its metadata file.
        tokenizer: File name -> content, see `train_tokenizer`.
        shard_bytes: Most bytes of weights in a file, unless one tensor alone is larger.

    Raises:
        CheckpointError: The folder is in the way, or what was written would be refused when read.
    """
    content = json.dumps(config, indent=1, ensure_ascii=False).encode()
    parse_config(content, f"{directory / CONFIG_FILE}")
    with _beside(directory) as staged:
        (staged / CONFIG_FILE).write_bytes(content)
        for name, text in tokenizer.items():
            (staged / name).write_text(text, encoding="utf-8", newline="\n")
        for dataset, entries in metadata.items():
            (staged / f"{dataset}{FILE_SUFFIX}").write_bytes(
                msgspec.json.format(msgspec.json.encode(entries), indent=1)
            )
        _write_shards(staged, tensors, shard_bytes)
        checkpoint = Checkpoint.open(staged)
        for dataset in metadata:
            check_metadata(checkpoint.directory, dataset)


def random_checkpoint(
    directory: Path,
    sizes: Sizes | None = None,
    *,
    seed: int = 0,
    scale: float = 1.0,
    metadata: Mapping[str, Mapping[str, Any]] | None = None,
    tokenizer: Mapping[str, str] | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> None:
    """Writes a checkpoint with random weights, for tests and benchmarks.

    Args:
        directory: Where; must not exist yet.
        sizes: Of the model.
        seed: Of the weights.
        scale: Of the matrices, relative to 1 / sqrt(inputs).
        metadata: As for `write_checkpoint`; otherwise dataset `uni_posttrain` for `libero_nonorm`.
        tokenizer: As for `write_checkpoint`; otherwise one trained on a few sentences.
        shard_bytes: Most bytes of weights in a file.
    """
    sizes = sizes or Sizes()
    document = config_document(sizes)
    config = config_of(parse_config(json.dumps(document).encode(), CONFIG_FILE))
    write_checkpoint(
        directory,
        config=document,
        tensors=random_weights(expected_tensors(config), seed, scale),
        metadata=LIBERO_METADATA if metadata is None else metadata,
        tokenizer=tokenizer or train_tokenizer(SAMPLE_TEXTS, min(sizes.vocabulary, 400)),
        shard_bytes=shard_bytes,
    )


def _write_shards(folder: Path, tensors: Iterable[tuple[str, ArrayLike]], shard_bytes: int) -> None:
    """One file, or shards and their index; the shards get their names once their number is known."""
    written: list[tuple[Path, list[str]]] = []
    size = 0
    for shard in _shards(tensors, shard_bytes):
        path = folder / f"shard-{len(written)}"
        _write_shard(path, shard)
        written.append((path, list(shard)))
        size += sum(array.nbytes for array in shard.values())
        shard.clear()  # before the next one is gathered
    if not written:
        raise CheckpointError(f"{folder}: a checkpoint without weights")
    if len(written) == 1:
        written[0][0].rename(folder / SINGLE_FILE)
        return
    places: dict[str, str] = {}
    for number, (path, names) in enumerate(written, 1):
        path.rename(folder / shard_name(number, len(written)))
        places |= dict.fromkeys(names, shard_name(number, len(written)))
    index = {"metadata": {"total_size": size}, "weight_map": dict(sorted(places.items()))}
    (folder / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def _shards(tensors: Iterable[tuple[str, ArrayLike]], shard_bytes: int) -> Iterator[dict[str, NDArray[Any]]]:
    """Groups of tensors of at most so many bytes, in bfloat16."""
    shard: dict[str, NDArray[Any]] = {}
    seen: set[str] = set()
    size = 0
    for name, values in tensors:
        if name in seen:
            raise CheckpointError(f"tensor {name} is given twice")
        seen.add(name)
        array = _bfloat16(values)
        if shard and size + array.nbytes > shard_bytes:
            yield shard
            shard, size = {}, 0
        shard[name] = array
        size += array.nbytes
    if shard:
        yield shard


def _bfloat16(values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    if array.dtype != ml_dtypes.bfloat16:
        array = array.astype(ml_dtypes.bfloat16)
    return np.ascontiguousarray(array).reshape(array.shape)


def _write_shard(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """One safetensors file: the length of the header, the header (JSON, a multiple of 8 bytes), the values."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, array in tensors.items():
        start, end = end, end + array.nbytes
        header[name] = {"dtype": "BF16", "shape": list(array.shape), "data_offsets": [start, end]}
    encoded = msgspec.json.encode(header)
    encoded += b" " * (-len(encoded) % 8)
    with path.open("xb") as file:
        file.write(len(encoded).to_bytes(8, "little"))
        file.write(encoded)
        for array in tensors.values():
            file.write(array.reshape(-1).view(np.uint16).astype("<u2", copy=False).data)


@contextmanager
def _beside(directory: Path) -> Iterator[Path]:
    """A folder beside the target that takes its name when all went well, and is removed otherwise."""
    if directory.exists():
        raise CheckpointError(f"{directory} exists already; remove it or write elsewhere")
    staged = directory.with_name(f".{directory.name}.writing")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    try:
        yield staged
        staged.rename(directory)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
