"""Trains a byte-level BPE tokenizer in the form that Qwen2's has, for models that are trained here."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from unichunk.runtime.errors import CheckpointError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SPECIAL_TOKENS: Final = (
    "<|im_end|>",
    "<|im_start|>",
    "<img>",
    "</img>",
    "<IMG_CONTEXT>",
    "<|state_start|>",
    "<|state_end|>",
    "<|action_start|>",
    "<|action_end|>",
)
"""In the order of their ids, after all others."""

TOKENIZER_FILES: Final = (
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "tokenizer_config.json",
)

PRE_TOKENIZATION: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""Qwen2's split into words."""

SMALLEST_VOCABULARY: Final = 256 + len(SPECIAL_TOKENS)


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> dict[str, str]:
    """Trains a tokenizer; the same texts give the same one.

    Args:
        texts: What it will be used on, more or less.
        vocabulary: Most tokens it may have, the special ones included; all bytes are always there.

    Returns:
        File name -> content of the five files that describe it.

    Raises:
        CheckpointError: The vocabulary has no room for all bytes and special tokens.
    """
    if vocabulary < SMALLEST_VOCABULARY:
        raise CheckpointError(
            f"a vocabulary of {vocabulary} tokens is too small; expected {SMALLEST_VOCABULARY} or more"
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRE_TOKENIZATION), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary - len(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in SPECIAL_TOKENS])
    return _files(tokenizer)


def read_tokenizer_files(directory: Path) -> dict[str, str]:
    """File name -> content of an existing tokenizer, for a checkpoint that keeps it."""
    return {
        name: (directory / name).read_text(encoding="utf-8") for name in TOKENIZER_FILES if (directory / name).is_file()
    }


def _files(tokenizer: Tokenizer) -> dict[str, str]:
    document = json.loads(tokenizer.to_str())
    model = document["model"]
    added: dict[str, int] = {token["content"]: token["id"] for token in document["added_tokens"]}
    merges = "".join(f"{left} {right}\n" for left, right in model["merges"])
    return {
        "tokenizer.json": tokenizer.to_str(pretty=True),
        "vocab.json": json.dumps(model["vocab"], ensure_ascii=False, separators=(",", ":")),
        "merges.txt": f"#version: 0.2\n{merges}",
        "added_tokens.json": json.dumps(dict(sorted(added.items())), indent=2) + "\n",
        "tokenizer_config.json": json.dumps(_tokenizer_config(added), indent=2, sort_keys=True) + "\n",
    }


def _tokenizer_config(added: dict[str, int]) -> dict[str, Any]:
    """What transformers reads beside the other files."""
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    return {
        "added_tokens_decoder": {str(index): {"content": token, **flags} for token, index in added.items()},
        "additional_special_tokens": list(added),
        "bos_token": None,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|im_end|>",
        "errors": "replace",
        "model_max_length": 10**30,
        "pad_token": "<|im_end|>",
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }
