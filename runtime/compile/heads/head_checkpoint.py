"""The checkpoint of a policy with action queries on disk: read, checked, and written."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from safetensors.numpy import save_file

from unichunk.runtime.compile.checkpoint_folder import (
    CheckpointFolder,
    check_tensors,
    stored_tensors,
    tokenizer_file,
)
from unichunk.runtime.compile.config_document import CONFIG_FILE
from unichunk.runtime.compile.heads.head_config import MODEL_TYPE, HeadConfig, parse_head_config, read_head_config
from unichunk.runtime.compile.heads.head_tensors import head_tensors
from unichunk.runtime.compile.metadata import FILE_SUFFIX, check_metadata
from unichunk.runtime.compile.prompt import PromptTokenizer
from unichunk.runtime.compile.shards import SINGLE_FILE
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class HeadCheckpoint(CheckpointFolder):
    """An opened checkpoint.

    Attributes:
        directory: Its folder.
        tokenizer_file: Its `tokenizer.json`.
        config: What its `config.json` says.
    """

    config: HeadConfig

    @classmethod
    def open(cls, directory: Path) -> HeadCheckpoint:
        """Opens a checkpoint and checks that everything the graphs read is there, whole, of its shape and type.

        Raises:
            CheckpointError: In one line, what is wrong.
        """
        config = read_head_config(directory)
        try:
            stored = stored_tensors(directory)
        except OSError as error:
            raise CheckpointError(f"{directory} cannot be read: {error.strerror or error}") from error
        check_tensors(directory, stored, head_tensors(config))
        return cls(directory, tokenizer_file(directory), stored, config)

    def tokenizer(self) -> PromptTokenizer:
        """Its tokenizer, whose ids the token embedding has.

        Raises:
            CheckpointError: Not a tokenizer, or not this model's.
        """
        try:
            content = self.tokenizer_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(f"{self.tokenizer_file} cannot be read: {error}") from error
        return PromptTokenizer(content, self.config.vocabulary, str(self.tokenizer_file))


def is_head(directory: Path) -> bool:
    """Whether a folder's `config.json` says that it is such a checkpoint; False where it cannot be read."""
    try:
        document = json.loads((directory / CONFIG_FILE).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and document.get("model_type") == MODEL_TYPE


def write_head_checkpoint(
    directory: Path,
    config: HeadConfig,
    tensors: Mapping[str, ArrayLike],
    *,
    metadata: Mapping[str, Mapping[str, Any]],
    tokenizer: Mapping[str, str],
) -> None:
    """Writes a checkpoint: configuration, float32 weights, tokenizer and metadata.

    Args:
        directory: Where; must not exist yet. Appears only when everything is written.
        config: Sizes, and which head.
        tensors: Names and values.
        metadata: Dataset -> content of its metadata file.
        tokenizer: File name -> content, see `train_tokenizer`.

    Raises:
        CheckpointError: The folder is in the way, or what was written would be refused when read.
    """
    if directory.exists():
        raise CheckpointError(f"{directory} exists already; remove it or write elsewhere")
    content = msgspec.json.format(msgspec.json.encode(config), indent=1)
    parse_head_config(content, str(directory / CONFIG_FILE))
    staged = directory.with_name(f".{directory.name}.writing")
    shutil.rmtree(staged, ignore_errors=True)
    staged.mkdir(parents=True)
    try:
        (staged / CONFIG_FILE).write_bytes(content)
        for name, text in tokenizer.items():
            (staged / name).write_text(text, encoding="utf-8", newline="\n")
        for dataset, entries in metadata.items():
            (staged / f"{dataset}{FILE_SUFFIX}").write_bytes(
                msgspec.json.format(msgspec.json.encode(entries), indent=1)
            )
        save_file({name: np.array(values, np.float32) for name, values in tensors.items()}, staged / SINGLE_FILE)
        HeadCheckpoint.open(staged).tokenizer()
        for dataset in metadata:
            check_metadata(staged, dataset)
        staged.rename(directory)
    except BaseException:
        shutil.rmtree(staged, ignore_errors=True)
        raise
