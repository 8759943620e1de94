"""The safetensors files of a checkpoint: one, or shards with or without an index."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import ml_dtypes  # noqa: F401  (registers bfloat16, which numpy needs to read published weights)
import msgspec
from safetensors import SafetensorError, safe_open

from unichunk.runtime.compile.json_file import decode_json
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

SINGLE_FILE: Final = "model.safetensors"
INDEX_FILE: Final = "model.safetensors.index.json"
SHARD_NAME: Final = re.compile(r"model-(\d+)-of-(\d+)\.safetensors")


def shard_name(number: int, total: int) -> str:
    """Name of shard `number`, from 1."""
    return f"model-{number:05d}-of-{total:05d}.safetensors"


def find_shards(directory: Path) -> list[Path]:
    """The weight files, all of which exist.

    Those that the index names; without an index, all `model*.safetensors`. Numbered ones must be a whole set, and are
    left alone beside a single file.

    Raises:
        CheckpointError: None at all, or a shard is missing.
    """
    if (directory / INDEX_FILE).is_file():
        return _present(directory, sorted(set(_read_index(directory / INDEX_FILE).values())), INDEX_FILE)
    names = sorted(path.name for path in directory.glob("model*.safetensors") if path.is_file())
    shards = [name for name in names if SHARD_NAME.fullmatch(name)]
    others = [name for name in names if name not in shards]
    if not names:
        raise CheckpointError(f"{directory}: no weights; expected {SINGLE_FILE} or {shard_name(1, 2)} and so on")
    if shards and SINGLE_FILE not in others:
        others += _all_names(directory, shards)
    return _present(directory, others, "the names of the others")


def _all_names(directory: Path, shards: list[str]) -> list[str]:
    """The names that a set of shards should have: each says how many there are."""
    totals = sorted({int(match[2]) for name in shards if (match := SHARD_NAME.fullmatch(name))})
    if len(totals) != 1:
        counts = " and ".join(map(str, totals))
        raise CheckpointError(f"{directory}: shards of different sets (of {counts}); keep those of one")
    digits = [len(part) for match in [SHARD_NAME.fullmatch(shards[0])] if match for part in match.groups()]
    return [
        f"model-{number:0{digits[0]}d}-of-{totals[0]:0{digits[1]}d}.safetensors" for number in range(1, totals[0] + 1)
    ]


def _present(directory: Path, names: list[str], reason: str) -> list[Path]:
    missing = [name for name in names if not (directory / name).is_file()]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise CheckpointError(
            f"{directory}: shard {missing[0]}{more} of {len(names)} is missing (named by {reason}); download it again"
        )
    return [directory / name for name in names]


class _Index(msgspec.Struct, frozen=True):
    weight_map: dict[str, str]


def _read_index(path: Path) -> dict[str, str]:
    try:
        names = decode_json(path.read_bytes(), _Index, path).weight_map
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from error
    foreign = next((name for name in names.values() if "/" in name or "\\" in name), None)
    if foreign is not None or not names:
        raise CheckpointError(f"{path}: expected weight_map to name files beside it, got {foreign or 'none'}")
    return names


def open_shard(path: Path) -> Any:
    """Opens a safetensors file for numpy; to be used as a context.

    Raises:
        CheckpointError: It cannot be read, is not a safetensors file, or not all of it.
    """
    try:
        # The library does not say why a file cannot be opened.
        with path.open("rb"):
            pass
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    try:
        return safe_open(path, framework="numpy")
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is truncated or not a safetensors file ({error}); download it again") from error
