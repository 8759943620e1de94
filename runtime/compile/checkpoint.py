"""A Being-H0.5 checkpoint on disk: checked as a whole when opened, its weights read one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from unichunk.runtime.compile.checkpoint_folder import (
    TOKENIZER_FILE,
    CheckpointFolder,
    check_tensors,
    stored_tensors,
    tokenizer_file,
)
from unichunk.runtime.compile.config import read_config
from unichunk.runtime.compile.tensors import expected_tensors
from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from pathlib import Path

    from unichunk.runtime.compile.config import BeingHConfig

__all__ = ["TOKENIZER_FILE", "Checkpoint"]

EMBEDDING: Final = "language_model.model.embed_tokens.weight"
HEAD: Final = "language_model.lm_head.weight"
"""Stands for the embedding where they are tied and a file holds one of them only."""


@dataclass(frozen=True)
class Checkpoint(CheckpointFolder):
    """An opened checkpoint.

    Attributes:
        directory: Its folder.
        tokenizer_file: Its `tokenizer.json`.
        config: What its `config.json` says.
    """

    config: BeingHConfig

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
        tokenizer = tokenizer_file(directory)
        stored = stored_tensors(directory)
        if config.tied_embeddings and EMBEDDING not in stored and HEAD in stored:
            stored[EMBEDDING] = stored[HEAD]
        if config.tied_embeddings and HEAD not in stored and EMBEDDING in stored:
            stored[HEAD] = stored[EMBEDDING]
        check_tensors(directory, stored, expected_tensors(config))
        return cls(directory, tokenizer, stored, config)
